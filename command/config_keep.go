package command

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"weir/collector"
	"weir/flow"
	"weir/query"
)

// readKeep reads the value of keep:, a list of information elements. Each is a
// name or a number, or a mapping that says more of it.
func (c *config) readKeep(list *yaml.Node) error {
	items := []*yaml.Node{list}
	switch {
	case list.Kind == yaml.SequenceNode:
		items = list.Content
	case list.Tag == "!!null":
		items = nil
	case list.Kind != yaml.ScalarNode:
		return lineError(list, usagef("not a list of elements").withHint("write keep: [applicationId, cisco/12235]"))
	}
	k := keepReader{registry: collector.NewRegistry(), elements: map[collector.Element]int{}, names: map[string]int{}}
	for _, item := range items {
		if err := k.read(item); err != nil {
			return lineError(item, err)
		}
	}
	c.Kept = k.list
	return k.fits()
}

// A keepReader reads the entries of keep:.
type keepReader struct {
	registry *collector.Registry
	list     []flow.KeptElement
	elements map[collector.Element]int // lines of the file
	names    map[string]int            // likewise
}

func (k *keepReader) read(item *yaml.Node) error {
	var element, name, kind string
	if item.Kind == yaml.MappingNode {
		keys := []entryKey{{"element", storeText(&element)}, {"name", storeText(&name)}, {"type", storeText(&kind)}}
		if err := readEntry(item, keys); err != nil {
			return err
		}
		if element == "" {
			return usagef("the entry names no element").withHint("write element: cisco/12235")
		}
	} else {
		var err error
		if element, err = text(item); err != nil {
			return usagef("an entry is an element's name or number, or keys and values").withHint("write applicationId, cisco/12235, or element: and name:")
		}
	}
	e, err := parseElement(k.registry, element)
	if err != nil {
		return err
	}
	if column := collector.ColumnOf(e); column != "" {
		return usagef("%s is the field %s already", element, column).withHint("leave it out of keep:")
	}
	if line, twice := k.elements[e]; twice {
		return usagef("%s is element %s, which is kept already, by line %d", element, e, line)
	}
	kept := flow.KeptElement{Enterprise: e.Enterprise, Number: e.Number, Element: k.registry.Name(e), Alias: e.Alias(),
		Type: flow.ElementType(k.registry.Type(e))}
	if kind != "" {
		var ok bool
		if kept.Type, ok = flow.ParseElementType(kind); !ok {
			return badType(kind)
		}
	}
	if kept.Name, err = columnOfElement(&kept, name); err != nil {
		return err
	}
	if line, taken := k.names[kept.Name]; taken {
		return usagef("%s would have the name %s, which line %d has", element, kept.Name, line).withHint("give it another with name:")
	}
	k.elements[e], k.names[kept.Name] = item.Line, item.Line
	k.list = append(k.list, kept)
	return nil
}

func badType(kind string) error {
	types := flow.ElementTypes()
	e := usagef("%q is no type", kind)
	if near := nearestFold(kind, types); near != "" {
		return e.withHint("did you mean %s?", near)
	}
	return e.withHint("the types are those of RFC 7012: %s", strings.Join(types, ", "))
}

// nearestFold is nearest for words of any case.
func nearestFold(text string, words []string) string {
	lowered := make([]string, len(words))
	for i, w := range words {
		lowered[i] = strings.ToLower(w)
	}
	near := nearest(strings.ToLower(text), lowered)
	if at := slices.Index(lowered, near); near != "" && at >= 0 {
		return words[at]
	}
	return ""
}

// columnOfElement returns the name that an element's column has: the given one or,
// if that is "", IANA's in weir's manner. It is the alias of an enterprise's
// element, and where weir has something of that name.
func columnOfElement(e *flow.KeptElement, name string) (string, error) {
	if name == "" {
		name = flow.ColumnName(e.Element)
		if ours := strings.HasPrefix(e.Alias, "element_") || strings.HasPrefix(e.Alias, "reverse_"); !ours || name == "" || query.Reserved(name) {
			name = e.Alias
		}
		return name, nil
	}
	if good := strings.ToLower(name); !isColumnName(good) {
		return "", usagef("name: %q is no name for a column", name).withHint("begin with a letter; letters, digits and _ may follow, 64 at most")
	} else if query.Reserved(good) {
		return "", usagef("name: weir has a %s already", good).withHint("give the column another name")
	} else {
		return good, nil
	}
}

func isColumnName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return name != "" && len(name) <= 64
}

// fits refuses more elements than there are slots for.
func (k *keepReader) fits() error {
	counts := map[flow.Field]int{}
	for _, e := range k.list {
		first, end := e.Type.Form().Slots()
		if counts[first]++; counts[first] > int(end-first) {
			return usagef("%d elements of %s and more are named, and there is room for %d", counts[first], slotsText(first), end-first).
				withHint("leave some out")
		}
	}
	return nil
}

// slotsText says what slots from that one on hold.
func slotsText(first flow.Field) string {
	switch first {
	case flow.FirstKeptAddr:
		return "addresses"
	case flow.FirstKeptText:
		return "texts and octets"
	}
	return "numbers"
}

