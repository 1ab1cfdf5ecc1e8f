package collector

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"weir/flow"
)

// keptOf returns elements in the first slots for their types.
func keptOf(list ...flow.KeptElement) []flow.KeptElement {
	next := map[flow.Field]flow.Field{}
	for i := range list {
		first, _ := list[i].Type.Form().Slots()
		list[i].Field = first + next[first]
		next[first]++
	}
	return list
}

// TestKeptTypes decodes one value of every type, in fields of fixed and of
// variable length.
func TestKeptTypes(t *testing.T) {
	long := strings.Repeat("x", 254) + "éé"
	for _, c := range []struct {
		kind  flow.ElementType
		value []byte
		want  string // "": absent
		count Reason // of the value that is absent or cut; 0: none
	}{
		{"unsigned32", wire(uint32(7)), "7", 0},
		{"unsigned64", wire(uint8(7)), "7", 0}, // RFC 7011, section 6.2: reduced size
		{"unsigned64", wire(uint8(1), uint64(0)), "", ReasonValue},
		{"signed32", wire(uint32(0xfffffffe)), "-2", 0},
		{"signed64", wire(uint8(0x80)), "-128", 0},
		{"signed64", wire(uint8(0), uint64(1)), "", ReasonValue},
		{"float32", wire(math.Float32bits(-0.1)), "-0.1", 0},
		{"float64", wire(math.Float64bits(1e300)), "1e+300", 0},
		{"float64", wire(math.Float32bits(2.5)), "2.5", 0},
		{"float64", wire(uint8(1)), "", ReasonValue},
		{"boolean", wire(uint8(1)), "true", 0},
		{"boolean", wire(uint8(2)), "false", 0},
		{"boolean", wire(uint8(0)), "", ReasonValue},
		{"macAddress", wire([]byte{0, 0x1b, 0x54, 1, 2, 3}), "00:1b:54:01:02:03", 0},
		{"macAddress", wire(uint32(1)), "", ReasonValue},
		{"ipv4Address", wire(uint32(0xc0000207)), "192.0.2.7", 0},
		{"ipv6Address", wire(uint64(0x20010db8)<<32, uint64(1)), "2001:db8::1", 0},
		{"ipv4Address", wire(uint8(1)), "", ReasonValue},
		{"dateTimeSeconds", wire(uint32(1_700_000_000)), "2023-11-14T22:13:20.000Z", 0},
		{"dateTimeMilliseconds", wire(uint64(1_700_000_000_123)), "2023-11-14T22:13:20.123Z", 0},
		{"dateTimeMicroseconds", wire(uint64(1_700_000_000+ntpEpoch)<<32 | 1<<31), "2023-11-14T22:13:20.500Z", 0},
		{"dateTimeMilliseconds", wire(uint64(1 << 60)), "", ReasonTime},
		{"string", wire("www.example.com"), "www.example.com", 0},
		{"string", wire("eth0\x00\x00\x00\x00"), "eth0", 0},
		{"string", wire("\x00\x00"), "", 0},
		{"string", wire(long), strings.Repeat("x", 254), ReasonCut},
		{"octetArray", wire(uint32(0x0d000050)), "0x0d000050", 0},
		{"octetArray", make([]byte, 300), "0x" + strings.Repeat("00", flow.MaxText), ReasonCut},
	} {
		for _, varying := range []bool{false, true} {
			kept := keptOf(flow.KeptElement{Enterprise: 54321, Number: 7, Name: "x", Type: c.kind})
			length, value := len(c.value), c.value
			if varying {
				length, value = variable, append(wire(uint8(255), len(c.value)), c.value...)
			}
			d := NewDecoder(DecoderOptions{Kept: kept})
			template := append(templateOf(256, 8, 4, 12, 4, 7|0x8000, length), wire(uint32(54321))...)
			template[3] = 3
			b, errs := decodeAll(d, addrN(1, 1), ipfix(0, set(2, template), set(256, wire(uint32(1), uint32(2)), value)))
			what := fmt.Sprintf("%s of % x, varying %v", c.kind, c.value, varying)
			if len(errs) > 0 || b.Len() != 1 {
				t.Fatalf("%s: %v, %d records", what, errs, b.Len())
			}
			var r flow.Record
			b.Record(0, &r)
			got := ""
			if r.Has(kept[0].Field) {
				got = string(kept[0].AppendText(nil, &r))
			}
			if got != c.want {
				t.Errorf("%s: got %q, want %q", what, got, c.want)
			}
			for _, reason := range []Reason{ReasonValue, ReasonTime, ReasonCut} {
				want := uint64(0)
				if reason == c.count {
					want = 1
				}
				if n := d.Stats().Total.Error(reason); n != want {
					t.Errorf("%s: %s is %d, want %d", what, reason, n, want)
				}
			}
		}
	}
}

