package collector

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"weir/flow"
	"weir/flow/ledger"
)

// A Ledger takes the rows of the ledger of an hour, in hours since the Unix
// epoch, over those with the same keys. It copies what it needs.
type Ledger interface {
	PutLedger(hour uint32, rows []ledger.Row) error
}

// Bounds of what is counted, so that a flood of invented sources cannot make it
// grow.
const (
	maxEntries         = 8192 // of an hour, for exporters that nobody described; as many more for those in the Directory
	maxEntriesExporter = 256  // of an hour and an exporter
	maxHours           = 24   // counted at once
	maxWrites          = 1024 // rows in one round of writing, unless the hour ends
	maxReopened        = 4096 // hours of which it is remembered that they were over once
)

const hourMS = 3_600_000

// A book holds the tallies of the hours that are being counted and writes them,
// as they change, to the Ledger. It is safe for use by several goroutines. A
// tally's lock is never waited for with the book's held.
type book struct {
	to     Ledger
	reads  bool          // captures: hours are those of the capture
	linger time.Duration // for how long after its end an hour is still counted

	writing sync.Mutex // one round at a time

	mu    sync.Mutex // guards what follows
	known ledger.Directory
	hours map[uint32]*page
	dirty []*tally
	over  map[uint32]ledger.Run // hours that are over, and the run that a later row of theirs needs
	least ledger.Run            // that run for all other hours: our own, or above what over has forgotten
	uses  uint64
}

// runKey is where the last Run is kept, as decimal digits; runSpacing is how far
// the next one is from it at least, because an hour that was over and is counted
// once more takes a number of its own.
const (
	runKey     = "collector/run"
	runSpacing = 1024
)

// NewRun returns a Run that no other has, and writes it down: the time, or more
// if another run began a moment ago or the clock went back.
func NewRun(state StateStore, now time.Time) (ledger.Run, error) {
	run := uint64(max(now.UnixMilli(), 1))
	err := state.ScanState(runKey, func(_ string, value []byte) error {
		if last, err := strconv.ParseUint(string(value), 10, 63); err == nil {
			run = max(run, last+runSpacing)
		}
		return nil
	})
	if err == nil {
		err = state.PutState(runKey, strconv.AppendUint(nil, run, 10))
	}
	if err != nil {
		return 0, fmt.Errorf("number the run: %w", err)
	}
	return ledger.Run(run), nil
}

// A page is an hour of a book.
type page struct {
	hour      uint32
	run       ledger.Run
	used      uint64 // the higher, the later
	entries   map[ledger.Key]*tally
	exporters map[flow.Addr]int // entries of each
	strangers int               // entries of exporters that are not in the Directory
	host      ledger.Host
	hostDirty bool
	stalled   bool // the last span of host.Unstored goes on
	unsaved   bool // the Ledger refused rows the last time
}

func newBook(o *DecoderOptions, linger time.Duration) *book {
	if o.Ledger == nil {
		return nil
	}
	run := o.Run
	if run == 0 {
		run = ledger.Run(time.Now().UnixMilli())
	}
	return &book{
		to: o.Ledger, known: o.Known, reads: o.Import, linger: linger,
		hours: map[uint32]*page{}, over: map[uint32]ledger.Run{}, least: run,
	}
}

// setKnown replaces the exporters that have an entry of their own in any case.
func (b *book) setKnown(known ledger.Directory) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known = known
}

// page returns the page of an hour and makes it if need be. The caller holds
// b.mu.
func (b *book) page(hour uint32) *page {
	p := b.hours[hour]
	if p == nil {
		run, ok := b.over[hour]
		if !ok {
			run = b.least
		}
		p = &page{hour: hour, run: run, entries: map[ledger.Key]*tally{}, exporters: map[flow.Addr]int{}}
		p.host.Import = b.reads
		b.hours[hour] = p
	}
	b.uses++
	p.used = b.uses
	return p
}

// tally returns the tally of a key in an hour. Where there is no room for
// another, it is the one that all such exporters share, that of the zero Key.
func (b *book) tally(key ledger.Key, hour uint32) *tally {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.page(hour)
	if t := p.entries[key]; t != nil {
		return t
	}
	if key != (ledger.Key{}) && !b.room(p, key.Exporter) {
		key = ledger.Key{}
		if t := p.entries[key]; t != nil {
			return t
		}
	}
	t := &tally{key: key, hour: hour}
	p.entries[key] = t
	p.exporters[key.Exporter]++
	return t
}

// room reports whether a page has room for an entry of that exporter, and takes
// it.
func (b *book) room(p *page, exporter flow.Addr) bool {
	if p.exporters[exporter] >= maxEntriesExporter {
		return false
	}
	if len(p.entries) < 2*maxEntries && b.known.Find(exporter) != nil {
		return true
	}
	if p.strangers >= maxEntries {
		return false
	}
	p.strangers++
	return true
}

// together counts an exporter that has no tally of its own.
func (b *book) together(hour uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.page(hour)
	p.host.Together++
	p.hostDirty = true
}

// changed puts a tally on the list of those to be written. The caller holds the
// tally's lock.
func (b *book) changed(t *tally) {
	if t.dirty {
		return
	}
	t.dirty = true
	b.mu.Lock()
	b.dirty = append(b.dirty, t)
	b.mu.Unlock()
}

