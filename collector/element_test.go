package collector

import (
	"math/rand/v2"
	"testing"

	"weir/flow"
)

// decodeOne decodes one record of a template in v9 (if version is 9) or IPFIX.
func decodeOne(t *testing.T, version int, fields []int, record []byte, before ...[]byte) *flow.Batch {
	t.Helper()
	d := NewDecoder(DecoderOptions{})
	pack, templates := v9, 0
	if version == 10 {
		pack, templates = ipfix, 2
	}
	b := flow.NewBatch(0)
	for _, p := range append(before, pack(0, set(templates, templateOf(256, fields...)), set(256, record))) {
		if err := d.Decode(b, testTime, addrN(1, 1), p); err != nil {
			t.Fatal(err)
		}
	}
	if b.Len() != 1 {
		t.Fatalf("got %d records, want 1", b.Len())
	}
	return b
}

// addrsAnd puts addresses and a protocol in front of fields and values, so that
// the record is a flow.
func addrsAnd(proto uint8, fields []int, values ...any) ([]int, []byte) {
	record := wire(uint32(0x0a000001), uint32(0x0a000002), proto)
	return append([]int{8, 4, 12, 4, 4, 1}, fields...), append(record, wire(values...)...)
}

func TestIntegerLengths(t *testing.T) {
	for _, c := range []struct {
		name   string
		length int
		value  []byte
		want   uint64
	}{
		{"reduced to 1", 1, []byte{200}, 200},
		{"reduced to 2", 2, []byte{1, 2}, 0x0102},
		{"reduced to 3", 3, []byte{1, 2, 3}, 0x010203},
		{"reduced to 4", 4, []byte{1, 2, 3, 4}, 0x01020304},
		{"reduced to 5", 5, []byte{1, 2, 3, 4, 5}, 0x0102030405},
		{"full", 8, []byte{1, 2, 3, 4, 5, 6, 7, 8}, 0x0102030405060708},
		{"too long", 12, []byte{0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}, 0x0102030405060708},
	} {
		fields, record := addrsAnd(6, []int{1, c.length}, c.value)
		b := decodeOne(t, 10, fields, record)
		if got := b.GetNum(flow.Bytes, 0); got != c.want {
			t.Errorf("%s: got %#x, want %#x", c.name, got, c.want)
		}
	}
	fields, record := addrsAnd(6, []int{1, 12}, []byte{1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8})
	wantAbsent(t, decodeOne(t, 10, fields, record), 0, flow.Bytes) // does not fit 64 bits
}

// A value wider than its field is absent, not cut.
func TestWideValues(t *testing.T) {
	fields, record := addrsAnd(6, []int{10, 8, 89, 4, 7, 4}, uint64(1<<40), uint32(64), uint32(443))
	b := decodeOne(t, 10, fields, record)
	wantAbsent(t, b, 0, flow.InIf)
	wantNum(t, b, 0, flow.ForwardingStatus, 64)
	wantNum(t, b, 0, flow.SrcPort, 443)
}