// TestKeptAny is of an element of which nobody says what it is: the template's
// length decides.
func TestKeptAny(t *testing.T) {
	kept := keptOf(flow.KeptElement{Enterprise: penCisco, Number: 1000, Name: "cisco_1000"})
	d := NewDecoder(DecoderOptions{Kept: kept})
	var got []string
	read := func(length int, value []byte) {
		t.Helper()
		// v9 has Cisco's elements from 32768 on.
		b, errs := decodeAll(d, addrN(1, 1), v9(0, set(0, templateOf(256, 8, 4, 12, 4, 1000|0x8000, length)), set(256, wire(uint32(1), uint32(2)), value)))
		if len(errs) > 0 || b.Len() != 1 {
			t.Fatalf("%v, %d records", errs, b.Len())
		}
		var r flow.Record
		b.Record(0, &r)
		got = append(got, string(kept[0].AppendJSON(nil, &r)))
	}
	read(4, wire(uint32(500)))
	read(12, wire("hello, world"))
	read(9, wire(uint8(1), uint64(2)))
	if want := `500 "hello, world" "0x010000000000000002"`; strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, " "), want)
	}
}

// TestKeptBeside is of elements that weir reads anyway, that stand twice, and that
// are not kept: the record is the same but for its slots.
func TestKeptBeside(t *testing.T) {
	kept := keptOf(flow.KeptElement{Number: 60, Name: "ip_version", Type: "unsigned8"}, flow.KeptElement{Number: 95, Name: "application_id", Type: "octetArray"})
	fields := []int{8, 4, 60, 1, 95, 4, 12, 4, 95, 4, 240, 1}
	datagram := ipfix(0, set(2, templateOf(256, fields...)),
		set(256, repeat(3, func(i int) []byte {
			return wire(uint32(1), uint8(4), uint32(100+i), uint32(2), uint32(999), uint8(1))
		})))
	plain, _ := decodeAll(NewDecoder(DecoderOptions{}), addrN(1, 1), datagram)
	with, errs := decodeAll(NewDecoder(DecoderOptions{Kept: kept}), addrN(1, 1), datagram)
	if len(errs) > 0 || plain.Len() != 3 || with.Len() != 3 {
		t.Fatalf("%v, %d and %d records", errs, plain.Len(), with.Len())
	}
	var p, w flow.Record
	for row := range 3 {
		plain.Record(row, &p)
		with.Record(row, &w)
		if id := kept[1].AppendText(nil, &w); w.Num(kept[0].Field) != 4 || string(id) != fmt.Sprintf("0x000000%02x", 100+row) {
			t.Errorf("row %d: ip_version %d, application_id %s", row, w.Num(kept[0].Field), id)
		}
		w.Clear(kept[0].Field)
		w.Clear(kept[1].Field)
		if p != w {
			t.Errorf("row %d: with kept elements %s, without %s", row, w.AppendJSON(nil), p.AppendJSON(nil))
		}
	}
}

