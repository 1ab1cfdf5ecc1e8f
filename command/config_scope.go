package command

import (
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"weir/collector"
	"weir/flow"
)

// defaultQuarantine is how long records that were set aside are kept when
// nothing says otherwise.
const defaultQuarantine = 7 * 24 * time.Hour

// A scopeConfig is the value of scope: in the configuration: what is done with
// records of which no address is in networks:.
type scopeConfig struct {
	Default collector.Treatment
	Groups  map[string]collector.Treatment // by group of exporters
	Keep    time.Duration                  // how long what is set aside is kept
	lines   map[string]int                 // where each group stands in the file
	line    int
}

// readScope reads the value of scope:.
func (c *config) readScope(v *yaml.Node) error {
	s := &scopeConfig{Groups: map[string]collector.Treatment{}, Keep: defaultQuarantine, lines: map[string]int{}, line: v.Line}
	c.Scope = s
	return readMapping(v, []entryKey{
		{"default", func(v *yaml.Node) error { return storeTreatment(&s.Default, v) }},
		{"groups", s.readGroups},
		{"quarantine", func(v *yaml.Node) error {
			span, err := text(v)
			if err != nil {
				return err
			}
			if s.Keep, err = parseDuration(span); err == nil && s.Keep < time.Hour {
				err = usagef("%s is less than an hour", span).withHint("hours are dropped whole; write 7d")
			}
			return err
		}},
	})
}

func storeTreatment(to *collector.Treatment, v *yaml.Node) error {
	name, err := text(v)
	if err != nil {
		return err
	}
	t, ok := collector.ParseTreatment(name)
	if !ok {
		e := usagef("no treatment %q", name)
		if near := nearest(name, collector.Treatments()); near != "" {
			return e.withHint("did you mean %q?", near)
		}
		return e.withHint("it is one of %s", strings.Join(collector.Treatments(), ", "))
	}
	*to = t
	return nil
}

// readGroups reads a mapping whose keys are the groups.
func (s *scopeConfig) readGroups(v *yaml.Node) error {
	if v.Kind != yaml.MappingNode {
		return usagef("not keys and values").withHint("write a line for each group, such as external: refuse")
	}
	var groups []entryKey
	for i := 0; i+1 < len(v.Content); i += 2 {
		key := v.Content[i]
		if key.Kind != yaml.ScalarNode || key.Value == "" {
			return lineError(key, usagef("a group is one word"))
		}
		groups = append(groups, entryKey{key.Value, func(v *yaml.Node) error {
			var t collector.Treatment
			err := storeTreatment(&t, v)
			s.Groups[key.Value], s.lines[key.Value] = t, key.Line
			return err
		}})
	}
	return readEntry(v, groups)
}

// usualGroups are the groups that a scope may say something of before an exporter
// is of them.
var usualGroups = []string{"core", "regional", "external", "organisation"}

// check refuses what only the whole file shows to be a mistake: a scope of no
// networks, and a group of no usual name that no exporter is of, whose exporters
// would silently be treated like the default.
func (c *config) check() error {
	if c.Scope == nil {
		return nil
	}
	if len(c.Networks) == 0 {
		return &lined{c.Scope.line, usagef("scope: there are no networks: to compare records with")}
	}
	groups := map[string]bool{}
	for _, group := range usualGroups {
		groups[group] = true
	}
	for _, e := range c.Known {
		groups[e.Group] = true
	}
	for _, group := range slices.SortedFunc(maps.Keys(c.Scope.Groups), func(a, b string) int { return c.Scope.lines[a] - c.Scope.lines[b] }) {
		if groups[group] {
			continue
		}
		e := usagef("scope: groups: no exporter is of group %q", group)
		if near := nearest(group, slices.Collect(maps.Keys(groups))); near != "" {
			e = e.withHint("did you mean %q?", near)
		}
		return &lined{c.Scope.lines[group], e}
	}
	return nil
}

// networks returns all addresses of networks:.
func (c *config) networks() *flow.PrefixSet {
	var list []flow.Prefix
	for _, n := range c.Networks {
		list = append(list, n.Prefixes...)
	}
	return flow.NewPrefixSet(list)
}

// scope returns what the collector does with records that are not ours, nil if
// nobody says which are. Networks alone are enough to count the others: they are
// kept. aside takes what is set aside.
func (c *config) scope(aside collector.Sink) *collector.Scope {
	if c.Scope == nil {
		if networks := c.networks(); !networks.Empty() {
			return &collector.Scope{Networks: networks, Default: collector.Keep, Implied: true}
		}
		return nil
	}
	return &collector.Scope{Networks: c.networks(), Default: c.Scope.Default, Groups: c.Scope.Groups, Aside: aside}
}

// setsAside reports whether the collector puts records in quarantine.
func (c *config) setsAside() bool {
	s := c.scope(nil)
	return s != nil && s.SetsAside()
}