// Of equal elements, a later one is held to the field's width like the first.
func TestWideValuesOfEqualElements(t *testing.T) {
	for _, c := range []struct {
		name  string
		value []byte
		want  uint64 // 0: the field stays at the first element's zero
	}{
		{"fits", wire(uint64(0), uint64(443)), 443},
		{"more than 16 bits", wire(uint64(0), uint64(1<<16+443)), 0},
		{"more than 64 bits", wire(uint64(1<<40), uint64(443)), 0},
	} {
		fields, record := addrsAnd(6, []int{180, 2, 182, 16}, 0, c.value)
		b := decodeOne(t, 10, fields, record)
		if got := b.GetNum(flow.SrcPort, 0); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

func TestCounterPriority(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields []int
		values []any
		bytes  uint64
		post   int64 // -1: absent
	}{
		{"delta", []int{85, 4, 1, 4}, []any{uint32(85), uint32(1)}, 1, -1},
		{"delta is zero", []int{85, 4, 1, 4}, []any{uint32(85), uint32(0)}, 0, -1},
		{"total", []int{23, 4, 85, 4}, []any{uint32(23), uint32(85)}, 85, 23},
		{"post alone", []int{23, 4}, []any{uint32(23)}, 23, -1},
		{"post and initiator", []int{231, 4, 23, 4}, []any{uint32(231), uint32(23)}, 23, -1},
		{"initiator", []int{231, 4}, []any{uint32(231)}, 231, -1},
	} {
		fields, record := addrsAnd(6, c.fields, c.values...)
		b := decodeOne(t, 9, fields, record)
		wantNum(t, b, 0, flow.Bytes, c.bytes)
		if c.post < 0 {
			wantAbsent(t, b, 0, flow.PostBytes)
		} else {
			wantNum(t, b, 0, flow.PostBytes, uint64(c.post))
		}
	}
}

func TestReverseCounters(t *testing.T) {
	template := append(wire(256, 5, 8, 4, 12, 4, 4, 1), wire(0x8001, 4, uint32(29305), 0x8002, 4, uint32(29305))...)
	d := NewDecoder(DecoderOptions{})
	b, errs := decodeAll(d, addrN(1, 1), ipfix(0, set(2, template),
		set(256, wire(uint32(1), uint32(2), uint8(6), uint32(111), uint32(22)))))
	if len(errs) > 0 || b.Len() != 1 {
		t.Fatal(b.Len(), errs)
	}
	wantNum(t, b, 0, flow.ReverseBytes, 111)
	wantNum(t, b, 0, flow.ReversePackets, 22)
	wantAbsent(t, b, 0, flow.Bytes)
	fields, record := addrsAnd(6, []int{231, 4, 232, 4, 298, 4, 299, 4}, uint32(10), uint32(20), uint32(1), uint32(2))
	b = decodeOne(t, 9, fields, record)
	wantNum(t, b, 0, flow.Bytes, 10)
	wantNum(t, b, 0, flow.ReverseBytes, 20)
	wantNum(t, b, 0, flow.Packets, 1)
	wantNum(t, b, 0, flow.ReversePackets, 2)
}

func TestTimes(t *testing.T) {
	const exportMS = builtExport * 1000
	ntp := uint64(builtExport-10+ntpEpoch)<<32 | 1<<31
	for _, c := range []struct {
		name       string
		version    int
		fields     []int
		values     []any
		start, end uint64 // 0: absent
	}{
		{"uptime", 9, []int{22, 4, 21, 4}, []any{uint32(900_000), uint32(990_000)}, exportMS - 100_000, exportMS - 10_000},
		{"uptime from before the boot", 9, []int{22, 4, 21, 4}, []any{uint32(0xffffffff), uint32(0)}, exportMS - 1_000_001, exportMS - 1_000_000},
		{"uptime later than the header", 9, []int{22, 4, 21, 4}, []any{uint32(1_000_005), uint32(1_000_010)}, exportMS + 5, exportMS + 10},
		{"uptime in 8 bytes", 9, []int{22, 8}, []any{uint64(900_000)}, exportMS - 100_000, 0},
		{"uptime of IPFIX without boot time", 10, []int{22, 4, 21, 4}, []any{uint32(900_000), uint32(990_000)}, 0, 0},
		{"uptime of IPFIX, boot time in the record", 10, []int{22, 4, 21, 4, 160, 8},
			[]any{uint32(900_000), uint32(990_000), uint64(exportMS - 1_000_000)}, exportMS - 100_000, exportMS - 10_000},
		{"uptime of IPFIX after 60 days", 10, []int{22, 4, 160, 8},
			[]any{uint32(60*86_400_000 - 1<<32), uint64(exportMS - 60*86_400_000)}, exportMS, 0},
		{"seconds", 10, []int{150, 4, 151, 4}, []any{uint32(builtExport - 5), uint32(builtExport)}, exportMS - 5000, exportMS},
		{"milliseconds", 10, []int{152, 8, 153, 8}, []any{uint64(exportMS - 5), uint64(exportMS)}, exportMS - 5, exportMS},
		{"NTP microseconds", 10, []int{154, 8, 155, 8}, []any{ntp, ntp}, exportMS - 9500, exportMS - 9500},
		{"NTP nanoseconds", 10, []int{156, 8, 157, 8}, []any{ntp, ntp}, exportMS - 9500, exportMS - 9500},
		{"delta microseconds", 10, []int{158, 4, 159, 4}, []any{uint32(2_000_000), uint32(1_000_000)}, exportMS - 2000, exportMS - 1000},
		{"start and duration", 10, []int{152, 8, 161, 4}, []any{uint64(exportMS - 500), uint32(400)}, exportMS - 500, exportMS - 100},
		{"end and duration", 10, []int{153, 8, 162, 4}, []any{uint64(exportMS), uint32(400_000)}, exportMS - 400, exportMS},
		{"both and duration", 10, []int{152, 8, 153, 8, 161, 4}, []any{uint64(exportMS - 1), uint64(exportMS), uint32(400)}, exportMS - 1, exportMS},
		{"milliseconds before seconds", 10, []int{150, 4, 152, 8}, []any{uint32(1), uint64(exportMS)}, exportMS, 0},
		{"zero is unknown", 10, []int{152, 8, 153, 8}, []any{uint64(0), uint64(exportMS)}, 0, exportMS},
		{"after the year 9999", 10, []int{152, 8, 150, 4}, []any{uint64(1 << 60), uint32(0)}, 0, 0},
		{"NTP before 1970", 10, []int{154, 8}, []any{uint64(1000) << 32}, 0, 0},
		{"milliseconds of more than 64 bits", 10, []int{152, 16}, []any{uint64(1), uint64(exportMS)}, 0, 0},
		{"milliseconds in 16 bytes", 10, []int{152, 16}, []any{uint64(0), uint64(exportMS)}, exportMS, 0},
		{"NTP microseconds unknown, nanoseconds known", 10, []int{154, 8, 156, 8}, []any{uint64(0), ntp}, exportMS - 9500, 0},
		{"NTP microseconds unknown, nanoseconds before 1970", 10, []int{154, 8, 156, 8}, []any{uint64(0), uint64(1000) << 32}, 0, 0},
		{"NTP microseconds unknown, nanoseconds in 4 bytes", 10, []int{154, 8, 156, 4}, []any{uint64(0), uint32(5000)}, 0, 0},
		{"NTP microseconds before 1970, nanoseconds known", 10, []int{154, 8, 156, 8}, []any{uint64(1000) << 32, ntp}, exportMS - 9500, 0},
		{"milliseconds twice, one after the year 9999", 10, []int{152, 8, 152, 8}, []any{uint64(0), uint64(1 << 60)}, 0, 0},
		{"uptime twice", 9, []int{22, 4, 22, 4}, []any{uint32(900_000), uint32(800_000)}, exportMS - 100_000, 0},
		{"uptime of IPFIX twice without boot time", 10, []int{22, 4, 22, 4}, []any{uint32(1000), uint32(5000)}, 0, 0},
		{"observation time is neither", 9, []int{323, 8}, []any{uint64(exportMS)}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			fields, record := addrsAnd(6, c.fields, c.values...)
			b := decodeOne(t, c.version, fields, record)
			for f, want := range map[flow.Field]uint64{flow.Start: c.start, flow.End: c.end} {
				if want == 0 {
					wantAbsent(t, b, 0, f)
				} else {
					wantNum(t, b, 0, f, want)
				}
			}
		})
	}
}

