package query

import (
	"context"
	"reflect"
	"testing"

	"weir/flow"
)

// naiveStats adds up the records one by one.
func naiveStats(records []*flow.Record, hourly bool) (total Sums, families, exporters, versions, hours map[string]Sums) {
	families, exporters, versions, hours = map[string]Sums{}, map[string]Sums{}, map[string]Sums{}, map[string]Sums{}
	for _, name := range statsFamilies {
		families[name] = Sums{}
	}
	add := func(m map[string]Sums, key string, s Sums) {
		sum := m[key]
		naiveJoin(&sum, s)
		m[key] = sum
	}
	for _, r := range records {
		s := naiveSums(r)
		naiveJoin(&total, s)
		name := "other"
		if r.Has(flow.Proto) {
			switch r.Num(flow.Proto) {
			case 6:
				name = "tcp"
			case 17:
				name = "udp"
			case 1, 58:
				name = "icmp"
			}
		}
		add(families, name, s)
		add(exporters, r.Addr(flow.Exporter).String(), s)
		version := ""
		if r.Has(flow.Version) {
			version = flow.VersionName(r.Num(flow.Version))
		}
		add(versions, version, s)
		if hourly {
			add(hours, string(flow.AppendTime(nil, s.First/3600_000*3600_000)), s)
		}
	}
	return total, families, exporters, versions, hours
}

func rowsByKey(t *testing.T, rows []StatsRow) map[string]Sums {
	t.Helper()
	m := map[string]Sums{}
	for i, r := range rows {
		if _, twice := m[r.Key]; twice {
			t.Errorf("key %q is there twice (row %d)", r.Key, i)
		}
		m[r.Key] = r.Sums
	}
	return m
}

func TestStatsAgainstNaive(t *testing.T) {
	rng := newRand(t)
	records := randomRecords(rng, 3000)
	s := questionStore(t, rng, records)
	for range 40 * *roundsFlag {
		req := StatsRequest{Filter: randomFilter(rng), Window: randomWindow(rng), Hourly: rng.IntN(2) == 0}
		got, summary, err := Stats(context.Background(), s, req)
		if err != nil {
			t.Fatalf("%+v: %v", req, err)
		}
		matched := matching(t, records, req.Filter, req.Window)
		total, families, exporters, versions, hours := naiveStats(matched, req.Hourly)
		snap(&got.Total.Variance, total.Variance)
		if got.Total != total {
			t.Errorf("%+v: got total %+v, want %+v", req, got.Total, total)
		}
		if summary.RowsMatched != uint64(len(matched)) {
			t.Errorf("%+v: got %d rows matched, want %d", req, summary.RowsMatched, len(matched))
		}
		for name, pair := range map[string][2]map[string]Sums{
			"protocols": {rowsByKey(t, got.Protocols), families}, "exporters": {rowsByKey(t, got.Exporters), exporters},
			"versions": {rowsByKey(t, got.Versions), versions}, "hours": {rowsByKey(t, got.Hours), hours},
		} {
			for key, sums := range pair[0] {
				snap(&sums.Variance, pair[1][key].Variance)
				pair[0][key] = sums
			}
			if !reflect.DeepEqual(pair[0], pair[1]) {
				t.Errorf("%+v: %s:\n got %+v\nwant %+v", req, name, pair[0], pair[1])
			}
		}
	}
}

func TestStatsOfNothing(t *testing.T) {
	rng := newRand(t)
	s := questionStore(t, rng, nil)
	got, _, err := Stats(context.Background(), s, StatsRequest{Hourly: true})
	if err != nil {
		t.Fatal(err)
	}
	if got.Total != (Sums{}) || len(got.Protocols) != 4 || len(got.Exporters)+len(got.Versions)+len(got.Hours) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestStatsIsCancelled(t *testing.T) {
	rng := newRand(t)
	s := questionStore(t, rng, randomRecords(rng, 100))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := Stats(ctx, s, StatsRequest{}); err == nil {
		t.Error("got no error from a cancelled query")
	}
}
