package query

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weir/flow"
)

// testKept has an element of every form.
var testKept = flow.NewKept([]flow.KeptElement{
	{Field: 76, Number: 501, Name: "a_number", Type: "unsigned32"},
	{Field: 77, Number: 502, Name: "a_signed", Type: "signed32"},
	{Field: 78, Number: 503, Name: "a_float", Type: "float64"},
	{Field: 79, Number: 504, Name: "a_boolean", Type: "boolean"},
	{Field: 80, Number: 505, Name: "a_mac", Type: "macAddress"},
	{Field: 81, Number: 506, Name: "a_time", Type: "dateTimeSeconds"},
	{Field: 104, Number: 507, Name: "an_addr", Type: "ipv4Address"},
	{Field: 110, Number: 508, Name: "a_text", Type: "string"},
	{Field: 111, Number: 95, Name: "application_id", Element: "applicationId", Type: "octetArray"},
	{Field: 112, Enterprise: 9, Number: 12235, Name: "cisco_12235", Alias: "cisco_12235"},
})

// withKept gives a record random values of testKept.
func withKept(rng *rand.Rand, r *flow.Record) {
	some := func(f flow.Field, v uint64) {
		if rng.IntN(3) > 0 {
			r.SetNum(f, v)
		}
	}
	some(76, uint64(rng.IntN(6)))
	some(77, flow.SignedNum(int64(rng.IntN(7)-3)))
	some(78, flow.FloatNum([]float64{-1.5, 0, 0.25, 1e6, -1e-9}[rng.IntN(5)]))
	some(79, uint64(rng.IntN(2)))
	some(80, 0x001b54aabb00+uint64(rng.IntN(3)))
	some(81, questionBase+1000*uint64(rng.IntN(4)))
	if rng.IntN(3) > 0 {
		r.SetAddr(104, questionAddrs()[rng.IntN(12)])
	}
	if rng.IntN(3) > 0 {
		r.SetText(110, []string{"Alice", "bob", "www.example.com", "mail.example.net", `it's`, "ünï", "123", ""}[rng.IntN(8)])
	}
	if rng.IntN(3) > 0 {
		r.SetText(111, []string{"\x0d\x00\x00\x50", "\x0d\x00\x01\xbb", "\x03\x00\x00\x35", "more than eight octets"}[rng.IntN(4)])
	}
	switch rng.IntN(3) {
	case 0:
		r.SetText(112, flow.AnyNum(uint64(rng.IntN(5))))
	case 1:
		r.SetText(112, flow.AnyOctets([]byte([]string{"abc", "\x01\x02", "Abc", ""}[rng.IntN(4)])))
	}
}

func keptRecords(rng *rand.Rand, n int) []*flow.Record {
	records := randomRecords(rng, n)
	for _, r := range records {
		withKept(rng, r)
	}
	return records
}

// testAlias knows of one enterprise.
func testAlias(text string) string {
	if n, ok := strings.CutPrefix(strings.NewReplacer("ciscoPEN/", "9/").Replace(text), "9/"); ok {
		return "cisco_" + n
	}
	return ""
}

var keptLeaves = []string{
	"a_number = 3", "a_number > 2", "a_number in [1 4-9]", "a_number >> 1 & 1 = 1", "a_number != 3", "a_number 0x2",
	"a_signed = -2", "a_signed < 0", "a_signed in [-3..-1 2]", "a_signed >= 1", "a_signed -3",
	"a_float < 0", "a_float = 0.25", "a_float in [-2..0.1]", "a_float > 1e5",
	"a_boolean true", "a_boolean = false", "a_boolean != true", "a_boolean 1",
	"a_mac 00:1b:54:aa:bb:01", "a_mac in [001b.54aa.bb00 00:1b:54:aa:bb:02]",
	"a_time = 2025-11-21T23:00:01", "a_time > 2025-11-21T23:00:01", "a_time in [2025-11-21T23:00:00..2025-11-21T23:00:01]",
	"an_addr 10.0.0.1", "an_addr = 10.0.0.0/24", "an_addr in [192.0.2.7 2001:db8::/32]", "an_addr != 10.0.0.1",
	"a_text alice", "a_text = 'ALICE'", `a_text = "it's"`, "a_text contains example", "a_text begins with WWW.", "a_text ends in ['.net' '.com']",
	"a_text in [bob, alice]", "a_text != bob", "a_text 'ÜNÏ'", "a_text = 123",
	"application_id 0x0d000050", "application_id > 0x0d000050", "applicationid in [0x0d000050 0x0d0001bb]", "applicationId = 218103888",
	"application_id contains 'eight'", "application_id begins 0x0d", "application_id != 0x0d000050", "application_id in [50331701 0x0d000000-0x0d000100]",
	"application_id <= 1", "cisco_12235 = 3", "cisco_12235 > 1", "cisco_12235 abc", "cisco_12235 = 'Abc'", "cisco_12235 0x0102", "cisco_12235 in [0x3 abc 4]",
	"cisco_12235 contains 'b'", "Cisco_12235 < 2", "kept_number1 = 3", "ciscoPEN/12235 = 3", "not 9/12235 contains 'b'", "cisco_12235 0x102",
}