// A time of zero is unknown; one that cannot be is counted. So is a number that
// its field does not hold, wherever it stands among the elements of a field.
func TestLeftAbsentIsCounted(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields []int
		values []any
		times  uint64
		wide   uint64 // numbers
	}{
		{"time of zero", []int{152, 8}, []any{uint64(0)}, 0, 0},
		{"time", []int{152, 8}, []any{uint64(testTime)}, 0, 0},
		{"time after the year 9999", []int{152, 8}, []any{uint64(1 << 60)}, 1, 0},
		{"second time before 1970", []int{154, 8, 156, 8}, []any{uint64(0), uint64(1) << 32}, 1, 0},
		{"second time of zero", []int{154, 8, 156, 8}, []any{uint64(0), uint64(0)}, 0, 0},
		{"second time not needed", []int{152, 8, 152, 8}, []any{uint64(testTime), uint64(1 << 60)}, 0, 0},
		{"number", []int{7, 4}, []any{uint32(443)}, 0, 0},
		{"wide number", []int{7, 4}, []any{uint32(1 << 16)}, 0, 1},
		{"wide second number", []int{180, 2, 182, 4}, []any{0, uint32(1 << 16)}, 0, 1},
		{"wide second number not needed", []int{180, 2, 182, 4}, []any{443, uint32(1 << 16)}, 0, 0},
	} {
		d := NewDecoder(DecoderOptions{})
		fields, record := addrsAnd(6, c.fields, c.values...)
		_, _ = decodeAll(d, addrN(1, 1), ipfix(0, set(2, templateOf(256, fields...)), set(256, record)))
		total := d.Stats().Total
		if times, wide := total.Error(ReasonTime), total.Error(ReasonValue); times != c.times || wide != c.wide {
			t.Errorf("%s: got %d times and %d numbers counted, want %d and %d", c.name, times, wide, c.times, c.wide)
		}
	}
}

