package query

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"

	"weir/flow"
)

// Labels give names to ranges of addresses: an address has the name of the most
// specific range that it lies in, or none. It is made once and then only read,
// by several goroutines.
//
// A label is the number of a name: 0 is no name, and names are numbered in
// ascending order, so that labels of one table compare as their names do.
type Labels struct {
	names  []string    // of the labels from 1 on, ascending, apart
	starts []flow.Addr // where a range begins that ends before the next one, ascending
	labels []uint32    // of the ranges; neighbours differ
}

// A LabelledPrefix is a range of addresses and its name.
type LabelledPrefix struct {
	flow.Prefix
	Name string
}

// NewLabels makes the table of prefixes, which are nested or apart and in any
// order; of equal ones the last counts. An IPv6 prefix does not take in the IPv4
// addresses that flow.Addr holds in its midst.
func NewLabels(prefixes []LabelledPrefix) *Labels {
	type piece struct {
		addrRange
		label uint32
		whole flow.Addr // the prefix's last address: pieces of different prefixes may be equal
	}
	l := &Labels{}
	for _, p := range prefixes {
		l.names = append(l.names, p.Name)
	}
	slices.Sort(l.names)
	l.names = slices.Compact(l.names)
	var pieces []piece
	for _, p := range prefixes {
		i, _ := slices.BinarySearch(l.names, p.Name)
		for _, r := range splitFamilies(nil, addrRange{p.First, p.Last}) {
			pieces = append(pieces, piece{r, uint32(i + 1), p.Last})
		}
	}
	slices.SortStableFunc(pieces, func(a, b piece) int { return cmp.Or(a.lo.Compare(b.lo), b.hi.Compare(a.hi), b.whole.Compare(a.whole)) })
	var open []piece // that the current address lies in, the most specific last
	closeUntil := func(end func(hi flow.Addr) bool) {
		for len(open) > 0 && end(open[len(open)-1].hi) {
			last := open[len(open)-1].hi
			open = open[:len(open)-1]
			if last == lastOne {
				continue
			}
			outer := uint32(0)
			if len(open) > 0 {
				outer = open[len(open)-1].label
			}
			l.begin(last.Next(), outer)
		}
	}
	for _, p := range pieces {
		closeUntil(func(hi flow.Addr) bool { return hi.Less(p.lo) })
		l.begin(p.lo, p.label)
		open = append(open, p)
	}
	closeUntil(func(flow.Addr) bool { return true })
	l.compact()
	return l
}

// begin notes that a range begins, instead of another one at the same address.
func (l *Labels) begin(at flow.Addr, label uint32) {
	if n := len(l.starts); n > 0 && l.starts[n-1] == at {
		l.labels[n-1] = label
		return
	}
	l.starts, l.labels = append(l.starts, at), append(l.labels, label)
}

// compact joins neighbours with one label.
func (l *Labels) compact() {
	n, last := 0, uint32(0)
	for i, label := range l.labels {
		if label == last {
			continue
		}
		l.starts[n], l.labels[n] = l.starts[i], label
		n, last = n+1, label
	}
	l.starts, l.labels = slices.Clip(l.starts[:n]), slices.Clip(l.labels[:n])
}

// Find returns the label of an address, 0 if it has none.
func (l *Labels) Find(a flow.Addr) uint32 {
	i := sort.Search(len(l.starts), func(i int) bool { return a.Less(l.starts[i]) })
	if i == 0 {
		return 0
	}
	return l.labels[i-1]
}

// Name returns the name of a label, "" of 0.
func (l *Labels) Name(label uint32) string {
	if label == 0 || int(label) > len(l.names) {
		return ""
	}
	return l.names[label-1]
}

// NameOf returns the name of an address, "" if it has none.
func (l *Labels) NameOf(a flow.Addr) string { return l.Name(l.Find(a)) }

// Names returns all names, ascending.
func (l *Labels) Names() []string { return slices.Clone(l.names) }

// ranges returns the addresses whose label is wanted.
func (l *Labels) ranges(want func(label uint32) bool) []addrRange {
	var ranges []addrRange
	for i, label := range l.labels {
		if label == 0 || !want(label) {
			continue
		}
		hi := lastOne
		if i+1 < len(l.starts) {
			hi = before(l.starts[i+1])
		}
		ranges = append(ranges, cutFamilies(l.starts[i], hi)...)
	}
	return normalAddrs(ranges)
}

// named returns the addresses of a name, whatever its case, and false if no
// address is called so.
func (l *Labels) named(name string) ([]addrRange, bool) {
	found := map[uint32]bool{}
	for i, n := range l.names {
		if strings.EqualFold(n, name) {
			found[uint32(i+1)] = true
		}
	}
	if len(found) == 0 {
		return nil, false
	}
	return l.ranges(func(label uint32) bool { return found[label] }), true
}

// Filter returns the filter that matches the flows of which either end has a
// name.
func (l *Labels) Filter() string {
	all := l.ranges(func(uint32) bool { return true })
	return string(or(&addrNode{flow.SrcAddr, all}, &addrNode{flow.DstAddr, all}).appendText(nil))
}

// Addresses returns the addresses of a name, whatever its case, as a filter
// lists them, and false if no address is called so.
func (l *Labels) Addresses(name string) (list string, ok bool) {
	ranges, ok := l.named(name)
	if !ok {
		return "", false
	}
	text := []byte{'['}
	for i, r := range ranges {
		if i > 0 {
			text = append(text, ' ')
		}
		text = appendAddrRange(text, r)
	}
	return string(append(text, ']')), true
}

// before returns the address in front of a.
func before(a flow.Addr) flow.Addr {
	if a.Lo == 0 {
		a.Hi--
	}
	a.Lo--
	return a
}

// cutFamilies returns the addresses from lo to hi as ranges of one family each:
// neighbours of one name may have met where the families do.
func cutFamilies(lo, hi flow.Addr) []addrRange {
	var ranges []addrRange
	for _, part := range []addrRange{lowV6, allV4, highV6} {
		from, to := part.lo, part.hi
		if from.Less(lo) {
			from = lo
		}
		if hi.Less(to) {
			to = hi
		}
		if !to.Less(from) {
			ranges = append(ranges, addrRange{from, to})
		}
	}
	return ranges
}

// check returns an error if the table is not one that NewLabels makes.
func (l *Labels) check() error {
	if len(l.starts) != len(l.labels) || !slices.IsSorted(l.names) {
		return fmt.Errorf("table of names is not in order")
	}
	for i, label := range l.labels {
		if int(label) > len(l.names) || i > 0 && !l.starts[i-1].Less(l.starts[i]) {
			return fmt.Errorf("table of names is not in order at range %d", i)
		}
	}
	return nil
}
