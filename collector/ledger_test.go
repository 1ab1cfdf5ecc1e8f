package collector

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"weir/flow"
	"weir/flow/ledger"
)

// memoryLedger keeps rows as a store does: the last of a key counts.
type memoryLedger struct {
	mu   sync.Mutex
	rows map[uint32]map[string]ledger.Row
	puts int // rows written
	fail error
}

func newMemoryLedger() *memoryLedger {
	return &memoryLedger{rows: map[uint32]map[string]ledger.Row{}}
}

func (l *memoryLedger) PutLedger(hour uint32, rows []ledger.Row) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	if l.rows[hour] == nil {
		l.rows[hour] = map[string]ledger.Row{}
	}
	for i := range rows {
		key := rows[i].AppendKey(nil)
		value, err := rows[i].AppendValue(nil)
		if err != nil {
			return err
		}
		if l.rows[hour][string(key)], err = ledger.ParseRow(key, value); err != nil {
			return err
		}
		l.puts++
	}
	return nil
}

// entry adds up what all runs counted of a key in an hour.
func (l *memoryLedger) entry(hour uint32, key ledger.Key) *ledger.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &ledger.Entry{}
	for _, row := range l.rows[hour] {
		if row.Kind == ledger.KindEntry && row.Key == key {
			e.Add(row.Entry)
		}
	}
	return e
}

// all adds up all entries.
func (l *memoryLedger) all() *ledger.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := &ledger.Entry{}
	for _, rows := range l.rows {
		for _, row := range rows {
			if row.Kind == ledger.KindEntry {
				e.Add(row.Entry)
			}
		}
	}
	return e
}

// hosts returns the hosts' rows of an hour.
func (l *memoryLedger) hosts(hour uint32) []*ledger.Host {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*ledger.Host
	for _, row := range l.rows[hour] {
		if row.Kind == ledger.KindHost {
			out = append(out, row.Host)
		}
	}
	return out
}

const testHour = uint32(testTime / hourMS)

func keyOf(src netip.AddrPort, domain uint32, version uint16) ledger.Key {
	return ledger.Key{Exporter: flow.AddrFromNetip(src.Addr()), Domain: domain, Version: version}
}

// A scripted sends datagrams of one exporter, with the sequence numbers that
// follow.
type scripted struct {
	t      *testing.T
	d      *Decoder
	l      *memoryLedger
	src    netip.AddrPort
	domain uint32
	at     uint64 // ms, receipt
	boot   uint64
	next   uint32
}

func newScripted(t *testing.T, o DecoderOptions) *scripted {
	l := newMemoryLedger()
	o.Ledger = l
	return &scripted{t: t, d: NewDecoder(o), l: l, src: addrN(1, 2055), domain: 1, at: testTime, boot: testTime - 1_000_000}
}

// head writes time, uptime and sequence into a built datagram.
func (s *scripted) head(p []byte, units uint32) []byte {
	be := binary.BigEndian
	switch be.Uint16(p) {
	case 5:
		be.PutUint32(p[4:], uint32(s.at-s.boot))
		be.PutUint32(p[8:], uint32(s.at/1000))
		be.PutUint32(p[16:], s.next)
	case 9:
		be.PutUint32(p[4:], uint32(s.at-s.boot))
		be.PutUint32(p[8:], uint32(s.at/1000))
		be.PutUint32(p[12:], s.next)
	case 10:
		be.PutUint32(p[4:], uint32(s.at/1000))
		be.PutUint32(p[8:], s.next)
	case 0:
		be.PutUint32(p[16:], s.next)
		be.PutUint32(p[20:], uint32(s.at-s.boot))
	}
	s.next += units
	return p
}

// send sends a datagram that carries so many units, and lets time pass.
func (s *scripted) send(p []byte, units uint32) *flow.Batch {
	b := s.deliver(s.head(p, units))
	s.at += 100
	return b
}

func (s *scripted) deliver(p []byte) *flow.Batch {
	b := flow.NewBatch(0)
	_ = s.d.Decode(b, s.at, s.src, p)
	return b
}