func keptFilter(rng *rand.Rand, depth int) string {
	leaf := func() string {
		if rng.IntN(4) == 0 {
			return []string{"proto tcp", "src net 10.0.0.0/24", "port 53", "bytes > 1000"}[rng.IntN(4)]
		}
		return keptLeaves[rng.IntN(len(keptLeaves))]
	}
	if depth == 0 {
		return leaf()
	}
	switch rng.IntN(4) {
	case 0:
		return "not (" + keptFilter(rng, depth-1) + ")"
	case 1:
		return leaf()
	}
	return "(" + keptFilter(rng, depth-1) + []string{") and (", ") or ("}[rng.IntN(2)] + keptFilter(rng, depth-1) + ")"
}

// TestKeptFlows compares what the engine finds by kept elements with what Match
// does, and each filter with its canonical text.
func TestKeptFlows(t *testing.T) {
	rng := newRand(t)
	options := ParseOptions{Kept: testKept, ElementAlias: testAlias}
	records := keptRecords(rng, 1500)
	s := questionStore(t, rng, records)
	filters := slices.Clone(keptLeaves)
	for range 200 {
		filters = append(filters, keptFilter(rng, 3))
	}
	hits := map[bool]int{}
	for _, text := range filters {
		f, err := Parse(text, options)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		again, err := Parse(f.String(), options)
		if err != nil {
			t.Fatalf("%s: its canonical text: %v", text, err)
		}
		if again.String() != f.String() {
			t.Errorf("%s: canonical text is %s, and of that %s", text, f, again)
		}
		want := map[flow.Record]int{}
		n := 0
		for _, r := range records {
			if f.Match(r) != again.Match(r) {
				t.Fatalf("%s: canonical text %s matches otherwise", text, f)
			}
			if f.Match(r) {
				want[*r]++
				n++
			}
		}
		hits[n > 0]++
		_, err = FlowsWith(context.Background(), s, FlowsRequest{Filter: text}, options, func(r *flow.Record) error {
			if want[*r]--; want[*r] < 0 {
				return fmt.Errorf("found a record that does not match, or is there once more: %s", r.AppendJSON(nil))
			}
			n--
			return nil
		})
		if err != nil || n != 0 {
			t.Fatalf("%s: %v, %d records are missing", text, err, n)
		}
	}
	if hits[true] < len(filters)/2 {
		t.Errorf("%d of %d filters matched anything", hits[true], len(filters))
	}
}

