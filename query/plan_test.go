package query

import "testing"

// TestWideRangesAreScanned has only those conditions look into the index that may
// leave a block out.
func TestWideRangesAreScanned(t *testing.T) {
	for _, c := range []struct {
		filter  string
		indexed bool
	}{
		{"src port 53", true},
		{"src port > 50000", false},
		{"src port < 1024", true},
		{"not src port 53", false},
		{"src port in [53 80 443]", true},
		{"src port > 50000 and dst port 53", true},
		{"src port > 50000 or dst port 53", false},
		{"src port 53 and flags F", true},
	} {
		f, err := Parse(c.filter, ParseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := usesIndex(f.root); got != c.indexed {
			t.Errorf("%s: the index is asked: %v, want %v", c.filter, got, c.indexed)
		}
	}
}
