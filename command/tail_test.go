package command

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/flow"
	"weir/query"
	"weir/retention/audit"
)

// A screen is a writer that can be looked at while a command writes.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// A running is a command that runs while the test goes on.
type running struct {
	out, errs screen
	cancel    context.CancelFunc
	status    chan int
}

// startWeir starts a command line on an archive, with a terminal for its
// standard error.
func startWeir(t *testing.T, data string, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{cancel: cancel, status: make(chan int, 1)}
	std, _, _ := testStd()
	std.Out, std.Err, std.ErrTerminal = &r.out, &r.errs, true
	std.Getenv = func(name string) string { return map[string]string{"WEIR_DATA": data}[name] }
	go func() { r.status <- Main(ctx, append([]string{"weir"}, args...), std) }()
	t.Cleanup(cancel)
	return r
}

// await waits until a condition holds.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it takes too long: %s", what)
		}
	}
}

// startTail starts weir tail and waits until it watches.
func startTail(t *testing.T, data string, args ...string) *running {
	t.Helper()
	r := startWeir(t, data, append([]string{"tail"}, args...)...)
	await(t, "tail begins", func() bool { return strings.Contains(r.errs.String(), "watching") })
	return r
}

// end returns the status that the command ends with by itself.
func (r *running) end(t *testing.T) int {
	t.Helper()
	select {
	case status := <-r.status:
		return status
	case <-time.After(patience):
		t.Fatalf("it does not end: %s%s", r.out.String(), r.errs.String())
		return 0
	}
}

// What a tail shows is what the query prints afterwards, in every format.
func TestTailShowsWhatQueryPrints(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	c := startCollector(t, data)
	const filter = "src ip in [ 10.0.0.2 10.0.0.4 10.0.0.5 ] and udp"
	var tails []*running
	formats := [][]string{{"-o", "json"}, {"-o", "csv"}, {"-o", "line"}, {"--fields", "src_addr,bytes", "-o", "csv"}, {"-o", "json", "--names"},
		{"-q", "-o", "csv"}, {"-q", "-o", "line"}, {"-q", "-o", "json"}}
	for _, format := range formats {
		tails = append(tails, startTail(t, data, append(format, filter, "-n", "3")...))
	}
	c.send(t, netflow5(6))
	for i, tail := range tails {
		if status := tail.end(t); status != exitOK {
			t.Errorf("%v: status %d, %s", formats[i], status, tail.errs.String())
		}
		want := answered(t, data, append(append([]string{"query"}, formats[i]...), filter)...)
		if got := tail.out.String(); got != want || strings.Count(got, "10.0.0.") != 3 {
			t.Errorf("%v: got\n%swant\n%s", formats[i], got, want)
		}
	}
}

// The table has its head before there is a row, and columns that do not move.
func TestTailTable(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	c := startCollector(t, data)
	tail := startTail(t, data, "src ip 10.0.0.1", "-n", "3")
	await(t, "the head is there", func() bool { return strings.HasPrefix(tail.out.String(), "start ") })
	for i := range 3 {
		c.send(t, netflow5(1))
		await(t, "a row is there", func() bool { return strings.Count(tail.out.String(), "\n") == i+2 })
	}
	if status := tail.end(t); status != exitOK {
		t.Errorf("status %d, %s", status, tail.errs.String())
	}
	lines := strings.Split(strings.TrimSpace(tail.out.String()), "\n")
	at := strings.Index(lines[0], "exporter")
	for _, line := range lines[1:] {
		if strings.Index(line, "127.0.0.1") != at {
			t.Errorf("rows do not stand below the head:\n%s", tail.out.String())
		}
	}
}

func TestTailWithoutHead(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	c := startCollector(t, data)
	tail := startTail(t, data, "-q", "--fields", "src_addr", "-n", "1")
	c.send(t, netflow5(1))
	if status := tail.end(t); status != exitOK {
		t.Errorf("status %d, %s", status, tail.errs.String())
	}
	if got := tail.out.String(); got != "10.0.0.1\n" {
		t.Errorf("got %q, want the row alone", got)
	}
}

