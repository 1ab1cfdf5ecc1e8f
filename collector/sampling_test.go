package collector

import (
	"net/netip"
	"testing"

	"weir/flow"
)

// optionsV9 makes a v9 options template of id 400 and its data.
func optionsV9(scopes, fields []int, values ...any) []byte {
	head := wire(400, 2*len(scopes), 2*len(fields))
	for _, f := range append(append([]int(nil), scopes...), fields...) {
		head = append(head, wire(f)...)
	}
	return v9(0, set(1, head, make([]byte, len(head)%4)), set(400, wire(values...)))
}

// optionsIPFIX makes an IPFIX options template of id 400 and its data, in the
// given domain.
func optionsIPFIX(domain uint32, scopes int, fields []int, values ...any) []byte {
	head := wire(400, len(fields)/2, scopes)
	for _, f := range fields {
		head = append(head, wire(f)...)
	}
	return ipfix(domain, set(3, head), set(400, wire(values...)))
}

func TestSampling(t *testing.T) {
	plain := []int{8, 4, 12, 4, 4, 1, 10, 4, 14, 4, 61, 1}
	plainRecord := wire(uint32(1), uint32(2), uint8(6), uint32(11), uint32(22), uint8(0))
	egress := wire(uint32(1), uint32(2), uint8(6), uint32(11), uint32(22), uint8(1))
	with := func(fields []int, values ...any) ([]int, []byte) {
		return append(append([]int(nil), plain...), fields...), append(append([]byte(nil), plainRecord...), wire(values...)...)
	}
	samplerFields, samplerRecord := with([]int{48, 1}, uint8(7))
	selectorFields, selectorRecord := with([]int{302, 8}, uint64(7))
	sequenceFields, sequenceRecord := with([]int{301, 8}, uint64(3))
	ownFields, ownRecord := with([]int{34, 4, 48, 1}, uint32(50), uint8(7))
	ownZeroFields, ownZeroRecord := with([]int{34, 4, 48, 1}, uint32(0), uint8(7))
	eitherFields, eitherRecord := with([]int{34, 4, 50, 4}, uint32(40), uint32(50))
	swappedFields, swappedRecord := with([]int{50, 4, 34, 4}, uint32(50), uint32(40))
	_, randomOnly := with(nil, uint32(0), uint32(50)) // in the order of eitherFields
	_, firstOnly := with(nil, uint32(0), uint32(40))  // in the order of swappedFields
	_, neither := with(nil, uint32(0), uint32(0))
	countFields, countRecord := with([]int{305, 4, 306, 4}, uint32(1), uint32(99))
	randomFields, randomRecord := with([]int{309, 4, 310, 4}, uint32(2), uint32(200))

	system := optionsV9([]int{1, 4}, []int{34, 4, 35, 1}, uint32(0), uint32(512), uint8(2))
	sampler := optionsV9([]int{1, 4}, []int{48, 1, 49, 1, 50, 2}, uint32(0), uint8(7), uint8(2), 1000)
	for _, c := range []struct {
		name    string
		options [][]byte
		fields  []int
		record  []byte
		want    uint64 // 0: absent
	}{
		{"nothing said", nil, plain, plainRecord, 0},
		{"system-wide", [][]byte{system}, plain, plainRecord, 512},
		{"system-wide in one byte", [][]byte{optionsV9([]int{1, 4}, []int{34, 1}, uint32(0), uint8(100))}, plain, plainRecord, 100},
		{"system-wide in eight bytes", [][]byte{optionsV9([]int{1, 4}, []int{34, 8}, uint32(0), uint64(100))}, plain, plainRecord, 100},
		{"by sampler", [][]byte{system, sampler}, samplerFields, samplerRecord, 1000},
		{"by selector, named as sampler", [][]byte{sampler}, selectorFields, selectorRecord, 1000},
		{"unknown sampler, nothing else", nil, samplerFields, samplerRecord, 0},
		{"unknown sampler, else the system's", [][]byte{system}, samplerFields, samplerRecord, 512},
		{"a sampler is not the system", [][]byte{sampler}, plain, plainRecord, 0},
		{"sampler as scope", [][]byte{optionsV9([]int{48, 1}, []int{34, 4}, uint8(7), uint32(300))}, samplerFields, samplerRecord, 300},
		{"by input interface", [][]byte{system, optionsV9([]int{2, 4}, []int{34, 4}, uint32(11), uint32(64))}, plain, plainRecord, 64},
		{"by another interface", [][]byte{system, optionsV9([]int{2, 4}, []int{34, 4}, uint32(12), uint32(64))}, plain, plainRecord, 512},
		{"by output interface", [][]byte{optionsV9([]int{2, 4}, []int{34, 4}, uint32(22), uint32(64))}, plain, egress, 64},
		{"by template", [][]byte{optionsV9([]int{5, 2}, []int{34, 4}, 256, uint32(64))}, plain, plainRecord, 64},
		{"by another template", [][]byte{optionsV9([]int{5, 2}, []int{34, 4}, 257, uint32(64))}, plain, plainRecord, 0},
		{"own", [][]byte{system, sampler}, ownFields, ownRecord, 50},
		{"own is zero", [][]byte{system, sampler}, ownZeroFields, ownZeroRecord, 1000},
		{"own, either element", [][]byte{system}, eitherFields, eitherRecord, 40},
		{"own, either element, in the other order", [][]byte{system}, swappedFields, swappedRecord, 40},
		{"own, 34 is zero", [][]byte{system}, eitherFields, randomOnly, 50},
		{"own, 50 is zero", [][]byte{system}, swappedFields, firstOnly, 40},
		{"own, both are zero", [][]byte{system}, eitherFields, neither, 512},
		{"own, one of a hundred", [][]byte{system}, countFields, countRecord, 100},
		{"own, two out of two hundred", [][]byte{system}, randomFields, randomRecord, 100},
		{"system-wide, either element", [][]byte{optionsV9([]int{1, 4}, []int{50, 4, 34, 4}, uint32(0), uint32(50), uint32(40))}, plain, plainRecord, 40},
		{"system-wide, 34 is zero", [][]byte{optionsV9([]int{1, 4}, []int{50, 4, 34, 4}, uint32(0), uint32(50), uint32(0))}, plain, plainRecord, 50},
		{"changed", [][]byte{system, optionsV9([]int{1, 4}, []int{34, 4}, uint32(0), uint32(2048))}, plain, plainRecord, 2048},
		{"zero is unsaid", [][]byte{optionsV9([]int{1, 4}, []int{34, 4}, uint32(0), uint32(0))}, plain, plainRecord, 0},
		{"scope of no bytes", [][]byte{optionsV9([]int{1, 0}, []int{34, 4}, uint32(10))}, plain, plainRecord, 10},
		{"no scope", [][]byte{optionsV9(nil, []int{34, 4}, uint32(10))}, plain, plainRecord, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkSampling(t, decodeOne(t, 9, c.fields, c.record, c.options...), c.want)
		})
	}
	for _, c := range []struct {
		name    string
		options [][]byte
		fields  []int
		record  []byte
		want    uint64
	}{
		{"selector with interval and space", [][]byte{optionsIPFIX(0, 1, []int{302, 8, 304, 2, 305, 4, 306, 4}, uint64(7), 1, uint32(1), uint32(399))},
			selectorFields, selectorRecord, 400},
		{"space of zero: unsampled", [][]byte{optionsIPFIX(0, 1, []int{302, 8, 305, 4, 306, 4}, uint64(7), uint32(10), uint32(0))},
			selectorFields, selectorRecord, 1},
		{"interval without space", [][]byte{optionsIPFIX(0, 1, []int{302, 8, 305, 4}, uint64(7), uint32(400))}, selectorFields, selectorRecord, 400},
		{"size and population", [][]byte{optionsIPFIX(0, 1, []int{302, 8, 305, 4, 309, 4, 310, 4}, uint64(7), uint32(1), uint32(1), uint32(256))},
			samplerFields, samplerRecord, 256},
		{"metering process is the system", [][]byte{optionsIPFIX(0, 1, []int{143, 4, 305, 4, 306, 4}, uint32(99), uint32(1), uint32(9))},
			plain, plainRecord, 10},
		{"by interface", [][]byte{optionsIPFIX(0, 1, []int{10, 4, 34, 4}, uint32(11), uint32(77))}, plain, plainRecord, 77},
		{"by template", [][]byte{optionsIPFIX(0, 1, []int{145, 2, 34, 4}, 256, uint32(77))}, plain, plainRecord, 77},
		{"selection sequence", [][]byte{
			optionsIPFIX(0, 1, []int{302, 8, 305, 4, 306, 4}, uint64(7), uint32(1), uint32(9)),
			optionsIPFIX(0, 1, []int{301, 8, 302, 8}, uint64(3), uint64(7)),
		}, sequenceFields, sequenceRecord, 10},
	} {
		t.Run("IPFIX "+c.name, func(t *testing.T) {
			checkSampling(t, decodeOne(t, 10, c.fields, c.record, c.options...), c.want)
		})
	}
}

