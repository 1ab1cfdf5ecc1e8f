package flow

import (
	"math"
	"slices"
	"testing"
)

// Held numbers are in the order of what they stand for, so that comparisons and
// minima are right.
func TestKeptNumbersAreOrdered(t *testing.T) {
	signed := []int64{math.MinInt64, -2, -1, 0, 1, math.MaxInt64}
	floats := []float64{math.Inf(-1), -1e300, -1.5, -1e-300, 0, 1e-300, 0.25, 1e300, math.Inf(1)}
	var s, f []uint64
	for _, v := range signed {
		s = append(s, SignedNum(v))
	}
	for _, v := range floats {
		f = append(f, FloatNum(v))
		if got := NumFloat(FloatNum(v)); got != v {
			t.Errorf("%v became %v", v, got)
		}
	}
	if !slices.IsSorted(s) || !slices.IsSorted(f) {
		t.Errorf("not in order: %x, %x", s, f)
	}
	e := KeptElement{Type: "signed64"}
	for i, v := range s {
		if got, want := string(e.AppendNum(nil, v)), []string{"-9223372036854775808", "-2", "-1", "0", "1", "9223372036854775807"}[i]; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestColumnName(t *testing.T) {
	for element, want := range map[string]string{
		"applicationId": "application_id", "flowEndDeltaMicroseconds": "flow_end_delta_microseconds", "bgpNextHopIPv4Address": "bgp_next_hop_ipv4_address",
		"postNATSourceIPv4Address": "post_nat_source_ipv4_address", "applicationHTTPHost": "application_http_host", "tcpSequenceNumber": "tcp_sequence_number",
		"dot1qVlanId": "dot1q_vlan_id", "VRFname": "vrf_name", "layer2SegmentId": "layer2_segment_id", "ipVersion": "ip_version", "": "",
	} {
		if got := ColumnName(element); got != want {
			t.Errorf("ColumnName(%q) = %q, want %q", element, got, want)
		}
	}
}

func TestKeptFind(t *testing.T) {
	k := NewKept([]KeptElement{
		{Field: 110, Enterprise: 9, Number: 12235, Name: "http_host", Element: "applicationHTTPHost", Alias: "cisco_12235", Type: "string"},
		{Field: 111, Enterprise: 9, Number: 12235, Name: "cisco_12235_octetarray", Element: "applicationHTTPHost", Alias: "cisco_12235", Until: 5},
	})
	for name, want := range map[string]Field{
		"http_host": 110, "HTTP_Host": 110, "applicationHttpHost": 110, "cisco_12235": 110, "kept_text2": 111, "cisco_12235_octetarray": 111,
		"bytes": Bytes, "": fieldNone, "nothing": fieldNone, "kept_text3": fieldNone,
	} {
		if got, _ := k.Field(name); got != want {
			t.Errorf("Field(%q) = %v, want %v", name, got, want)
		}
	}
	if len(k.Active()) != 1 || k.Name(110) != "http_host" || k.Name(Bytes) != "bytes" || k.Of(112) != nil {
		t.Errorf("%v, %s, %s", k.Active(), k.Name(110), k.Name(Bytes))
	}
	var none *Kept
	if _, ok := none.Field("http_host"); ok || none.Name(110) != "kept_text1" || none.All() != nil {
		t.Error("nothing is kept, and something was found")
	}
}

// What an exporter sends goes to a terminal without what moves its cursor, and
// to programs whole.
func TestKeptTextIsHarmless(t *testing.T) {
	e := KeptElement{Field: FirstKeptText, Type: "string"}
	var r Record
	r.SetText(e.Field, "a\x1b[2Jb\n\u009b\u202e\xff")
	if got := string(e.AppendText(nil, &r)); got != "a?[2Jb???\uFFFD" && got != "a?[2Jb????" {
		t.Errorf("got %q", got)
	}
	if got, want := string(e.AppendJSON(nil, &r)), `"a\u001b[2Jb\n\u009b\u202e`+"\uFFFD"+`"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