func TestTailEnds(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	c := startCollector(t, data)
	interrupted := startTail(t, data)
	interrupted.cancel()
	if status := interrupted.end(t); status != exitInterrupted {
		t.Errorf("Ctrl-C: status %d, %s", status, interrupted.errs.String())
	}
	bounded := startWeir(t, data, "tail", "--timeout", "1s")
	if status := bounded.end(t); status != exitTimeout || !strings.Contains(bounded.errs.String(), "ended after the 1s") {
		t.Errorf("--timeout: status %d, %s", status, bounded.errs.String())
	}
	left := startTail(t, data, "any")
	c.stop()
	if status := left.end(t); status != exitFailure || !strings.Contains(left.errs.String(), "the collector stopped") {
		t.Errorf("the collector stops: status %d, %s", status, left.errs.String())
	}
	_, errs, status := weir(t, data, "tail")
	if status != exitFailure || !strings.Contains(errs, "no collector runs") || !strings.Contains(errs, "weir collect --data "+data) {
		t.Errorf("without a collector: status %d, %s", status, errs)
	}
	if _, errs, status := weir(t, data+"x", "tail"); status != exitStore {
		t.Errorf("without an archive: status %d, %s", status, errs)
	}
	if _, errs, status := weir(t, data, "tail", "port x"); status != exitUsage {
		t.Errorf("a wrong filter: status %d, %s", status, errs)
	}
}

// A nullSink takes batches, or refuses them.
type nullSink struct {
	rows atomic.Uint64
	err  error
}

func (s *nullSink) Append(b *flow.Batch) error {
	s.rows.Add(uint64(b.Len()))
	return s.err
}

func batchOf(n int) *flow.Batch {
	b := flow.NewBatch(n)
	for range n {
		b.AppendRecord(testRecord())
	}
	return b
}

// serveTails serves what comes into a sink of nothing.
func serveTails(t *testing.T) (*tails, *remote) {
	t.Helper()
	shown := newTails(new(nullSink))
	r, _ := serve(t, &local{tails: shown})
	return shown, r
}

