package query

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"weir/flow"
)

// A tail over batches shows what Match finds, which is what a query finds later.
func TestTailIsMatch(t *testing.T) {
	for _, seed := range seeds(3) {
		rng := rand.New(rand.NewPCG(seed, 23))
		a := newArchive(t, rng, 20+rng.IntN(600))
		m := &filterMaker{rng, a.records}
		for range 60 {
			text := m.filter(rng.IntN(4))
			f, err := Parse(text, ParseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			want := a.matching(f, Window{})
			if rng.IntN(3) == 0 && len(want) > 1 {
				want = want[:1+rng.IntN(len(want)-1)]
			}
			limit := 0
			if len(want) > 0 && rng.IntN(2) == 0 {
				limit = len(want)
			}
			if limit == 0 {
				want = a.matching(f, Window{})
			}
			if got := tailed(t, a.records, TailRequest{Filter: text, Limit: limit}, rng); !slices.Equal(texts(got), texts(want)) {
				t.Fatalf("seed %d: %s, limit %d: %d records, want %d", seed, text, limit, len(got), len(want))
			}
		}
	}
}

// tailed returns what a tail picks out of records that come in batches of any
// size.
func tailed(t *testing.T, records []flow.Record, req TailRequest, rng *rand.Rand) (got []flow.Record) {
	t.Helper()
	tail, err := NewTail(req, ParseOptions{})
	if err != nil {
		t.Fatalf("%+v: %v", req, err)
	}
	for more := true; more && len(records) > 0; {
		n := 1 + rng.IntN(len(records))
		batch := flow.NewBatch(n)
		for i := range n {
			batch.AppendRecord(&records[i])
		}
		records = records[n:]
		more, err = tail.Pick(batch, func(r *flow.Record) error {
			got = append(got, *r)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return got
}

func TestTailHonoursTheExporter(t *testing.T) {
	a, b := peerFlow("10.0.0.1", 50000, "192.0.2.7", 443), peerFlow("10.0.0.2", 50000, "192.0.2.7", 443)
	a.SetAddr(flow.Exporter, questionAddrs()[4])
	b.SetAddr(flow.Exporter, questionAddrs()[5])
	rng := newRand(t)
	for exporter, want := range map[string]int{"": 2, "192.0.2.7": 1, "192.0.2.0/24": 2, "198.51.100.1": 0} {
		if got := tailed(t, []flow.Record{*a, *b}, TailRequest{Exporter: exporter}, rng); len(got) != want {
			t.Errorf("exporter %q: got %d records, want %d", exporter, len(got), want)
		}
	}
}

func TestTailRefuses(t *testing.T) {
	for _, req := range []TailRequest{{Filter: "port x"}, {Exporter: "nowhere"}, {Limit: -1}} {
		if _, err := NewTail(req, ParseOptions{}); err == nil {
			t.Errorf("%+v: got no error", req)
		}
	}
	tail, err := NewTail(TailRequest{}, ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	batch, full := flow.NewBatch(1), fmt.Errorf("full")
	batch.AppendRecord(peerFlow("10.0.0.1", 1, "10.0.0.2", 2))
	if _, err := tail.Pick(batch, func(*flow.Record) error { return full }); !errors.Is(err, full) {
		t.Errorf("got %v, want the error of emit", err)
	}
}
