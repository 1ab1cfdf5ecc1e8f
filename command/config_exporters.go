package command

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
	"go.yaml.in/yaml/v3"

	"weir/flow"
	"weir/flow/ledger"
	"weir/query"
	"weir/store"
)

// onlyKnown is what exporters: says where others are refused, alone or as an
// item of the list.
const onlyKnown = "only known"

// readExporters reads the value of exporters:, which is a list of entries, or
// says with only: what is to be done with those that are not in its list.
func (c *config) readExporters(v *yaml.Node) error {
	switch {
	case v.Kind == yaml.MappingNode:
		return readEntry(v, []entryKey{{"only", c.readOnly}, {"list", c.readExporterList}})
	case v.Kind == yaml.ScalarNode && v.Value == onlyKnown:
		c.Only = true
		return nil
	case v.Kind != yaml.SequenceNode:
		return usagef("neither a list of entries nor only: known with a list:")
	}
	return c.readExporterList(v)
}

func (c *config) readOnly(v *yaml.Node) error {
	switch word, err := text(v); {
	case err != nil:
		return err
	case word != "known":
		return usagef("%q: exporters are refused that are not known", word).withHint("write only: known")
	}
	c.Only = true
	return nil
}

// readExporterList reads the entries. One exporter may have several.
func (c *config) readExporterList(list *yaml.Node) error {
	entries := *list
	entries.Content = nil
	for _, item := range list.Content {
		if item.Kind == yaml.ScalarNode && item.Value == onlyKnown {
			c.Only = true
			continue
		}
		entries.Content = append(entries.Content, item)
	}
	var e ledger.Known
	return readEntries(&entries, func() []entryKey {
		e = ledger.Known{}
		return exporterKeys(&e)
	}, func() error { return c.addExporter(e) })
}

// exporterKeys are the keys of an entry; they store their values in e.
func exporterKeys(e *ledger.Known) []entryKey {
	sources := func(v *yaml.Node) error { return addSources(e, v) }
	return []entryKey{
		{"name", storeName(&e.Name)}, {"address", func(v *yaml.Node) error { return addAddress(e, v) }},
		{"addresses", sources}, {"sources", sources},
		{"group", storeGroup(&e.Group)}, {"owner", storeText(&e.Owner)}, {"contact", storeText(&e.Contact)},
		{"permission", storeText(&e.Permission)}, {"expected", storeBool(&e.Expected)},
		{"sampling", storeInterval(&e.Sampling)}, {"active_timeout", func(v *yaml.Node) error {
			span, err := text(v)
			if err == nil {
				e.ActiveTimeout, err = parseDuration(span)
			}
			return err
		}},
	}
}

// addAddress adds one address that an exporter sends from.
func addAddress(e *ledger.Known, v *yaml.Node) error {
	one, err := text(v)
	if err != nil {
		return err
	}
	a, err := netip.ParseAddr(one)
	switch {
	case strings.Contains(one, "/"):
		return usagef("%q is no address", one).withHint("sources: takes prefixes")
	case err != nil || a.Zone() != "":
		return usagef("%q is no address", one)
	}
	a = a.Unmap()
	addSource(e, netip.PrefixFrom(a, a.BitLen()))
	return nil
}

func addSource(e *ledger.Known, p netip.Prefix) {
	if !slices.Contains(e.Sources, p) {
		e.Sources = append(e.Sources, p)
	}
}

// addSources adds addresses and prefixes that an exporter sends from.
func addSources(e *ledger.Known, v *yaml.Node) error {
	list, err := texts(v)
	if err != nil {
		return err
	}
	for i, one := range list {
		p, err := parseNetip(one)
		if err != nil {
			if v.Kind == yaml.SequenceNode {
				return lineError(v.Content[i], err)
			}
			return err
		}
		addSource(e, p)
	}
	return nil
}

// storeGroup stores a group's name, which is also a key of scope:.
func storeGroup(to *string) func(*yaml.Node) error {
	return func(v *yaml.Node) error {
		if err := storeName(to)(v); err != nil {
			return err
		}
		if strings.ContainsAny(*to, " \t") {
			return usagef("%q: a group is one word", *to)
		}
		return nil
	}
}

