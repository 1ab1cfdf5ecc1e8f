package query

import (
	"context"
	"math/rand/v2"
	"testing"
)

// TestCountOnly checks that records and flows are the same when nothing else is
// read, and that nothing else is.
func TestCountOnly(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 42))
	a := newArchive(t, rng, 2500)
	m := &filterMaker{rng, a.records}
	for range 40 {
		req := TopRequest{Filter: m.filter(1), Window: m.window(), By: "flows", Dedup: rng.IntN(3) == 0}
		if rng.IntN(2) == 0 {
			req.Fields = []string{[]string{"src_addr", "dst_port", "proto", "src_as"}[rng.IntN(4)]}
		}
		want, _, err := Top(context.Background(), a.store, req)
		if err != nil {
			t.Fatal(err)
		}
		req.CountOnly = true
		got, _, err := Top(context.Background(), a.store, req)
		if err != nil {
			t.Fatal(err)
		}
		if got.Total.Records != want.Total.Records || got.Total.Flows != want.Total.Flows || got.Groups != want.Groups || got.Total.Bytes+got.Total.Packets != 0 {
			t.Errorf("%+v: %+v of %d groups, want %+v of %d", req, got.Total, got.Groups, want.Total, want.Groups)
		}
		for i := range got.Rows {
			if got.Rows[i].Records != want.Rows[i].Records || got.Rows[i].Flows != want.Rows[i].Flows {
				t.Errorf("%+v: group %d is %+v, want %+v", req, i, got.Rows[i], want.Rows[i])
			}
		}
	}
}

// TestRestrictWindow compares the choice by columns with Window.Holds.
func TestRestrictWindow(t *testing.T) {
	rng := rand.New(rand.NewPCG(51, 52))
	for range 200 {
		n := 1 + rng.IntN(300)
		start, end := make([]uint64, n), make([]uint64, n)
		for i := range n {
			start[i], end[i] = rng.Uint64N(12), rng.Uint64N(12)
			if rng.IntN(20) == 0 {
				end[i] = ^uint64(0)
			}
		}
		w := Window{From: rng.Uint64N(12), To: rng.Uint64N(12)}
		set := new(rowSet)
		fill(set, n)
		set[0] &^= 4
		restrictWindow(start, end, w, set)
		for i := range n {
			want := i != 2 && w.Holds(min(start[i], end[i]), max(start[i], end[i]))
			if got := inWords(set[:], i); got != want {
				t.Fatalf("%+v of %d to %d: %v, want %v", w, start[i], end[i], got, want)
			}
		}
	}
}
