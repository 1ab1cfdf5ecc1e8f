package query

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weir/flow"
)

// testPrefixes name the addresses of a recordMaker, nested and with gaps.
func testPrefixes(t testing.TB) []LabelledPrefix {
	t.Helper()
	var list []LabelledPrefix
	for _, p := range []struct {
		addr   string
		length int
		name   string
	}{
		{"10.0.0.0", 8, "Campus"}, {"10.1.0.0", 16, "uni-a"}, {"10.1.0.4", 30, "uni-b"}, {"192.0.2.0", 28, "uni-b"},
		{"192.0.2.3", 32, "uni-a"}, {"2001:db8::", 64, "uni-a"}, {"2001:db8:0:1::", 64, "Uni C, north"}, {"2001:db8::3", 128, "uni-b"},
	} {
		a, err := flow.ParseAddr(p.addr)
		if err != nil {
			t.Fatal(err)
		}
		prefix, err := flow.PrefixFrom(a, p.length)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, LabelledPrefix{prefix, p.name})
	}
	return list
}

func testNames(t testing.TB) (*Names, []LabelledPrefix) {
	prefixes := testPrefixes(t)
	one := func(v4 uint32) flow.Prefix { return flow.Prefix{First: flow.AddrFrom4(v4), Last: flow.AddrFrom4(v4)} }
	return &Names{
		Labels:    LabelTables{KindOrg: NewLabels(prefixes)},
		Exporters: NewLabels([]LabelledPrefix{{one(0x0a000001), "border-1"}, {one(0x0a000002), "border-1"}, {one(0xc0000205), "core 2"}}),
	}, prefixes
}

// orgOf returns the organisation of an end of a record, by a look at every
// prefix.
func orgOf(r *flow.Record, f flow.Field, prefixes []LabelledPrefix) string {
	if !r.Has(f) {
		return ""
	}
	return naiveName(prefixes, r.Addr(f))
}

func TestFlowsByNameIsNaive(t *testing.T) {
	names, prefixes := testNames(t)
	exporters := func(r *flow.Record, name string) bool {
		return r.Has(flow.Exporter) && names.Exporters.NameOf(r.Addr(flow.Exporter)) == name
	}
	src := func(r *flow.Record) string { return orgOf(r, flow.SrcAddr, prefixes) }
	dst := func(r *flow.Record) string { return orgOf(r, flow.DstAddr, prefixes) }
	tests := []struct {
		filter string
		want   func(r *flow.Record) bool
	}{
		{`org uni-a`, func(r *flow.Record) bool { return src(r) == "uni-a" || dst(r) == "uni-a" }},
		{`src_org = "uni-a"`, func(r *flow.Record) bool { return src(r) == "uni-a" }},
		{`dst org UNI-B`, func(r *flow.Record) bool { return dst(r) == "uni-b" }},
		{`dst_org != uni-b`, func(r *flow.Record) bool { return dst(r) != "uni-b" }},
		{`src and dst org Campus`, func(r *flow.Record) bool { return src(r) == "Campus" && dst(r) == "Campus" }},
		{`not org in [ campus, "Uni C, north" ]`, func(r *flow.Record) bool {
			return !slices.Contains([]string{"Campus", "Uni C, north"}, src(r)) && !slices.Contains([]string{"Campus", "Uni C, north"}, dst(r))
		}},
		{`src_org in [uni-a uni-b] and dst_org Campus`, func(r *flow.Record) bool {
			return (src(r) == "uni-a" || src(r) == "uni-b") && dst(r) == "Campus"
		}},
		{`exporter border-1`, func(r *flow.Record) bool { return exporters(r, "border-1") }},
		{`exporter = "core 2"`, func(r *flow.Record) bool { return exporters(r, "core 2") }},
		{`exporter != BORDER-1`, func(r *flow.Record) bool { return !exporters(r, "border-1") }},
		{`exporter in [border-1 192.0.2.5]`, func(r *flow.Record) bool { return exporters(r, "border-1") || exporters(r, "core 2") }},
	}
	for _, seed := range seeds(4) {
		a := newArchive(t, rand.New(rand.NewPCG(seed, 9)), 3000)
		for _, tt := range tests {
			var want []flow.Record
			for _, r := range a.records {
				if tt.want(&r) {
					want = append(want, r)
				}
			}
			f, err := Parse(tt.filter, ParseOptions{Names: names})
			if err != nil {
				t.Fatalf("%s: %v", tt.filter, err)
			}
			// As it is, and as another process gets it.
			for _, ask := range []struct {
				filter string
				names  *Names
			}{{tt.filter, names}, {f.Resolved(), nil}} {
				var got []flow.Record
				_, err := FlowsWith(context.Background(), a.store, FlowsRequest{Filter: ask.filter}, ParseOptions{Names: ask.names}, func(r *flow.Record) error {
					got = append(got, *r)
					return nil
				})
				if err != nil {
					t.Fatalf("seed %d: %s: %v", seed, ask.filter, err)
				}
				if !slices.Equal(texts(got), texts(want)) {
					t.Errorf("seed %d: %s: %d records, want %d", seed, ask.filter, len(got), len(want))
				}
			}
		}
	}
}