// entry returns what was written down of the script's exporter.
func (s *scripted) entry(hour uint32, version uint16) *ledger.Entry {
	s.t.Helper()
	if err := s.d.WriteLedger(); err != nil {
		s.t.Fatal(err)
	}
	return s.l.entry(hour, keyOf(s.src, s.domain, version))
}

// wantCounts compares the counters that are named, and that all others are 0.
func wantCounts(t *testing.T, what string, e *ledger.Entry, want map[ledger.Counter]uint64) {
	t.Helper()
	for c := range ledger.CounterCount {
		if c == ledger.Bytes && want[c] == 0 {
			continue
		}
		if got := e.Get(c); got != want[c] {
			t.Errorf("%s: got %s %d, want %d", what, c, got, want[c])
		}
	}
}

// TestScriptedExporter does to one exporter all that can happen, and compares
// the ledger with what was done.
func TestScriptedExporter(t *testing.T) {
	s := newScripted(t, DecoderOptions{})
	data := func() []byte { return v9(1, dataUsual) } // 5 records
	s.send(v9(1, dataUsual), 1)                       // without template
	s.send(v9(1, set(0, templateUsual)), 1)
	for range 10 {
		s.send(data(), 1)
	}
	s.next += 3 // lost
	s.send(data(), 1)
	late := s.head(data(), 1)
	s.send(data(), 1)
	s.deliver(late)
	s.deliver(late)                                                    // repeated
	s.at, s.boot, s.next = s.at+5000, s.at+4000, 0                     // restarted
	s.send(v9(1, set(0, templateOf(300, usualFields[2:]...))), 1)      // another layout
	s.send(v9(1, set(300, usualRecord(1)[4:], usualRecord(2)[4:])), 1) // two records of it
	s.send(v9(1, set(1, wire(400, 4, 8, 1, 4, 34, 4, 35, 1, 0))), 1)   // options template
	s.send(v9(1, set(400, wire(uint32(0), uint32(100), uint8(1)))), 1)
	s.send(v9(1, set(300, usualRecord(1)[4:])), 1)
	s.send(v9(1, set(400, wire(uint32(0), uint32(1000), uint8(1)))), 1) // sampling changes
	s.send(v9(1, set(300, usualRecord(1)[4:])), 1)
	s.at += 60_000 // silent
	silent := s.at
	s.send(v9(1, set(300, usualRecord(1)[4:]), wire(77, 2)), 1) // a set shorter than its header

	e := s.entry(testHour, 9)
	records := uint64(5 + 10*5 + 5 + 5 + 5 + 5 + 2 + 1 + 1 + 1)
	wantCounts(t, "script", e, map[ledger.Counter]uint64{
		ledger.Datagrams: 24, ledger.Records: records, ledger.Lost: 3, ledger.Gaps: 1, ledger.Reordered: 1,
		ledger.Duplicates: 1, ledger.Restarts: 1, ledger.Templates: 3, ledger.TemplateChanges: 3, ledger.Options: 2,
		ledger.SetsWithout: 1, ledger.SetsRecovered: 1, ledger.BadDatagrams: 1, ledger.SamplingChanges: 1,
	})
	if e.Errors["set_length"] != 1 || len(e.Errors) != 1 {
		t.Errorf("got errors %v, want one set_length", e.Errors)
	}
	want := []ledger.Interval{{N: 0, Records: records - 3}, {N: 100, Records: 1}, {N: 1000, Records: 2}}
	if fmt.Sprint(e.Intervals) != fmt.Sprint(want) {
		t.Errorf("got intervals %v, want %v", e.Intervals, want)
	}
	if e.Silence.To != silent || e.Silence.Length() < 60_000 || e.Silence.Length() > 60_200 {
		t.Errorf("got silence %+v, want 60 s to %d", e.Silence, silent)
	}
	if e.First != testTime || e.Last != silent || e.Streams != 1 {
		t.Errorf("got first %d, last %d, %d streams", e.First, e.Last, e.Streams)
	}
}

