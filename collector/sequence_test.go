package collector

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"weir/flow"
)

// A sending is one datagram on its way: when it was made, what it carries, and
// when it arrives.
type sending struct {
	number uint32
	size   uint32
	made   uint64 // ms
	uptime uint32
	run    int // restarts before it
}

// A script sends datagrams and does to them what a network does.
type script struct {
	r       *rand.Rand
	version uint16
	loss    float64
	twice   float64
	late    float64
	restart float64
}

// header returns what the header of a datagram says.
func (s *script) header(d sending) *header {
	h := &header{version: s.version, sequence: d.number, received: d.made + 5, exportMS: d.made / 1000 * 1000}
	switch uint64(s.version) {
	case flow.VersionIPFIX:
	case flow.VersionSFlow5:
		h.exportMS, h.uptime = 0, d.uptime
	default:
		h.uptime, h.hasUptime = d.uptime, true
	}
	return h
}

// run sends n datagrams and returns what the tracker counted and what it should
// have.
func (s *script) run(n int) (got, want verdict) {
	records := s.version != uint16(flow.VersionNF9) && s.version != uint16(flow.VersionSFlow5)
	var arriving []sending
	number, made, boot, run := s.r.Uint32(), uint64(testTime), uint64(testTime-100_000), 0
	if s.r.IntN(2) == 0 && (s.restart == 0 || s.version != uint16(flow.VersionIPFIX)) {
		// IPFIX has no uptime: going on at 0 after a wrap and beginning there look the same.
		number = -s.r.Uint32N(uint32(n)) // wraps
	}
	for i := range n {
		made += 1 + s.r.Uint64N(50)
		if made-boot > 3000 && i < n-50 && s.r.Float64() < s.restart {
			made += 3000 // nothing starts at once
			boot, number, run = made-s.r.Uint64N(500), s.r.Uint32N(3), run+1
		}
		d := sending{number: number, size: 1, made: made, uptime: uint32(made - boot), run: run}
		if records {
			d.size = 1 + s.r.Uint32N(30)
		}
		number += d.size
		arriving = append(arriving, d)
	}
	arriving = s.disturb(arriving)
	want = truth(arriving)
	t := newTracker(records)
	clock := uint64(0)
	for _, d := range arriving {
		h := s.header(d)
		clock = max(clock, h.received)
		h.received = clock
		v, _ := t.note(d.number, units{d.size, d.size}, h)
		got.add(v)
	}
	return got, want
}

// disturb loses, repeats and reorders, but not over a restart.
func (s *script) disturb(sent []sending) []sending {
	var out []sending
	for len(sent) > 0 {
		n := 1
		for n < len(sent) && sent[n].run == sent[0].run {
			n++
		}
		out = append(out, s.disturbRun(sent[:n])...)
		sent = sent[n:]
	}
	return out
}

func (s *script) disturbRun(sent []sending) []sending {
	type placed struct {
		sending
		at float64
	}
	var all []placed
	for i, d := range sent {
		if s.r.Float64() < s.loss {
			continue
		}
		at := float64(i)
		if s.r.Float64() < s.late {
			at += 1 + 20*s.r.Float64()
		}
		all = append(all, placed{d, at})
		if s.r.Float64() < s.twice {
			all = append(all, placed{d, at + 5*s.r.Float64()})
		}
	}
	slices.SortStableFunc(all, func(a, b placed) int {
		if a.at < b.at {
			return -1
		} else if a.at > b.at {
			return 1
		}
		return 0
	})
	var out []sending
	for _, p := range all {
		out = append(out, p.sending)
	}
	return out
}

// truth says what a script did, with the knowledge of what was sent.
func truth(arrived []sending) verdict {
	var v verdict
	for start := 0; start < len(arrived); {
		end := start
		for end < len(arrived) && arrived[end].run == arrived[start].run {
			end++
		}
		v.add(truthOfRun(arrived[start:end]))
		if start = end; end < len(arrived) {
			v.restarts++
		}
	}
	return v
}