func checkSampling(t *testing.T, b *flow.Batch, want uint64) {
	t.Helper()
	if want == 0 {
		wantAbsent(t, b, 0, flow.SamplingInterval)
		return
	}
	wantNum(t, b, 0, flow.SamplingInterval, want)
}

// What domain 0 says holds for the whole exporter; what another says, for
// itself.
func TestSamplingOfDomains(t *testing.T) {
	d := NewDecoder(DecoderOptions{})
	fields, record := addrsAnd(6, nil)
	data := func(domain uint32) []byte {
		return ipfix(domain, set(2, templateOf(256, fields...)), set(256, record))
	}
	b, errs := decodeAll(d, addrN(1, 1), data(1), data(2),
		optionsIPFIX(0, 1, []int{143, 4, 34, 4}, uint32(1), uint32(10)),
		optionsIPFIX(2, 1, []int{143, 4, 34, 4}, uint32(1), uint32(20)), data(1), data(2), data(3))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	wantRows(t, "domains", b, 5)
	wantAbsent(t, b, 0, flow.SamplingInterval)
	wantNum(t, b, 2, flow.SamplingInterval, 10)
	wantNum(t, b, 3, flow.SamplingInterval, 20)
	wantNum(t, b, 4, flow.SamplingInterval, 10)
}

