package query

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"weir/flow"
)

// A grouper is one thing that the records of a group have in common.
type grouper struct {
	name     string
	field    flow.Field // 0: computed
	computed computed
	other    flow.Field        // the field of the flow's other end, for either-side groups; 0: none
	bits4    int               // prefix length that IPv4 addresses are cut to, -1: whole
	bits6    int               // for IPv6
	step     uint64            // ms that times are rounded down to, 0: none
	labels   *Labels           // the group is the name of the address in field; nil: field itself
	kept     *flow.KeptElement // what field is, of a slot; else nil

	slot slot
}

// eitherGroups are the groups in which a flow counts for both its ends.
var eitherGroups = map[string]pair{
	"addr": pairAddr, "ip": pairAddr, "port": pairPort, "as": pairAS, "mask": pairMask, "vlan": pairVLAN,
	"if": {flow.InIf, flow.OutIf}, "nat_addr": pairNAT, "nat_port": pairNATPort,
	"mac": {flow.SrcMAC, flow.DstMAC}, "vrf": {flow.IngressVRF, flow.EgressVRF},
}

// maxGroupFields bounds the fields of a group.
const maxGroupFields = 16

// parseGroupers reads the fields of a TopRequest; o has the names that it does
// not bring itself.
func parseGroupers(names []string, tables LabelTables, o ParseOptions) ([]grouper, error) {
	if len(names) > maxGroupFields {
		return nil, &RequestError{Part: "fields", Text: strings.Join(names, ","), Expected: fmt.Sprintf("at most %d fields", maxGroupFields)}
	}
	groupers := make([]grouper, len(names))
	either := ""
	for i, name := range names {
		g, isLabel, err := parseLabelGrouper(name, tables, o.Names)
		if !isLabel {
			g, err = parseGrouper(name, o.Kept)
		}
		if err != nil {
			return nil, err
		}
		if g.other != 0 && either != "" {
			return nil, &RequestError{Part: "field", Text: name, Expected: "no second field for either end of a flow beside " + either}
		}
		if g.other != 0 {
			either = name
		}
		groupers[i] = g
	}
	return groupers, nil
}

func parseGrouper(text string, kept *flow.Kept) (grouper, error) {
	name, rest, cut := strings.Cut(text, "/")
	g := grouper{name: text, bits4: -1, bits6: -1}
	lowered := lower(strings.TrimSpace(name))
	f, ok := kept.Field(lowered)
	g.kept = kept.Of(f)
	if p, either := eitherGroups[lowered]; either {
		f, g.other, ok = p.src, p.dst, true
	}
	if !ok || lowered == "flows" {
		for c, name := range computedNames {
			if name == lowered && name != "" {
				g.computed = computed(c)
				ok = true
				f = 0
			}
		}
	}
	if !ok {
		return g, unknownGroup(lowered, kept)
	}
	g.field = f
	if !cut {
		return g, nil
	}
	return g, g.parseCut(text, rest)
}

func unknownGroup(name string, kept *flow.Kept) error {
	var all []string
	for _, f := range flow.Fields() {
		all = append(all, f.String())
	}
	for name := range eitherGroups {
		all = append(all, name)
	}
	all = append(all, kept.Names()...)
	all = append(append(all, "duration", "pps", "bps", "bpp"), LabelFieldNames(true)...)
	return &RequestError{"field", name, "the name of a field, as in the JSON output, or addr, port, as, mask, vlan, if", nearest(name, all)}
}

// parseCut reads what stands after a field's name: prefix lengths for
// addresses, a step for times.
func (g *grouper) parseCut(text, rest string) error {
	switch {
	case g.field != 0 && g.field.IsAddr():
		first, second, both := strings.Cut(rest, "/")
		v4, err := strconv.ParseUint(first, 10, 8)
		v6 := v4
		if err == nil && both {
			v6, err = strconv.ParseUint(second, 10, 8)
		}
		if err != nil || v6 > 128 || both && v4 > 32 || v4 > 128 {
			return &RequestError{Part: "field", Text: text, Expected: "a prefix length up to 128, or one for IPv4 and one for IPv6 as in src_addr/24/48"}
		}
		g.bits4, g.bits6 = int(min(v4, 32)), int(v6)
		return nil
	case g.isTime():
		ms, ok := parseDuration(rest)
		if strings.HasSuffix(rest, "m") { // no numbers here that could be millions
			ms, ok = parseDuration(rest + "in")
		}
		if !ok || ms == 0 {
			return &RequestError{Part: "field", Text: text, Expected: "a step such as 30s, 5min or 1h"}
		}
		g.step = ms
		return nil
	}
	return &RequestError{Part: "field", Text: text, Expected: "a prefix length only after an address and a step only after a time"}
}

