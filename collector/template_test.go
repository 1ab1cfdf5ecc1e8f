package collector

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"weir/flow"
)

// addrN is a source address of its own for each n, with the given port.
func addrN(n int, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), port)
}

const testTime = builtExport * 1000 // ms, when datagrams arrive

// decodeAll decodes datagrams of one source, one second apart, and returns the
// rows and the errors.
func decodeAll(d *Decoder, src netip.AddrPort, datagrams ...[]byte) (*flow.Batch, []error) {
	b := flow.NewBatch(0)
	var errs []error
	for i, p := range datagrams {
		if err := d.Decode(b, uint64(testTime+1000*i), src, p); err != nil {
			errs = append(errs, err)
		}
	}
	return b, errs
}

func wantRows(t *testing.T, what string, b *flow.Batch, want int) {
	t.Helper()
	if got := b.Len(); got != want {
		t.Errorf("%s: got %d records, want %d", what, got, want)
	}
}

func wantNum(t *testing.T, b *flow.Batch, row int, f flow.Field, want uint64) {
	t.Helper()
	if !b.Has(f, row) || b.GetNum(f, row) != want {
		t.Errorf("row %d: got %s %d (present %v), want %d", row, f, b.GetNum(f, row), b.Has(f, row), want)
	}
}

func wantAbsent(t *testing.T, b *flow.Batch, row int, fields ...flow.Field) {
	t.Helper()
	for _, f := range fields {
		if b.Has(f, row) {
			t.Errorf("row %d: got %s present, want it absent", row, f)
		}
	}
}

func wantAddr(t *testing.T, b *flow.Batch, row int, f flow.Field, want string) {
	t.Helper()
	if got := b.GetAddr(f, row); !b.Has(f, row) || got.String() != want {
		t.Errorf("row %d: got %s %v (present %v), want %s", row, f, got, b.Has(f, row), want)
	}
}

var (
	templateUsual = templateOf(300, usualFields...)
	dataUsual     = set(300, repeat(5, usualRecord))
)

func TestDataBeforeTemplate(t *testing.T) {
	d := NewDecoder(DecoderOptions{})
	src := addrN(1, 2000)
	b, errs := decodeAll(d, src, v9(1, dataUsual), v9(1, dataUsual))
	wantRows(t, "without a template", b, 0)
	if len(errs) > 0 {
		t.Errorf("waiting for a template is no error, got %v", errs)
	}
	if st := d.Stats().Total; st.SetsWaiting != 2 {
		t.Errorf("got %d sets waiting, want 2", st.SetsWaiting)
	}
	b = flow.NewBatch(0)
	if err := d.Decode(b, testTime+5000, src, v9(1, set(0, templateUsual), dataUsual)); err != nil {
		t.Fatal(err)
	}
	wantRows(t, "with the template", b, 15)
	// The waiting sets come first and have the receipt of their own datagrams.
	wantNum(t, b, 0, flow.Received, testTime)
	wantNum(t, b, 5, flow.Received, testTime+1000)
	wantNum(t, b, 10, flow.Received, testTime+5000)
	if st := d.Stats().Total; st.SetsWaiting != 0 || st.SetsRecovered != 2 || st.SetsDropped != 0 {
		t.Errorf("got %d waiting, %d recovered, %d dropped, want 0, 2, 0", st.SetsWaiting, st.SetsRecovered, st.SetsDropped)
	}
	if n := d.pendingBytes.Load(); n != 0 {
		t.Errorf("got %d bytes waiting after all were decoded", n)
	}
}

func TestDataAndTemplateOfOneDatagram(t *testing.T) {
	d := NewDecoder(DecoderOptions{})
	b, errs := decodeAll(d, addrN(1, 2000), ipfix(1, dataUsual, set(2, templateUsual)))
	wantRows(t, "data in front of its template", b, 5)
	if len(errs) > 0 {
		t.Error(errs)
	}
}

