package store

import (
	"encoding/binary"

	"weir/flow"
)

// Many columns follow from another: AS, mask and interface from an address, and
// much from the exporter. A parent is what a value follows from, row by row: the
// codes of one or two dictionary columns. Rows with the same codes are an entry,
// and entries are numbered by first code, then second.
const (
	parentExporter    = 1
	parentSrc         = 2
	parentDst         = 3
	parentExporterSrc = 4
	parentExporterDst = 5
	parentCount       = 6
)

// parentFields gives the columns of each parent; the first is absent where
// there is one only.
var parentFields = [parentCount][2]flow.Field{
	parentExporter:    {0, flow.Exporter},
	parentSrc:         {0, flow.SrcAddr},
	parentDst:         {0, flow.DstAddr},
	parentExporterSrc: {flow.Exporter, flow.SrcAddr},
	parentExporterDst: {flow.Exporter, flow.DstAddr},
}

// candidateParents returns the parents that are worth trying for a field.
func candidateParents(f flow.Field) []byte {
	switch f {
	case flow.SrcAS, flow.SrcMask, flow.InIf, flow.PrevAS, flow.SrcMAC, flow.SrcVLAN, flow.IngressVRF, flow.NATSrcAddr:
		return []byte{parentSrc, parentExporterSrc}
	case flow.DstAS, flow.DstMask, flow.OutIf, flow.NextHop, flow.BGPNextHop, flow.NextAS, flow.DstMAC, flow.DstVLAN,
		flow.EgressVRF, flow.NATDstAddr, flow.PostDstMAC, flow.PostSrcMAC:
		return []byte{parentDst, parentExporterDst}
	case flow.Agent, flow.Domain, flow.Version, flow.SamplingInterval, flow.ObservationPoint, flow.Direction, flow.EtherType:
		return []byte{parentExporter}
	}
	return nil
}

// maxEntries bounds the pairs of codes that are looked at.
const maxEntries = 1 << 21

// A coded column is a parent's: one code a row, and how many codes there are,
// the one for absent rows included.
type coded struct {
	codes []uint16
	n     int
}

// A parentSource gives the columns that the column at hand follows from.
type parentSource interface {
	// parent returns the entry of each value, and how many entries there are.
	parent(id byte) (entries []uint32, n int, err error)
	// times returns another column of times, one value a row.
	times(f flow.Field) ([]uint64, error)
}

// entriesOf numbers the entries of two coded columns for the rows in present
// (nil: all). scratch is two buffers for reuse.
func entriesOf(first, second coded, rows int, present []uint64, out, rank *[]uint32) (entries []uint32, n int, ok bool) {
	if first.codes == nil {
		first.n = 1
	}
	if first.n*second.n > maxEntries {
		return nil, 0, false
	}
	entries = grow(out, 0)
	place := grow(rank, first.n*second.n)
	clear(place)
	for row := range rows {
		if present != nil && present[row>>6]>>(row&63)&1 == 0 {
			continue
		}
		key := uint32(second.codes[row])
		if first.codes != nil {
			key += uint32(first.codes[row]) * uint32(second.n)
		}
		place[key] = 1
		entries = append(entries, key)
	}
	*out = entries
	for i, used := range place {
		place[i] = uint32(n)
		n += int(used)
	}
	for i, key := range entries {
		entries[i] = place[key]
	}
	return entries, n, true
}

// A grouping is the entries of a parent for the column at hand: the entry of
// each value, and the first value of each entry.
type grouping struct {
	entries, first []uint32
	known, ok      bool
}

// forgetEntries begins a block.
func (e *encoder) forgetEntries() {
	for id := range e.groups {
		e.groups[id].known = false
	}
}