// parseElement reads an information element: applicationId, 95, 9/12235,
// cisco/12235, ciscoPEN/12235 or cisco/applicationHTTPHost.
func parseElement(r *collector.Registry, text string) (collector.Element, error) {
	if whose, which, ok := strings.Cut(text, "/"); ok {
		return parseEnterpriseElement(r, text, strings.TrimSpace(whose), strings.TrimSpace(which))
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		switch {
		case n == 0 || n > 0xffff:
			return collector.Element{}, usagef("%s: elements have numbers from 1 to 32767", text)
		case n > 0x7fff: // NetFlow v9 has Cisco's there
			return collector.Element{Enterprise: 9, Number: uint16(n & 0x7fff)}, nil
		}
		return collector.Element{Number: uint16(n)}, nil
	}
	if e, ok := elementNamed(r, text); ok {
		return e, nil
	}
	e := usagef("%q is no information element of IANA's registry as of %s", text, collector.RegistryDate)
	if near := nearestFold(text, r.Names()); near != "" {
		return collector.Element{}, e.withHint("did you mean %s?", near)
	}
	return collector.Element{}, e.withHint("write its name there, its number, or enterprise/number as in cisco/12235; weir inspect shows what exporters send")
}

// parseEnterpriseElement reads an element of an enterprise.
func parseEnterpriseElement(r *collector.Registry, text, whose, which string) (e collector.Element, err error) {
	var ok bool
	if e.Enterprise, ok = collector.ParseEnterprise(whose); !ok {
		err := usagef("%s: weir knows no enterprise %q", text, whose)
		if near := nearest(strings.TrimSuffix(strings.ToLower(whose), "pen"), collector.Enterprises()); near != "" {
			return e, err.withHint("did you mean %s/%s? A private enterprise number will do too", near, which)
		}
		return e, err.withHint("write its private enterprise number, as in 9/12235")
	}
	n, numErr := strconv.ParseUint(which, 10, 64)
	switch {
	case numErr == nil && n > 0x7fff && n <= 0xffff: // a field type of NetFlow v9, which knows no enterprises
		return collector.Element{Enterprise: 9, Number: uint16(n & 0x7fff)}, nil
	case numErr == nil && n > 0 && n <= 0x7fff:
		e.Number = uint16(n)
		return e, nil
	case numErr == nil:
		return e, usagef("%s: elements have numbers from 1 to 32767", text)
	}
	if found, ok := elementNamed(r, which); ok && found.Enterprise == e.Enterprise {
		return found, nil
	}
	return e, usagef("%s: weir knows no element %q of that enterprise", text, which).withHint("write its number, as in %s/12235", whose)
}

// elementNamed returns the element of that name in the registry, or of the column
// that it has or would have.
func elementNamed(r *collector.Registry, name string) (collector.Element, bool) {
	if e, ok := r.Find(name); ok {
		return e, true
	}
	if e, ok := elementOfAlias(name); ok {
		return e, true
	}
	for _, known := range r.Names() {
		if flow.ColumnName(known) == strings.ToLower(name) {
			return r.Find(known)
		}
	}
	return collector.Element{}, false
}

// elementHint returns what to say of a word that is no field here, "" unless it is
// the name of an information element.
func elementHint(name string) string {
	r := collector.NewRegistry()
	e, ok := elementNamed(r, name)
	if !ok {
		return ""
	}
	if column := collector.ColumnOf(e); column != "" {
		return fmt.Sprintf("%s is the field %s", name, column)
	}
	what := r.Name(e)
	if what == "" || e.Enterprise != 0 {
		what = e.String()
	}
	return fmt.Sprintf("%s is not kept in this archive: add %s to keep: in the collector's configuration, which keeps it from then on", name, what)
}

// elementAlias returns the alias of an element that is written by its number as keep:
// has it, element_95 for 95 and cert_14 for yafPEN/14, "" for other text.
func elementAlias(text string) string {
	_, which, cut := strings.Cut(text, "/")
	if !cut {
		which = text
	}
	if _, err := strconv.ParseUint(which, 10, 16); err != nil {
		return ""
	}
	e, err := parseElement(collector.NewRegistry(), text)
	if err != nil {
		return ""
	}
	return e.Alias()
}

// elementOfAlias returns the element of an alias such as cisco_12235.
func elementOfAlias(name string) (collector.Element, bool) {
	whose, which, ok := strings.Cut(strings.ToLower(name), "_")
	n, err := strconv.ParseUint(which, 10, 15)
	if !ok || err != nil || n == 0 {
		return collector.Element{}, false
	}
	pen, ok := collector.ParseEnterprise(whose)
	if rest, isPEN := strings.CutPrefix(whose, "pen"); isPEN {
		pen, ok = collector.ParseEnterprise(rest)
	}
	e := collector.Element{Enterprise: pen, Number: uint16(n)}
	return e, ok && e.Alias() == strings.ToLower(name)
}
