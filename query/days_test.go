package query

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"weir/flow"
	"weir/index"
	"weir/store"
)

// TestDaySummariesLoseNothing asks for addresses in days that are summarised,
// before and after records that came late and hours that were dropped.
func TestDaySummariesLoseNothing(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	s, err := store.Open("archive", store.Options{FS: store.NewMemFS()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	first := store.Hour(494_400) // midnight
	addr := func() flow.Addr { return flow.AddrFrom4(10<<24 | rng.Uint32N(3000)) }
	write := func(h store.Hour) {
		b := flow.NewBatch(50)
		for range 50 {
			row := b.Grow(1)
			b.SetNum(flow.Received, row, h.StartMS()+rng.Uint64N(3_600_000))
			b.SetAddr(flow.SrcAddr, row, addr())
			b.SetAddr(flow.DstAddr, row, addr())
		}
		if err := s.Append(b); err != nil {
			t.Fatal(err)
		}
	}
	now := time.UnixMilli(int64((first + 72).StartMS()) + 60_000)
	sealer := index.NewSealer(s, index.Options{Now: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler)})
	compare := func(when string) {
		t.Helper()
		all := collect(t, s, FlowsRequest{})
		for range 40 {
			a, b := addr(), addr()
			for _, filter := range []string{
				fmt.Sprintf("ip %v", a), fmt.Sprintf("src ip %v", a), fmt.Sprintf("src ip %v and dst net %v/24", a, b),
				fmt.Sprintf("not ip %v", a), fmt.Sprintf("ip in [ %v %v ]", a, b), fmt.Sprintf("dst ip %v or not src net %v/21", a, b),
			} {
				f, err := Parse(filter, ParseOptions{})
				if err != nil {
					t.Fatal(err)
				}
				want := 0
				for i := range all {
					if f.Match(&all[i]) {
						want++
					}
				}
				got := 0
				count := func(*flow.Record) error { got++; return nil }
				summary, err := Flows(context.Background(), s, FlowsRequest{Filter: filter}, count)
				if err != nil || got != want || len(summary.Damaged) > 0 {
					t.Fatalf("%s, %s: %d flows, %v, want %d (damaged: %v)", when, filter, got, err, want, summary.Damaged)
				}
			}
		}
	}
	for h := range store.Hour(72) {
		write(first + h)
	}
	if err := sealer.SealOver(context.Background()); err != nil {
		t.Fatal(err)
	}
	compare("summarised")
	write(first + 5)
	write(first + 24)
	compare("with late records")
	for _, h := range []store.Hour{0, 30, 48, 50} {
		if err := s.Drop(first + h); err != nil {
			t.Fatal(err)
		}
	}
	compare("with hours dropped")
	if err := sealer.SealOver(context.Background()); err != nil {
		t.Fatal(err)
	}
	compare("sealed again")
}