// After February 2036, NTP seconds start again from zero.
func TestNTPEra(t *testing.T) {
	const in2040 = 2_208_988_800_000 // ms: 2040-01-01
	seconds := uint64(in2040/1000+ntpEpoch) & 0xffffffff
	if got := ntpToMS(seconds<<32, in2040); got != in2040 {
		t.Errorf("got %d, want %d", got, in2040)
	}
}

// The boot time of IPFIX uptimes may come in options data.
func TestSystemInitTimeFromOptions(t *testing.T) {
	d := NewDecoder(DecoderOptions{})
	fields, record := addrsAnd(6, []int{22, 4}, uint32(900_000))
	b, errs := decodeAll(d, addrN(1, 1),
		ipfix(5, set(3, wire(400, 2, 1, 149, 4, 160, 8)), set(400, wire(uint32(5), uint64(testTime-1_000_000)))),
		ipfix(5, set(2, templateOf(256, fields...)), set(256, record)))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	wantRows(t, "options are no flows", b, 1)
	wantNum(t, b, 0, flow.Start, testTime-100_000)
}

func TestICMP(t *testing.T) {
	for _, c := range []struct {
		name   string
		proto  uint8
		fields []int
		values []any
		kind   int // -1: absent
		code   int // -1: absent
	}{
		{"both in one", 1, []int{32, 2}, []any{0x0301}, 3, 1},
		{"both in four bytes", 1, []int{32, 4}, []any{uint32(0x0301)}, 3, 1},
		{"v6 in one", 58, []int{139, 2}, []any{0x8700}, 135, 0},
		{"apart", 1, []int{176, 1, 177, 1}, []any{uint8(8), uint8(0)}, 8, 0},
		{"v6 apart", 58, []int{178, 1, 179, 1}, []any{uint8(128), uint8(0)}, 128, 0},
		{"both families", 58, []int{32, 2, 139, 2}, []any{0, 0x8700}, 135, 0},
		{"apart goes before one", 1, []int{32, 2, 176, 1, 177, 1}, []any{0, uint8(3), uint8(4)}, 3, 4},
		{"the other family's", 58, []int{32, 2}, []any{0x8700}, -1, -1},
		{"of TCP", 6, []int{32, 2}, []any{443}, -1, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			fields, record := addrsAnd(c.proto, c.fields, c.values...)
			for _, version := range []int{9, 10} {
				wantICMP(t, decodeOne(t, version, fields, record), c.kind, c.code)
			}
		})
	}
	// In one byte, where the versions differ.
	for _, c := range []struct {
		version    int
		proto      uint8
		element    int
		value      uint8
		kind, code int
	}{
		{9, 1, 32, 3, 3, -1},
		{9, 58, 139, 135, 135, -1},
		{10, 1, 32, 3, 0, 3},
		{10, 58, 139, 135, 0, 135},
	} {
		fields, record := addrsAnd(c.proto, []int{c.element, 1}, c.value)
		wantICMP(t, decodeOne(t, c.version, fields, record), c.kind, c.code)
	}
}

// wantICMP compares type and code of the only row; -1 is absent.
func wantICMP(t *testing.T, b *flow.Batch, kind, code int) {
	t.Helper()
	for f, want := range map[flow.Field]int{flow.ICMPType: kind, flow.ICMPCode: code} {
		if want < 0 {
			wantAbsent(t, b, 0, f)
		} else {
			wantNum(t, b, 0, f, uint64(want))
		}
	}
}

func TestCiscoNATAndFirewall(t *testing.T) {
	fields, record := addrsAnd(6, []int{40001, 4, 40002, 4, 40003, 2, 40004, 2, 40005, 1, 33002, 2},
		uint32(0xc0000201), uint32(0xc0000202), 1024, 80, uint8(1), 2025)
	b := decodeOne(t, 9, fields, record)
	wantAddr(t, b, 0, flow.NATSrcAddr, "192.0.2.1")
	wantAddr(t, b, 0, flow.NATDstAddr, "192.0.2.2")
	wantNum(t, b, 0, flow.NATSrcPort, 1024)
	wantNum(t, b, 0, flow.NATDstPort, 80)
	wantNum(t, b, 0, flow.FirewallEvent, 1)
	wantNum(t, b, 0, flow.FirewallExtEvent, 2025)
}