func storeBool(to *bool) func(*yaml.Node) error {
	return func(v *yaml.Node) error {
		if err := v.Decode(to); err != nil || v.Kind != yaml.ScalarNode || v.Tag == "!!null" {
			return usagef("neither true nor false")
		}
		return nil
	}
}

// storeInterval stores N of "1 in N".
func storeInterval(to *uint32) func(*yaml.Node) error {
	return func(v *yaml.Node) error {
		word, err := text(v)
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(strings.TrimPrefix(word, "1:"), 10, 32)
		if err != nil || n == 0 {
			return usagef("%q is no sampling interval", word).withHint("write N of 1 in N: 1000, or 1 for unsampled")
		}
		*to = uint32(n)
		return nil
	}
}

// addExporter checks an entry and adds it, or what it adds to an earlier one of
// its name.
func (c *config) addExporter(e ledger.Known) error {
	if e.Name == "" || len(e.Sources) == 0 {
		return usagef("an exporter has an address and a name")
	}
	if _, err := flow.ParseAddr(e.Name); err == nil {
		return usagef("%q is an address, not a name", e.Name)
	}
	var same *ledger.Known
	for i := range c.Known {
		other := &c.Known[i]
		switch {
		case other.Name == e.Name:
			same = other
			continue
		case strings.EqualFold(other.Name, e.Name):
			return usagef("%s is also written %s: names differ by more than case", e.Name, other.Name)
		}
		for _, p := range e.Sources {
			if slices.Contains(other.Sources, p) {
				return usagef("%s is both %s and %s", sourceText(p), other.Name, e.Name)
			}
		}
	}
	if same == nil {
		c.Known = append(c.Known, e)
		return nil
	}
	return mergeExporter(same, &e)
}

// mergeExporter adds what a further entry says of an exporter.
func mergeExporter(into, e *ledger.Known) error {
	for _, p := range e.Sources {
		addSource(into, p)
	}
	into.Expected = into.Expected || e.Expected
	for _, key := range []error{
		mergeValue("group", &into.Group, e.Group), mergeValue("owner", &into.Owner, e.Owner),
		mergeValue("contact", &into.Contact, e.Contact), mergeValue("permission", &into.Permission, e.Permission),
		mergeValue("sampling", &into.Sampling, e.Sampling), mergeValue("active_timeout", &into.ActiveTimeout, e.ActiveTimeout),
	} {
		if key != nil {
			return prefixUsage(e.Name, key)
		}
	}
	return nil
}

// mergeValue refuses a value that contradicts an earlier one.
func mergeValue[T cmp.Ordered](key string, into *T, value T) error {
	var none T
	switch {
	case value == none:
	case *into == none:
		*into = value
	case *into != value:
		return usagef("%s was said otherwise in an earlier entry of this name", key)
	}
	return nil
}

// sourceText writes a source as it is given: an address alone without a length.
func sourceText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// exporterNames returns the names of exporters by what they send from, nil if
// there are none.
func exporterNames(d ledger.Directory) *query.Labels {
	var list []query.LabelledPrefix
	for _, e := range d {
		for _, p := range e.Sources {
			prefix, err := flow.PrefixFrom(flow.AddrFromNetip(p.Addr()), p.Bits())
			if err != nil {
				continue // no such prefix is read
			}
			list = append(list, query.LabelledPrefix{Prefix: prefix, Name: e.Name})
		}
	}
	if list == nil {
		return nil
	}
	return query.NewLabels(list)
}

// knownKey is under what a context carries the exporters of --config.
type knownKey struct{}

// withKnown runs a command that has --config with the exporters of that file.
func withKnown(c *cli.Context, run runner) runner {
	n, ok := c.App.Metadata[namingKey].(*naming)
	if !ok || n.config.Known == nil {
		return run
	}
	return func(ctx context.Context, std *Std) error {
		return run(context.WithValue(ctx, knownKey{}, n.config.Known), std)
	}
}

// knownIn returns the exporters that a command goes by which opens the archive
// itself: those of its --config, else those of the last collector.
func knownIn(ctx context.Context, s *store.Store) (ledger.Directory, error) {
	if d, ok := ctx.Value(knownKey{}).(ledger.Directory); ok {
		return d, nil
	}
	return readKnown(s)
}