func TestPendingIsBounded(t *testing.T) {
	d := NewDecoder(DecoderOptions{Limits: Limits{Pending: 10}})
	src := addrN(1, 2000)
	for i := range 50 {
		_ = d.Decode(flow.NewBatch(0), testTime+uint64(i), src, v9(1, set(300+i, repeat(5, usualRecord))))
	}
	st := d.Stats().Total
	if st.SetsWaiting != 10 || st.SetsDropped != 40 || st.Error(ReasonNoTemplate) != 40 {
		t.Errorf("got %d waiting, %d dropped, %d no_template, want 10, 40, 40", st.SetsWaiting, st.SetsDropped, st.Error(ReasonNoTemplate))
	}
	d.Expire(testTime + 3_600_000)
	if st := d.Stats().Total; st.SetsWaiting != 0 || st.SetsDropped != 50 {
		t.Errorf("an hour later: got %d waiting, %d dropped, want 0, 50", st.SetsWaiting, st.SetsDropped)
	}
	if n := d.pendingBytes.Load(); n != 0 {
		t.Errorf("got %d bytes waiting in the accounts, want 0", n)
	}
}

// Two processes behind one address use the same domain and template id for
// different layouts, each from its own port (nfdump issue 159).
func TestStreamsThatDisagree(t *testing.T) {
	d := NewDecoder(DecoderOptions{})
	one, two := addrN(1, 2001), addrN(1, 2002)
	// The same 13 bytes, read in two ways.
	layoutOne := templateOf(256, 8, 4, 12, 4, 4, 1, 7, 2, 11, 2)
	layoutTwo := templateOf(256, 12, 4, 8, 4, 4, 1, 11, 2, 7, 2)
	record := wire(uint32(0x01010101), uint32(0x02020202), uint8(17), 1000, 2000)
	b := flow.NewBatch(0)
	decode := func(src netip.AddrPort, p []byte) {
		t.Helper()
		if err := d.Decode(b, testTime, src, p); err != nil {
			t.Fatal(err)
		}
	}
	decode(one, ipfix(0, set(2, layoutOne)))
	decode(two, ipfix(0, set(2, layoutTwo)))
	for range 3 {
		decode(one, ipfix(0, set(256, record)))
		decode(two, ipfix(0, set(256, record)))
	}
	wantRows(t, "two streams", b, 6)
	for row := 0; row < b.Len(); row += 2 {
		wantAddr(t, b, row, flow.SrcAddr, "1.1.1.1")
		wantAddr(t, b, row+1, flow.SrcAddr, "2.2.2.2")
		wantNum(t, b, row, flow.SrcPort, 1000)
		wantNum(t, b, row+1, flow.SrcPort, 2000)
	}
	// A third port without a template cannot know which of the two it is.
	b = flow.NewBatch(0)
	decode(addrN(1, 2003), ipfix(0, set(256, record)))
	wantRows(t, "a third port", b, 0)
	if got := d.Stats().Total.Error(ReasonTemplateConflict); got != 1 {
		t.Errorf("got %d conflicts counted, want 1", got)
	}
}

// An exporter that restarts with another source port is understood at once.
func TestNewPortSameTemplates(t *testing.T) {
	d := NewDecoder(DecoderOptions{})
	_, _ = decodeAll(d, addrN(1, 2001), v9(1, set(0, templateUsual)))
	b, errs := decodeAll(d, addrN(1, 2002), v9(1, dataUsual))
	wantRows(t, "new port", b, 5)
	if len(errs) > 0 {
		t.Error(errs)
	}
	b, _ = decodeAll(d, addrN(1, 2003), v9(2, dataUsual))
	wantRows(t, "another domain", b, 0)
	b, _ = decodeAll(d, addrN(2, 2001), v9(1, dataUsual))
	wantRows(t, "another address", b, 0)
	b, _ = decodeAll(d, addrN(1, 2001), ipfix(1, dataUsual))
	wantRows(t, "another version", b, 0)
	// A set that this template cannot have written waits.
	b, _ = decodeAll(d, addrN(1, 2004), v9(1, set(300, make([]byte, 55*2+20))))
	wantRows(t, "a set of another length", b, 0)
}