// isTime reports whether the group's values are times.
func (g *grouper) isTime() bool {
	if g.kept != nil {
		return g.kept.Type.Form() == flow.FormTime
	}
	return g.field != 0 && g.field.Kind() == flow.KindTime
}

// isAddr reports whether the group's values are addresses.
func (g *grouper) isAddr() bool { return g.field != 0 && g.field.IsAddr() && g.labels == nil }

// cut returns the address that stands for a in its group.
func (g *grouper) cut(a flow.Addr) flow.Addr {
	bits := g.bits6
	if a.Is4() {
		bits = g.bits4
	}
	if bits < 0 {
		return a
	}
	return a.Mask(bits)
}

// round returns the number that stands for v in its group.
func (g *grouper) round(v uint64) uint64 {
	if g.step != 0 {
		return v - v%g.step
	}
	if g.field != 0 && g.field.Kind() == flow.KindLabel {
		return v >> labelShift << labelShift
	}
	return v
}

// A slot says where a grouper's value lies in a packed key.
type slot struct {
	word  int
	shift uint
	bits  int // 64 or fewer
}

// of returns the number in the slot of a packed key.
func (s *slot) of(key []uint64) uint64 {
	num := key[s.word] >> s.shift
	if s.bits < 64 {
		num &= 1<<s.bits - 1
	}
	return num
}

// A layout is how the values of a group pack into words: the first begins with
// a bit for each value that says whether it is present.
type layout struct {
	groupers []grouper
	words    int
	numbers  *addrNumbers // of addresses that do not fit in a key themselves
	texts    *textNumbers // that keys refer to; nil: the groups have none
}

// newLayout packs small numbers into the words that are there and gives others
// words of their own.
func newLayout(groupers []grouper) *layout {
	l := &layout{groupers: groupers, words: 1, numbers: newAddrNumbers()}
	free := []int{64 - len(groupers)} // bits not in use, for each word
	for i := range groupers {
		g := &groupers[i]
		need := 64
		switch {
		case g.isAddr():
			need = addrBits
		case g.labels != nil || g.field.IsText():
			need = labelBits
		case g.field != 0:
			need = g.field.Bits()
		}
		word := 0
		for word < len(free) && free[word] < need {
			word++
		}
		if word == len(free) {
			free = append(free, 64)
		}
		g.slot = slot{word, uint(64 - free[word]), need}
		free[word] -= need
	}
	l.words = len(free)
	return l
}

// bits returns the width of the keys' first word that is in use, 64 if there are
// others.
func (l *layout) bits() int {
	if l.words > 1 {
		return 64
	}
	bits := len(l.groupers)
	for i := range l.groupers {
		bits += l.groupers[i].slot.bits
	}
	return bits
}

// value returns what a packed key says of one grouper.
func (l *layout) value(key []uint64, i int) Value {
	g := &l.groupers[i]
	v := Value{Field: g.field, Present: key[0]>>i&1 != 0, Bits: -1}
	if !v.Present {
		return v
	}
	num := g.slot.of(key)
	if g.isAddr() {
		v.Addr = l.numbers.unpack(num)
		v.Bits = g.bits6
		if v.Addr.Is4() {
			v.Bits = g.bits4
		}
		return v
	}
	v.Num = num
	if g.kept != nil {
		v.keep(g.kept, l.texts)
	}
	if g.labels != nil {
		v.Field, v.Named, v.Name = 0, true, g.labels.Name(uint32(v.Num))
	}
	return v
}

// values returns all values of a packed key.
func (l *layout) values(key []uint64) []Value {
	values := make([]Value, len(l.groupers))
	for i := range values {
		values[i] = l.value(key, i)
	}
	return values
}

// compare orders packed keys by their values, absent ones last.
func (l *layout) compare(a, b []uint64) int {
	for i := range l.groupers {
		if c := l.compareValue(a, b, i); c != 0 {
			return c
		}
	}
	return 0
}

// compareValue compares one value. Without a limit the groups of an answer are
// sorted, most of which have equal sums, so that what needs no Value has none.
func (l *layout) compareValue(a, b []uint64, i int) int {
	g := &l.groupers[i]
	x, y := g.slot.of(a), g.slot.of(b)
	switch {
	case g.kept != nil || (a[0]&b[0])>>i&1 == 0:
		return l.value(a, i).compare(l.value(b, i))
	case g.isAddr():
		return l.numbers.unpack(x).Compare(l.numbers.unpack(y))
	}
	return cmp.Compare(x, y)
}

// putNum adds a number to a packed key.
func (l *layout) putNum(key []uint64, i int, v uint64) {
	s := &l.groupers[i].slot
	key[0] |= 1 << i
	key[s.word] |= v << s.shift
}

// putAddr adds an address to a packed key.
func (l *layout) putAddr(key []uint64, i int, a flow.Addr) { l.putNum(key, i, l.numbers.pack(a)) }
