package query

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"weir/flow"
)

// TestWindowFindsWhatCrossesIt pins the opposite of nfdump's -t, which shows
// flows that lie wholly inside only.
func TestWindowFindsWhatCrossesIt(t *testing.T) {
	w := Window{From: 1000, To: 2000}
	for _, c := range []struct {
		start, end uint64
		want       bool
	}{
		{500, 999, false}, {500, 1000, true}, {500, 1500, true}, {500, 5000, true}, {1000, 1000, true},
		{1200, 1300, true}, {1999, 5000, true}, {2000, 2000, false}, {2000, 5000, false},
	} {
		if got := w.Holds(c.start, c.end); got != c.want {
			t.Errorf("window %+v holds [%d, %d]: %v, want %v", w, c.start, c.end, got, c.want)
		}
	}
	if !(Window{}).Holds(0, 0) || !(Window{From: 5}).Holds(9, 9) || (Window{To: 5}).Holds(5, 9) {
		t.Error("an open end bounds")
	}
}

// TestCancelStopsTheQuery checks that a query ends with its context and says why.
func TestCancelStopsTheQuery(t *testing.T) {
	a := newArchive(t, rand.New(rand.NewPCG(3, 3)), 3000)
	for _, order := range []string{"", "bytes"} {
		ctx, cancel := context.WithCancel(context.Background())
		emitted := 0
		_, err := Flows(ctx, a.store, FlowsRequest{Order: order}, func(*flow.Record) error {
			if emitted++; emitted == 1 {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) && emitted == len(a.records) && order == "" {
			t.Errorf("order %q: %d records, %v, want context.Canceled", order, emitted, err)
		}
		cancel()
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Flows(ctx, a.store, FlowsRequest{}, func(*flow.Record) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that is over: %v", err)
	}
	if _, _, err := Top(ctx, a.store, TopRequest{}); !errors.Is(err, context.Canceled) {
		t.Errorf("top with a context that is over: %v", err)
	}
}

// TestEmitsErrorComesBack checks that the caller's own error ends the query.
func TestEmitsErrorComesBack(t *testing.T) {
	a := newArchive(t, rand.New(rand.NewPCG(4, 4)), 500)
	stop := errors.New("the client went away")
	for _, order := range []string{"", "start:desc"} {
		n := 0
		_, err := Flows(context.Background(), a.store, FlowsRequest{Order: order}, func(*flow.Record) error {
			if n++; n == 3 {
				return stop
			}
			return nil
		})
		if err != stop || n != 3 {
			t.Errorf("order %q: %v after %d records, want %v after 3", order, err, n, stop)
		}
	}
}

func TestTopRefusesTooManyGroups(t *testing.T) {
	a := newArchive(t, rand.New(rand.NewPCG(5, 5)), 2000)
	_, _, err := Top(context.Background(), a.store, TopRequest{Fields: []string{"received", "src_addr", "bytes"}, MaxBytes: 200_000})
	var tooMany *TooManyGroupsError
	if !errors.As(err, &tooMany) {
		t.Fatalf("Top with 200 kB for groups: %v, want a TooManyGroupsError", err)
	}
	_, _, err = Top(context.Background(), a.store, TopRequest{Fields: []string{"proto"}, Distinct: "received", MaxBytes: 10_000})
	if !errors.As(err, &tooMany) {
		t.Fatalf("Top with 10 kB for distinct values: %v, want a TooManyGroupsError", err)
	}
}

func TestRequestErrors(t *testing.T) {
	a := newArchive(t, rand.New(rand.NewPCG(6, 6)), 50)
	ctx := context.Background()
	drop := func(*flow.Record) error { return nil }
	for _, req := range []FlowsRequest{
		{Filter: "prt 53"}, {Order: "size"}, {Order: "bytes:up"}, {Limit: -1}, {Fields: []string{"src_adr"}}, {Exporter: "edge1"},
		{Exporter: "192.0.2.1 or any"}, {Filter: "ip in @/etc/passwd"}, {Filter: "@include /etc/passwd"},
	} {
		if _, err := Flows(ctx, a.store, req, drop); err == nil {
			t.Errorf("%+v: no error", req)
		}
	}
	for _, req := range []TopRequest{
		{Fields: []string{"src_adr"}}, {Fields: []string{"src_addr/129"}}, {Fields: []string{"src_addr/33/64"}}, {Fields: []string{"proto/8"}},
		{Fields: []string{"start/x"}}, {Fields: []string{"addr", "port"}}, {Fields: make([]string, 17)}, {By: "size"}, {By: "distinct"},
		{Distinct: "addr"}, {Limit: -1}, {Filter: "("},
	} {
		if _, _, err := Top(ctx, a.store, req); err == nil {
			t.Errorf("%+v: no error", req)
		}
	}
	if got := collect(t, a.store, FlowsRequest{Limit: 5, Fields: []string{"bytes", "src_addr"}}); len(got) != 5 {
		t.Errorf("%d records, want 5", len(got))
	} else if extra := got[0].Present.Len(); extra > 2 {
		t.Errorf("a record with two fields asked for has %d", extra)
	}
}

// TestTopResultCrossesASocket checks that an answer survives JSON.
func TestTopResultCrossesASocket(t *testing.T) {
	a := newArchive(t, rand.New(rand.NewPCG(7, 7)), 800)
	for _, fields := range [][]string{
		{"src_addr", "dst_addr/24/48", "proto"}, {"version", "start", "src_mac"}, {"mpls_label1", "duration"}, {"addr"}, {},
	} {
		want, _, err := Top(context.Background(), a.store, TopRequest{Fields: fields, Filter: "start < 2100 and version in [netflow5-sflow5]"})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got TopResult
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !reflect.DeepEqual(&got, want) {
			t.Errorf("%v: JSON gives\n%+v\nwant\n%+v", fields, &got, want)
		}
	}
}

// TestExplainAgreesWithFlows checks that the plan reads the blocks that the
// query reads.
func TestExplainAgreesWithFlows(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	a := newArchive(t, rng, 1200)
	m := &filterMaker{rng, a.records}
	for range 30 {
		filter, w := m.filter(2), m.window()
		plan, err := Explain(context.Background(), a.store, ExplainRequest{Filter: filter, Window: w})
		if err != nil {
			t.Fatalf("%s: %v", filter, err)
		}
		summary, err := Flows(context.Background(), a.store, FlowsRequest{Filter: filter, Window: w}, func(*flow.Record) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if plan.Total.Read != summary.BlocksRead || plan.Total.ReadRows != int64(summary.RowsScanned) || plan.Pruned != summary.BucketsPruned {
			t.Errorf("%s: the plan reads %d blocks and prunes %d buckets, the query %d and %d",
				filter, plan.Total.Read, plan.Pruned, summary.BlocksRead, summary.BucketsPruned)
		}
	}
}

func TestProgressIsReported(t *testing.T) {
	a := newArchive(t, rand.New(rand.NewPCG(9, 9)), 900)
	var last Progress
	ctx := WithProgress(context.Background(), func(p Progress) {
		if p.Buckets < last.Buckets || p.Rows < last.Rows {
			t.Errorf("progress went back from %+v to %+v", last, p)
		}
		last = p
	})
	if _, _, err := Top(ctx, a.store, TopRequest{}); err != nil {
		t.Fatal(err)
	}
	if last.Rows != uint64(len(a.records)) || last.Buckets != last.Total {
		t.Errorf("the last progress is %+v, want all of %d records", last, len(a.records))
	}
}
