package collector

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/flow"
	"weir/flow/ledger"
)

// TestLedgerUnderFlood sends from many invented sources. Memory and rows
// stay bounded, nothing is left uncounted, and exporters that the configuration
// describes have their own entries all the same.
func TestLedgerUnderFlood(t *testing.T) {
	sources := 300_000
	if testing.Short() {
		sources = 50_000
	}
	l := newMemoryLedger()
	known := ledger.Directory{{Name: "core", Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28")}}}
	d := NewDecoder(DecoderOptions{Ledger: l, Known: known})
	b := flow.NewBatch(0)
	p := datagram5(1)
	for i := range sources {
		b.Reset()
		_ = d.Decode(b, testTime+uint64(i/1000), addrN(i, 2055), p)
		if i%50_000 == 49_999 {
			if err := d.book.flush(testTime, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	router := netip.MustParseAddrPort("192.0.2.7:2055")
	for range 10 {
		_ = d.Decode(b, testTime+1_000_000, router, p)
	}
	if err := d.WriteLedger(); err != nil {
		t.Fatal(err)
	}
	if got := len(l.rows[testHour]); got > maxEntries+16 {
		t.Errorf("got %d rows", got)
	}
	if got := l.puts; got > 2*maxEntries+100 {
		t.Errorf("got %d rows written", got)
	}
	if got, want := l.all().Get(ledger.Datagrams), uint64(sources+10); got != want {
		t.Errorf("got %d datagrams counted, want %d", got, want)
	}
	if got := l.entry(testHour, keyOf(router, 0, 5)).Get(ledger.Records); got != 10 {
		t.Errorf("got %d records of the router, want 10", got)
	}
	hosts := l.hosts(testHour)
	if len(hosts) != 1 || hosts[0].Together != uint64(sources-maxEntries) {
		t.Errorf("got hosts %+v, want %d exporters together", hosts, sources-maxEntries)
	}
	l.rows = nil
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 64<<20 {
		t.Errorf("%d MiB are in use after the flood", m.HeapAlloc>>20)
	}
	runtime.KeepAlive(d)
}

// One source that invents domains does not crowd out the others.
func TestLedgerOfManyDomains(t *testing.T) {
	l := newMemoryLedger()
	d := NewDecoder(DecoderOptions{Ledger: l})
	for i := range 2000 {
		_ = d.Decode(flow.NewBatch(0), testTime, addrN(1, 2055), v9(uint32(i), set(0, templateUsual)))
	}
	if err := d.WriteLedger(); err != nil {
		t.Fatal(err)
	}
	if got := len(l.rows[testHour]); got != maxEntriesExporter+2 { // and the zero key, and the host
		t.Errorf("got %d rows, want %d", got, maxEntriesExporter+2)
	}
	if got := l.all().Get(ledger.Datagrams); got != 2000 {
		t.Errorf("got %d datagrams, want 2000", got)
	}
}

// Captures that jump between hours add up all the same, and only so many hours
// are in memory.
func TestLedgerOfManyHours(t *testing.T) {
	l := newMemoryLedger()
	d := NewDecoder(DecoderOptions{Ledger: l, Import: true})
	const hours, rounds = 3 * maxHours, 5
	for range rounds {
		for h := range uint64(hours) {
			_ = d.Decode(flow.NewBatch(0), testTime+h*hourMS, addrN(1, 2055), datagram5(2))
			if err := d.WriteLedger(); err != nil {
				t.Fatal(err)
			}
			if got := len(d.book.hours); got > maxHours {
				t.Fatalf("%d hours in memory", got)
			}
		}
	}
	for h := range uint32(hours) {
		e := l.entry(testHour+h, keyOf(addrN(1, 0), 0, 5))
		if got := e.Get(ledger.Records); got != 2*rounds {
			t.Fatalf("hour %d: got %d records, want %d", h, got, 2*rounds)
		}
		at := testTime + uint64(h)*hourMS
		for _, host := range l.hosts(testHour + h) {
			if !host.Import || host.Up != (ledger.Span{From: at, To: at + 1}) {
				t.Fatalf("hour %d: got host %+v", h, host)
			}
		}
	}
}

// A capture has other traffic, too. Its sources are no exporters.
func TestLedgerOfOtherTraffic(t *testing.T) {
	l := newMemoryLedger()
	d := NewDecoder(DecoderOptions{Ledger: l, Import: true})
	for i := range 100 {
		_ = d.Decode(flow.NewBatch(0), testTime, addrN(i, 53), []byte("\x12\x34\x81\x80 a name"))
	}
	_ = d.Decode(flow.NewBatch(0), testTime, addrN(200, 2055), datagram5(1))
	if err := d.WriteLedger(); err != nil {
		t.Fatal(err)
	}
	if got := len(l.rows[testHour]); got != 3 {
		t.Errorf("got %d rows, want the exporter, the rest and the host", got)
	}
	if got := l.entry(testHour, ledger.Key{}).Errors["version"]; got != 100 {
		t.Errorf("got %d errors of version, want 100", got)
	}
}

// Many goroutines decode while the ledger is written and hours end.
func TestConcurrentLedger(t *testing.T) {
	l := newMemoryLedger()
	d := NewDecoder(DecoderOptions{Ledger: l, Limits: Limits{Exporters: 32}})
	const workers, rounds = 4, 1000
	var wg, writer sync.WaitGroup
	done := make(chan struct{})
	writer.Go(func() {
		for at := uint64(testTime); ; at += hourMS / 20 {
			select {
			case <-done:
				return
			default:
				if err := d.book.flush(at, at%3 == 0); err != nil {
					t.Error(err)
				}
				d.book.alive(at-1, at, 1)
			}
		}
	})
	for w := range workers {
		wg.Go(func() {
			b := flow.NewBatch(0)
			for i := range rounds {
				b.Reset()
				at := testTime + uint64(i)*4*hourMS/rounds
				_ = d.Decode(b, at, addrN(i%48, uint16(w)), v9(uint32(i%2), dataUsual, set(0, templateUsual)))
			}
		})
	}
	wg.Wait()
	close(done)
	writer.Wait()
	if err := d.WriteLedger(); err != nil {
		t.Fatal(err)
	}
	all := l.all()
	if all.Get(ledger.Datagrams) != workers*rounds || all.Get(ledger.Records) != workers*rounds*5 {
		t.Errorf("got %d datagrams, %d records, want %d, %d", all.Get(ledger.Datagrams), all.Get(ledger.Records), workers*rounds, workers*rounds*5)
	}
}

// A clock that tests move.
type testClock struct{ ms atomic.Int64 }

func (c *testClock) now() time.Time { return time.UnixMilli(c.ms.Load()) }

// The collector's row of an hour: it is up, it can store or not, the hour ends,
// it stops.
func TestHostRows(t *testing.T) {
	l, sink, clock := newMemoryLedger(), newMemorySink(), &testClock{}
	start := uint64(testHour+1)*hourMS - 10_000
	clock.ms.Store(int64(start))
	c, err := New(Options{Listen: []Listen{{"netflow", "127.0.0.1:0"}}, Sink: sink, State: newMemoryState(), Ledger: l, Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	pass := func(ms uint64) {
		for range ms / 1000 {
			clock.ms.Add(1000)
			c.writeLedger(false)
		}
	}
	w := worker{c: c, batch: flow.NewBatch(0)}
	flush := func(records int) {
		_ = c.decoder.Decode(w.batch, uint64(clock.ms.Load()), addrN(1, 1), datagram5(records))
		w.flush()
	}
	c.writeLedger(false)
	flush(3)
	pass(3000)
	sink.fail = errors.New("no space left on device")
	flush(4) // at 3 s
	pass(2000)
	flush(5) // at 5 s
	pass(6000)
	flush(6) // in the next hour, at 1 s
	pass(4000)
	sink.fail = nil
	flush(7) // at 5 s
	c.ports[0].sockets[0].dropped.Add(11)
	c.ports[0].queues[0].full.Add(3)
	pass(5000)
	c.writeLedger(true)

	hour := uint64(testHour+1) * hourMS
	first, second := l.hosts(testHour), l.hosts(testHour+1)
	if len(first) != 1 || len(second) != 1 {
		t.Fatalf("got %d and %d rows, want one each", len(first), len(second))
	}
	h := first[0]
	if h.Up != (ledger.Span{From: start, To: hour}) || h.End != ledger.EndHour || h.Import {
		t.Errorf("first hour: got %+v", h)
	}
	if len(h.Unstored) != 1 || h.Unstored[0] != (ledger.Span{From: start + 3000, To: hour}) || h.Counting != 9 {
		t.Errorf("first hour: got %d records not stored in %v", h.Counting, h.Unstored)
	}
	if h.Rejected != (ledger.Drop{Where: "no space left on device", Count: 9}) {
		t.Errorf("first hour: got %+v rejected", h.Rejected)
	}
	h = second[0]
	if h.Up != (ledger.Span{From: hour, To: hour + 10_000}) || h.End != ledger.EndClean {
		t.Errorf("second hour: got %+v", h)
	}
	if len(h.Unstored) != 1 || h.Unstored[0] != (ledger.Span{From: hour, To: hour + 5000}) || h.Counting != 6 {
		t.Errorf("second hour: got %d records not stored in %v", h.Counting, h.Unstored)
	}
	if len(h.Sockets) != 1 || h.Sockets[0] != (ledger.Drop{Where: c.Addrs()[0].String(), Count: 11}) {
		t.Errorf("second hour: got %+v dropped by the kernel", h.Sockets)
	}
	if len(h.Waits) != 1 || h.Waits[0] != (ledger.Drop{Where: c.Addrs()[0].String(), Count: 3}) {
		t.Errorf("second hour: got %+v waits for a queue", h.Waits)
	}
	if got := l.entry(testHour, keyOf(addrN(1, 0), 0, 5)).Get(ledger.Records); got != 12 {
		t.Errorf("first hour: got %d records counted, want 12, stored or not", got)
	}
}

// Records that the sink refuses are counted as not stored in the hours in which
// they were received, which count them, and both hours say when nothing could be
// stored. Times are ms after the border of two hours.
func TestRefusedAtTheBorderOfHours(t *testing.T) {
	const border = uint64(testHour+1) * hourMS
	type host struct {
		counting uint64
		unstored []ledger.Span
	}
	spans := func(fromTo ...int) (out []ledger.Span) {
		for i := 0; i < len(fromTo); i += 2 {
			out = append(out, ledger.Span{From: border + uint64(fromTo[i]), To: border + uint64(fromTo[i+1])})
		}
		return out
	}
	tests := map[string]struct {
		signs    []int // of life, before the sink refuses
		received []int
		refused  int
		want     [2]host // of the hours before and after the border
	}{
		"before it":                 {[]int{-3000}, []int{-900, -800}, -700, [2]host{{2, spans(-900, 0)}, {0, spans(0, 2000)}}},
		"after it":                  {[]int{-3000, 500}, []int{600, 700}, 900, [2]host{{0, nil}, {2, spans(600, 2000)}}},
		"across it":                 {[]int{-3000}, []int{-50, -40, -30}, 10, [2]host{{3, spans(-50, 0)}, {0, spans(0, 2000)}}},
		"across it and a sign":      {[]int{-3000, 500}, []int{-50, -40, -30}, 510, [2]host{{3, spans(-50, 0)}, {0, spans(0, 2000)}}},
		"of both hours":             {[]int{-3000}, []int{-50, 5, 6}, 10, [2]host{{1, spans(-50, 0)}, {2, spans(0, 2000)}}},
		"of both hours, by turns":   {[]int{-3000}, []int{5, -50, 6, -70, 7}, 10, [2]host{{2, spans(-70, 0)}, {3, spans(0, 2000)}}},
		"by a clock that went back": {[]int{-3000}, []int{20, 30}, -10, [2]host{{0, spans(-10, 0)}, {2, spans(0, 2000)}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l, sink, clock := newMemoryLedger(), newMemorySink(), &testClock{}
			at := func(ms int) uint64 { clock.ms.Store(int64(border) + int64(ms)); return uint64(clock.ms.Load()) }
			at(test.signs[0])
			c, err := New(Options{Listen: []Listen{{"netflow", "127.0.0.1:0"}}, Sink: sink, State: newMemoryState(), Ledger: l, Now: clock.now})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for _, ms := range test.signs {
				at(ms)
				c.writeLedger(false)
			}
			w := worker{c: c, batch: flow.NewBatch(0)}
			for _, ms := range test.received {
				_ = c.decoder.Decode(w.batch, at(ms), addrN(1, 1), datagram5(1))
			}
			sink.fail = errors.New("no space left on device")
			at(test.refused)
			w.flush()
			at(1000)
			c.writeLedger(false)
			sink.fail = nil
			_ = c.decoder.Decode(w.batch, at(2000), addrN(1, 1), datagram5(1))
			w.flush()
			at(2500)
			c.writeLedger(true)

			stored := uint64(0)
			for i, want := range test.want {
				hosts := l.hosts(testHour + uint32(i))
				if len(hosts) != 1 {
					t.Fatalf("hour %d: got %d rows, want one", i, len(hosts))
				}
				h := hosts[0]
				if h.Counting != want.counting || h.Rejected.Count != want.counting || !slices.Equal(h.Unstored, want.unstored) {
					t.Errorf("hour %d: got %d records not stored, %+v, in %v, want %+v", i, h.Counting, h.Rejected, h.Unstored, want)
				}
				stored += l.entry(testHour+uint32(i), keyOf(addrN(1, 0), 0, 5)).Get(ledger.Records) - h.Counting
				if i == 0 && stored != 0 {
					t.Errorf("before the border %d records are said to be stored", stored)
				}
			}
			if stored != uint64(sink.len()) {
				t.Errorf("%d records are said to be stored, and %d are", stored, sink.len())
			}
		})
	}
}

// A host that slept says so, and so does one whose clock was set forward.
func TestHostThatSlept(t *testing.T) {
	d := NewDecoder(DecoderOptions{Ledger: newMemoryLedger(), Run: 1})
	at := uint64(testHour) * hourMS
	still := func(from, to uint64, why string) ledger.Still {
		return ledger.Still{Span: ledger.Span{From: from, To: to}, Why: why}
	}
	d.book.alive(0, at+1000, 0)
	d.book.alive(at+1000, at+600_000, 599_000)
	d.book.alive(at+600_000, at+601_000, 1000)
	d.book.alive(at+601_000, at+901_000, 1000)
	h := &d.book.hours[testHour].host
	want := []ledger.Still{still(at+1000, at+600_000, ledger.StillAsleep), still(at+601_000, at+901_000, ledger.StillClock)}
	if !slices.Equal(h.Stills, want) || len(h.Unstored) != 0 {
		t.Errorf("within an hour: got %v, %v, want %v", h.Stills, h.Unstored, want)
	}
	end := at + 2*hourMS + 5000
	d.book.alive(at+901_000, end, 2*hourMS)
	if h.Up.To != at+901_000 || h.End != ledger.EndOpen {
		t.Errorf("over hours: the first goes to %d and ends %q", h.Up.To, h.End)
	}
	h = &d.book.hours[testHour+2].host
	if h.Up.From != end || !slices.Equal(h.Stills, []ledger.Still{still(at+901_000, end, ledger.StillAsleep)}) {
		t.Errorf("over hours: the last begins at %d with %v", h.Up.From, h.Stills)
	}
	for i := range uint64(2 * ledger.MaxStills) {
		d.book.alive(end+i*70_000, end+(i+1)*70_000, 70_000)
	}
	if n := len(d.book.hours[testHour+2].host.Stills); n > ledger.MaxStills {
		t.Errorf("%d standstills in an hour", n)
	}
}

// With a buffer that is too small, records stored and drops reported are what
// was sent.
func TestStoredAndDroppedAreWhatWasSent(t *testing.T) {
	if !reusePort {
		t.Skip("left out: this system does not tell about dropped datagrams")
	}
	l, sink := newMemoryLedger(), newMemorySink()
	c, err := New(Options{Listen: []Listen{{"netflow", "127.0.0.1:0"}}, Sink: sink, Ledger: l, Workers: 1, ReceiveBuffer: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("udp", c.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const datagrams = 400
	write := func(p []byte) {
		if _, err := conn.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	for range datagrams {
		write(datagram5(30))
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- c.Run(ctx) }()
	sent := uint64(datagrams)
	waitFor(t, "the first datagrams", func() bool { return sink.len() > 0 })
	write(datagram5(30)) // brings the count along, if it finds room
	sent++
	waitFor(t, "the count", func() bool { return c.Stats().KernelDrops > 0 })
	cancel()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	kernel, drops := uint64(0), uint64(0)
	l.mu.Lock()
	for _, rows := range l.rows {
		for _, row := range rows {
			if row.Kind == ledger.KindHost {
				kernel, _ = row.Host.Dropped()
				drops += kernel
			}
		}
	}
	l.mu.Unlock()
	if got, want := uint64(sink.len())+30*drops, 30*sent; got != want {
		t.Errorf("got %d records stored and 30 x %d dropped, want %d in all", sink.len(), drops, want)
	}
	if got := l.all().Get(ledger.Records); got != uint64(sink.len()) {
		t.Errorf("got %d records in the ledger, %d stored", got, sink.len())
	}
}

// Runs have numbers of their own, whatever the clock says.
func TestNewRun(t *testing.T) {
	state, last := newMemoryState(), ledger.Run(0)
	for _, ms := range []int64{1_700_000_000_000, 1_700_000_000_000, 1_600_000_000_000, 1_700_000_900_000, -5} {
		run, err := NewRun(state, time.UnixMilli(ms))
		if err != nil || run <= last {
			t.Errorf("at %d: got run %d after %d, %v", ms, run, last, err)
		}
		last = run
	}
}
