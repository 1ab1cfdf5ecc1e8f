package query

import (
	"math/rand/v2"
	"testing"

	"weir/flow"
)

// TestPackedKeysCompare compares packed keys in which values are absent with
// what their values say: the order of groups with equal sums must be the same
// however often one asks.
func TestPackedKeysCompare(t *testing.T) {
	groupers, err := parseGroupers([]string{"proto", "src_port", "src_addr", "tcp_flags", "dst_as"}, nil, ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l := newLayout(groupers)
	rng := rand.New(rand.NewPCG(3, 5))
	keys := make([][]uint64, 200)
	for k := range keys {
		keys[k] = make([]uint64, l.words)
		for i := range groupers {
			switch g := &groupers[i]; {
			case rng.IntN(2) == 0: // absent
			case g.isAddr():
				l.putAddr(keys[k], i, flow.Addr{Lo: 0xffff_0000_0000 | rng.Uint64N(3)})
			default:
				l.putNum(keys[k], i, rng.Uint64N(3))
			}
		}
	}
	for _, a := range keys {
		for _, b := range keys {
			want := 0
			for i, v := range l.values(a) {
				if want = v.compare(l.value(b, i)); want != 0 {
					break
				}
			}
			if got := l.compare(a, b); got != want {
				t.Fatalf("%v and %v: %d, want %d", l.values(a), l.values(b), got, want)
			}
		}
	}
}
