package command

import (
	"math/rand/v2"
	"slices"
	"testing"

	"weir/flow"
)

// TestLayoutFields prints records in every token that says what it reads: with all
// their fields, and with those alone.
func TestLayoutFields(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 14))
	for name, fields := range layoutReads {
		for range 300 {
			var whole, part flow.Record
			for f := range flow.AllFields().All {
				switch {
				case rng.IntN(3) == 0 || f.IsText():
				case f.IsAddr():
					whole.SetAddr(f, flow.AddrFrom4(rng.Uint32()))
				default:
					whole.SetNum(f, rng.Uint64N(1<<(1+rng.IntN(40))))
				}
			}
			if rng.IntN(2) == 0 {
				whole.SetNum(flow.Proto, []uint64{1, 6, 58}[rng.IntN(3)])
			}
			for _, f := range fields {
				switch {
				case !whole.Has(f):
				case f.IsAddr():
					part.SetAddr(f, whole.Addr(f))
				default:
					part.SetNum(f, whole.Num(f))
				}
			}
			for _, plain := range []bool{false, true} {
				if got, want := layoutText(t, "fmt:%"+name, plain, &part), layoutText(t, "fmt:%"+name, plain, &whole); got != want {
					t.Fatalf("%%%s of the fields %v is %q, of all %q", name, fields, got, want)
				}
			}
		}
	}
}

func TestNeededFieldsOfLayouts(t *testing.T) {
	for format, want := range map[string][]string{
		"line":                nil, // below
		"fmt:%sa %byt":        {"src_addr", "bytes"},
		"fmt:%sa %xsa":        nil, // a token that is not in the table
		"fmt:%sa %sa_of_ours": nil, // perhaps a kept element
		"fmt:%sa %nothing":    nil,
	} {
		got := neededFields(format, nil)
		if format == "line" {
			if !slices.Contains(got, "dst_port") || slices.Contains(got, "src_mac") {
				t.Errorf("line needs %v", got)
			}
			continue
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s needs %v, want %v", format, got, want)
		}
	}
}