func truthOfRun(arrived []sending) (v verdict) {
	seen := map[uint64]sending{}
	furthest := uint64(0)
	for _, d := range arrived {
		switch _, twice := seen[d.made<<8|uint64(d.uptime&0xff)]; {
		case twice:
			v.duplicates++
			continue
		case d.made < furthest:
			v.reordered++
		}
		seen[d.made<<8|uint64(d.uptime&0xff)] = d
		furthest = max(furthest, d.made)
	}
	var all []sending
	for _, d := range seen {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b sending) int { return int(a.made) - int(b.made) })
	for i := 1; i < len(all); i++ {
		if gap := all[i].number - all[i-1].number - all[i-1].size; gap != 0 {
			v.lost += int64(gap)
			v.gaps++
		}
	}
	return v
}

// TestSequenceCountsWhatWasLost sends with random loss, repetition, reordering
// and restarts, over the wrap of 32 bits, and compares with what was done.
func TestSequenceCountsWhatWasLost(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := &script{r: r, version: []uint16{5, 7, 9, 10, uint16(flow.VersionSFlow5)}[seed%5]}
		if r.IntN(4) > 0 {
			s.loss = r.Float64() * 0.3
		}
		if r.IntN(2) > 0 {
			s.twice = r.Float64() * 0.1
		}
		if r.IntN(2) > 0 {
			s.late = r.Float64() * 0.2
		}
		if r.IntN(2) > 0 {
			s.restart = 0.005
		}
		got, want := s.run(500 + r.IntN(1500))
		if got != want {
			t.Errorf("seed %d, version %d, loss %.2f, twice %.2f, late %.2f, restarts %v:\ngot  %+v\nwant %+v",
				seed, s.version, s.loss, s.twice, s.late, s.restart > 0, got, want)
		}
	}
}

// A numbered is a datagram's number, records and time in ms since the first.
type numbered struct {
	number  uint32
	records uint32
	at      uint64
}

// steady makes n datagrams of so many records, whose number moves by step.
func steady(n int, first, step, records uint32) []numbered {
	var out []numbered
	for i := range n {
		out = append(out, numbered{first + uint32(i)*step, records, uint64(i) * 100})
	}
	return out
}

// without leaves out every n-th datagram.
func without(every int, all []numbered) []numbered {
	var out []numbered
	for i, d := range all {
		if i%every != every-1 {
			out = append(out, d)
		}
	}
	return out
}

func noteAll(version uint16, records bool, all []numbered) (total verdict, tr tracker) {
	tr = newTracker(records)
	for _, d := range all {
		h := &header{version: version, sequence: d.number, received: testTime + d.at, exportMS: testTime + d.at}
		if version != 10 {
			h.uptime, h.hasUptime = uint32(1_000_000+d.at), true
		}
		v, _ := tr.note(d.number, units{d.records, d.records}, h)
		total.add(v)
	}
	return total, tr
}

// TestExportersThatCountOtherwise checks that numbers that do not mean what the
// standard says give no loss, or the right one.
func TestExportersThatCountOtherwise(t *testing.T) {
	for _, c := range []struct {
		name     string
		version  uint16
		sent     []numbered
		how      counting
		loss     int64 // in the standard's unit
		within   int64
		restarts int64
	}{
		{"v9 by the book", 9, steady(200, 100, 1, 24), asStandard, 0, 0, 0},
		{"v9 that counts records", 9, steady(200, 100, 24, 24), inRecords, 0, 0, 0},
		{"v9 that counts records, one datagram in 10 lost", 9, without(10, steady(500, 100, 24, 24)), inRecords, 48, 3, 0},
		{"v9 that never counts", 9, steady(200, 7, 0, 24), unusable, 0, 0, 0},
		{"v9 at zero for ever", 9, steady(200, 0, 0, 24), unusable, 0, 0, 0},
		{"IPFIX by the book", 10, steady(200, 100, 20, 20), asStandard, 0, 0, 0},
		{"IPFIX that counts datagrams", 10, steady(200, 100, 1, 20), inDatagrams, 0, 0, 0},
		{"IPFIX that counts datagrams, one in 10 lost", 10, without(10, steady(500, 100, 1, 20)), inDatagrams, 960, 60, 0},
		{"v5 that counts datagrams", 5, steady(200, 100, 1, 30), inDatagrams, 0, 0, 0},
		{"v5 by the book", 5, steady(200, 0xffffff00, 30, 30), asStandard, 0, 0, 0},
		{"v5 by the book, one in 10 lost", 5, without(10, steady(500, 0, 30, 30)), asStandard, 1470, 0, 0},
		{"v9 that lost half", 9, without(2, steady(500, 100, 1, 24)), asStandard, 249, 0, 0},
		{"a long outage", 9, append(steady(100, 0, 1, 24), numbered{36_100, 24, 3_610_000}), asStandard, 36_000, 0, 0},
		{"another sequence", 10, append(steady(100, 0, 20, 20), numbered{1 << 30, 20, 11_000}), asStandard, 0, 0, 1},
	} {
		got, tr := noteAll(c.version, c.version != 9, c.sent)
		if tr.how != c.how {
			t.Errorf("%s: got counting %d, want %d", c.name, tr.how, c.how)
		}
		if d := got.lost - c.loss; d < -c.within || d > c.within {
			t.Errorf("%s: got %d lost, want %d", c.name, got.lost, c.loss)
		}
		if got.restarts != c.restarts || c.how != asStandard && got.duplicates+got.reordered != 0 {
			t.Errorf("%s: got %+v", c.name, got)
		}
	}
}