// TestUnresolvedNamesTravel checks that names that the client does not know
// reach a process that does, beside those that only the client knows.
func TestUnresolvedNamesTravel(t *testing.T) {
	names, prefixes := testNames(t)
	client := &Names{Labels: LabelTables{KindCountry: NewLabels([]LabelledPrefix{{prefixes[0].Prefix, "CH"}})}}
	for _, text := range []string{
		`src_org = "Uni C, north" and dst country CH`, `org in [uni-a uni-b] or exporter border-1 or geo ch`,
		`not router ip in ["core 2" 10.0.0.0/24]`, `exporter != border-1 and proto tcp`,
	} {
		f, err := Parse(text, ParseOptions{Names: client, Unresolved: true})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		both := &Names{Labels: LabelTables{KindOrg: names.Labels[KindOrg], KindCountry: client.Labels[KindCountry]}, Exporters: names.Exporters}
		want, err := Parse(text, ParseOptions{Names: both})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(f.Resolved(), ParseOptions{Names: names})
		if err != nil {
			t.Errorf("%s travels as %s: %v", text, f.Resolved(), err)
			continue
		}
		a := newArchive(t, rand.New(rand.NewPCG(7, 7)), 600)
		for i := range a.records {
			if r := &a.records[i]; got.Match(r) != want.Match(r) {
				t.Errorf("%s travels as %s, which differs for %s", text, f.Resolved(), r.AppendJSON(nil))
				break
			}
		}
	}
}

func TestNamesThatAreNone(t *testing.T) {
	names, _ := testNames(t)
	tests := []struct {
		text       string
		names      *Names
		unresolved bool
		want       string
	}{
		{"org uni-a", nil, false, "there are no names for org here: it needs networks in the configuration"},
		{"src_country DE", names, false, "there are no names for src_country here: it needs a file that knows countries: --mmdb FILE"},
		{"org uni-d", names, false, `expected the name of an organisation, found "uni-d" (did you mean "uni-a"?)`},
		{"org uni-d", names, true, `expected the name of an organisation, found "uni-d"`},
		{"src_org > uni-a", names, false, "names have no order"},
		{"src_org", names, false, "expected a name, in quotes if it has blanks, found the end"},
		{"in org uni-a", names, false, `"in" cannot stand before "org"`},
		{"exporter border-2", names, true, `expected an address, found "border-2"; host names are not looked up (did you mean "border-1"?)`},
		{"exporter border-1", nil, false, `host names are not looked up`},
	}
	for _, tt := range tests {
		_, err := Parse(tt.text, ParseOptions{Names: tt.names, Unresolved: tt.unresolved})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.text, err, tt.want)
		}
	}
	a := newArchive(t, rand.New(rand.NewPCG(1, 1)), 100)
	var request *RequestError
	if _, _, err := Top(context.Background(), a.store, TopRequest{Fields: []string{"dst_org"}}); !errors.As(err, &request) {
		t.Errorf("groups of names that there are not: %v", err)
	}
	if _, _, err := Series(context.Background(), a.store, SeriesRequest{Group: "org"}); !errors.As(err, &request) {
		t.Errorf("series of either end: %v", err)
	}
}