var (
	v6one = []byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}
	v6two = []byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}
	none6 = make([]byte, 16)
)

func TestBothFamilies(t *testing.T) {
	fields := []int{27, 16, 28, 16, 8, 4, 12, 4, 4, 1, 15, 4, 62, 16, 9, 1, 29, 1}
	b := decodeOne(t, 9, fields, wire(v6one, v6two, uint32(0), uint32(0), uint8(6), uint32(0), v6two, uint8(0), uint8(64)))
	wantAddr(t, b, 0, flow.SrcAddr, "2001:db8::1")
	wantAddr(t, b, 0, flow.DstAddr, "2001:db8::2")
	wantAddr(t, b, 0, flow.NextHop, "2001:db8::2")
	wantNum(t, b, 0, flow.SrcMask, 64)
	b = decodeOne(t, 9, fields, wire(none6, none6, uint32(0x0a000001), uint32(0x0a000002), uint8(6), uint32(0x0a0000fe), none6, uint8(24), uint8(0)))
	wantAddr(t, b, 0, flow.SrcAddr, "10.0.0.1")
	wantAddr(t, b, 0, flow.NextHop, "10.0.0.254")
	wantNum(t, b, 0, flow.SrcMask, 24)
	// A source of 0.0.0.0 is no reason to take the other family.
	b = decodeOne(t, 9, fields, wire(none6, none6, uint32(0), uint32(0xffffffff), uint8(17), uint32(0), none6, uint8(0), uint8(0)))
	wantAddr(t, b, 0, flow.DstAddr, "255.255.255.255")
	if got := b.GetAddr(flow.SrcAddr, 0); !got.IsUnspecified() {
		t.Errorf("got source %v, want none", got)
	}
}

// Of an outer and an inner header, the flow is the inner.
func TestTwoHeaders(t *testing.T) {
	fields := []int{27, 16, 28, 16, 4, 1, 7, 2, 11, 2, 8, 4, 12, 4, 4, 1, 7, 2, 11, 2}
	b := decodeOne(t, 10, fields, wire(v6one, v6two, uint8(4), 0, 0, uint32(0x0a000001), uint32(0x0a000002), uint8(17), 1024, 53))
	wantAddr(t, b, 0, flow.SrcAddr, "10.0.0.1")
	wantAddr(t, b, 0, flow.DstAddr, "10.0.0.2")
	wantNum(t, b, 0, flow.Proto, 17)
	wantNum(t, b, 0, flow.SrcPort, 1024)
	wantNum(t, b, 0, flow.DstPort, 53)
	wantAddr(t, b, 0, flow.TunSrcAddr, "2001:db8::1")
	wantAddr(t, b, 0, flow.TunDstAddr, "2001:db8::2")
	wantNum(t, b, 0, flow.TunProto, 4)
	same := []int{8, 4, 12, 4, 4, 1, 8, 4, 12, 4, 4, 1}
	b = decodeOne(t, 10, same, wire(uint32(1), uint32(2), uint8(47), uint32(3), uint32(4), uint8(6)))
	wantAddr(t, b, 0, flow.SrcAddr, "0.0.0.3")
	wantAddr(t, b, 0, flow.TunSrcAddr, "0.0.0.1")
	wantNum(t, b, 0, flow.TunProto, 47)
	// A single protocol is the flow's; the tunnel's is not said.
	b = decodeOne(t, 10, []int{8, 4, 12, 4, 8, 4, 12, 4, 4, 1}, wire(uint32(1), uint32(2), uint32(3), uint32(4), uint8(6)))
	wantAddr(t, b, 0, flow.SrcAddr, "0.0.0.3")
	wantAddr(t, b, 0, flow.TunSrcAddr, "0.0.0.1")
	wantNum(t, b, 0, flow.Proto, 6)
	wantAbsent(t, b, 0, flow.TunProto)
}

