package query

import (
	"context"
	"fmt"
	"testing"

	"weir/flow"
	"weir/store"
)

// TestAbsentAddressTouchesNoBlock pins that the index alone answers for an
// address that no record has, whichever question is asked: not even the headers
// of blocks are looked at.
func TestAbsentAddressTouchesNoBlock(t *testing.T) {
	const absent = "203.0.113.77"
	s, ctx := seenArchive(t, 50, 200), context.Background()
	for _, c := range []struct {
		name string
		ask  func(addr string) (Summary, error)
	}{
		{"flows", func(addr string) (Summary, error) {
			return Flows(ctx, s, FlowsRequest{Filter: "ip " + addr}, func(*flow.Record) error { return nil })
		}},
		{"top", func(addr string) (Summary, error) {
			_, summary, err := Top(ctx, s, TopRequest{Fields: []string{"dst_port"}, Filter: "src ip " + addr})
			return summary, err
		}},
		{"series", func(addr string) (Summary, error) {
			_, summary, err := Series(ctx, s, SeriesRequest{Filter: "host " + addr + " and proto tcp"})
			return summary, err
		}},
		{"peers", func(addr string) (Summary, error) {
			_, summary, err := Peers(ctx, s, PeersRequest{Addr: addr})
			return summary, err
		}},
		{"seen", func(addr string) (Summary, error) {
			_, summary, err := Seen(ctx, s, SeenRequest{Addrs: []string{addr}})
			return summary, err
		}},
	} {
		got, err := c.ask(absent)
		if err != nil {
			t.Fatal(err)
		}
		if got.BlocksRead != 0 || got.RowsScanned != 0 || got.BlocksConsidered != got.BlocksPruned || got.BucketsConsidered != 50 {
			t.Errorf("%s of an absent address: %d blocks read, %d rows, %d of %d blocks left out, %d buckets",
				c.name, got.BlocksRead, got.RowsScanned, got.BlocksPruned, got.BlocksConsidered, got.BucketsConsidered)
		}
		if got, err = c.ask("10.0.0.1"); err != nil || got.BlocksRead == 0 { // else the above would say nothing
			t.Errorf("%s of an address that occurs: %d blocks read, %v", c.name, got.BlocksRead, err)
		}
	}
}

// BenchmarkGrowth looks addresses up in archives of one, ten and ninety days of
// small hours. Run it with
//
//	go test ./query -run '^$' -bench Growth -benchtime 20x
func BenchmarkGrowth(b *testing.B) {
	for _, days := range []int{1, 10, 90} {
		b.Run(fmt.Sprintf("days=%d", days), func(b *testing.B) {
			s := seenArchive(b, 24*days, 1000)
			b.Run("absent", func(b *testing.B) { benchLookup(b, s, "203.0.113.77") })
			b.Run("rare", func(b *testing.B) { benchLookup(b, s, rarest(b, s)) })
			b.Run("seen-10000-absent", func(b *testing.B) {
				req := SeenRequest{}
				for i := range 10_000 {
					req.Addrs = append(req.Addrs, flow.AddrFrom4(0xc0000000+uint32(i)*7).String())
				}
				for b.Loop() {
					if _, _, err := Seen(context.Background(), s, req); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func benchLookup(b *testing.B, s *store.Store, addr string) {
	before := processorTime(b)
	for b.Loop() {
		if _, err := Flows(context.Background(), s, FlowsRequest{Filter: "ip " + addr}, func(*flow.Record) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N)/1e6, "cpu-ms/op")
}

// rarest returns an address of few records.
func rarest(b *testing.B, s *store.Store) string {
	b.Helper()
	top, _, err := Top(context.Background(), s, TopRequest{Fields: []string{"dst_addr"}, By: "records:asc", Limit: 1})
	if err != nil {
		b.Fatal(err)
	}
	return top.Rows[0].Key[0].String()
}

// BenchmarkGroups adds records of one-word keys to a table, as many different
// ones as its name says.
//
//	go test ./query -run '^$' -bench 'Groups$' -count 5
func BenchmarkGroups(b *testing.B) {
	groupers, err := parseGroupers([]string{"src_addr", "src_port"}, nil, ParseOptions{})
	if err != nil {
		b.Fatal(err)
	}
	const records = 2_000_000
	for _, groups := range []uint64{1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(groups), func(b *testing.B) {
			l, bytes := newLayout(groupers), int64(0)
			for b.Loop() {
				table := newGroupTable(l, false, 0, DefaultTopBytes)
				p := table.newPending(l)
				for i := range uint64(records) {
					if err := p.add(mix(i)%groups<<2|3, &acc{1, i, 1}); err != nil {
						b.Fatal(err)
					}
				}
				if err := collectAll(table, &p); err != nil {
					b.Fatal(err)
				}
				bytes = table.bytes.Load()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
			b.ReportMetric(float64(bytes)/float64(groups), "B/group")
		})
	}
}
