package query

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/store"
)

// DefaultTopBytes bounds the memory that the groups of an answer take, unless
// the request says otherwise. While a part of the table grows it exists twice,
// which is not counted: a sixty-fourth of the whole at a time and worker.
const DefaultTopBytes = 1 << 30

// Top groups the records that a request selects and returns the groups with the
// highest sums. It is exact: if the groups do not fit in memory it returns a
// *TooManyGroupsError.
func Top(ctx context.Context, s Archive, req TopRequest) (*TopResult, Summary, error) {
	return TopWith(ctx, s, req, ParseOptions{})
}

// TopWith is Top with what the filter may refer to.
func TopWith(ctx context.Context, s Archive, req TopRequest, o ParseOptions) (*TopResult, Summary, error) {
	t, err := newTop(s, req, o)
	if err != nil {
		return nil, Summary{}, err
	}
	defer t.release()
	err = scanBlocks(ctx, t.scan, t.look, func(struct{}) error { return nil })
	if err != nil {
		return nil, t.summary, err
	}
	start := time.Now()
	result, err := t.result(ctx)
	t.noteMixed(result)
	t.summary.Timing.Merge = time.Since(start)
	t.summary.Elapsed += t.summary.Timing.Merge
	return result, t.summary, err
}

// release lets the groups go.
func (t *top) release() {
	taken := t.table.bytes.Load()
	for i := range t.workers {
		taken -= t.workers[i].pending.runs.free()
	}
	if t.table.giveBack != nil {
		t.table.giveBack()
	}
	t.table, t.addrs, t.workers = nil, nil, nil
	groupMemory.leave(taken)
}

// rankings are what groups can be ranked by.
var rankings = []string{"bytes", "packets", "flows", "records", "bps", "pps", "bpp", "distinct"}

// A top is the work on one TopRequest.
type top struct {
	*scan
	request   TopRequest
	by        string
	ascending bool
	layout    *layout
	either    int // the grouper with two ends, -1: none
	distinct  *grouper
	table     *groupTable
	addrs     *addrTables // nil: not for this question
	workers   []topWorker
}

// A topWorker is what one worker keeps between blocks.
type topWorker struct {
	total   Sums
	sampled uint64
	rows    []uint16
	codeSums
	variances []Variance // of the numbers in accs, where records of a block are sampled
	codes     []uint16
	parts     []uint64 // of keys, by code
	key       [1]uint64
	zeros     []uint64
	partial   partial
	pending   pending
	addrs     addrRuns
}

func newTop(s Archive, req TopRequest, o ParseOptions) (*top, error) {
	sc, err := newScan(s, req.Filter, req.Exporter, req.Window, o)
	if err != nil {
		return nil, err
	}
	sc.sums(req.Dedup)
	groupMemory.settled()
	groupers, err := parseGroupers(req.Fields, req.Labels, o)
	if err != nil {
		return nil, err
	}
	t := &top{scan: sc, request: req, either: -1, workers: make([]topWorker, workers())}
	if err := t.parseBy(req.By); err != nil {
		return nil, err
	}
	if req.Limit < 0 {
		return nil, &RequestError{Part: "limit", Text: strconv.Itoa(req.Limit), Expected: "a number of groups, 0 for all"}
	}
	for i, g := range groupers {
		if g.other != 0 {
			t.either = i
		}
	}
	t.layout = newLayout(groupers)
	t.layout.texts = sc.texts
	pairs := 0
	if req.Distinct != "" {
		distinct, err := parseGroupers([]string{req.Distinct}, req.Labels, o)
		if err != nil {
			return nil, err
		}
		g := distinct[0]
		if g.other != 0 {
			return nil, &RequestError{Part: "distinct", Text: req.Distinct, Expected: "a field of one end of the flow, such as dst_addr"}
		}
		t.distinct = &g
		pairs = 1
		if g.isAddr() {
			pairs = 2
		}
	}
	limit := req.MaxBytes
	if limit <= 0 {
		limit = DefaultTopBytes
	}
	times := req.Times || t.by == "bps" || t.by == "pps"
	t.table = newGroupTable(t.layout, times, pairs, limit)
	if s != nil {
		t.table.lend = s.Lend
	}
	if len(groupers) == 1 && groupers[0].isAddr() && t.table.plain() && req.Limit > 0 && req.Limit <= chunkRows {
		t.addrs = newAddrTables(t.table)
	}
	for i := range t.workers {
		t.workers[i].pending = t.table.newPending(t.layout)
	}
	return t, nil
}

// parseBy reads what groups are ranked by.
func (t *top) parseBy(text string) error {
	by, direction, given := strings.Cut(lower(text), ":")
	if by == "" {
		by = "bytes"
	}
	known := slices.Contains(rankings, by) && (by != "distinct" || t.request.Distinct != "")
	if !known || given && direction != "asc" && direction != "desc" {
		return &RequestError{"by", text, "one of " + joinNames(rankings) + " (distinct needs a field to count), with :asc or :desc", nearest(by, rankings)}
	}
	t.by, t.ascending = by, direction == "asc"
	return nil
}

// zero returns a column of zeros.
func (w *topWorker) zero() []uint64 {
	if w.zeros == nil {
		w.zeros = make([]uint64, store.BlockRows)
	}
	return w.zeros
}

