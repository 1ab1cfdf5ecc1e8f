package command

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"weir/query"
)

// TestClockBounds checks that the alert rules and the documents say of clocks
// what weir coverage says.
func TestClockBounds(t *testing.T) {
	ahead, behind := int(query.ClockAhead.Seconds()), int(query.ClockBehind.Seconds())
	for file, want := range map[string]string{
		"../docs/alerts.yml":    fmt.Sprintf("expr: weir_exporter_skew_median_seconds < -%d or weir_exporter_skew_median_seconds > %d\n", ahead, behind),
		"../docs/operations.md": fmt.Sprintf("more than %d seconds ahead or %d minutes behind", ahead, behind/60),
		"../docs/metrics.md":    fmt.Sprintf("more than %d seconds ahead or %d minutes behind", ahead, behind/60),
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(strings.Fields(string(text)), " "), strings.TrimSpace(want)) {
			t.Errorf("%s does not say %q", file, want)
		}
	}
}