// The clock of an exporter, and times that cannot be.
func TestSkewAndImpossibleTimes(t *testing.T) {
	fields := []int{8, 4, 12, 4, 152, 8, 153, 8}
	record := func(start, end uint64) []byte { return wire(uint32(1), uint32(2), start, end) }
	s := newScripted(t, DecoderOptions{})
	s.send(ipfix(1, set(2, templateOf(256, fields...))), 0)
	s.at = testTime + 10_000
	for i := range uint64(10) {
		s.deliver(s.head(ipfix(1, set(256, record(testTime, testTime+1000*i))), 1))
	}
	for _, bad := range [][2]uint64{
		{testTime + 5, testTime},            // ends before it starts
		{testTime, testTime + 2*86_400_000}, // in two days
		{testTime + 2*86_400_000, 0},        // likewise, without an end
		{600_000_000_000, testTime},         // in 1989
		{86_400_000, 86_400_001},            // in 1970
	} {
		s.deliver(s.head(ipfix(1, set(256, record(bad[0], bad[1]), record(testTime, testTime+5000))), 2))
	}
	e := s.entry(testHour, 10)
	wantCounts(t, "times", e, map[ledger.Counter]uint64{
		ledger.Datagrams: 16, ledger.Records: 20, ledger.Templates: 1, ledger.TemplateChanges: 1, ledger.BadTimes: 5,
	})
	if e.Skew.Min != 1000 || e.Skew.Max != 10_000 || e.Skew.Count != 15 {
		t.Errorf("got skew %+v, want 1 to 10 s of 15 records", e.Skew)
	}
	if m := e.Skew.Median(); m < 4000 || m > 6500 {
		t.Errorf("got median %d ms, want about 5000", m)
	}
}

// An hour of receipt has its own entry. A set that waited over its end counts
// where it arrived, like its records.
func TestHoursOfTheLedger(t *testing.T) {
	s := newScripted(t, DecoderOptions{})
	s.at = uint64(testHour+1)*hourMS - 60_000
	s.send(v9(1, dataUsual), 1)
	first := s.at - 100
	s.at = uint64(testHour+1)*hourMS + 60_000
	b := s.send(v9(1, set(0, templateUsual), dataUsual), 1)
	wantRows(t, "over the hour", b, 10)
	wantCounts(t, "the hour before", s.entry(testHour, 9), map[ledger.Counter]uint64{
		ledger.Datagrams: 1, ledger.Records: 5, ledger.SetsWithout: 1, ledger.SetsRecovered: 1})
	e := s.entry(testHour+1, 9)
	wantCounts(t, "the hour after", e, map[ledger.Counter]uint64{
		ledger.Datagrams: 1, ledger.Records: 5, ledger.Templates: 1, ledger.TemplateChanges: 1})
	if want := (ledger.Span{From: first, To: uint64(testHour+1)*hourMS + 60_000}); e.Silence != want {
		t.Errorf("got silence %+v, want %+v", e.Silence, want)
	}
	for range 3 { // two sets in vain, and one over the hour
		s.send(v9(1, set(999, usualRecord(1))), 1)
	}
	s.d.Expire(s.at + 3_600_000)
	e = s.entry(testHour+1, 9)
	if e.Get(ledger.SetsWithout) != 3 || e.Get(ledger.SetsDropped) != 3 || e.Errors["no_template"] != 3 {
		t.Errorf("got %d sets without template, %d dropped, %v", e.Get(ledger.SetsWithout), e.Get(ledger.SetsDropped), e.Errors)
	}
}