// look adds the rows of one visit.
func (t *top) look(v *visit) (struct{}, error) {
	w := &t.workers[v.worker]
	if t.onlySums(v) {
		return struct{}{}, t.addSums(v, w)
	}
	var c *counters
	var err error
	if t.request.CountOnly {
		c, err = countOnly(v, t.table.times, w.zero())
	} else {
		c, err = newCounters(v, t.table.times)
	}
	if err != nil {
		return struct{}{}, err
	}
	w.addTotal(v, c)
	if t.either < 0 {
		err = t.addGroups(v, w, c, v.rows)
	} else {
		err = t.addBothEnds(v, w, c)
	}
	t.addVariance(v, w, c)
	return struct{}{}, err
}

// addBothEnds adds each row under one end and, if the other end is not the
// same, under that. A row that lacks one end counts for the other only.
func (t *top) addBothEnds(v *visit, w *topWorker, c *counters) error {
	g := &t.layout.groupers[t.either]
	if g.labels != nil {
		return t.addBothLabels(v, w, c)
	}
	asSrc, asDst, err := v.ends(g)
	if err != nil {
		return err
	}
	if err := t.addGroups(v, w, c, asSrc); err != nil {
		return err
	}
	return t.otherEnd().addGroups(v, w, c, asDst)
}

// otherEnd returns t with the destination field in the either-side group.
func (t *top) otherEnd() *top {
	swapped := *t
	l := *t.layout
	l.groupers = slices.Clone(l.groupers)
	l.groupers[t.either].field = l.groupers[t.either].other
	swapped.layout = &l
	return &swapped
}

// addGroups adds the given rows to the table.
func (t *top) addGroups(v *visit, w *topWorker, c *counters, rows *rowSet) error {
	if len(t.layout.groupers) == 0 && t.distinct == nil && c.span == nil {
		return t.addWhole(v, w, c, rows)
	}
	if added, err := t.addByCode(v, w, c, rows); added || err != nil {
		return err
	}
	return t.addByRow(v, w, c, rows)
}

// result ranks the groups.
func (t *top) result(ctx context.Context) (*TopResult, error) {
	r := &TopResult{Fields: t.request.Fields, By: t.by, Distinct: t.request.Distinct, Rows: []TopRow{}}
	if r.Fields == nil {
		r.Fields = []string{}
	}
	for i := range t.workers {
		w := &t.workers[i]
		r.Total.Join(w.total)
		r.Total.Sampled += w.sampled
	}
	best, err := t.best(ctx, r)
	if err != nil {
		return nil, err
	}
	for _, e := range best {
		r.Rows = append(r.Rows, t.row(&e, &r.Total))
	}
	t.summary.Emitted = uint64(len(r.Rows))
	t.summary.Limited = len(r.Rows) < r.Groups
	return r, nil
}

// groupSums returns the sums of a group.
func (t *top) groupSums(s *shard, g int) Sums {
	base := t.table.sums(s, g)
	sums := (&acc{records: base[atRecords], bytes: base[atBytes], packets: base[atPackets]}).sums()
	if s.flows != nil {
		sums.Flows = s.flows[g]
	}
	if s.estimated != nil {
		e := s.estimatesOf(g)
		sums.EstimatedBytes, sums.EstimatedPackets = e[atEstimates], e[atEstimates+1]
		sums.Variance = varianceAt(e)
	}
	if t.table.times {
		sums.First, sums.Last = s.times[2*g], s.times[2*g+1]
	}
	return sums
}

// rank returns what a group is ranked by.
func (t *top) rank(s *shard, g int) uint64 {
	switch {
	case t.by == "distinct":
		return s.distinct[g]
	case t.by == "bytes" && s.estimated == nil:
		return t.table.sums(s, g)[atBytes]
	}
	sums := t.groupSums(s, g)
	return sums.by(t.by, t.request.Raw)
}

// rankOf returns what a group is ranked by that has nothing rare.
func (t *top) rankOf(a *acc) uint64 {
	if t.by == "bytes" {
		return a.bytes
	}
	sums := a.sums()
	return sums.by(t.by, t.request.Raw)
}

// by returns one of the rankings of sums.
func (s *Sums) by(ranking string, raw bool) uint64 {
	bytes, packets := s.Counted(raw)
	switch ranking {
	case "packets":
		return packets
	case "flows":
		return s.Flows
	case "records":
		return s.Records
	case "bps":
		return Rate(bytes, 8000, duration(s.First, s.Last))
	case "pps":
		return Rate(packets, 1000, duration(s.First, s.Last))
	case "bpp":
		return Rate(bytes, 1, packets)
	}
	return bytes
}

// Rate returns what groups are ranked by that is a rate, bps, pps or bpp, as
// ranking counts it, and false for what is none. The first two need the times
// of the sums.
func (s *Sums) Rate(by string, raw bool) (uint64, bool) {
	switch by {
	case "bps", "pps", "bpp":
		return s.by(by, raw), true
	}
	return 0, false
}

// row returns a group as it stands in the answer.
func (t *top) row(e *ranked, total *Sums) TopRow {
	r := TopRow{Key: t.layout.values(t.table.key(e.shard, e.group)), Sums: t.groupSums(e.shard, e.group)}
	if t.distinct != nil {
		r.Distinct = e.shard.distinct[e.group]
	}
	switch t.by {
	case "bytes", "packets", "flows", "records":
		if whole := total.by(t.by, t.request.Raw); whole > 0 {
			r.Share = float64(e.value) / float64(whole)
		}
	}
	return r
}