// Numbers that jump about at random are of no use.
func TestRandomNumbersAreNoLoss(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	all := steady(2000, 0, 1, 20)
	for i := range all {
		all[i].number = r.Uint32()
	}
	for _, version := range []uint16{5, 9, 10} {
		got, tr := noteAll(version, version != 9, all)
		if tr.how != unusable || got.lost != 0 || got.restarts > 100 {
			t.Errorf("v%d: got %+v, counting %d", version, got, tr.how)
		}
	}
}

// An exporter whose numbers become sound is believed again.
func TestNumbersBecomeSound(t *testing.T) {
	all := append(steady(200, 7, 0, 20), steady(500, 1000, 1, 20)...)
	for i := range all {
		all[i].at = uint64(i) * 100
	}
	all = append(all, numbered{all[len(all)-1].number + 6, 20, uint64(len(all)) * 100})
	got, tr := noteAll(9, false, all)
	if tr.how != asStandard || got.lost != 5 {
		t.Errorf("got %+v, counting %d; want 5 lost", got, tr.how)
	}
}

// The memory of holes is bounded, and what is forgotten stays lost.
func TestSequenceMemory(t *testing.T) {
	q := newSequence(true)
	lost := int64(0)
	for i := range uint32(100_000) {
		v := q.note(i*3, units{1, 1}, &header{version: 10, received: testTime + uint64(i), exportMS: testTime})
		lost += v.lost
		if len(q.holes) > maxHoles {
			t.Fatalf("%d holes", len(q.holes))
		}
	}
	if lost != 2*99_999 {
		t.Errorf("got %d lost, want %d", lost, 2*99_999)
	}
	if v := q.note(99_999*3-(maxHoles+100)*3+1, units{1, 1}, &header{version: 10, received: testTime + 100_000, exportMS: testTime}); v.lost != 0 || v.reordered != 1 {
		t.Errorf("a straggler that may have been counted as lost: got %+v", v)
	}
}

// Whatever the numbers and clocks are, what is remembered is in order and in
// bounds, and never more is taken back than was counted.
func TestSequenceOfAnything(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		q := newSequence(seed%2 == 0)
		h := &header{version: uint16(flow.VersionNF9), hasUptime: true, received: testTime, exportMS: testTime}
		number, total := r.Uint32(), verdict{}
		for i := range 2000 {
			h.received += r.Uint64N(1 << r.IntN(16))
			h.exportMS += r.Uint64N(1<<r.IntN(14)) - 500
			h.uptime += uint32(r.Uint64N(1 << r.IntN(14)))
			switch r.IntN(10) {
			case 0:
				number = r.Uint32()
			case 1:
				h.uptime = r.Uint32()
			case 2, 3, 4:
				number -= r.Uint32N(1 << r.IntN(15))
			default:
				number += r.Uint32N(1 << r.IntN(12))
			}
			u := units{r.Uint32N(40), 0}
			u.hi = u.lo + r.Uint32N(1<<r.IntN(12))
			total.add(q.note(number, u, h))
			if total.lost < 0 || total.gaps < 0 || total.reordered < 0 || q.known > q.window || len(q.holes) > maxHoles {
				t.Fatalf("seed %d, step %d: counted %v, %d known, %d holes", seed, i, total, q.known, len(q.holes))
			}
			last := q.next - q.known
			for _, o := range q.holes {
				if o.from-last > q.known || o.to-o.from > q.known || o.from == o.to || q.next-o.to > q.known {
					t.Fatalf("seed %d, step %d: holes %v from %d to %d", seed, i, q.holes, q.next-q.known, q.next)
				}
				last = o.to
			}
		}
	}
}