// A datagram that is lost in one hour and comes in the next takes its loss back
// where it was counted.
func TestLossTakenBackOverTheHour(t *testing.T) {
	s := newScripted(t, DecoderOptions{})
	s.at = uint64(testHour+1)*hourMS - 250
	s.send(v9(1, set(0, templateUsual)), 1)
	late := s.head(v9(1, dataUsual), 1)
	s.send(v9(1, dataUsual), 1)
	if got := s.entry(testHour, 9).Get(ledger.Lost); got != 1 {
		t.Fatalf("got %d lost, want 1", got)
	}
	s.at += 100
	s.deliver(late)
	if got := s.entry(testHour, 9).Get(ledger.Lost); got != 0 {
		t.Errorf("got %d lost in the hour before, want 0", got)
	}
	if e := s.entry(testHour+1, 9); e.Get(ledger.Lost) != 0 || e.Get(ledger.Reordered) != 1 {
		t.Errorf("got %d lost, %d reordered in the hour after", e.Get(ledger.Lost), e.Get(ledger.Reordered))
	}
}

// Each domain of an exporter has its own sequence.
func TestSequencesOfDomains(t *testing.T) {
	s := newScripted(t, DecoderOptions{})
	next := [3]uint32{5, 1000, 0xfffffff0}
	for i := range 300 {
		domain := i % 3
		if i == 150 {
			next[domain] += 7
		}
		s.domain, s.next = uint32(domain), next[domain]
		s.send(v9(uint32(domain), set(0, templateUsual)), 1)
		next[domain] = s.next
	}
	for domain, want := range []uint64{7, 0, 0} {
		s.domain = uint32(domain)
		if e := s.entry(testHour, 9); e.Get(ledger.Lost) != want || e.Get(ledger.Restarts) != 0 {
			t.Errorf("domain %d: got %d lost, want %d", domain, e.Get(ledger.Lost), want)
		}
	}
}

// Parallel streams of one router: each port with a sequence of its own, one for
// all ports, one for all domains.
func TestParallelStreams(t *testing.T) {
	for _, c := range []struct {
		name         string
		ports        int
		domains      int
		shared       bool
		pick         func(i int) int // which of the streams sends the i-th datagram
		lose         int             // one in so many
		most, within uint64          // lost
	}{
		{"own sequences", 4, 1, false, func(i int) int { return i % 4 }, 0, 0, 0},
		{"own sequences, loss", 4, 1, false, func(i int) int { return i % 4 }, 10, 400, 5},
		{"shared, in turn", 4, 1, true, func(i int) int { return i % 4 }, 0, 0, 0},
		{"shared, at random", 2, 1, true, func(i int) int { return i * 7919 % 13 % 2 }, 0, 0, 0},
		{"shared, loss", 4, 1, true, func(i int) int { return i % 4 }, 10, 400, 15},
		{"shared by domains", 1, 3, true, func(i int) int { return i % 3 }, 0, 0, 0},
		{"shared by domains, loss", 1, 3, true, func(i int) int { return i % 3 }, 10, 400, 15},
	} {
		s := newScripted(t, DecoderOptions{})
		streams := c.ports * c.domains
		next := make([]uint32, streams)
		for i := range 4000 {
			which := c.pick(i)
			s.src = addrN(1, uint16(2000+which%c.ports))
			s.domain = uint32(which / c.ports)
			if !c.shared {
				s.next = next[which]
			}
			p := s.head(v9(s.domain, set(0, templateUsual)), 1)
			next[which] = s.next
			if s.at += 10; c.lose == 0 || i%c.lose != c.lose-1 {
				s.deliver(p)
			}
		}
		if err := s.d.WriteLedger(); err != nil {
			t.Fatal(err)
		}
		all := s.l.all()
		got := all.Get(ledger.Lost)
		if got+c.within < c.most || got > c.most+c.within || all.Get(ledger.Restarts) != 0 {
			t.Errorf("%s: got %d lost, %d restarts, %d duplicates, %d reordered; want %d lost", c.name, got,
				all.Get(ledger.Restarts), all.Get(ledger.Duplicates), all.Get(ledger.Reordered), c.most)
		}
	}
}