func TestTemplateIsReplaced(t *testing.T) {
	d := NewDecoder(DecoderOptions{})
	first := templateOf(256, 8, 4, 12, 4)
	second := templateOf(256, 12, 4, 8, 4)
	record := wire(uint32(0x01010101), uint32(0x02020202))
	b, errs := decodeAll(d, addrN(1, 1), v9(0, set(0, first), set(256, record)), v9(0, set(0, second), set(256, record)))
	wantRows(t, "two layouts", b, 2)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	wantAddr(t, b, 0, flow.SrcAddr, "1.1.1.1")
	wantAddr(t, b, 1, flow.SrcAddr, "2.2.2.2")
}

// Where a new layout is refused, the old one holds no longer: data that follow
// wait for a template, whatever port they come from.
func TestRefusedTemplateEndsTheOldLayout(t *testing.T) {
	small := templateOf(256, 12, 4, 8, 4, 4, 1)
	var fields []int
	for range 40 {
		fields = append(fields, 210, 1) // paddingOctets
	}
	d := NewDecoder(DecoderOptions{Limits: Limits{TemplateBytes: 1500}})
	big := templateOf(256, append(fields, 8, 4, 4, 1)...)
	data := set(256, make([]byte, 9*5)) // whole records of either layout
	b, errs := decodeAll(d, addrN(1, 1), ipfix(0, set(2, small), data), ipfix(0, set(2, big)))
	wantRows(t, "by the old layout", b, 5)
	if got := d.Stats().Total.Error(ReasonTemplateLimit); len(errs) > 0 || got != 1 {
		t.Fatalf("got errors %v and %d templates refused, want none and 1", errs, got)
	}
	for _, port := range []uint16{1, 2} {
		b, _ = decodeAll(d, addrN(1, port), ipfix(0, data))
		wantRows(t, fmt.Sprintf("after the refusal, from port %d", port), b, 0)
	}
	if got := d.Stats().Total.SetsWaiting; got != 2 {
		t.Errorf("got %d sets waiting, want 2", got)
	}
	b, _ = decodeAll(d, addrN(1, 1), ipfix(0, set(2, small), data))
	wantRows(t, "defined again", b, 15) // those that waited too
}

// Withdrawals mean nothing over UDP (RFC 7011, section 8.4).
func TestWithdrawalIsIgnored(t *testing.T) {
	for name, withdrawal := range map[string][]byte{
		"one":         set(2, wire(300, 0)),
		"all":         set(2, wire(2, 0)),
		"options":     set(3, wire(300, 0)),
		"all options": set(3, wire(3, 0)),
	} {
		d := NewDecoder(DecoderOptions{})
		b, _ := decodeAll(d, addrN(1, 1), ipfix(0, set(2, templateUsual)), ipfix(0, withdrawal), ipfix(0, dataUsual))
		wantRows(t, name, b, 5)
	}
}

