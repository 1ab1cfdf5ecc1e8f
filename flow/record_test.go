package flow

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestRecordJSON(t *testing.T) {
	var r Record
	r.SetNum(Received, 1766412180123)
	r.SetAddr(Exporter, AddrFrom4(0xc0000201))
	r.SetNum(Version, VersionNF9)
	r.SetNum(Bytes, 0)
	r.SetNum(SrcMAC, 0x0a1b2c3d4e5f)
	r.SetNum(MPLSLabel1, 16004<<4|1<<1)
	r.SetNum(MPLSLabel2, 24<<4|1)
	want := `{"received":"2025-12-22T14:03:00.123Z","exporter":"192.0.2.1","version":"netflow9","bytes":0,` +
		`"src_mac":"0a:1b:2c:3d:4e:5f","mpls_labels":[16004,24]}`
	if got := string(r.AppendJSON(nil)); got != want {
		t.Errorf("AppendJSON = %s\nwant %s", got, want)
	}
	if got := string(r.AppendJSONFields(nil, []Field{Bytes, Packets})); got != `{"bytes":0}` {
		t.Errorf("AppendJSONFields(bytes, packets) = %s", got)
	}
}

// TestLabelStackJSON checks that the stack has every label that is present, also
// below one that is not, and explicit nulls.
func TestLabelStackJSON(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries map[Field]uint64
		want    string
	}{
		{"none", nil, `{}`},
		{"one", map[Field]uint64{MPLSLabel1: 16004<<4 | 1}, `{"mpls_labels":[16004]}`},
		{"explicit null on top", map[Field]uint64{MPLSLabel1: 0, MPLSLabel2: 24<<4 | 1}, `{"mpls_labels":[0,24]}`},
		{"explicit null alone", map[Field]uint64{MPLSLabel1: 1}, `{"mpls_labels":[0]}`},
		{"without the top", map[Field]uint64{MPLSLabel2: 24 << 4, MPLSLabel10: 16<<4 | 1}, `{"mpls_labels":[24,16]}`},
	} {
		var r Record
		for f, v := range c.entries {
			r.SetNum(f, v)
		}
		if got := string(r.AppendJSON(nil)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// TestRecordJSONIsValid checks that any record is valid JSON with one key for
// each present field, the MPLS labels counting as one.
func TestRecordJSONIsValid(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 500 {
		r := randomRecord(rng)
		for _, f := range []Field{Received, Start, End} {
			if r.Has(f) {
				r.SetNum(f, r.Num(f)>>20) // within RFC 3339's years
			}
		}
		text := r.AppendJSON(nil)
		var got map[string]any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		want := 0
		for f := range r.Present.All {
			if !f.IsKept() && (f < MPLSLabel1 || f > MPLSLabel10) {
				want++
			}
		}
		if r.Present.Labels().Len() > 0 {
			want++
		}
		if len(got) != want {
			t.Fatalf("%s: %d keys, want %d", text, len(got), want)
		}
	}
}

func TestEveryFieldIsInJSONOnce(t *testing.T) {
	seen := map[Field]int{}
	for _, f := range JSONFields {
		seen[f]++
	}
	for _, f := range Fields() {
		want := 1
		if f > MPLSLabel1 && f <= MPLSLabel10 {
			want = 0
		}
		if seen[f] != want {
			t.Errorf("%s stands %d times in JSONFields, want %d", f, seen[f], want)
		}
	}
}

func TestFieldNames(t *testing.T) {
	names := map[string]bool{}
	slots := map[uint8]bool{}
	for f := range AllFields().All {
		if got, ok := ParseField(f.String()); !ok || got != f {
			t.Errorf("ParseField(%q) = %v, %v, want %v", f.String(), got, ok, f)
		}
		if names[f.String()] || f.String() != strings.ToLower(f.String()) {
			t.Errorf("field name %q is taken or not lower case", f)
		}
		names[f.String()] = true
		if f.IsAddr() {
			if slots[addrPlace[f]] {
				t.Errorf("address field %s shares its slot in Record", f)
			}
			slots[addrPlace[f]] = true
		}
	}
	if len(slots) != addrPlaces {
		t.Errorf("%d address fields, %d slots", len(slots), addrPlaces)
	}
	if _, ok := ParseField(""); ok {
		t.Error(`ParseField("") found a field`)
	}
	for _, v := range []uint64{VersionNF1, VersionNF5, VersionNF7, VersionNF9, VersionIPFIX, VersionSFlow5} {
		if got, ok := ParseVersion(VersionName(v)); !ok || got != v {
			t.Errorf("ParseVersion(%q) = %d, %v, want %d", VersionName(v), got, ok, v)
		}
	}
}

func TestFieldSet(t *testing.T) {
	s := SetOf(Received, TunProto, MPLSLabel10)
	s.Add(Bytes)
	s.Remove(TunProto)
	var got []Field
	for f := range s.All {
		got = append(got, f)
	}
	if s.Len() != 3 || len(got) != 3 || got[0] != Received || got[1] != Bytes || got[2] != MPLSLabel10 {
		t.Errorf("set holds %v (Len %d), want received, bytes, mpls_label10", got, s.Len())
	}
}