func TestUncertainSizes(t *testing.T) {
	h := func(at uint64) *header { return &header{version: 10, received: testTime + at, exportMS: testTime + at} }
	for _, c := range []struct {
		next uint32
		want verdict
	}{
		{110, verdict{}}, {113, verdict{}}, {115, verdict{}}, {116, verdict{lost: 1, gaps: 1}},
	} {
		q := newSequence(true)
		q.note(100, units{10, 15}, h(0)) // ten records, and a set without template
		if got := q.note(c.next, units{1, 1}, h(1)); got != c.want {
			t.Errorf("number %d after 100 with 10 to 15 records: got %+v, want %+v", c.next, got, c.want)
		}
	}
}

func (v verdict) String() string {
	return fmt.Sprintf("lost %d in %d gaps, %d reordered, %d duplicates, %d restarts", v.lost, v.gaps, v.reordered, v.duplicates, v.restarts)
}

// An IPFIX exporter that starts again counts from 0: not a repetition, if it
// says that it was sent in a later second.
func TestEarlyRestartOfIPFIX(t *testing.T) {
	q := newSequence(true)
	head := func(export uint64) *header {
		return &header{version: 10, received: testTime + export, exportMS: testTime + export}
	}
	for i := range uint32(20) {
		q.note(i*10, units{10, 10}, head(0))
	}
	if v := q.note(0, units{10, 10}, head(0)); v.duplicates != 1 {
		t.Errorf("the first datagram again: got %+v", v)
	}
	if v := q.note(0, units{10, 10}, head(1000)); v != (verdict{restarts: 1}) {
		t.Errorf("a second later: got %+v", v)
	}
	if v := q.note(10, units{10, 10}, head(1000)); v != (verdict{}) {
		t.Errorf("the next: got %+v", v)
	}
}

// An IPFIX exporter that starts again within a second is told by a first datagram
// that is younger than the one that was the first.
func TestRestartOfIPFIXWithinASecond(t *testing.T) {
	head := func(export uint64) *header {
		return &header{version: 10, received: testTime + export, exportMS: testTime + export/1000*1000}
	}
	for _, first := range []uint32{0, 10} { // the datagram of number 0 came, or comes late
		q := newSequence(true)
		q.note(0, units{}, head(0)) // templates
		for i := range uint32(20) {
			q.note(first+i*10, units{10, 10}, head(900+uint64(i)*10))
		}
		v := q.note(0, units{10, 10}, head(1095))
		if first == 0 && v != (verdict{restarts: 1}) {
			t.Errorf("again at 0: got %+v", v)
		}
		if first != 0 && v != (verdict{lost: -10, gaps: -1, reordered: 1}) {
			t.Errorf("the first datagram comes late: got %+v", v)
		}
	}
}

// A burst that comes back to front is reordered, and nothing is lost.
func TestLongBurstReordered(t *testing.T) {
	const n = 600
	q := newSequence(false)
	var total verdict
	head := &header{version: 9, received: testTime, exportMS: testTime}
	for i := range uint32(n) {
		total.add(q.note(i, units{1, 1}, head))
	}
	for i := range uint32(n / 2) { // even numbers, then odd ones
		total.add(q.note(n+2*i, units{1, 1}, head))
	}
	for i := range uint32(n / 2) {
		total.add(q.note(n+2*i+1, units{1, 1}, head))
	}
	if total.lost != 0 || total.duplicates != 0 || total.restarts != 0 || total.reordered != n/2-1 {
		t.Errorf("got %+v", total)
	}
}