func TestBadTemplates(t *testing.T) {
	for _, c := range []struct {
		name string
		p    []byte
	}{
		{"v9 without fields", v9(0, set(0, wire(256, 0)), set(256, make([]byte, 64)))},
		{"v9 of empty fields", v9(0, set(0, templateOf(256, 8, 0, 12, 0)), set(256, make([]byte, 64)))},
		{"IPFIX of empty fields", ipfix(0, set(2, templateOf(256, 8, 0, 12, 0)), set(256, make([]byte, 64)))},
		{"low id", v9(0, set(0, templateOf(17, 8, 4)), set(256, make([]byte, 64)))},
		{"65535 fields", v9(0, set(0, wire(256, 65535, 8, 4)), set(256, make([]byte, 64)))},
		{"options without fields", v9(0, set(1, wire(256, 0, 0, 0)), set(256, make([]byte, 64)))},
		{"options of odd lengths", v9(0, set(1, wire(256, 3, 5, 1, 4, 34, 4)), set(256, make([]byte, 64)))},
		{"options, more scopes than fields", ipfix(0, set(3, wire(256, 1, 2, 149, 4)), set(256, make([]byte, 64)))},
		{"options, 65535 scopes", ipfix(0, set(3, wire(256, 65535, 65535, 149, 4)), set(256, make([]byte, 64)))},
		{"huge record", v9(0, set(0, templateOf(256, 8, 60000, 12, 60000)), set(256, make([]byte, 64)))},
	} {
		d := NewDecoder(DecoderOptions{})
		b, errs := decodeAll(d, addrN(1, 1), c.p)
		wantRows(t, c.name, b, 0)
		if len(errs) == 0 {
			t.Errorf("%s: got no error", c.name)
		}
		if got := d.Stats().Total.Error(ReasonTemplate); got != 1 {
			t.Errorf("%s: got %d template errors, want 1", c.name, got)
		}
	}
}

// A whole template stands even if the one behind it in the set is cut.
func TestTemplateBesideABadOne(t *testing.T) {
	d := NewDecoder(DecoderOptions{})
	b, errs := decodeAll(d, addrN(1, 1), v9(0, set(0, templateUsual, wire(301, 9, 8, 4))), v9(0, dataUsual))
	wantRows(t, "the whole template", b, 5)
	if len(errs) != 1 {
		t.Errorf("got errors %v, want one", errs)
	}
}

// A flood of templates costs its sender's memory share, not more, and does not
// push out what other exporters defined.
func TestTemplateFloodIsBounded(t *testing.T) {
	limits := Limits{Templates: 500, TemplateBytes: 256 << 10, TotalTemplateBytes: 512 << 10, Exporters: 64}
	d := NewDecoder(DecoderOptions{Limits: limits})
	good := addrN(999_999, 1)
	_, _ = decodeAll(d, good, v9(0, set(0, templateUsual), dataUsual))
	b := flow.NewBatch(0)
	var flood []byte
	for id := 256; id < 256+3000; id++ {
		flood = append(flood, templateOf(id, 8, 4, 12, 4, 7, 2)...)
	}
	for exporter := range 10 {
		for domain := range 3 {
			_ = d.Decode(b, testTime, addrN(exporter, 1), v9(uint32(domain), set(0, flood)))
		}
	}
	if got, most := d.templateBytes.Load(), limits.TotalTemplateBytes+11*templateShare; got > int64(most) {
		t.Errorf("got %d bytes of templates, want at most %d", got, most)
	}
	for _, e := range d.all() {
		if e.templates > limits.Templates || e.templateBytes > limits.TemplateBytes {
			t.Errorf("exporter %s has %d templates of %d bytes", e.addr, e.templates, e.templateBytes)
		}
	}
	if d.Stats().Total.Error(ReasonTemplateLimit) == 0 {
		t.Error("the flood was not counted")
	}
	b = flow.NewBatch(0)
	_ = d.Decode(b, testTime, good, v9(0, dataUsual))
	wantRows(t, "the exporter beside the flood", b, 5)
	// One that comes when all is used up has its share, too.
	late := addrN(888_888, 1)
	var datagrams [][]byte
	for id := 300; id < 306; id++ {
		datagrams = append(datagrams, v9(0, set(0, templateOf(id, usualFields...))))
	}
	for id := 300; id < 306; id++ {
		datagrams = append(datagrams, v9(0, set(id, usualRecord(id))))
	}
	b, errs := decodeAll(d, late, datagrams...)
	wantRows(t, "an exporter that comes later", b, 6)
	if len(errs) > 0 {
		t.Error(errs)
	}
}

