package query

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/flow"
	"weir/index"
	"weir/store"
)

// naiveSeen looks at every record for one address.
func naiveSeen(records []*flow.Record, me flow.Addr) SeenEntry {
	e := SeenEntry{Addr: me.String()}
	peers, hours := map[flow.Addr]bool{}, map[uint64]uint64{}
	server, client := map[SeenPort]uint64{}, map[SeenPort]uint64{}
	for _, r := range records {
		src := r.Has(flow.SrcAddr) && r.Addr(flow.SrcAddr) == me
		dst := r.Has(flow.DstAddr) && r.Addr(flow.DstAddr) == me
		if !src && !dst {
			continue
		}
		start, end := r.Span()
		if e.Records == 0 {
			e.First, e.Last = start, end
		}
		e.Records++
		e.First, e.Last = min(e.First, start), max(e.Last, end)
		hours[r.Num(flow.Received)/3600_000*3600_000]++
		other, mine, theirs := flow.SrcAddr, flow.DstPort, flow.SrcPort
		if src {
			e.AsSource++
			other, mine, theirs = flow.DstAddr, flow.SrcPort, flow.DstPort
		}
		if dst {
			e.AsDestination++
		}
		if r.Has(other) {
			peers[r.Addr(other)] = true
		}
		if !r.Has(mine) || !r.Has(theirs) || !r.Has(flow.Proto) || !hasPorts(r.Num(flow.Proto)) {
			continue
		}
		port := SeenPort{Proto: uint8(r.Num(flow.Proto)), Port: uint16(min(r.Num(mine), r.Num(theirs)))}
		if r.Num(mine) < r.Num(theirs) || r.Num(mine) == r.Num(theirs) && !src {
			server[port]++
		} else {
			client[port]++
		}
	}
	e.Active, e.Peers = len(hours), uint64(len(peers))
	for start, n := range hours {
		e.Hours = append(e.Hours, SeenHour{start, n})
	}
	slices.SortFunc(e.Hours, func(a, b SeenHour) int { return int(int64(a.Start) - int64(b.Start)) })
	e.Server, e.Client = topSeenPorts(server), topSeenPorts(client)
	e.MorePorts = len(server) > seenTopPorts || len(client) > seenTopPorts
	return e
}

func topSeenPorts(m map[SeenPort]uint64) []SeenPort {
	var list []SeenPort
	for p, n := range m {
		p.Records = n
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b SeenPort) int {
		if a.Records != b.Records {
			return int(b.Records) - int(a.Records)
		}
		if a.Port != b.Port {
			return int(a.Port) - int(b.Port)
		}
		return int(a.Proto) - int(b.Proto)
	})
	return list[:min(len(list), seenTopPorts)]
}

func TestSeenAgainstNaive(t *testing.T) {
	rng := newRand(t)
	records := randomRecords(rng, 3000)
	s := questionStore(t, rng, records)
	for range 40 * *roundsFlag {
		req := SeenRequest{Window: randomWindow(rng), Hours: rng.IntN(2) == 0, Addrs: []string{"198.51.100.1"}}
		for _, a := range questionAddrs() {
			if rng.IntN(2) == 0 {
				req.Addrs = append(req.Addrs, a.String())
			}
		}
		rng.Shuffle(len(req.Addrs), func(i, j int) { req.Addrs[i], req.Addrs[j] = req.Addrs[j], req.Addrs[i] })
		got, _, err := Seen(context.Background(), s, req)
		if err != nil {
			t.Fatalf("%+v: %v", req, err)
		}
		if len(got.Addrs) != len(req.Addrs) {
			t.Fatalf("%+v: got %d entries, want one for each address", req, len(got.Addrs))
		}
		matched := matching(t, records, "", req.Window)
		for _, e := range got.Addrs {
			me, err := flow.ParseAddr(e.Addr)
			if err != nil {
				t.Fatal(err)
			}
			want := naiveSeen(matched, me)
			if !req.Hours {
				want.Hours = nil
			}
			if !reflect.DeepEqual(e, want) {
				t.Errorf("%+v: %s:\n got %+v\nwant %+v", req.Window, e.Addr, e, want)
			}
		}
	}
}