// takeBack subtracts from a counter of an hour what the hour after found to be
// wrong. What that hour did not count either is let go.
func (b *book) takeBack(key ledger.Key, hour uint32, c ledger.Counter, n int64) {
	b.mu.Lock()
	p := b.hours[hour]
	var t *tally
	if p != nil {
		t = p.entries[key]
	}
	b.mu.Unlock()
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.gone {
		_ = t.add(c, n)
		b.changed(t)
	}
}

// flush writes what has changed, a bounded number of rows or everything, and
// closes the hours that are over at the given time. What the Ledger refuses is
// tried again the next time.
func (b *book) flush(now uint64, all bool) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	if b.crowded() {
		all = true
	}
	err := b.write(all)
	return errors.Join(err, b.close(now))
}

// crowded reports whether an hour must be closed to make room.
func (b *book) crowded() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.hours) > maxHours
}

func (b *book) write(all bool) error {
	b.mu.Lock()
	n := len(b.dirty)
	if !all {
		n = min(n, maxWrites)
	}
	batch := slices.Clone(b.dirty[:n])
	b.dirty = slices.Delete(b.dirty, 0, n)
	b.mu.Unlock()

	rows := map[uint32][]ledger.Row{}
	for _, t := range batch {
		t.mu.Lock()
		if t.dirty = false; !t.gone { // else close has written it
			rows[t.hour] = append(rows[t.hour], ledger.Row{Kind: ledger.KindEntry, Key: t.key, Entry: t.snapshot()})
		}
		t.mu.Unlock()
	}
	b.complete(rows)
	var errs []error
	for hour, list := range rows {
		err := b.to.PutLedger(hour, list)
		if err != nil {
			errs = append(errs, fmt.Errorf("write the ledger: %w", err))
		}
		b.written(hour, list, err == nil)
	}
	return errors.Join(errs...)
}

// complete adds the hosts' rows and the runs.
func (b *book) complete(rows map[uint32][]ledger.Row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for hour, p := range b.hours {
		for i := range rows[hour] {
			rows[hour][i].Run = p.run
			if b.reads {
				p.span(rows[hour][i].Entry)
			}
		}
		if p.hostDirty {
			host := p.host
			host.Sockets, host.Waits = slices.Clone(host.Sockets), slices.Clone(host.Waits)
			host.Unstored, host.Senders = slices.Clone(host.Unstored), slices.Clone(host.Senders)
			host.Stills = slices.Clone(host.Stills)
			rows[hour] = append(rows[hour], ledger.Row{Kind: ledger.KindHost, Run: p.run, Host: &host})
			p.hostDirty = false
		}
	}
}

// span extends the time that the captures cover in the hour.
func (p *page) span(e *ledger.Entry) {
	if p.host.Up.From == 0 || e.First < p.host.Up.From {
		p.host.Up.From = e.First
	}
	p.host.Up.To = max(p.host.Up.To, e.Last+1)
	p.hostDirty = true
}

// written marks rows that could not be written as changed again.
func (b *book) written(hour uint32, rows []ledger.Row, ok bool) {
	var tallies []*tally
	b.mu.Lock()
	if p := b.hours[hour]; p != nil {
		p.unsaved = !ok
		for i := 0; i < len(rows) && !ok; i++ {
			if rows[i].Kind == ledger.KindHost {
				p.hostDirty = true
			} else if t := p.entries[rows[i].Key]; t != nil {
				tallies = append(tallies, t)
			}
		}
	}
	b.mu.Unlock()
	for _, t := range tallies {
		t.mu.Lock()
		b.changed(t)
		t.mu.Unlock()
	}
}

// close ends the hours that nothing belongs to any more at the given time, and
// while there are too many those that were used the longest ago. What changed
// since they were written is written here.
func (b *book) close(now uint64) error {
	var errs []error
	for _, p := range b.overAt(now) {
		var rows []ledger.Row
		for _, t := range p.entries {
			t.mu.Lock()
			if t.gone = true; t.dirty {
				rows = append(rows, ledger.Row{Kind: ledger.KindEntry, Run: p.run, Key: t.key, Entry: t.snapshot()})
			}
			t.mu.Unlock()
		}
		if len(rows) > 0 {
			if err := b.to.PutLedger(p.hour, rows); err != nil {
				errs = append(errs, fmt.Errorf("write the ledger of an hour that is over: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}

// overAt takes the pages out of the book that are over at the given time.
func (b *book) overAt(now uint64) []*page {
	b.mu.Lock()
	defer b.mu.Unlock()
	pages := make([]*page, 0, len(b.hours))
	for _, p := range b.hours {
		pages = append(pages, p)
	}
	slices.SortFunc(pages, func(x, y *page) int { return cmp.Compare(x.used, y.used) })
	var out []*page
	for i, p := range pages {
		end := uint64(p.hour+1)*hourMS + uint64(b.linger.Milliseconds())
		if len(pages)-i <= maxHours && (b.reads || end > now || p.unsaved) {
			continue
		}
		if len(b.over) >= maxReopened {
			for _, run := range b.over {
				b.least = max(b.least, run)
			}
			clear(b.over)
		}
		delete(b.hours, p.hour)
		b.over[p.hour] = p.run + 1
		out = append(out, p)
	}
	return out
}