// TestKeptTop compares groups by kept elements, and the distinct values in groups,
// with naive ones.
func TestKeptTop(t *testing.T) {
	rng := newRand(t)
	options := ParseOptions{Kept: testKept, ElementAlias: testAlias}
	records := keptRecords(rng, 1200)
	s := questionStore(t, rng, records)
	text := func(e *flow.KeptElement, r *flow.Record) string {
		if !r.Has(e.Field) {
			return "-"
		}
		return string(e.AppendText(nil, r))
	}
	for i, e := range testKept.All() {
		other := testKept.All()[(i+3)%len(testKept.All())]
		want, distinct := map[string]uint64{}, map[string]map[string]bool{}
		for _, r := range records {
			key := text(&e, r) + "|" + fmt.Sprint(r.Has(flow.Proto), r.Num(flow.Proto))
			want[key]++
			if distinct[key] == nil {
				distinct[key] = map[string]bool{}
			}
			if r.Has(other.Field) {
				distinct[key][text(&other, r)] = true
			}
		}
		result, _, err := TopWith(context.Background(), s, TopRequest{Fields: []string{e.Name, "proto"}, By: "records", Distinct: other.Name}, options)
		if err != nil {
			t.Fatalf("top %s: %v", e.Name, err)
		}
		got := map[string]uint64{}
		for _, row := range result.Rows {
			value := row.Key[0].String()
			if !row.Key[0].Present {
				value = "-"
			}
			key := value + "|" + fmt.Sprint(row.Key[1].Present, row.Key[1].Num)
			got[key] = row.Records
			if row.Distinct != uint64(len(distinct[key])) {
				t.Errorf("%s: %d different %s, want %d", key, row.Distinct, other.Name, len(distinct[key]))
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("top %s: %v\nwant %v", e.Name, got, want)
		}
		checkTopWire(t, result)
	}
}

// checkTopWire sends an answer over a socket, to a side that does not know what is
// kept.
func checkTopWire(t *testing.T, r *TopResult) {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var there TopResult
	if err := json.Unmarshal(data, &there); err != nil {
		t.Fatalf("read back: %v\n%s", err, data)
	}
	for i, row := range r.Rows {
		for k, v := range row.Key {
			if got := there.Rows[i].Key[k]; got.String() != v.String() || got.Present != v.Present {
				t.Errorf("%s came as %q, want %q", r.Fields[k], got, v)
			}
		}
	}
	again, err := json.Marshal(&there)
	if err != nil || string(again) != string(data) {
		t.Errorf("written again: %s\nwant %s (%v)", again, data, err)
	}
}

// TestKeptSeries compares the totals of series by kept elements with Top's groups.
func TestKeptSeries(t *testing.T) {
	rng := newRand(t)
	options := ParseOptions{Kept: testKept, ElementAlias: testAlias}
	s := questionStore(t, rng, keptRecords(rng, 800))
	w := Window{From: questionBase, To: questionBase + 4*3600_000}
	for _, e := range testKept.All() {
		result, _, err := SeriesWith(context.Background(), s, SeriesRequest{Group: e.Name, Window: w, Step: 3600_000, Limit: 20, By: "flows"}, options)
		if err != nil {
			t.Fatalf("series %s: %v", e.Name, err)
		}
		values := map[string]bool{}
		for _, g := range result.Series {
			value := fmt.Sprintf("%q, absent %v", g.Value, g.Absent)
			if values[value] {
				t.Errorf("series %s: two are of %s", e.Name, value)
			}
			values[value] = true
			if g.Other {
				t.Errorf("series %s: %d flows are of none of the groups", e.Name, g.Total.Flows)
			}
			if g.Total.Flows == 0 {
				t.Errorf("series %s: none is of %q", e.Name, g.Value)
			}
		}
	}
}

// TestKeptErrors is of conditions that make no sense, and of what is said.
func TestKeptErrors(t *testing.T) {
	options := ParseOptions{Kept: testKept, ElementAlias: testAlias, Elements: func(name string) string {
		if name == "bgpNextHopASNumber" {
			return "bgpNextHopASNumber is not kept: add it to keep:"
		}
		return ""
	}}
	for text, want := range map[string]string{
		"a_text > 5":                    "no order",
		"a_text contains":               "expected a text",
		"a_signed & 3 = 1":              "only unsigned numbers",
		"a_signed x":                    "such as -5",
		"a_float nan":                   "such as 0.25",
		"a_boolean maybe":               "true or false",
		"a_mac 5:5":                     "MAC address",
		"an_addr > 10.0.0.1":            "no order",
		"application_id > text":         "a number",
		"application_id 0x0g":           "pairs of hexadecimal digits",
		"application_idd 5":             `did you mean "application_id"`,
		"bgpNextHopASNumber 5":          "add it to keep:",
		"cisco / 12235 5":               "expected a condition",
		"a_text ana@example.com":        "put a text that has one in quotes",
		"a_number 99999999999999999999": "a number",
	} {
		_, err := Parse(text, options)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one of %q", text, err, want)
		}
	}
}