func TestSeenOfNothing(t *testing.T) {
	rng := newRand(t)
	s := questionStore(t, rng, nil)
	got, _, err := Seen(context.Background(), s, SeenRequest{Addrs: []string{"10.0.0.1", "10.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := (&SeenResult{Addrs: []SeenEntry{{Addr: "10.0.0.1"}}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSeenRefuses(t *testing.T) {
	rng := newRand(t)
	s := questionStore(t, rng, nil)
	for _, req := range []SeenRequest{{Addrs: []string{"10.0.0.0/8"}}, {Addrs: []string{"host"}}, {Addrs: make([]string, MaxSeenAddrs+1)}} {
		var wrong *RequestError
		if _, _, err := Seen(context.Background(), s, req); !errors.As(err, &wrong) {
			t.Errorf("%.1v…: got %v, want a *RequestError", req.Addrs[0], err)
		}
	}
}

func TestSeenIsCancelled(t *testing.T) {
	rng := newRand(t)
	s := questionStore(t, rng, randomRecords(rng, 100))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := Seen(ctx, s, SeenRequest{Addrs: []string{"10.0.0.1"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestSeenReportsProgress(t *testing.T) {
	rng := newRand(t)
	s := questionStore(t, rng, randomRecords(rng, 300))
	var last Progress
	ctx := WithProgress(context.Background(), func(p Progress) {
		if p.Buckets < last.Buckets || p.Rows < last.Rows {
			t.Errorf("progress goes back from %+v to %+v", last, p)
		}
		last = p
	})
	_, summary, err := Seen(ctx, s, SeenRequest{Addrs: []string{"10.0.0.1", "10.0.0.2"}})
	if err != nil {
		t.Fatal(err)
	}
	want := Progress{Buckets: summary.BucketsConsidered, Total: summary.BucketsConsidered, Rows: summary.RowsScanned, Matched: summary.RowsMatched}
	if last != want {
		t.Errorf("got %+v at the end, want %+v", last, want)
	}
}

func TestGallopAddr(t *testing.T) {
	rng := newRand(t)
	for range 1000 {
		var values []flow.Addr
		for range rng.IntN(40) {
			values = append(values, flow.AddrFrom4(rng.Uint32N(60)))
		}
		slices.SortFunc(values, flow.Addr.Compare)
		values = slices.Compact(values)
		from := rng.IntN(len(values) + 1)
		a := flow.AddrFrom4(rng.Uint32N(60))
		want := from
		for want < len(values) && values[want].Less(a) {
			want++
		}
		if got := gallopAddr(values, from, a); got != want {
			t.Fatalf("%v from %d in %v: got %d, want %d", a, from, values, got, want)
		}
	}
}

func TestAddrCounter(t *testing.T) {
	rng := newRand(t)
	kinds := map[string]func(i int) flow.Addr{
		"IPv4": func(i int) flow.Addr { return flow.AddrFrom4(uint32(i)) },
		"IPv6": func(i int) flow.Addr { return flow.Addr{Hi: uint64(i % 3), Lo: uint64(i / 3)} },
		"both": func(i int) flow.Addr {
			if i%2 == 0 {
				return flow.AddrFrom4(uint32(i))
			}
			return flow.Addr{Hi: 0x2001_0db8 << 32, Lo: uint64(i)}
		},
	}
	for kind, addr := range kinds {
		for _, n := range []int{0, 1, 256, 257, 1000, 10_000, 200_000} {
			var a, b addrCounter
			for i := range n {
				c := &a
				if rng.IntN(2) == 0 {
					c = &b
				}
				for range 2 {
					if a := addr(i); a.Is4() {
						c.add4(addr4(a.As4()), 256)
					} else {
						c.add6(addr6(a), 256)
					}
				}
			}
			a.merge(&b, 256)
			got, estimated := a.count()
			if estimated != (n > 256) {
				t.Errorf("%d addresses, %s: estimated is %v", n, kind, estimated)
			}
			if n <= 256 && got != uint64(n) || math.Abs(float64(got)-float64(n)) > 0.08*float64(n) {
				t.Errorf("%s: got %d of %d addresses", kind, got, n)
			}
		}
	}
}

func TestSeenPortsAreBounded(t *testing.T) {
	var a, b seenPorts
	for i := range uint16(1000) {
		a.add(6, i, 1)
		b.add(6, 5000+i, uint64(i)+1)
	}
	a.merge(&b)
	if len(a.keys) != maxSeenPorts || len(a.counts) != maxSeenPorts || !slices.IsSorted(a.keys) {
		t.Errorf("got %d ports and %d counts, ascending: %v, want %d", len(a.keys), len(a.counts), slices.IsSorted(a.keys), maxSeenPorts)
	}
}

func TestInOrder(t *testing.T) {
	for _, workers := range []int{1, 2, 7} {
		var got []int
		err := inOrder(context.Background(), workers, 100, func(i int) (int, error) { return i * i, nil }, func(i, v int) error {
			if v != i*i {
				t.Errorf("part %d: got %d", i, v)
			}
			got = append(got, i)
			return nil
		})
		if err != nil || len(got) != 100 || !slices.IsSorted(got) {
			t.Errorf("%d workers: got %d parts, in order %v, error %v", workers, len(got), slices.IsSorted(got), err)
		}
		wrong := errors.New("wrong")
		err = inOrder(context.Background(), workers, 100, func(i int) (int, error) {
			if i == 50 {
				return 0, wrong
			}
			return i, nil
		}, func(i, _ int) error {
			if i >= 50 {
				t.Errorf("part %d was taken after an error", i)
			}
			return nil
		})
		if !errors.Is(err, wrong) {
			t.Errorf("%d workers: got %v, want the error", workers, err)
		}
		err = inOrder(context.Background(), workers, 3, func(i int) (int, error) { return []int{1, 2}[i], nil }, func(int, int) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "panic") {
			t.Errorf("%d workers: got %v, want an error of the panic", workers, err)
		}
	}
}

// seenArchive is hours of traffic between some thousand addresses, sealed.
func seenArchive(b testing.TB, hours, perHour int) *store.Store {
	b.Helper()
	s, err := store.Open(b.TempDir()+"/archive", store.Options{FlushEvery: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	state := uint64(1)
	next := func(n uint64) uint64 {
		state += 0x9e3779b97f4a7c15
		return mix(state) % n
	}
	for h := range hours {
		batch := flow.NewBatch(perHour)
		base := batch.Grow(perHour)
		for _, c := range []struct { // in this order, so that the archive is the same each time
			field flow.Field
			value func() uint64
		}{
			{flow.Received, func() uint64 { return questionBase + uint64(h)*3600_000 + next(3600_000) }},
			{flow.Bytes, func() uint64 { return next(100000) }}, {flow.Packets, func() uint64 { return next(100) }},
			{flow.SrcPort, func() uint64 { return 1024 + next(60000) }}, {flow.DstPort, func() uint64 { return 443 }},
			{flow.Proto, func() uint64 { return 6 }},
		} {
			column := batch.Num(c.field)
			for i := range column {
				column[i] = c.value()
			}
			batch.Mark(c.field, base, perHour)
		}
		copy(batch.Num(flow.End), batch.Num(flow.Received))
		batch.Mark(flow.End, base, perHour)
		copy(batch.Num(flow.Start), batch.Num(flow.Received))
		batch.Mark(flow.Start, base, perHour)
		for _, c := range []struct {
			field  flow.Field
			spread uint64
		}{{flow.SrcAddr, 5000}, {flow.DstAddr, 200_000}} {
			column := batch.Addr(c.field)
			for i := range column {
				column[i] = flow.AddrFrom4(0x0a000000 + uint32(min(next(c.spread), next(c.spread))))
			}
			batch.Mark(c.field, base, perHour)
		}
		if err := s.Append(batch); err != nil {
			b.Fatal(err)
		}
	}
	later := func() time.Time { return time.UnixMilli(questionBase).AddDate(3, 0, 0) }
	if err := index.NewSealer(s, index.Options{Now: later, Logger: slog.New(slog.DiscardHandler)}).SealAll(context.Background()); err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkSeen asks for addresses over many hours: rare ones, and ones that
// occur in every hour. Run it with
//
//	go test ./query -run '^$' -bench Seen -benchtime 3x
func BenchmarkSeen(b *testing.B) {
	const hours, perHour = 240, 65_536
	s := seenArchive(b, hours, perHour)
	for _, n := range []int{1, 100, 10_000} {
		for kind, base := range map[string]uint32{"absent": 0xc0000000, "busy": 0x0a000000} {
			req := SeenRequest{}
			for i := range n {
				req.Addrs = append(req.Addrs, flow.AddrFrom4(base+uint32(i)*7).String())
			}
			b.Run(fmt.Sprintf("addrs=%d/%s", n, kind), func(b *testing.B) {
				for b.Loop() {
					if _, _, err := Seen(context.Background(), s, req); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N)/hours, "ms/hour-of-archive")
			})
		}
	}
}