// TestKeptOptions is of options data with a kept element, which is no flow's.
func TestKeptOptions(t *testing.T) {
	kept := keptOf(flow.KeptElement{Number: 95, Name: "application_id", Type: "octetArray"})
	d := NewDecoder(DecoderOptions{Kept: kept})
	options := wire(257, 2, 1, 95, 4, 96, 8)
	b, errs := decodeAll(d, addrN(1, 1), ipfix(0, set(3, options), set(257, wire(uint32(1), "youtube "))))
	if len(errs) > 0 || b.Len() != 0 || d.Stats().Total.OptionsRecords != 1 {
		t.Errorf("%v, %d records, %d of options", errs, b.Len(), d.Stats().Total.OptionsRecords)
	}
}

// TestKeptCorpus keeps elements of real datagrams: Cisco's NBAR, Ixia's and
// NetScaler's texts, and what Palo Alto sends of applications and users.
func TestKeptCorpus(t *testing.T) {
	if found, _ := filepath.Glob(filepath.Join(corpusDir, "*", "case.json")); len(found) == 0 {
		t.Skipf("left out: no corpus of real datagrams at %s", corpusDir)
	}
	for _, c := range []struct {
		dir  string
		kept flow.KeptElement
		want string // that some record has
	}{
		{"v9-cisco-1941", flow.KeptElement{Number: 95, Type: "octetArray"}, "0x05000048"},
		{"v9-paloalto-panos", flow.KeptElement{Enterprise: penCisco, Number: 56701 - 0x8000, Type: "string"}, "incomplete"},
		{"ipfix-ixia-256", flow.KeptElement{Enterprise: 3054, Number: 111, Type: "string"}, ""},
		{"ipfix-nokia-bras", flow.KeptElement{Enterprise: 637, Number: 91}, ""},
		{"ipfix-netscaler", flow.KeptElement{Number: 144, Type: "unsigned32"}, ""},
	} {
		kept := keptOf(c.kept)
		d, b := NewDecoder(DecoderOptions{Kept: kept}), flow.NewBatch(0)
		decodeCapture(t, d, b, filepath.Join(corpusDir, c.dir, "packets.pcap"))
		values := map[string]int{}
		var r flow.Record
		for row := range b.Len() {
			if b.Record(row, &r); r.Has(kept[0].Field) {
				values[string(kept[0].AppendText(nil, &r))]++
			}
		}
		if len(values) == 0 || c.want != "" && values[c.want] == 0 {
			t.Errorf("%s: values of %d/%d are %v, want %q among them", c.dir, c.kept.Enterprise, c.kept.Number, values, c.want)
		}
	}
}

// TestEnterprises is of what stands for enterprises, and of names of elements.
func TestEnterprises(t *testing.T) {
	seen := map[string]bool{}
	for _, word := range Enterprises() {
		if seen[word] {
			t.Errorf("%s stands for two enterprises", word)
		}
		seen[word] = true
	}
	for text, want := range map[string]uint32{"cisco": 9, "ciscoPEN": 9, "CISCO-pen": 9, "9": 9, "YAF": 6871, "Palo Alto": 25461, "ntopPEN": 35632, "iana": 0, "reverse": 29305} {
		if got, ok := ParseEnterprise(text); !ok || got != want {
			t.Errorf("ParseEnterprise(%q) = %d, %v, want %d", text, got, ok, want)
		}
	}
	if _, ok := ParseEnterprise("pen"); ok {
		t.Error("pen is an enterprise")
	}
	r := NewRegistry()
	for _, name := range r.Names() {
		e, ok := r.Find(strings.ToUpper(name))
		if !ok || r.Name(e) != name {
			t.Errorf("Find(%s) = %v, %v", name, e, ok)
		}
	}
	if e, ok := r.Find("reverseOctetDeltaCount"); !ok || e != (Element{penReverse, 1}) {
		t.Errorf("the reverse element is %v, %v", e, ok)
	}
	for e, want := range map[Element]string{{0, 7}: "src_port", {0, 23}: "post_bytes", {penReverse, 1}: "reverse_bytes", {0, 95}: "", {0, 60}: ""} {
		if got := ColumnOf(e); got != want {
			t.Errorf("ColumnOf(%v) = %q, want %q", e, got, want)
		}
	}
}