// An exporter that was started anew comes back with another source port.
func TestRestartWithAnotherPort(t *testing.T) {
	s := newScripted(t, DecoderOptions{})
	for range 20 {
		s.send(v9(1, set(0, templateUsual)), 1)
	}
	s.src, s.boot, s.at, s.next = addrN(1, 4711), s.at+2000, s.at+4000, 0
	s.send(v9(1, set(0, templateUsual)), 1)
	e := s.entry(testHour, 9)
	if e.Get(ledger.Restarts) != 1 || e.Get(ledger.Lost) != 0 || e.Get(ledger.TemplateChanges) != 1 {
		t.Errorf("got %d restarts, %d lost, %d changes of templates; want 1, 0, 1",
			e.Get(ledger.Restarts), e.Get(ledger.Lost), e.Get(ledger.TemplateChanges))
	}
}

// The saved state says nothing of sequences: what was sent while the collector
// was down is not lost on the way.
func TestNoLossWhileDown(t *testing.T) {
	state := newMemoryState()
	s := newScripted(t, DecoderOptions{State: state})
	for range 20 {
		s.send(v9(1, set(0, templateUsual), dataUsual), 1)
	}
	if err := errors.Join(s.d.Save(), s.d.WriteLedger()); err != nil {
		t.Fatal(err)
	}
	s.d = NewDecoder(DecoderOptions{State: state, Ledger: s.l, Run: 7})
	s.next, s.at = s.next+500, s.at+50_000
	s.send(v9(1, dataUsual), 1)
	s.send(v9(1, dataUsual), 1)
	e := s.entry(testHour, 9)
	if e.Get(ledger.Lost) != 0 || e.Get(ledger.Records) != 110 || e.Silence.Length() > 1000 {
		t.Errorf("got %d lost, %d records, silence %+v; want 0, 110, none", e.Get(ledger.Lost), e.Get(ledger.Records), e.Silence)
	}
}

// What the Ledger refuses is written later, whole.
func TestLedgerThatFails(t *testing.T) {
	s := newScripted(t, DecoderOptions{Import: true})
	s.send(datagram5(3), 3)
	s.l.fail = errors.New("disk full")
	if s.d.WriteLedger() == nil {
		t.Error("no error")
	}
	s.send(datagram5(3), 3)
	s.l.fail = nil
	s.domain = 0
	e := s.entry(testHour, 5)
	if e.Get(ledger.Records) != 6 || len(s.l.hosts(testHour)) != 1 {
		t.Errorf("got %d records, %d hosts", e.Get(ledger.Records), len(s.l.hosts(testHour)))
	}
}

// Real exporters' captures lack nothing, so nothing must be found missing. Of
// the corpus, those that are not excerpts.
func TestCapturesHaveNoGaps(t *testing.T) {
	captures, err := filepath.Glob("../testdata/*.pcap")
	if err != nil || len(captures) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	for _, name := range []string{"ipfix-cesnet-01-odid0", "ipfix-cesnet-02-two-odids", "ipfix-cisco-options", "ipfix-softflowd-biflow",
		"ipfix-openbsd-pflow", "sflow-sfprobe", "v5-netgraph", "v5-softflowd", "v9-nprobe-3", "v9-two-source-ids"} {
		if path := filepath.Join(corpusDir, name, "packets.pcap"); exists(path) {
			captures = append(captures, path)
		}
	}
	for _, path := range captures {
		l := newMemoryLedger()
		d := NewDecoder(DecoderOptions{Ledger: l, Import: true})
		b := flow.NewBatch(0)
		decodeCapture(t, d, b, path)
		if err := d.WriteLedger(); err != nil {
			t.Fatal(err)
		}
		e := l.all()
		for _, c := range []ledger.Counter{ledger.Lost, ledger.Gaps, ledger.Reordered, ledger.Duplicates, ledger.Restarts,
			ledger.LostSamples, ledger.SetsWithout, ledger.BadDatagrams} {
			if n := e.Get(c); n != 0 {
				t.Errorf("%s: got %s %d, want 0", path, c, n)
			}
		}
		if got := e.Get(ledger.Records); got != uint64(b.Len()) {
			t.Errorf("%s: got %d records counted of %d", path, got, b.Len())
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