func TestVariableLength(t *testing.T) {
	d := NewDecoder(DecoderOptions{})
	template := templateOf(256, 94, 0xffff, 8, 4, 12, 4, 82, 0xffff, 1, 4)
	long := make([]byte, 300)
	records := wire("\x05https", uint32(1), uint32(2), "\x00", uint32(100),
		"\x00", uint32(3), uint32(4), uint8(255), len(long), long, uint32(200))
	b, errs := decodeAll(d, addrN(1, 1), ipfix(0, set(2, template), set(256, records, []byte{0, 0, 0})))
	if len(errs) > 0 {
		t.Error(errs)
	}
	wantRows(t, "variable length", b, 2)
	wantAddr(t, b, 0, flow.DstAddr, "0.0.0.2")
	wantNum(t, b, 0, flow.Bytes, 100)
	wantAddr(t, b, 1, flow.SrcAddr, "0.0.0.3")
	wantNum(t, b, 1, flow.Bytes, 200)
	// A record that runs over the end of its set is none.
	b, errs = decodeAll(d, addrN(1, 1), ipfix(0, set(256, records[:len(records)-2])))
	wantRows(t, "cut off", b, 1)
	if len(errs) != 1 {
		t.Errorf("got errors %v, want one", errs)
	}
}

// The slow path of variable-length templates gives what the fast one gives: a
// template is decoded as it is and with an empty variable-length field behind.
func TestVariableLengthEqualsFixed(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	known := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 21, 22, 23, 24, 27, 28, 32, 34, 48, 50,
		52, 56, 58, 60, 61, 62, 70, 80, 85, 89, 136, 139, 150, 152, 153, 154, 158, 160, 161, 176, 177, 192, 225, 230, 231,
		234, 305, 306, 313, 315, 361}
	for range 2000 {
		var fields []int
		size := 0
		for range 1 + rng.IntN(20) {
			id := known[rng.IntN(len(known))]
			length := []int{1, 2, 4, 8, 16, rng.IntN(20)}[rng.IntN(6)]
			if id == 8 || id == 12 {
				length = 4
			}
			fields, size = append(fields, id, length), size+length
		}
		if size == 0 {
			continue
		}
		record := make([]byte, size)
		for i := range record {
			record[i] = byte(rng.Uint64() & rng.Uint64()) // more zeros than ones
		}
		if allZero(record) {
			continue
		}
		fixed, errs := decodeAll(NewDecoder(DecoderOptions{}), addrN(1, 1), ipfix(0, set(2, templateOf(256, fields...)), set(256, record)))
		varying, moreErrs := decodeAll(NewDecoder(DecoderOptions{}), addrN(1, 1),
			ipfix(0, set(2, templateOf(256, append(fields, 94, 0xffff)...)), set(256, append(record, 0))))
		if fixed.Len() != varying.Len() || len(errs) != len(moreErrs) {
			t.Fatalf("%v: %d records (%v) fixed, %d (%v) varying", fields, fixed.Len(), errs, varying.Len(), moreErrs)
		}
		if fixed.Len() == 0 {
			continue
		}
		var one, two flow.Record
		fixed.Record(0, &one)
		varying.Record(0, &two)
		if one != two {
			t.Fatalf("%v: got\n%s fixed,\n%s varying", fields, one.AppendJSON(nil), two.AppendJSON(nil))
		}
	}
}

// A template without anything of a flow makes no records.
func TestNoFlow(t *testing.T) {
	d := NewDecoder(DecoderOptions{})
	b, errs := decodeAll(d, addrN(1, 1), v9(0, set(0, templateOf(256, 40, 4, 41, 4, 22, 4)), set(256, make([]byte, 24))))
	wantRows(t, "statistics", b, 0)
	if len(errs) > 0 || d.Stats().Total.Error(ReasonNoFlow) != 2 {
		t.Errorf("got %v and %d no_flow, want 2", errs, d.Stats().Total.Error(ReasonNoFlow))
	}
}

// Every element of the table feeds a field that exists, or has a role of its
// own.
func TestElementTable(t *testing.T) {
	for id, e := range ianaElements {
		if e.role == roleNone {
			continue
		}
		if e.field != 0 && !e.field.Valid() {
			t.Errorf("element %d feeds field %d, which does not exist", id, e.field)
		}
		if (e.field == 0) != (e.role >= roleICMP4) {
			t.Errorf("element %d has role %d and field %s", id, e.role, e.field)
		}
		if e.role == roleAddr && !e.field.IsAddr() {
			t.Errorf("element %d is an address, field %s is not", id, e.field)
		}
	}
}
