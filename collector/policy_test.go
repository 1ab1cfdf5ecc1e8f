package collector

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"weir/flow"
	"weir/flow/ledger"
)

// testKnown are two exporters, one of which sends from a prefix.
var testKnown = ledger.Directory{
	{Name: "core-1", Group: "core", Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::1/128")}, Sampling: 500},
	{Name: "uni-a", Group: "organisation", Sources: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/28")}},
}

// newPolicy returns a policy and what it logs.
func newPolicy(t testing.TB, o PolicyOptions) (*Policy, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	p, err := NewPolicy(o)
	if err != nil {
		t.Fatal(err)
	}
	return p, &log
}

func sender(text string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(text), 4711) }

func TestOnlyKnown(t *testing.T) {
	p, log := newPolicy(t, PolicyOptions{Known: testKnown, Only: true})
	d := NewDecoder(DecoderOptions{Policy: p})
	b := flow.NewBatch(0)
	for _, tt := range []struct {
		source string
		taken  bool
	}{
		{"192.0.2.1", true}, {"2001:db8::1", true}, {"203.0.113.0", true}, {"203.0.113.15", true}, {"::ffff:192.0.2.1", true},
		{"192.0.2.2", false}, {"203.0.113.16", false}, {"2001:db8::2", false}, {"::192.0.2.1", false}, {"2001:db8::2", false},
	} {
		b.Reset()
		if err := d.Decode(b, testTime, sender(tt.source), datagram5(3)); err != nil || (b.Len() == 3) != tt.taken {
			t.Errorf("from %s: %d records, %v, taken is to be %v", tt.source, b.Len(), err, tt.taken)
		}
	}
	by, others := p.Refused(testTime / hourMS)
	want := []ledger.Drop{{Where: "192.0.2.2", Count: 1}, {Where: "203.0.113.16", Count: 1}, {Where: "::c000:201", Count: 1}, {Where: "2001:db8::2", Count: 2}}
	if !reflect.DeepEqual(by, want) || others.Count != 0 {
		t.Errorf("refused %v and %v, want %v", by, others, want)
	}
	st := d.Stats()
	if st.Refused != 5 || len(st.Exporters) != 4 {
		t.Errorf("stats: %d refused, %d exporters; want 5 and 4", st.Refused, len(st.Exporters))
	}
	if n := strings.Count(log.String(), "datagrams refused"); n != 4 || !strings.Contains(log.String(), "sender=2001:db8::2") {
		t.Errorf("%d lines, want one for each sender:\n%s", n, log)
	}
}

// TestOnlyKnownAndNone checks that an empty list refuses everybody.
func TestOnlyKnownAndNone(t *testing.T) {
	p, _ := newPolicy(t, PolicyOptions{Only: true})
	if p.admits(netip.MustParseAddr("192.0.2.1"), testTime) || !(*Policy)(nil).admits(netip.MustParseAddr("192.0.2.1"), testTime) {
		t.Error("a list of nobody admits, or no policy refuses")
	}
}

// TestRefusedIsBounded floods from forged addresses over two hours and back.
func TestRefusedIsBounded(t *testing.T) {
	p, log := newPolicy(t, PolicyOptions{Only: true})
	const hour = testTime / hourMS
	for i := range 5000 {
		p.admits(addrN(i%1000, 1).Addr(), testTime)
		p.admits(addrN(i%40, 1).Addr(), testTime+hourMS)
	}
	p.admits(addrN(7, 1).Addr(), testTime) // a worker that is late
	for _, tt := range []struct {
		hour         uint32
		each, others uint64
		first        uint64
	}{{hour, 5, 968 * 5, 6}, {hour + 1, 125, 8 * 125, 125}, {hour + 2, 0, 0, 0}} {
		by, others := p.Refused(tt.hour)
		total := others.Count
		for _, d := range by {
			total += d.Count
			if want := tt.each; d.Count != want && (d.Where != addrN(7, 1).Addr().String() || d.Count != tt.first) {
				t.Errorf("hour %d: %s has %d, want %d", tt.hour, d.Where, d.Count, want)
			}
		}
		if tt.each > 0 && len(by) != ledger.MaxSenders || others.Count != tt.others {
			t.Errorf("hour %d: %d senders and %v, want %d and %d others", tt.hour, len(by), others, ledger.MaxSenders, tt.others)
		}
	}
	if got := p.refusedTotal(); got != 10001 {
		t.Errorf("%d refused in all, want 10001", got)
	}
	if n := strings.Count(log.String(), "\n"); n != 2*(ledger.MaxSenders+1) {
		t.Errorf("%d lines in the log, want one for each sender told apart and one for the others in each hour", n)
	}
	p.admits(addrN(1, 1).Addr(), testTime+5*hourMS)
	p.admits(addrN(1, 1).Addr(), testTime+6*hourMS)
	if by, others := p.Refused(hour); by != nil || others.Count != 0 {
		t.Errorf("an hour that is over still has %v and %v", by, others)
	}
}

func TestSamplingOverride(t *testing.T) {
	p, _ := newPolicy(t, PolicyOptions{Known: testKnown})
	d := NewDecoder(DecoderOptions{Policy: p})
	b := flow.NewBatch(0)
	sample := flowSampleOf(1, 2, rawRecord(1, 1500, ethernetOf(wire(etherIPv4), ipv4Of(protoTCP, 0, nil, tcpOf()))))
	for _, tt := range []struct {
		source  string
		payload []byte
		want    uint64 // 0: absent
	}{
		{"192.0.2.1", datagram5(3), 500}, {"2001:db8::1", sflowDatagram(sample), 500}, {"192.0.2.1", v9(1, set(0, templateUsual), dataUsual), 500},
		{"203.0.113.1", datagram5(3), 0}, {"203.0.113.1", sflowDatagram(sample), 1024}, {"198.51.100.1", sflowDatagram(sample), 1024},
	} {
		from := b.Len()
		if err := d.Decode(b, testTime, sender(tt.source), tt.payload); err != nil || b.Len() == from {
			t.Fatalf("%s: %d records, %v", tt.source, b.Len()-from, err)
		}
		for i := from; i < b.Len(); i++ {
			if got := b.GetNum(flow.SamplingInterval, i); got != tt.want || b.Has(flow.SamplingInterval, i) != (tt.want != 0) {
				t.Errorf("record %d of %s: interval %d, want %d", i, tt.source, got, tt.want)
			}
		}
	}
}

func TestPolicyRefuses(t *testing.T) {
	networks := flow.NewPrefixSet([]flow.Prefix{{First: flow.AddrFrom4(1), Last: flow.AddrFrom4(1)}})
	for what, s := range map[string]*Scope{
		"no networks":      {Default: Keep},
		"empty networks":   {Networks: flow.NewPrefixSet(nil)},
		"nowhere":          {Networks: networks, Default: SetAside},
		"nowhere by group": {Networks: networks, Groups: map[string]Treatment{"x": SetAside}},
	} {
		if _, err := NewPolicy(PolicyOptions{Scope: s}); err == nil {
			t.Errorf("a scope with %s is taken", what)
		}
	}
	for _, name := range Treatments() {
		if got, ok := ParseTreatment(name); !ok || got.String() != name {
			t.Errorf("ParseTreatment(%q) is %v, %v", name, got, ok)
		}
	}
	if _, ok := ParseTreatment("drop"); ok {
		t.Error("there is a treatment drop")
	}
}

// scopeOf returns a scope whose network is that of the first n sources of
// datagram5, which are 10.0.0.1 and up; all go to 192.168.0.1.
func scopeOf(t testing.TB, n int, aside Sink) *Scope {
	t.Helper()
	set := flow.NewPrefixSet([]flow.Prefix{{First: flow.AddrFrom4(0x0a000001), Last: flow.AddrFrom4(0x0a000000 + uint32(n))}})
	return &Scope{Networks: set, Default: SetAside, Groups: map[string]Treatment{"core": Keep, "organisation": Refuse}, Aside: aside}
}

// scopeCounts returns how many records were out of scope, and of them set aside
// and refused.
func scopeCounts(s ExporterStats) [3]uint64 {
	return [3]uint64{s.Count(ledger.OutOfScope), s.Count(ledger.SetAside), s.Count(ledger.Refused)}
}

func TestScopeTreats(t *testing.T) {
	for _, ours := range []int{1, 5, 10} {
		aside := newMemorySink()
		p, _ := newPolicy(t, PolicyOptions{Known: testKnown, Scope: scopeOf(t, ours, aside)})
		d := NewDecoder(DecoderOptions{Policy: p})
		b := flow.NewBatch(0)
		for _, tt := range []struct {
			source string
			kept   int
			aside  int
			want   [3]uint64 // out of scope, of them set aside and refused
		}{
			{"192.0.2.1", 10, 0, [3]uint64{uint64(10 - ours), 0, 0}},
			{"203.0.113.1", ours, 0, [3]uint64{uint64(10 - ours), 0, uint64(10 - ours)}},
			{"198.51.100.1", ours, 10 - ours, [3]uint64{uint64(10 - ours), uint64(10 - ours), 0}},
		} {
			from, asideBefore := b.Len(), aside.len()
			if err := d.Decode(b, testTime, sender(tt.source), datagram5(10)); err != nil {
				t.Fatal(err)
			}
			if b.Len()-from != tt.kept || aside.len()-asideBefore != tt.aside {
				t.Errorf("%d of 10 ours, %s: %d kept and %d set aside, want %d and %d", ours, tt.source, b.Len()-from, aside.len()-asideBefore, tt.kept, tt.aside)
			}
			for i := from; i < b.Len(); i++ {
				if got, want := b.GetAddr(flow.SrcAddr, i), flow.AddrFrom4(0x0a000001+uint32(i-from)); got != want {
					t.Errorf("%s: kept record %d is of %v, want %v", tt.source, i-from, got, want)
				}
			}
			for _, e := range d.Stats().Exporters {
				if e.Exporter.String() != tt.source {
					continue
				}
				if got := scopeCounts(e); got != tt.want || e.Records != 10 {
					t.Errorf("%s: counted %v of %d, want %v of 10", tt.source, got, e.Records, tt.want)
				}
			}
		}
		for i := range aside.len() {
			if got, want := aside.batch.GetAddr(flow.SrcAddr, i), flow.AddrFrom4(0x0a000001+uint32(ours+i)); got != want {
				t.Errorf("set aside is a record of %v, want %v", got, want)
			}
		}
	}
}

// TestScopeLooksAtAllEnds checks what makes a record ours, with rows that are
// ours and not in turn, behind rows of another exporter.
func TestScopeLooksAtAllEnds(t *testing.T) {
	in, out := flow.AddrFrom4(0x0a000001), flow.AddrFrom4(0xc0a80001)
	p, _ := newPolicy(t, PolicyOptions{Scope: &Scope{Networks: scopeOf(t, 1, nil).Networks, Default: Refuse}})
	b := flow.NewBatch(0)
	row := func(kept bool, values map[flow.Field]flow.Addr) {
		i := b.Grow(1)
		for f, a := range values {
			b.SetAddr(f, i, a)
		}
		b.SetNum(flow.SrcPort, i, map[bool]uint64{true: 1}[kept])
	}
	row(false, map[flow.Field]flow.Addr{flow.SrcAddr: out}) // of the exporter before
	row(false, map[flow.Field]flow.Addr{flow.SrcAddr: out, flow.DstAddr: out})
	row(true, map[flow.Field]flow.Addr{flow.SrcAddr: in, flow.DstAddr: out})
	row(false, map[flow.Field]flow.Addr{flow.SrcAddr: out, flow.DstAddr: out, flow.NextHop: in, flow.Exporter: in, flow.Agent: in})
	row(true, map[flow.Field]flow.Addr{flow.SrcAddr: out, flow.DstAddr: in})
	row(true, map[flow.Field]flow.Addr{flow.SrcAddr: out, flow.DstAddr: out, flow.NATSrcAddr: in})
	row(false, map[flow.Field]flow.Addr{flow.DstAddr: out})
	row(true, nil) // cannot be told
	row(true, map[flow.Field]flow.Addr{flow.SrcAddr: out, flow.DstAddr: out, flow.NATDstAddr: in})
	row(true, map[flow.Field]flow.Addr{flow.SrcAddr: out, flow.DstAddr: out, flow.TunSrcAddr: out, flow.TunDstAddr: in})
	row(false, map[flow.Field]flow.Addr{flow.SrcAddr: out, flow.DstAddr: out, flow.NATDstAddr: out})
	e := newExporter(netip.MustParseAddr("192.0.2.1"))
	p.applyTo(e)
	p.sift(e, b, 1, testTime)
	if b.Len() != 7 || scopeCounts(e.stats) != [3]uint64{4, 0, 4} {
		t.Errorf("%d rows left, counted %v, want 7 and 4 refused", b.Len(), scopeCounts(e.stats))
	}
	for i := 1; i < b.Len(); i++ {
		if b.GetNum(flow.SrcPort, i) != 1 {
			t.Errorf("row %d is not ours and was kept", i)
		}
	}
}

// TestSetAsideFails checks that what cannot be set aside is counted.
func TestSetAsideFails(t *testing.T) {
	aside := newMemorySink()
	aside.fail = errors.New("full")
	p, log := newPolicy(t, PolicyOptions{Known: testKnown, Scope: scopeOf(t, 4, aside)})
	d := NewDecoder(DecoderOptions{Policy: p})
	b := flow.NewBatch(0)
	for range 3 {
		_ = d.Decode(b, testTime, sender("198.51.100.1"), datagram5(10))
	}
	if st := d.Stats().Total; b.Len() != 12 || scopeCounts(st) != [3]uint64{18, 0, 18} {
		t.Errorf("%d kept, counted %+v", b.Len(), st)
	}
	if n := strings.Count(log.String(), "are lost"); n != 1 {
		t.Errorf("%d complaints, want 1:\n%s", n, log)
	}
}

// TestScopeWarns checks who is warned about, and how often.
func TestScopeWarns(t *testing.T) {
	type sent struct {
		source string
		at     uint64 // ms after testTime
	}
	const minute = 60_000
	many := func(n int, source string, every uint64) (list []sent) {
		for i := range n {
			list = append(list, sent{source, uint64(i) * every})
		}
		return list
	}
	for _, tt := range []struct {
		what string
		ours int // of ten records
		sent []sent
		want int // warnings
	}{
		{"all ours", 10, many(50, "203.0.113.1", minute), 0},
		{"a stray record", 9, many(9, "203.0.113.1", 0), 0},
		{"the tenth", 9, many(10, "203.0.113.1", 0), 1},
		{"one datagram", 0, many(1, "203.0.113.1", 0), 1},
		{"every ten minutes", 0, many(30, "203.0.113.1", minute), 3},
		{"a group that is named to keep", 0, many(30, "192.0.2.1", minute), 0},
		{"nobody's", 0, many(1, "198.51.100.1", 0), 1},
	} {
		p, log := newPolicy(t, PolicyOptions{Known: testKnown, Scope: scopeOf(t, max(tt.ours, 1), newMemorySink())})
		if tt.ours == 0 {
			p.rules.Load().scope.Networks = flow.NewPrefixSet([]flow.Prefix{{First: flow.AddrFrom4(1), Last: flow.AddrFrom4(1)}})
		}
		d := NewDecoder(DecoderOptions{Policy: p})
		for _, s := range tt.sent {
			_ = d.Decode(flow.NewBatch(0), testTime+s.at, sender(s.source), datagram5(10))
		}
		if n := strings.Count(log.String(), "no address is in networks"); n != tt.want {
			t.Errorf("%s: %d warnings, want %d:\n%s", tt.what, n, tt.want, log)
		}
	}
}

// TestScopeWarnsBounded floods from forged addresses.
func TestScopeWarnsBounded(t *testing.T) {
	p, log := newPolicy(t, PolicyOptions{Scope: &Scope{Networks: scopeOf(t, 1, nil).Networks, Default: Keep}})
	d := NewDecoder(DecoderOptions{Policy: p})
	const start = testTime / 60_000 * 60_000
	for i := range 500 {
		_ = d.Decode(flow.NewBatch(0), start, addrN(i, 1), datagram5(20))
	}
	_ = d.Decode(flow.NewBatch(0), start+60_000, addrN(501, 1), datagram5(20))
	if n := strings.Count(log.String(), "\n"); n != warnAtOnce+1 || !strings.Contains(log.String(), fmt.Sprintf("suppressed=%d", 500-warnAtOnce)) {
		t.Errorf("%d lines, want %d:\n%s", n, warnAtOnce+1, log)
	}
}

// BenchmarkScope looks at the records of datagrams of thirty, of which all are
// ours, one is not, or none is. The last case also refuses them, and counts the
// copy that brings the next ones.
//
//	go test ./collector -run '^$' -bench Scope
func BenchmarkScope(b *testing.B) {
	var list []flow.Prefix
	for i := range uint32(2000) {
		first := flow.AddrFrom4(0x0b000000 + i<<9)
		list = append(list, flow.Prefix{First: first, Last: flow.AddrFrom4(first.As4() | 255)})
	}
	for _, bb := range []struct {
		name      string
		ours      uint32
		treatment Treatment
	}{{"all ours", 30, Keep}, {"one stray", 29, Keep}, {"none ours", 0, Keep}, {"none ours, refused", 0, Refuse}} {
		b.Run(bb.name, func(b *testing.B) {
			networks := list
			if bb.ours > 0 {
				networks = append(networks, flow.Prefix{First: flow.AddrFrom4(0x0a000001), Last: flow.AddrFrom4(0x0a000000 + bb.ours)})
			}
			p, _ := newPolicy(b, PolicyOptions{Scope: &Scope{Networks: flow.NewPrefixSet(networks), Default: bb.treatment}})
			all, batch := flow.NewBatch(0), flow.NewBatch(0)
			_ = NewDecoder(DecoderOptions{}).Decode(all, testTime, benchSource, datagram5(30))
			e := newExporter(benchSource.Addr())
			p.applyTo(e)
			for b.Loop() {
				if batch.Len() == 0 {
					batch.AppendRows(all, 0, 30)
				}
				p.sift(e, batch, 0, testTime)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(30*b.N), "ns/record")
		})
	}
}