// group returns the entries of a parent, which are the same for all columns that
// every row has.
func (e *encoder) group(id byte) *grouping {
	g := &e.groups[0] // no parent's: for columns that some rows lack
	if e.count == e.rows {
		g = &e.groups[id]
	}
	if g.known && e.count == e.rows {
		return g
	}
	first, second := e.parents[parentFields[id][0]], e.parents[parentFields[id][1]]
	entries, n, ok := entriesOf(first, second, e.rows, e.partial(), &g.entries, &e.rank)
	g.known, g.ok = true, ok
	if ok {
		at := grow(&g.first, n)
		for i := len(entries) - 1; i >= 0; i-- {
			at[entries[i]] = uint32(i)
		}
	}
	return g
}

// byParent appends v as following from a parent, if one of the candidates seems
// smaller than plain bytes a value.
func (e *encoder) byParent(dst []byte, f flow.Field, v []uint64, plain float64) ([]byte, bool) {
	for _, id := range candidateParents(f) {
		first, second := e.parents[parentFields[id][0]], e.parents[parentFields[id][1]]
		if second.codes == nil || id > parentDst && (first.codes == nil || first.n <= 2) {
			continue
		}
		g := e.group(id)
		if !g.ok {
			continue
		}
		if out, ok := e.byEntries(dst, id, v, g, plain); ok {
			return out, true
		}
	}
	return dst, false
}

// partial returns the presence bits of the column at hand, nil for all rows.
func (e *encoder) partial() []uint64 {
	if e.count == e.rows {
		return nil
	}
	return e.present
}

func (e *encoder) byEntries(dst []byte, id byte, v []uint64, g *grouping, plain float64) ([]byte, bool) {
	n, entries := len(g.first), g.entries[:len(v)]
	values := grow(&e.entryValues, n)
	for entry, i := range g.first {
		values[entry] = v[i]
	}
	places, others := grow(&e.places, 0), grow(&e.exceptions, 0)
	last := -1
	for i, x := range v {
		if values[entries[i]] != x {
			places = append(places, uint64(i-last-1))
			others = append(others, x)
			last = i
			if len(others) > len(v)/16 {
				e.places, e.exceptions = places, others
				return dst, false
			}
		}
	}
	e.places, e.exceptions = places, others
	// Each exception costs about its value and two bytes for its place.
	e.sample = takeSample(e.sample[:0], values)
	if e.estimate(e.sample, rangeOf(values))*float64(n)+float64(3*len(others)) > plain*float64(len(v)) {
		return dst, false
	}
	dst = binary.AppendUvarint(append(dst, modeByParent, id), uint64(n))
	dst = e.numbers(dst, values)
	dst = binary.AppendUvarint(dst, uint64(len(others)))
	dst = e.numbers(dst, places)
	return e.numbers(dst, others), true
}

func (d *decoder) byParent(dst []uint64, src []byte, parents parentSource, nesting int) (rest []byte, err error) {
	if len(src) == 0 || src[0] == 0 || src[0] >= parentCount {
		return nil, errShort
	}
	id := src[0]
	n, src, err := takeCount(src[1:], len(dst))
	if err != nil {
		return nil, err
	}
	entries, have, err := parents.parent(id)
	if err != nil {
		return nil, err
	}
	if have != n || len(entries) != len(dst) {
		return nil, errValue
	}
	values := grow(&d.entryValues, n)
	if src, err = d.numbers(values, src, nil, nesting+1); err != nil {
		return nil, err
	}
	for i, entry := range entries {
		dst[i] = values[entry]
	}
	return d.except(dst, src, nesting)
}

// except puts the exceptions of a parent in their places.
func (d *decoder) except(dst []uint64, src []byte, nesting int) (rest []byte, err error) {
	n, src, err := takeCount(src, len(dst))
	if err != nil {
		return nil, err
	}
	both := grow(&d.exceptions, 2*n)
	places, values := both[:n], both[n:]
	if src, err = d.numbers(places, src, nil, nesting+1); err != nil {
		return nil, err
	}
	if src, err = d.numbers(values, src, nil, nesting+1); err != nil {
		return nil, err
	}
	at := uint64(0)
	for i, gap := range places {
		if gap >= uint64(len(dst))-at {
			return nil, errValue
		}
		at += gap
		dst[at] = values[i]
		at++
	}
	return src, nil
}
