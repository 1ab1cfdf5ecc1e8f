package query

import (
	"context"
	"fmt"
	"unsafe"

	"weir/flow"
	"weir/store"
)

// A flow that crosses several exporters is exported by each. With Dedup a
// request counts it once: of records that agree in the five-tuple, are of
// different exporters and overlap in time, the first stays and the others are
// folded into it, that is, left out.
//
//   - First is by the archive's order, which is that of receipt: hours, blocks
//     as they were written, and the rows of a block by receipt.
//   - The five-tuple is source and destination address, protocol, and the two
//     ports or, of ICMP and ICMPv6, type and code. What both records lack is
//     equal. A record without an address, a protocol or an exporter is never
//     folded and nothing is folded into it.
//   - Exporters differ if their addresses do. The records of one exporter, of
//     whatever observation domain, are never folded into each other.
//   - The times are flow.Span; they overlap if no one ends before the other
//     begins. Touching is overlapping.
//   - Only records that stay can have others folded into them. So a chain of
//     overlaps does not swallow what does not overlap itself.
//   - Only records that match the filter and the window are compared.
//
// Of records that stay, those of one exporter and five-tuple that overlap are one
// span, if they end in the same hour: what overlaps one of them overlaps the span,
// and they are forgotten together.
//
// Memory holds these spans, until they have ended more than
// dedupHorizon before the hour, in which the record at hand was received. A
// record that comes in so late that its flow began an hour before the hour in
// which it came is not compared with what had ended by then.

const (
	hourMS = 3600_000

	// dedupHorizon is how long before an hour of receipt flows are kept to be
	// compared with what was received in it, in ms: whole hours, since spans are of
	// records that end in one.
	dedupHorizon = hourMS

	// dedupRows is after how many rows of a block a dedup looks whether its answer
	// is still wanted.
	dedupRows = 1024
)

// MaxDedupBytes bounds the memory of the records that are kept for Dedup. About
// seven million records fit.
const MaxDedupBytes = 1 << 30

// A DedupTooLargeError says that more records would have to be compared than
// memory is given to.
type DedupTooLargeError struct {
	Records int        // that were kept
	Hour    store.Hour // at which memory was used up
}

// Error says what to do instead.
func (e *DedupTooLargeError) Error() string {
	return fmt.Sprintf("finding flows seen twice would have to keep more than %d records around %v, over the bound of %d MiB: "+
		"give a narrower filter, or leave out --dedup", e.Records, e.Hour, int64(e.Records)*dedupEntryBytes>>20)
}

// dedupBytes is the key of WithDedupBytes.
type dedupBytes struct{}

// WithDedupBytes returns a context with which Dedup takes less memory than
// MaxDedupBytes. A collector that answers questions needs its own.
func WithDedupBytes(ctx context.Context, bytes int64) context.Context {
	return context.WithValue(ctx, dedupBytes{}, bytes)
}

// bound takes over the bound of WithDedupBytes, and when to stop.
func (d *dedup) bound(ctx context.Context) {
	d.stopped = ctx.Err
	if n, ok := ctx.Value(dedupBytes{}).(int64); ok && n > 0 {
		d.most = min(d.most, int(n/dedupEntryBytes))
	}
}

// A dedupKey is the five-tuple of a flow.
type dedupKey struct {
	src, dst flow.Addr
	ports    uint32 // source and destination port, or ICMP type and code
	proto    uint8
	has      uint8 // which of the two of ports are known, and whether they are ICMP's
}

// A dedupSpan is a record that stays, or several.
type dedupSpan struct {
	from, to uint64 // ms
	exporter uint32 // its number
	next     int32  // of the same key; -1: none
}

// dedupEntryBytes is what a record that stays takes at most: its span, and its
// place in a map that may have just grown.
const dedupEntryBytes = int64(unsafe.Sizeof(dedupSpan{})) + 2*int64(unsafe.Sizeof(dedupKey{})+5)

// A dedup folds records in the archive's order. It belongs to one goroutine.
type dedup struct {
	most      int          // spans that are kept
	stopped   func() error // why no answer is wanted any more, nil as long as one is
	cells     cells
	rows      []uint16
	hour      store.Hour
	exporters map[flow.Addr]uint32
	first     map[dedupKey]int32 // the latest of the spans of a key
	spans     []dedupSpan
}