func TestSamplingOfV5(t *testing.T) {
	p := datagram5(2)
	p[22], p[23] = 0x40|3, 0xe8 // mode 1, interval 1000
	b, errs := decodeAll(NewDecoder(DecoderOptions{}), addrN(1, 1), p, datagram5(1))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	wantNum(t, b, 1, flow.SamplingInterval, 1000)
	wantAbsent(t, b, 2, flow.SamplingInterval)
}

func TestOptionsEnterpriseScope(t *testing.T) {
	// goflow2 leaves the enterprise bit in these element numbers.
	head := wire(400, 3, 1, 0x8000|302, 4, uint32(9), 34, 4, 0x8000|34, 4, uint32(9))
	d := NewDecoder(DecoderOptions{})
	fields, record := addrsAnd(6, nil)
	b, errs := decodeAll(d, addrN(1, 1), ipfix(0, set(3, head), set(400, wire(uint32(7), uint32(100), uint32(5)))),
		ipfix(0, set(2, templateOf(256, fields...)), set(256, record)))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	wantNum(t, b, 0, flow.SamplingInterval, 100)
}

func TestInterfaceNames(t *testing.T) {
	d := NewDecoder(DecoderOptions{State: newMemoryState()})
	record := wire(uint32(11), "Te0/0/0\x00", "uplink\x00\x00", uint32(12), "Te0/0/1\x00", "\x00\x00\x00\x00\x00\x00\x00\x00")
	b, errs := decodeAll(d, addrN(1, 1), v9(0, set(1, wire(400, 4, 8, 2, 4, 82, 8, 83, 8, 0)), set(400, record)))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	wantRows(t, "options", b, 0)
	got := savedInterfaces(t, d, netip.MustParseAddr("10.0.0.1"))
	if len(got) != 2 || got[0] != (Interface{11, "Te0/0/0", "uplink"}) || got[1] != (Interface{12, "Te0/0/1", ""}) {
		t.Errorf("got %v", got)
	}
}

// A record of options data that runs over its set is not read.
func TestOptionsCutOff(t *testing.T) {
	d := NewDecoder(DecoderOptions{})
	_, errs := decodeAll(d, addrN(1, 1), ipfix(0, set(3, wire(400, 2, 1, 143, 4, 82, 0xffff)), set(400, wire(uint32(1), uint8(200), "abc"))))
	if len(errs) != 1 || d.Stats().Total.OptionsRecords != 0 {
		t.Errorf("got errors %v and %d records, want one error and none", errs, d.Stats().Total.OptionsRecords)
	}
}
