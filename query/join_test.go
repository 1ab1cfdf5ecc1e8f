package query

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"weir/flow"
)

// A filter whose lists are joined matches what it matched before.
func TestJoinedMatchesTheSame(t *testing.T) {
	for _, seed := range seeds(5) {
		rng := rand.New(rand.NewPCG(seed, 7))
		made := recordMaker{rng: rng, hours: 1, wild: seed%2 == 0}
		records := make([]flow.Record, 300)
		for i := range records {
			records[i] = made.record(uint64(rng.IntN(1000)))
		}
		m := &filterMaker{rng: rng, records: records}
		for range 100 {
			parts := make([]string, 2+rng.IntN(8))
			for i := range parts {
				if parts[i] = "( " + m.leaf() + " )"; rng.IntN(4) == 0 {
					parts[i] = "not " + parts[i]
				}
			}
			text := strings.Join(parts, " or ")
			f, err := Parse(text, ParseOptions{})
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			before := f.String()
			same := joined(f.root)
			if f.String() != before {
				t.Fatalf("%s\nbecame %s", before, f)
			}
			for i := range records {
				if got, want := same.match(&records[i]), f.Match(&records[i]); got != want {
					t.Fatalf("seed %d: %s\nas %s\ngot %v, want %v for %+v", seed, text, same.appendText(nil), got, want, records[i])
				}
			}
		}
	}
}

func TestJoined(t *testing.T) {
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("ip 10.0.%d.1", i%256), fmt.Sprintf("dst port %d", 1000+i))
	}
	for _, c := range []struct{ text, want string }{
		{"src ip 10.0.0.1 or src ip 10.0.0.3 or src ip 10.0.0.2", "src_addr = 10.0.0.1-10.0.0.3"},
		{"ip 10.0.0.1 or ip 10.0.0.9", "src_addr in [10.0.0.1 10.0.0.9] or dst_addr in [10.0.0.1 10.0.0.9]"},
		{"not (src port 5 or src port 7) and proto tcp", "not src_port in [5 7] and proto = 6"},
		{"src port 5 or proto tcp or src port 7", "src_port in [5 7] or proto = 6"},
		{"tcp_flags & 1 = 1 or tcp_flags & 2 = 2 or tcp_flags & 1 = 0", "tcp_flags & 1 <= 1 or tcp_flags & 2 = 2"},
		{"src ip 10.0.0.1 or src ip 10.0.0.0/8", "src_addr = 10.0.0.0/8"},
		{"src ip 10.0.0.1 and src ip 10.0.0.2", "src_addr = 10.0.0.1 and src_addr = 10.0.0.2"},
	} {
		f, err := Parse(c.text, ParseOptions{})
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got := string(joined(f.root).appendText(nil)); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.want)
		}
	}
	f, err := Parse(strings.Join(many, " or "), ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := joined(f.root).(*orNode); !ok || len(n.kids) != 3 {
		t.Errorf("600 conditions are joined to %s", joined(f.root).appendText(nil))
	}
}
