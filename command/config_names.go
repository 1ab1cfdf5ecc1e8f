package command

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"weir/flow"
	"weir/query"
)

// A networkEntry is an entry of networks: in the configuration, the prefixes of an
// organisation. An organisation may have several entries.
type networkEntry struct {
	Name     string
	Owner    string
	Contact  string
	Prefixes []flow.Prefix
}

// An entryKey is a key that an entry of a list may have.
type entryKey struct {
	name  string
	store func(value *yaml.Node) error
}

// readEntries reads a list of mappings. Each gets the keys of a new entry from
// begin, and is checked by end when all of its keys are read.
func readEntries(list *yaml.Node, begin func() []entryKey, end func() error) error {
	if list.Kind != yaml.SequenceNode {
		return lineError(list, usagef("not a list of entries").withHint("begin each with a hyphen"))
	}
	for _, item := range list.Content {
		if item.Kind != yaml.MappingNode {
			return lineError(item, usagef("an entry is keys and values, such as name: uni-a"))
		}
		if err := readEntry(item, begin()); err != nil {
			return err
		}
		if err := end(); err != nil {
			return lineError(item, err)
		}
	}
	return nil
}

// readMapping reads a value that is a mapping of the given keys.
func readMapping(v *yaml.Node, keys []entryKey) error {
	if v.Kind != yaml.MappingNode {
		return lineError(v, usagef("not keys and values").withHint("the keys are %s", strings.Join(keyNames(keys), ", ")))
	}
	return readEntry(v, keys)
}

func keyNames(keys []entryKey) []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	return names
}

// readEntry reads a mapping of the given keys.
func readEntry(item *yaml.Node, keys []entryKey) error {
	seen := map[string]bool{}
	for i := 0; i+1 < len(item.Content); i += 2 {
		key, value := item.Content[i], item.Content[i+1]
		at := slices.IndexFunc(keys, func(k entryKey) bool { return k.name == key.Value })
		if at < 0 {
			return lineError(key, unknownKey(key.Value, keyNames(keys)))
		}
		if seen[key.Value] {
			return lineError(key, usagef("%s is given twice in one entry", key.Value))
		}
		seen[key.Value] = true
		if err := keys[at].store(value); err != nil {
			return lineError(value, within(key.Value, err))
		}
	}
	return nil
}

// A lined is an error that knows its line in the file.
type lined struct {
	line int
	err  error
}

func (e *lined) Error() string { return e.err.Error() }
func (e *lined) Unwrap() error { return e.err }

// lineError notes the line that err is about, unless that is known already.
func lineError(n *yaml.Node, err error) error {
	if _, known := err.(*lined); known || err == nil {
		return err
	}
	return &lined{n.Line, err}
}

// within says under what key a mistake is.
func within(key string, err error) error {
	if at, ok := err.(*lined); ok {
		return &lined{at.line, prefixUsage(key, at.err)}
	}
	return prefixUsage(key, err)
}

// text returns a scalar's text.
func text(v *yaml.Node) (string, error) {
	if v.Kind != yaml.ScalarNode || v.Tag == "!!null" {
		return "", usagef("not a text")
	}
	return v.Value, nil
}

// texts returns a list of texts; one alone need not be a list.
func texts(v *yaml.Node) ([]string, error) {
	if v.Kind != yaml.SequenceNode {
		one, err := text(v)
		return []string{one}, err
	}
	var list []string
	for _, item := range v.Content {
		one, err := text(item)
		if err != nil {
			return nil, lineError(item, err)
		}
		list = append(list, one)
	}
	return list, nil
}

// storeText stores a scalar.
func storeText(to *string) func(*yaml.Node) error {
	return func(v *yaml.Node) (err error) { *to, err = text(v); return err }
}

// storeName stores a name: what can be written in a filter and printed on one
// line.
func storeName(to *string) func(*yaml.Node) error {
	return func(v *yaml.Node) (err error) {
		if *to, err = text(v); err != nil {
			return err
		}
		switch name := *to; {
		case name == "" || strings.TrimSpace(name) != name:
			return usagef("%q is empty or has blanks around it", name)
		case len(name) > 200:
			return usagef("the name is longer than 200 bytes")
		case strings.ContainsFunc(name, func(r rune) bool { return r == '"' || !unicode.IsPrint(r) }):
			return usagef("%q: a name has no quotes and nothing that cannot be printed", name)
		}
		return nil
	}
}

