package command

import (
	"strings"
	"testing"

	"weir/query"
)

// TestGroupTableNames writes the names of groups as they are, but for what moves
// a terminal's cursor.
func TestGroupTableNames(t *testing.T) {
	r := &query.SeriesResult{From: 1763766000000, Step: 60_000, Group: "src_org"}
	for _, name := range []string{"Universität Graz", "東京大学", "a\x1b[2J"} {
		r.Series = append(r.Series, query.SeriesGroup{Value: name, Points: make([]query.SeriesPoint, 1)})
	}
	var out strings.Builder
	w := newStream(&out, nil)
	if err := groupTable(w, seriesOptions{by: "bytes"}, r, false); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if head, _, _ := strings.Cut(out.String(), "\n"); !strings.HasSuffix(head, "  Universität Graz  東京大学  a?[2J") {
		t.Errorf("the head is %q", head)
	}
}
