package query

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"weir/flow"
)

// A StatsRequest asks for totals.
type StatsRequest struct {
	Filter   string `json:"filter,omitempty"` // files expanded (Filter.Source); "" matches all
	Window   `json:"window,omitzero"`
	Exporter string `json:"exporter,omitempty"` // as in FlowsRequest
	Hourly   bool   `json:"hourly,omitempty"`   // with the totals of every hour
	Dedup    bool   `json:"dedup,omitempty"`    // as in FlowsRequest
}

// A StatsResult is the answer to a StatsRequest.
type StatsResult struct {
	Total     Sums       `json:"total"`
	Protocols []StatsRow `json:"protocols"`       // the families of statsFamilies, all always
	Exporters []StatsRow `json:"exporters"`       // ascending by address
	Versions  []StatsRow `json:"versions"`        // ascending by name of the export protocol
	Hours     []StatsRow `json:"hours,omitempty"` // ascending by the hour, UTC, in which flows start
}

// A StatsRow is the totals of the records that have something in common.
type StatsRow struct {
	Key string `json:"key"` // "" where records have no such field
	Sums
}

// statsFamilies are the families of protocols that nfdump tells apart. ICMP of
// both address families is one; records without a protocol are other.
var statsFamilies = []string{"tcp", "udp", "icmp", "other"}

// statsFamily returns the number of a protocol's family in statsFamilies.
func statsFamily(proto uint64, has bool) int {
	switch {
	case has && proto == 6:
		return 0
	case has && proto == 17:
		return 1
	case has && (proto == 1 || proto == 58):
		return 2
	}
	return 3
}

// maxStatsHours bounds the hours of an answer: records with impossible times
// could make any number of them. Ten years' worth.
const maxStatsHours = 10 * 366 * 24

// Stats answers what the records that match add up to.
func Stats(ctx context.Context, s Archive, req StatsRequest) (*StatsResult, Summary, error) {
	return StatsWith(ctx, s, req, ParseOptions{})
}

// StatsWith is Stats with what the filter may refer to.
func StatsWith(ctx context.Context, s Archive, req StatsRequest, o ParseOptions) (*StatsResult, Summary, error) {
	sc, err := newScan(s, req.Filter, req.Exporter, req.Window, o)
	if err != nil {
		return nil, Summary{}, err
	}
	sc.sums(req.Dedup)
	sums := perWorker(func() *statsSum { return newStatsSum(req.Hourly) })
	err = sumBlocks(ctx, sc, statsFields, func(worker int) *cells { return &sums[worker].cells }, nil, func(v *visit) error {
		each(v.rows, sums[v.worker].row)
		return nil
	})
	if err != nil {
		return nil, sc.summary, err
	}
	for _, other := range sums[1:] {
		sums[0].merge(other)
	}
	r := sums[0].result()
	sc.summary.Sampling.note(&r.Total)
	return r, sc.summary, nil
}

// A statsSum adds up the rows that matched, for one worker.
type statsSum struct {
	cells     cells
	hourly    bool
	protocols [4]Sums
	exporters map[flow.Addr]*Sums // the zero Addr where absent
	versions  map[uint64]*Sums    // 1<<32 where absent
	hours     map[uint64]*Sums    // hours since the epoch

	// The sums of the row before, which are mostly those of the next: a datagram
	// has many records of one exporter.
	exporter lastSums[flow.Addr]
	version  lastSums[uint64]
}

// A lastSums is the sums that were asked for last.
type lastSums[K comparable] struct {
	key  K
	sums *Sums // nil: none
}

// of returns the sums under a key of m.
func (l *lastSums[K]) of(m map[K]*Sums, key K) *Sums {
	if l.sums == nil || l.key != key {
		l.key, l.sums = key, sumOf(m, key)
	}
	return l.sums
}

func newStatsSum(hourly bool) *statsSum {
	return &statsSum{hourly: hourly, exporters: map[flow.Addr]*Sums{}, versions: map[uint64]*Sums{}, hours: map[uint64]*Sums{}}
}

// statsFields are what a statsSum reads.
var statsFields = spanFields.Union(sumFields).Union(flow.SetOf(flow.Proto, flow.Exporter, flow.Version))

const noVersion = 1 << 32

// row adds a row of the loaded block.
func (a *statsSum) row(row int) {
	s := a.cells.sums(row)
	a.protocols[statsFamily(a.cells.num(flow.Proto, row), a.cells.has(flow.Proto, row))].Join(s)
	a.exporter.of(a.exporters, a.cells.addr(flow.Exporter, row)).Join(s)
	version := uint64(noVersion)
	if a.cells.has(flow.Version, row) {
		version = a.cells.num(flow.Version, row)
	}
	a.version.of(a.versions, version).Join(s)
	if hour := s.First / 3600_000; a.hourly {
		if a.hours[hour] == nil && len(a.hours) >= maxStatsHours {
			hour = 0 // the records of the clocks that are most wrong, together
		}
		sumOf(a.hours, hour).Join(s)
	}
}

// sumOf returns the sums under a key, new ones if there are none.
func sumOf[K comparable](m map[K]*Sums, key K) *Sums {
	s := m[key]
	if s == nil {
		s = new(Sums)
		m[key] = s
	}
	return s
}

// merge adds the sums of b.
func (a *statsSum) merge(b *statsSum) {
	for i := range a.protocols {
		a.protocols[i].Join(b.protocols[i])
	}
	mergeSums(a.exporters, b.exporters)
	mergeSums(a.versions, b.versions)
	mergeSums(a.hours, b.hours)
}

func mergeSums[K comparable](into, from map[K]*Sums) {
	for key, s := range from {
		sumOf(into, key).Join(*s)
	}
}

// result returns the answer.
func (a *statsSum) result() *StatsResult {
	r := &StatsResult{}
	for i, s := range a.protocols {
		r.Protocols = append(r.Protocols, StatsRow{statsFamilies[i], s})
		r.Total.Join(s)
	}
	r.Exporters = statsRows(a.exporters, flow.Addr.Compare, func(addr flow.Addr) string {
		if addr == (flow.Addr{}) {
			return ""
		}
		return addr.String()
	})
	r.Versions = statsRows(a.versions, cmp.Compare[uint64], func(v uint64) string {
		if v == noVersion {
			return ""
		}
		return flow.VersionName(v)
	})
	slices.SortStableFunc(r.Versions, func(a, b StatsRow) int { return strings.Compare(a.Key, b.Key) })
	r.Hours = statsRows(a.hours, cmp.Compare[uint64], func(hour uint64) string {
		return string(flow.AppendTime(nil, hour*3600_000))
	})
	return r
}

// statsRows returns the sums in the order of their keys.
func statsRows[K comparable](m map[K]*Sums, compare func(a, b K) int, text func(K) string) []StatsRow {
	keys := make([]K, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, compare)
	rows := make([]StatsRow, 0, len(keys))
	for _, key := range keys {
		rows = append(rows, StatsRow{text(key), *m[key]})
	}
	return rows
}