// A flood from spoofed addresses evicts itself, not the routers, and memory
// does not grow with it.
func TestSpoofedSourcesAreBounded(t *testing.T) {
	d := NewDecoder(DecoderOptions{Limits: Limits{Exporters: 256}})
	routers := 20
	for i := range routers {
		for j := range 20 {
			b, _ := decodeAll(d, addrN(1_000_000+i, 1), v9(0, set(0, templateUsual), dataUsual))
			if b.Len() != 5 {
				t.Fatalf("router %d, datagram %d: %d records", i, j, b.Len())
			}
		}
	}
	b := flow.NewBatch(0)
	var before, after runtime.MemStats
	for i := range 12_000 {
		if i == 4_000 {
			runtime.GC()
			runtime.ReadMemStats(&before)
		}
		b.Reset()
		_ = d.Decode(b, testTime+uint64(i), addrN(i, 1), v9(uint32(i), set(0, templateUsual), set(301, repeat(4, usualRecord))))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("memory grew by %d bytes under a flood", grown)
	}
	st := d.Stats()
	if len(st.Exporters) > 256 {
		t.Errorf("got %d exporters, want at most 256", len(st.Exporters))
	}
	if got, want := st.Total.Datagrams, uint64(12_000+routers*20); got != want {
		t.Errorf("got %d datagrams in the totals, want %d", got, want)
	}
	for i := range routers {
		b.Reset()
		_ = d.Decode(b, testTime+20_000, addrN(1_000_000+i, 1), v9(0, dataUsual))
		wantRows(t, "a router after the flood", b, 5)
	}
}

// Exporters that send every datagram from another port keep their templates.
func TestPortOfEveryDatagram(t *testing.T) {
	d := NewDecoder(DecoderOptions{Limits: Limits{Streams: 16}})
	b := flow.NewBatch(0)
	_ = d.Decode(b, testTime, addrN(1, 1000), v9(0, set(0, templateUsual)))
	for i := range 200 {
		_ = d.Decode(b, testTime+uint64(i), addrN(1, uint16(2000+i)), v9(0, dataUsual))
	}
	wantRows(t, "200 ports", b, 1000)
}

// Options data cannot fill memory either: tables and names are bounded for each
// exporter and in all.
func TestOptionsFloodIsBounded(t *testing.T) {
	limits := Limits{TableBytes: 64 << 10, TotalTableBytes: 256 << 10, TotalStreams: 50}
	d := NewDecoder(DecoderOptions{Limits: limits})
	b := flow.NewBatch(0)
	for exporter := range 10 {
		for domain := range 10 {
			var data []byte
			for i := range 500 {
				data = append(data, wire(uint32(i), uint32(7*i+1), uint32(domain*500+i), "interface-name-of-32-bytes......")...)
			}
			head := wire(400, 4, 12, 1, 4, 48, 4, 10, 4, 82, 32, make([]byte, 2))
			_ = d.Decode(b, testTime, addrN(exporter, 1), v9(uint32(domain), set(1, head)))
			_ = d.Decode(b, testTime, addrN(exporter, 1), v9(uint32(domain), set(400, data)))
			more := wire(401, 4, 8, 1, 4, 48, 4, 34, 4)
			_ = d.Decode(b, testTime, addrN(exporter, 1), v9(uint32(domain), set(1, more), set(401, repeat(500, func(i int) []byte {
				return wire(uint32(0), uint32(i), uint32(100+i))
			}))))
		}
	}
	if got, most := d.tableBytes.Load(), limits.TotalTableBytes+10*tableShare; got > int64(most) || got == 0 {
		t.Errorf("got %d bytes of tables, want at most %d", got, most)
	}
	if got := d.streams.Load(); got > int64(limits.TotalStreams)+10 {
		t.Errorf("got %d streams, want at most %d and one for each exporter", got, limits.TotalStreams)
	}
	wantRows(t, "options", b, 0)
	checkDecoder(t, d, b, 0)
}