// A reader that stands still neither holds up the collector nor makes it keep
// more than a bounded number of rows; of those that passed by it hears
// exactly.
func TestTailOfASlowReader(t *testing.T) {
	shown, r := serveTails(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var seen, missed atomic.Uint64
	var watching, stopped, free = make(chan struct{}), make(chan struct{}), make(chan struct{})
	var once, stop sync.Once
	go func() {
		_ = r.Tail(ctx, query.TailRequest{}, func(*flow.Record) error {
			stop.Do(func() { close(stopped) })
			<-free
			seen.Add(1)
			return nil
		}, func(n uint64) {
			once.Do(func() { close(watching) })
			missed.Add(n)
		})
	}()
	<-watching
	const batches, rows, writers = 200, 700, 2
	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() {
			for range batches {
				if err := shown.Append(batchOf(rows)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	<-stopped
	writing.Wait() // the reader still stands
	shown.mu.Lock()
	for w := range shown.all {
		if n := w.rows.Load(); n > maxTailRows {
			t.Errorf("%d rows wait, want at most %d", n, maxTailRows)
		}
	}
	shown.mu.Unlock()
	close(free)
	await(t, "all is seen or said to be missed", func() bool { return seen.Load()+missed.Load() >= writers*batches*rows })
	if seen.Load() == 0 || missed.Load() == 0 || seen.Load()+missed.Load() != writers*batches*rows {
		t.Errorf("got %d seen and %d missed of %d", seen.Load(), missed.Load(), writers*batches*rows)
	}
}

// A client that goes away ends its tail at once, also while nothing comes in.
func TestTailClientGoesAway(t *testing.T) {
	shown, r := serveTails(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- r.Tail(ctx, query.TailRequest{}, func(*flow.Record) error { return nil }, func(uint64) {})
	}()
	await(t, "it watches", func() bool { return shown.count.Load() == 1 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	await(t, "nobody watches", func() bool { return shown.count.Load() == 0 })
	if n := len(shown.all); n != 0 {
		t.Errorf("%d queues are left", n)
	}
}

// Tails have a bound of their own and take no turn from questions.
func TestTailsAreBounded(t *testing.T) {
	shown := newTails(new(nullSink))
	asked := &fakeBackend{backend: &local{tails: shown}, top: func(query.TopRequest) (*query.TopResult, query.Summary, error) {
		return &query.TopResult{}, query.Summary{}, nil
	}}
	r, _ := serve(t, asked)
	ctx, cancel := context.WithCancel(t.Context())
	var open sync.WaitGroup
	for range maxTails {
		open.Go(func() {
			_ = r.Tail(ctx, query.TailRequest{}, func(*flow.Record) error { return nil }, func(uint64) {})
		})
	}
	await(t, "all watch", func() bool { return shown.count.Load() == maxTails })
	if err := r.Tail(ctx, query.TailRequest{}, nil, func(uint64) {}); err == nil || !strings.Contains(err.Error(), "16 tails") {
		t.Errorf("one more: got %v", err)
	}
	bounded, done := context.WithTimeout(ctx, patience)
	defer done()
	if _, _, err := r.Top(bounded, query.TopRequest{}); err != nil {
		t.Errorf("a question beside all tails: %v", err)
	}
	cancel()
	open.Wait()
}

func TestTailOfWhatIsNotStored(t *testing.T) {
	refuses := &nullSink{err: errors.New("full")}
	shown := newTails(refuses)
	w, err := shown.watch()
	if err != nil {
		t.Fatal(err)
	}
	if err := shown.Append(batchOf(3)); !errors.Is(err, refuses.err) {
		t.Errorf("got %v, want the sink's error", err)
	}
	if len(w.batches) != 0 {
		t.Error("what was not stored is shown")
	}
	shown.leave(w)
	sink := new(nullSink)
	idle, batch := newTails(sink), batchOf(100)
	if n := testing.AllocsPerRun(100, func() { _ = idle.Append(batch) }); n != 0 {
		t.Errorf("%v allocations for a batch that nobody watches", n)
	}
	if err := (&local{}).Tail(t.Context(), query.TailRequest{}, nil, nil); !errors.Is(err, errNothingComesIn) {
		t.Errorf("an archive without a collector: got %v", err)
	}
}

// A batch is shown to all, as it was when it was stored: the collector uses its
// own again.
func TestTailGetsCopies(t *testing.T) {
	shown := newTails(new(nullSink))
	var got [2][]string
	var watching sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for i := range got {
		watching.Go(func() {
			l := &local{tails: shown}
			_ = l.Tail(ctx, query.TailRequest{Limit: 40}, func(r *flow.Record) error {
				got[i] = append(got[i], string(r.AppendJSON(nil)))
				return nil
			}, func(uint64) {})
		})
	}
	await(t, "both watch", func() bool { return shown.count.Load() == 2 })
	batch := flow.NewBatch(1)
	var want []string
	for i := range 40 {
		r := testRecord()
		r.SetNum(flow.Bytes, uint64(i))
		want = append(want, string(r.AppendJSON(nil)))
		batch.Reset()
		batch.AppendRecord(r)
		if err := shown.Append(batch); err != nil {
			t.Fatal(err)
		}
	}
	watching.Wait()
	for i := range got {
		if !slices.Equal(got[i], want) {
			t.Errorf("tail %d: got %d records, want %d", i, len(got[i]), len(want))
		}
	}
}

// A tail is a look at records: it is in the audit log from its beginning, and
// when it ended with what it gave out.
func TestTailIsNoted(t *testing.T) {
	a := newAuditedArchive(t)
	a.tails = newTails(new(nullSink))
	r, _ := serve(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	given := 0
	err := r.Tail(ctx, query.TailRequest{Filter: "proto tcp", Limit: 2}, func(*flow.Record) error { given++; return nil }, func(uint64) {
		list := lines(t, a, auditRequest{})
		if len(list) != 1 || list[0].Ended || list[0].Filter != "proto tcp" || list[0].Detail != "as they arrive" {
			t.Errorf("while it watches: %+v", list)
		}
		if err := a.tails.Append(batchOf(3)); err != nil {
			t.Error(err)
		}
	})
	if list := lines(t, a, auditRequest{}); err != nil || given != 2 || !list[0].Ended || list[0].Rows != 2 || list[0].Failed != "" {
		t.Errorf("with a limit: %v, %d given, %+v", err, given, list)
	}
	if err := r.Tail(ctx, query.TailRequest{}, nil, func(uint64) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	await(t, "the end is noted", func() bool { list := lines(t, a, auditRequest{}); return len(list) == 2 && list[1].Ended })
	if list := lines(t, a, auditRequest{}); list[1].Failed != "" {
		t.Errorf("a reader that goes away: %+v", list[1])
	}
	a.log = audit.New(deafStore{}, a.now)
	if err := a.Tail(t.Context(), query.TailRequest{}, nil, nil); err == nil || !strings.Contains(err.Error(), "nothing was read") {
		t.Errorf("without a log: got %v", err)
	}
}
