package query

import (
	"context"
	"fmt"
	"math/bits"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"weir/flow"
	"weir/index"
	"weir/store"
)

// A SeenRequest asks what an archive knows of addresses.
type SeenRequest struct {
	Addrs  []string `json:"addrs"` // as flow.ParseAddr takes them, in any order, at most MaxSeenAddrs
	Window `json:"window,omitzero"`
	Hours  bool `json:"hours,omitempty"` // with the records of every hour
}

// MaxSeenAddrs bounds the addresses of a SeenRequest.
const MaxSeenAddrs = 200_000

// A SeenResult is the answer to a SeenRequest: one entry for each address asked
// for, ascending, also for those that were never seen.
type SeenResult struct {
	From  uint64      `json:"from_ms"` // start of the first hour that may have records in the window, 0 if none
	To    uint64      `json:"to_ms"`   // end of the last
	Addrs []SeenEntry `json:"addrs"`
}

// A SeenEntry is what is known of one address. Only records in the window
// count.
type SeenEntry struct {
	Addr    string `json:"addr"`
	Records uint64 `json:"records"`            // with the address as source or destination
	First   uint64 `json:"first_ms,omitempty"` // the earliest start; 0 if never seen
	Last    uint64 `json:"last_ms,omitempty"`  // the latest end
	Active  int    `json:"active_hours"`       // hours in which records were received

	AsSource      uint64 `json:"as_source"`      // records
	AsDestination uint64 `json:"as_destination"` // records

	// Peers is the number of distinct addresses at the other end. Where they are
	// more than a few hundred to a million, the fewer the more addresses are
	// asked for, it is an estimate with a standard error of 1.6 per cent.
	Peers          uint64 `json:"peers"`
	PeersEstimated bool   `json:"peers_estimated,omitempty"`

	// Server and Client are ports by records, the most first: its own that
	// others came to, and those of others that it went to. Which of two ports is
	// the server's is a guess: the lower one or, of two equal ones, the
	// destination.
	Server    []SeenPort `json:"server,omitempty"`
	Client    []SeenPort `json:"client,omitempty"`
	MorePorts bool       `json:"more_ports,omitempty"` // there were more than are kept

	Hours []SeenHour `json:"hours,omitempty"` // ascending, those with records, if asked for
}

// A SeenPort is a port and how many records had it in a role.
type SeenPort struct {
	Proto   uint8  `json:"proto"`
	Port    uint16 `json:"port"`
	Records uint64 `json:"records"`
}

// A SeenHour is the records that were received within an hour.
type SeenHour struct {
	Start   uint64 `json:"start_ms"`
	Records uint64 `json:"records"`
}

// manySeen is how many addresses a list has that takes the memory of the cache of
// columns, of which it leaves nothing anyway: 10,000 busy ones take 100 MB.
const manySeen = 1000

// Seen answers what is known of addresses. Each hour is asked through its index
// for all of them in one ordered pass; of the blocks that have any, the
// dictionaries say which rows, and only those rows are looked at.
func Seen(ctx context.Context, s Archive, req SeenRequest) (*SeenResult, Summary, error) {
	began := time.Now()
	q, err := newSeenQuery(req)
	if err != nil {
		return nil, Summary{}, err
	}
	view, err := s.View(0, ^store.Hour(0))
	if err != nil {
		return nil, Summary{}, fmt.Errorf("open view: %w", err)
	}
	defer view.Close()
	if len(req.Addrs) >= manySeen {
		defer s.Lend(false)()
	}
	q.summary.Damaged = hiddenDamage(view, q.window)
	if err := q.read(ctx, view.Buckets()); err != nil {
		return nil, q.summary, err
	}
	result := q.result(view.Buckets())
	slices.Sort(q.summary.Damaged)
	slices.Sort(q.summary.Notes)
	q.summary.Elapsed = time.Since(began)
	return result, q.summary, nil
}