func newDedup() *dedup {
	return &dedup{most: int(MaxDedupBytes / dedupEntryBytes), exporters: map[flow.Addr]uint32{}, first: map[dedupKey]int32{}}
}

// dedupFields are what a dedup reads.
var dedupFields = spanFields.Union(flow.SetOf(flow.SrcAddr, flow.DstAddr, flow.SrcPort, flow.DstPort, flow.Proto,
	flow.ICMPType, flow.ICMPCode, flow.Exporter))

// sums prepares a scan whose rows are summed.
func (s *scan) sums(fold bool) {
	s.samples = true
	if fold {
		s.dedup = newDedup()
	}
}

// fold takes those rows out of the visit that an earlier record stands for, and
// returns their number.
func (d *dedup) fold(v *visit, hour store.Hour) (folded int, err error) {
	if err := d.cells.load(v.columns, dedupFields); err != nil {
		return 0, err
	}
	if hour != d.hour {
		d.hour = hour
		d.expire(hour.StartMS() - min(hour.StartMS(), dedupHorizon))
	}
	d.rows = v.selected(d.rows)
	if err := v.byReceived(d.rows); err != nil {
		return 0, err
	}
	for i, row := range d.rows {
		if i%dedupRows == 0 {
			if err := d.stopped(); err != nil {
				return folded, err
			}
		}
		if d.seen(int(row)) {
			v.rows[row>>6] &^= 1 << (row & 63)
			folded++
		}
		if len(d.spans) > d.most {
			return folded, &DedupTooLargeError{d.most, hour}
		}
	}
	return folded, nil
}

// seen reports whether a row of the loaded block is of a flow that another
// exporter has been kept for, and else keeps it.
func (d *dedup) seen(row int) bool {
	c := &d.cells
	if !c.has(flow.SrcAddr, row) || !c.has(flow.DstAddr, row) || !c.has(flow.Proto, row) || !c.has(flow.Exporter, row) {
		return false
	}
	key := d.key(row)
	exporter := d.exporter(c.addr(flow.Exporter, row))
	from, to := c.span(row)
	at, ok := d.first[key]
	if !ok {
		at = -1
	}
	var mine *dedupSpan // that the row can be joined to
	for i := at; i >= 0; i = d.spans[i].next {
		s := &d.spans[i]
		switch {
		case s.from > to || from > s.to:
		case s.exporter != exporter:
			return true
		case s.to/hourMS == to/hourMS:
			mine = s
		}
	}
	if mine != nil {
		mine.from, mine.to = min(mine.from, from), max(mine.to, to)
		return false
	}
	d.first[key] = int32(len(d.spans))
	d.spans = append(d.spans, dedupSpan{from, to, exporter, at})
	return false
}

// key returns the five-tuple of a row.
func (d *dedup) key(row int) dedupKey {
	c := &d.cells
	k := dedupKey{src: c.addr(flow.SrcAddr, row), dst: c.addr(flow.DstAddr, row), proto: uint8(c.num(flow.Proto, row))}
	first, second := flow.SrcPort, flow.DstPort
	if k.proto == 1 || k.proto == 58 {
		first, second, k.has = flow.ICMPType, flow.ICMPCode, 4
	}
	if c.has(first, row) {
		k.has |= 1
	}
	if c.has(second, row) {
		k.has |= 2
	}
	k.ports = uint32(c.num(first, row))<<16 | uint32(c.num(second, row))
	return k
}

// exporter returns the number of an exporter.
func (d *dedup) exporter(a flow.Addr) uint32 {
	n, ok := d.exporters[a]
	if !ok {
		n = uint32(len(d.exporters))
		d.exporters[a] = n
	}
	return n
}

// expire forgets the records that ended before a time. It makes the table anew,
// since a map does not shrink.
func (d *dedup) expire(before uint64) {
	old, spans := d.first, make([]dedupSpan, 0, len(d.spans)/2)
	d.first = map[dedupKey]int32{}
	for key, at := range old {
		last := int32(-1)
		for i := at; i >= 0; i = d.spans[i].next {
			if s := d.spans[i]; s.to >= before {
				s.next, last = last, int32(len(spans))
				spans = append(spans, s)
			}
		}
		if last >= 0 {
			d.first[key] = last
		}
	}
	d.spans = spans
}
