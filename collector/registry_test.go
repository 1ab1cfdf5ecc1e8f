package collector

import (
	"strings"
	"testing"
)

func TestRegistryNames(t *testing.T) {
	r := NewRegistry()
	if got, want := len(r.elements), strings.Count(elementsCSV, "\n")-1; got != want {
		t.Errorf("%d elements of %d rows", got, want)
	}
	for _, c := range []struct {
		element    Element
		name, kind string
	}{
		{Element{0, 1}, "octetDeltaCount", "unsigned64"},
		{Element{0, 8}, "sourceIPv4Address", "ipv4Address"},
		{Element{0, 152}, "flowStartMilliseconds", "dateTimeMilliseconds"},
		{Element{0, 491}, "bgpDestinationLargeCommunityList", "basicList"},
		{Element{penReverse, 2}, "reversePacketDeltaCount", "unsigned64"},
		{Element{penCisco, 12235}, "applicationHTTPHost", "octetArray"},
		{Element{0, 65}, "", ""},
		{Element{penReverse, 65}, "", ""},
		{Element{0, 30000}, "", ""},
		{Element{35632, 1}, "", ""},
	} {
		if name, kind := r.Name(c.element), r.Type(c.element); name != c.name || kind != c.kind {
			t.Errorf("%s: got %q %q, want %q %q", c.element, name, kind, c.name, c.kind)
		}
	}
}

// What weir reads has a name, or an inspection would call it unknown.
func TestRegistryKnowsWhatIsRead(t *testing.T) {
	r := NewRegistry()
	for id := range ianaElements {
		if e := (Element{0, uint16(id)}); ianaElements[id].role != roleNone && r.Name(e) == "" {
			t.Errorf("element %s is read and has no name", e)
		}
	}
	for id := range 0x8000 {
		if e := (Element{penCisco, uint16(id)}); ciscoElement(uint16(id)).role != roleNone && r.Name(e) == "" {
			t.Errorf("element %s is read and has no name", e)
		}
	}
}

func TestRegistryFormat(t *testing.T) {
	r := NewRegistry()
	for _, c := range []struct {
		element Element
		value   []byte
		want    string
	}{
		{Element{0, 1}, []byte{1, 0}, "256"},
		{Element{0, 8}, []byte{192, 0, 2, 1}, "192.0.2.1"},
		{Element{0, 8}, []byte{192, 0, 2}, "0xc00002"},
		{Element{0, 27}, wire(uint64(0x20010db8<<32), uint64(1)), "2001:db8::1"},
		{Element{0, 56}, []byte{0, 1, 2, 3, 4, 5}, "00:01:02:03:04:05"},
		{Element{0, 82}, []byte("ge-0/0/0\x00\x00"), `"ge-0/0/0"`},
		{Element{0, 82}, []byte("a\x1b[1m"), `"a\x1b[1m"`},
		{Element{0, 150}, wire(uint32(1_700_000_000)), "2023-11-14T22:13:20Z"},
		{Element{0, 152}, wire(uint64(1_700_000_000_123)), "2023-11-14T22:13:20.123Z"},
		{Element{0, 320}, wire(uint64(0x3ff8000000000000)), "1.5"},
		{Element{0, 434}, []byte{0xff, 0xff, 0xff, 0xfe}, "-2"},
		{Element{0, 1}, nil, "0x"},
		{Element{0, 30000}, []byte{0xab}, "0xab"},
		{Element{0, 30000}, make([]byte, 65), "0x" + strings.Repeat("00", 64) + "…"},
	} {
		if got := r.Format(c.element, c.value); got != c.want {
			t.Errorf("%s %x: got %s, want %s", c.element, c.value, got, c.want)
		}
	}
}