// read looks for the addresses in buckets, several runs of days at once. Tallies
// are added up over a run before they are added to all: to add them takes about as
// long as to look into an hour. The outermost runs come first: they tell when
// addresses were seen first and last, and spare the others their times.
func (q *seenQuery) read(ctx context.Context, buckets []*store.Bucket) error {
	q.summary.BucketsConsidered = len(buckets)
	report, done, days := ProgressOf(ctx), 0, byDay(buckets)
	q.outer = len(days)
	runs := min(len(days), seenRuns*workers())
	order := slices.Collect(fromBothEnds(runs))
	return inOrder(ctx, workers(), runs,
		func(i int) (*seenPart, error) {
			run := order[i]
			return q.days(ctx, days[run*len(days)/runs:(run+1)*len(days)/runs])
		},
		func(_ int, p *seenPart) error {
			q.take(p)
			if done += p.buckets; report != nil {
				report(Progress{Buckets: done, Total: len(buckets), Rows: q.summary.RowsScanned, Matched: q.summary.RowsMatched})
			}
			return nil
		})
}

// seenRuns is how many runs of days there are for each worker, if there are as
// many days: one that is slow holds the others up, and what is added up in a run
// takes memory.
const seenRuns = 4

// days looks for the addresses in the buckets of a run of days.
func (q *seenQuery) days(ctx context.Context, days [][]*store.Bucket) (*seenPart, error) {
	p := q.newPart()
	var chosen []seenBucket
	for _, buckets := range days {
		some, err := q.choose(buckets)
		switch {
		case store.IsDamage(err):
			p.summary.Notes = append(p.summary.Notes, unusedIndex(err))
		case err != nil:
			return nil, err
		}
		chosen = append(chosen, some...)
		p.buckets += len(buckets)
	}
	p.summary.BucketsPruned = p.buckets - len(chosen)
	hours := byHour(chosen)
	s := q.worker(p)
	defer s.close()
	for i := range fromBothEnds(len(hours)) {
		for k := range hours[i] {
			if err := s.bucket(ctx, &hours[i][k]); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// A seenQuery is a SeenRequest on its way to its answer.
type seenQuery struct {
	addrs   []flow.Addr        // ascending, each once
	ranges  []index.ValueRange // one for each
	window  Window
	hours   bool
	exact   int        // peers of one address that are counted exactly
	outer   int        // days that there are to be read at the same time
	spans   []seenSpan // one for each address
	found   *seenPart
	scratch sync.Pool // of *seenWorker
	summary Summary
}

func newSeenQuery(req SeenRequest) (*seenQuery, error) {
	if len(req.Addrs) > MaxSeenAddrs {
		return nil, &RequestError{Part: "addresses", Text: fmt.Sprint(len(req.Addrs)), Expected: fmt.Sprintf("at most %d", MaxSeenAddrs)}
	}
	q := &seenQuery{window: req.Window, hours: req.Hours}
	for _, text := range req.Addrs {
		a, err := flow.ParseAddr(text)
		if err != nil {
			return nil, &RequestError{Part: "address", Text: text, Expected: "an IPv4 or IPv6 address"}
		}
		q.addrs = append(q.addrs, a)
	}
	slices.SortFunc(q.addrs, flow.Addr.Compare)
	q.addrs = slices.Compact(q.addrs)
	for _, a := range q.addrs {
		q.ranges = append(q.ranges, index.AddrRange(a, a))
	}
	q.spans = newSeenSpans(len(q.addrs))
	q.found = q.newPart()
	q.exact = min(max(seenPeerBudget/max(len(q.addrs), 1), 256), 1_000_000)
	return q, nil
}

// seenPeerBudget is how many addresses of peers are kept, each about 10 bytes if
// it is IPv4 and 40 if not, where the peers of many addresses are counted.
const seenPeerBudget = 4_000_000

// A seenBucket is a bucket and what is looked for in it.
type seenBucket struct {
	*store.Bucket
	addrs []int32 // places in seenQuery.addrs; nil: all of them
}

// choose returns the buckets of a day that may have records of the addresses in
// the window. The summary of the day rules most out where addresses are rare,
// and says in which hours to look for which of many. With an error it rules none
// out: the hours themselves can still answer.
func (q *seenQuery) choose(day []*store.Bucket) (chosen []seenBucket, err error) {
	for _, b := range day {
		if info := b.Info(); info.Rows > 0 && q.window.Holds(info.MinStart, info.MaxEnd) {
			chosen = append(chosen, seenBucket{Bucket: b})
		}
	}
	if len(chosen) < 2 {
		return chosen, nil // asking one hour costs no more than asking the day
	}
	summary, err := index.OpenDay(day[0])
	if err != nil || summary == nil {
		return chosen, err
	}
	defer summary.Close() // nothing was written
	narrow, err := q.narrow(summary)
	if err != nil {
		return chosen, err
	}
	kept := chosen[:0]
	for _, b := range chosen {
		if summary.Covers(b.Bucket) {
			if b.addrs = narrow[b.Hour()%24]; len(b.addrs) == 0 {
				continue
			}
		}
		kept = append(kept, b)
	}
	return kept, nil
}

// narrow returns for each hour of a day the places of the addresses in it.
func (q *seenQuery) narrow(summary *index.Day) (hours [24][]int32, err error) {
	err = summary.Each(q.ranges, func(i int, mask uint32) {
		for ; mask != 0; mask &= mask - 1 {
			h := bits.TrailingZeros32(mask)
			hours[h] = append(hours[h], int32(i))
		}
	})
	return hours, err
}

// A seenPart is what some buckets have.
type seenPart struct {
	tallies []*seenTally // by place in seenQuery.addrs, nil: none
	buckets int          // of the run
	summary Summary      // what it took
}

func (q *seenQuery) newPart() *seenPart {
	return &seenPart{tallies: make([]*seenTally, len(q.addrs))}
}

// bucket looks for the addresses in a bucket.
func (s *seenWorker) bucket(ctx context.Context, b *seenBucket) error {
	q, p := s.query, s.part
	p.summary.BlocksConsidered += b.Blocks()
	blocks, err := q.candidates(b)
	if err != nil {
		if !store.IsDamage(err) {
			return err
		}
		p.summary.Notes = append(p.summary.Notes, unusedIndex(err))
		blocks = index.Full(b.Blocks()).Slice() // they answer without it
	}
	p.summary.BlocksPruned += b.Blocks() - len(blocks)
	side := min((workers()+q.outer-1)/max(q.outer, 1), len(blocks))
	if side <= 1 {
		return s.someBlocks(ctx, b, blocks, 1)
	}
	s.settle() // what is of an hour comes one after the other
	return inOrder(ctx, side, side,
		func(i int) (*seenPart, error) {
			part := q.newPart()
			s := q.worker(part)
			defer s.close()
			return part, s.someBlocks(ctx, b, blocks[i:], side)
		},
		func(_ int, from *seenPart) error {
			p.join(from, q.exact)
			return nil
		})
}

// someBlocks looks into every so manyth of the blocks of a bucket.
func (s *seenWorker) someBlocks(ctx context.Context, b *seenBucket, blocks []uint32, step int) error {
	for i := range fromBothEnds((len(blocks) + step - 1) / step) {
		if ctx.Err() != nil {
			break
		}
		if err := s.block(b, int(blocks[i*step])); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// candidates returns the blocks that may have any of the addresses.
func (q *seenQuery) candidates(b *seenBucket) ([]uint32, error) {
	if len(b.addrs) > 0 && b.Blocks() == 1 {
		return []uint32{0}, nil // as the summary of the day says
	}
	ranges := q.ranges
	if b.addrs != nil {
		ranges = make([]index.ValueRange, len(b.addrs))
		for i, place := range b.addrs {
			ranges[i] = q.ranges[place]
		}
	}
	sources, err := index.Blocks(b.Bucket, flow.SrcAddr, ranges)
	if err != nil {
		return nil, err
	}
	destinations, err := index.Blocks(b.Bucket, flow.DstAddr, ranges)
	if err != nil {
		return nil, err
	}
	return sources.Or(destinations).Slice(), nil
}

// damage notes damage in the summary; any other error it returns.
func (p *seenPart) damage(err error) error {
	if !store.IsDamage(err) {
		return err
	}
	p.summary.Damaged = append(p.summary.Damaged, err.Error())
	return nil
}

func (p *seenPart) tally(i int) *seenTally {
	t := p.tallies[i]
	if t == nil {
		t = new(seenTally)
		p.tallies[i] = t
	}
	return t
}

// take adds a run's part to what was found.
func (q *seenQuery) take(p *seenPart) {
	q.summary.join(p.summary)
	q.found.join(p, q.exact)
}

// join adds a part of other hours, or of the hour that was joined last.
func (p *seenPart) join(from *seenPart, exact int) {
	p.summary.join(from.summary)
	for i, t := range from.tallies {
		switch {
		case t == nil || t.records == 0:
		case p.tallies[i] == nil:
			p.tallies[i] = t
		default:
			p.tallies[i].merge(t, exact)
		}
	}
}

// join adds the counts of a part of the work.
func (s *Summary) join(t Summary) {
	s.BucketsPruned += t.BucketsPruned
	s.BlocksConsidered += t.BlocksConsidered
	s.BlocksPruned += t.BlocksPruned
	s.BlocksRead += t.BlocksRead
	s.RowsScanned += t.RowsScanned
	s.RowsMatched += t.RowsMatched
	s.Damaged = append(s.Damaged, t.Damaged...)
	s.Notes = append(s.Notes, t.Notes...)
}

// result returns the answer.
func (q *seenQuery) result(buckets []*store.Bucket) *SeenResult {
	r := &SeenResult{Addrs: make([]SeenEntry, 0, len(q.addrs))}
	for _, b := range buckets {
		if info := b.Info(); info.Rows == 0 || !q.window.Holds(info.MinStart, info.MaxEnd) {
			continue
		}
		if r.To = b.Hour().EndMS(); r.From == 0 {
			r.From = b.Hour().StartMS()
		}
	}
	for i, a := range q.addrs {
		entry := SeenEntry{Addr: a.String()}
		if t := q.found.tallies[i]; t != nil && t.records > 0 {
			entry = t.entry(a.String(), &q.spans[i])
			q.summary.Emitted++
		}
		r.Addrs = append(r.Addrs, entry)
	}
	return r
}

// inOrder makes n parts with so many workers and takes them one by one in order.
// The first error ends it; parts that are made ahead are bounded by workers.
func inOrder[T any](ctx context.Context, workers, n int, make1 func(i int) (T, error), take func(i int, part T) error) error {
	type made struct {
		part T
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := make(chan chan made, max(workers-1, 0))
	go func() {
		defer close(queue)
		for i := range n {
			slot := make(chan made, 1)
			select {
			case queue <- slot:
			case <-ctx.Done():
				return
			}
			go func() {
				var m made
				defer func() {
					if r := recover(); r != nil { // a mistake of ours must not end the collector
						m.err = fmt.Errorf("part %d of the answer: panic: %v\n%s", i, r, debug.Stack())
					}
					slot <- m
				}()
				if m.err = ctx.Err(); m.err == nil {
					m.part, m.err = make1(i)
				}
			}()
		}
	}()
	var failed error
	i := 0
	for slot := range queue { // also after an error: make1 must not outlive the call
		m := <-slot
		if failed == nil && m.err == nil {
			m.err = take(i, m.part)
		}
		if failed == nil && m.err != nil {
			failed = m.err
			cancel()
		}
		i++
	}
	if failed == nil && i < n {
		failed = ctx.Err()
	}
	return failed
}
