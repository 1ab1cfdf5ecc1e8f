package command

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"weir/store"
)

// A configKey says whether a key of the configuration means the same in two
// files, flags taken into account.
type configKey struct {
	name   string
	fields []string // of config that it fills
	same   func(a, b *collectOptions) bool
}

// reloadable are the keys that a collector takes in while it runs.
var reloadable = []configKey{
	{"listen", []string{"Listen"}, func(a, b *collectOptions) bool { return slices.Equal(a.listen, b.listen) }},
	{"tls", []string{"TLS"}, func(a, b *collectOptions) bool { return reflect.DeepEqual(a.config.TLS, b.config.TLS) }},
	{"forward", []string{"Forward"}, func(a, b *collectOptions) bool { return slices.Equal(a.config.Forward, b.config.Forward) }},
	{"retention", []string{"Retention"}, func(a, b *collectOptions) bool { return a.keep == b.keep }},
	{"metrics", []string{"Metrics"}, func(a, b *collectOptions) bool { return a.metrics == b.metrics }},
	{"networks", []string{"Networks"}, func(a, b *collectOptions) bool { return reflect.DeepEqual(a.config.Networks, b.config.Networks) }},
	{"exporters", []string{"Known", "Only"}, func(a, b *collectOptions) bool {
		return a.config.Only == b.config.Only && reflect.DeepEqual(a.config.Known, b.config.Known)
	}},
	{"scope", []string{"Scope"}, func(a, b *collectOptions) bool { return a.config.Scope.same(b.config.Scope) }},
	{"audit", []string{"Audit"}, func(a, b *collectOptions) bool { return reflect.DeepEqual(a.audit, b.audit) }},
	{"holds", []string{"Holds"}, func(a, b *collectOptions) bool { return a.config.Holds == b.config.Holds }},
	{"socket", []string{"Socket"}, func(a, b *collectOptions) bool { return a.socket == b.socket }},
	{"mmdb", []string{"MMDB"}, func(a, b *collectOptions) bool { return slices.Equal(a.config.MMDB, b.config.MMDB) }},
	{"log.level", nil, func(a, b *collectOptions) bool { return a.log.Level == b.log.Level }},
}

// fixed are the keys that count from the start only. A field of config that no
// key here speaks of is one as well: see compare.
var fixed = []configKey{
	{"data", []string{"Data"}, func(a, b *collectOptions) bool { return a.dir == b.dir }},
	{"keep", []string{"Kept", "KeepSaid"}, func(a, b *collectOptions) bool { return reflect.DeepEqual(a.config.Kept, b.config.Kept) }},
	{"max_disk", []string{"MaxDisk"}, func(a, b *collectOptions) bool { return a.maxDisk == b.maxDisk }},
	{"log.format", []string{"Log"}, func(a, b *collectOptions) bool { return a.log.Format == b.log.Format }},
}

// compare lists what differs in another configuration, and gives that the values
// of what cannot be changed while the collector runs.
func (o *collectOptions) compare(next *collectOptions, report *reloadReport) {
	spoken := map[string]bool{}
	for _, list := range [][]configKey{reloadable, fixed} {
		for _, k := range list {
			for _, field := range k.fields {
				spoken[field] = true
			}
		}
	}
	for _, k := range reloadable {
		if !k.same(o, next) {
			report.Changed = append(report.Changed, k.name)
		}
	}
	for _, k := range fixed {
		if !k.same(o, next) {
			report.Restart = append(report.Restart, k.name)
		}
	}
	mine, theirs := reflect.ValueOf(o.config), reflect.ValueOf(&next.config).Elem()
	for i := range mine.NumField() {
		name := mine.Type().Field(i).Name
		if spoken[name] || reflect.DeepEqual(mine.Field(i).Interface(), theirs.Field(i).Interface()) {
			continue
		}
		report.Restart = append(report.Restart, strings.ToLower(name))
		theirs.Field(i).Set(mine.Field(i))
	}
	next.dir, next.log.Format, next.maxDisk = o.dir, o.log.Format, o.maxDisk
	next.config.Kept, next.config.KeepSaid = o.config.Kept, o.config.KeepSaid
	next.ready, next.hangups = o.ready, o.hangups
}

// same reports whether two scopes mean the same, wherever they stand in the file.
func (s *scopeConfig) same(other *scopeConfig) bool {
	if s == nil || other == nil {
		return s == other
	}
	return s.Default == other.Default && s.Keep == other.Keep && reflect.DeepEqual(s.Groups, other.Groups)
}

// writeDown writes into the archive what commands without collector must know.
func (o *collectOptions) writeDown(s *store.Store) error {
	if err := s.PutState(policyKey, []byte(keepText(o.keep))); err != nil {
		return fmt.Errorf("write down the retention: %w", err)
	}
	if err := s.PutState(auditPolicyKey, marshal(o.audit)); err != nil {
		return fmt.Errorf("write down the audit policy: %w", err)
	}
	if err := s.PutState(holdPolicyKey, marshal(o.config.Holds)); err != nil {
		return fmt.Errorf("write down the policy of holds: %w", err)
	}
	if err := writeScope(s, o.config.scope(nil)); err != nil {
		return err
	}
	return writeKnown(s, o.config.Known)
}