// orgKey returns a record's values of fields that a request groups by, once for
// each group that it counts for.
func orgKeys(r *flow.Record, fields []string, prefixes []LabelledPrefix) []string {
	keys := map[string]bool{}
	src, dst := orgOf(r, flow.SrcAddr, prefixes), orgOf(r, flow.DstAddr, prefixes)
	either := []string{src, dst}
	if src == "" {
		either = []string{dst}
	} else if dst == "" {
		either = []string{src}
	}
	for _, one := range either {
		var key []string
		for _, f := range fields {
			switch f {
			case "src_org":
				key = append(key, src)
			case "dst_org":
				key = append(key, dst)
			case "org":
				key = append(key, one)
			case "proto":
				v := ""
				if r.Has(flow.Proto) {
					v = fmt.Sprint(r.Num(flow.Proto))
				}
				key = append(key, v)
			}
		}
		keys[strings.Join(key, "|")] = true
	}
	return slices.Collect(maps.Keys(keys))
}

func TestTopByNameIsNaive(t *testing.T) {
	names, prefixes := testNames(t)
	for _, seed := range seeds(6) {
		a := newArchive(t, rand.New(rand.NewPCG(seed, 5)), 4000)
		for _, fields := range [][]string{{"src_org"}, {"dst_org"}, {"org"}, {"src_org", "dst_org"}, {"org", "proto"}, {"proto", "dst_org"}} {
			want := map[string]*Sums{}
			distinct := map[string]map[string]bool{}
			for i := range a.records {
				r := &a.records[i]
				if !r.Has(flow.Bytes) || r.Num(flow.Bytes) <= 100 {
					continue
				}
				for _, key := range orgKeys(r, fields, prefixes) {
					if want[key] == nil {
						want[key], distinct[key] = new(Sums), map[string]bool{}
					}
					want[key].Records++
					want[key].Bytes = plus(want[key].Bytes, r.Num(flow.Bytes))
					want[key].Packets = plus(want[key].Packets, r.Num(flow.Packets))
					if org := orgOf(r, flow.DstAddr, prefixes); org != "" {
						distinct[key][org] = true
					}
				}
			}
			for _, count := range []string{"", "dst_org"} {
				got, _, err := Top(context.Background(), a.store, TopRequest{Fields: fields, Filter: "bytes > 100", Distinct: count, Labels: names.Labels})
				if err != nil {
					t.Fatal(err)
				}
				if len(got.Rows) != len(want) {
					t.Errorf("seed %d: top %v: %d groups, want %d", seed, fields, len(got.Rows), len(want))
				}
				for _, row := range got.Rows {
					var key []string
					for _, v := range row.Key {
						key = append(key, v.String())
					}
					text := strings.Join(key, "|")
					w := want[text]
					if w == nil || w.Records != row.Records || w.Bytes != row.Bytes || w.Packets != row.Packets {
						t.Errorf("seed %d: top %v: group %q is %+v, want %+v", seed, fields, text, row.Sums, w)
					} else if count != "" && row.Distinct != uint64(len(distinct[text])) {
						t.Errorf("seed %d: top %v: group %q has %d organisations, want %d", seed, fields, text, row.Distinct, len(distinct[text]))
					}
				}
			}
		}
	}
}

func TestSeriesByName(t *testing.T) {
	names, prefixes := testNames(t)
	a := newArchive(t, rand.New(rand.NewPCG(2, 5)), 3000)
	want := map[string]uint64{}
	for i := range a.records {
		org := orgOf(&a.records[i], flow.DstAddr, prefixes)
		want[org] = plus(want[org], a.records[i].Num(flow.Packets))
	}
	got, _, err := SeriesWith(context.Background(), a.store, SeriesRequest{Group: "dst_org", Limit: 20, Step: 600_000}, ParseOptions{Names: names})
	if err != nil {
		t.Fatal(err)
	}
	sum := map[string]uint64{}
	for _, s := range got.Series {
		sum[s.Value] = plus(sum[s.Value], s.Total.Packets)
		if s.Other {
			t.Errorf("there are others: %+v", s.Total)
		}
	}
	total := uint64(0)
	for name, packets := range want {
		total = plus(total, packets)
		if name != "" && packets > 0 && sum[name] == 0 {
			t.Errorf("no series of %q", name)
		}
	}
	inSteps := plus(got.Before.Packets, got.After.Packets)
	for _, packets := range sum {
		inSteps = plus(inSteps, packets)
	}
	if inSteps != total {
		t.Errorf("all series have %d packets, want %d", inSteps, total)
	}
}