// readNetworks reads the value of networks:.
func (c *config) readNetworks(list *yaml.Node) error {
	var n networkEntry
	lines := map[flow.Prefix]int{} // in which entry each prefix is, from 0
	names := map[string]string{}   // as first written, by their lower case
	return readEntries(list, func() []entryKey {
		n = networkEntry{}
		add := func(v *yaml.Node) error { return n.addPrefixes(v) }
		return []entryKey{{"name", storeName(&n.Name)}, {"prefix", add}, {"prefixes", add},
			{"owner", storeText(&n.Owner)}, {"contact", storeText(&n.Contact)}}
	}, func() error {
		switch first, known := names[strings.ToLower(n.Name)]; {
		case n.Name == "":
			return usagef("the entry has no name")
		case len(n.Prefixes) == 0:
			return usagef("%s has no prefixes", n.Name)
		case known && first != n.Name:
			return usagef("%s is also written %s: names differ by more than case", n.Name, first)
		}
		names[strings.ToLower(n.Name)] = n.Name
		for _, p := range n.Prefixes {
			if at, twice := lines[p]; twice && at < len(c.Networks) && c.Networks[at].Name != n.Name {
				return usagef("%s is both %s and %s", prefixText(p), c.Networks[at].Name, n.Name)
			}
			lines[p] = len(c.Networks)
		}
		c.Networks = append(c.Networks, n)
		return nil
	})
}

func (n *networkEntry) addPrefixes(v *yaml.Node) error {
	list, err := texts(v)
	if err != nil {
		return err
	}
	for i, one := range list {
		p, err := parsePrefix(one)
		if err != nil {
			if v.Kind == yaml.SequenceNode {
				return lineError(v.Content[i], err)
			}
			return err
		}
		n.Prefixes = append(n.Prefixes, p)
	}
	return nil
}

// parsePrefix reads a prefix, or an address alone.
func parsePrefix(text string) (flow.Prefix, error) {
	p, err := parseNetip(text)
	if err != nil {
		return flow.Prefix{}, err
	}
	return flow.PrefixFrom(flow.AddrFromNetip(p.Addr()), p.Bits())
}

// parseNetip is parsePrefix with the length kept.
func parseNetip(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, notPrefix(text)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return p, notPrefix(text)
	case p.Addr().Is4In6():
		return p, usagef("%q: write IPv4 prefixes as such", text)
	case p != p.Masked():
		return p, usagef("%s has bits beyond its length", text).withHint("did you mean %s?", p.Masked())
	}
	return p, nil
}

func notPrefix(text string) error {
	return usagef("%q is no prefix", text).withHint("write 192.0.2.0/24 or 2001:db8::/32")
}

func prefixText(p flow.Prefix) string {
	for bits := range 129 {
		if q, err := flow.PrefixFrom(p.First, bits); err == nil && q == p {
			return fmt.Sprintf("%v/%d", p.First, bits)
		}
	}
	return p.First.String()
}

// names returns what the configuration calls things, nil if it names nothing.
func (c *config) names() *query.Names {
	if len(c.Networks) == 0 && len(c.Known) == 0 {
		return nil
	}
	n := &query.Names{Exporters: exporterNames(c.Known)}
	var prefixes []query.LabelledPrefix
	for _, network := range c.Networks {
		for _, p := range network.Prefixes {
			prefixes = append(prefixes, query.LabelledPrefix{Prefix: p, Name: network.Name})
		}
		n.Organisations = addOrganisation(n.Organisations, network)
	}
	if len(prefixes) > 0 {
		n.Labels = query.LabelTables{query.KindOrg: query.NewLabels(prefixes)}
	}
	return n
}

// addOrganisation adds what an entry says of its organisation: the first owner
// and the first contact of all its entries count.
func addOrganisation(list []query.Organisation, n networkEntry) []query.Organisation {
	for i := range list {
		if o := &list[i]; o.Name == n.Name {
			if o.Owner == "" {
				o.Owner = n.Owner
			}
			if o.Contact == "" {
				o.Contact = n.Contact
			}
			return list
		}
	}
	return append(list, query.Organisation{Name: n.Name, Owner: n.Owner, Contact: n.Contact})
}
