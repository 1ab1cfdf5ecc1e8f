package command

import (
	"strings"
	"testing"

	"weir/store"
)

// A question that is not answered in time ends with a status of its own. Here
// it waits for an archive that another process has locked, and would end with
// another one if it waited to the end.
func TestTimeout(t *testing.T) {
	data := t.TempDir() + "/archive"
	s, err := store.Open(data, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, args := range [][]string{{"query"}, {"query", "--count"}, {"top", "proto"}, {"series"}, {"stats"}, {"peers", "192.0.2.7"},
		{"seen", "192.0.2.7"}, {"explain", "any"}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			out, errs, status := weir(t, data, append(args, "--timeout", "1s")...)
			if out != "" || status != exitTimeout || !strings.Contains(errs, "gave up after the 1s of --timeout") {
				t.Errorf("%v: got %q, %q, status %d, want status %d", args, out, errs, status, exitTimeout)
			}
		})
	}
}

func TestTimeoutIsChecked(t *testing.T) {
	for _, span := range []string{"", "0s", "soon", "-5s"} {
		if _, errs, status := weir(t, t.TempDir(), "query", "--timeout", span); status != exitUsage || !strings.Contains(errs, "--timeout") {
			t.Errorf("--timeout %q: got %q, status %d", span, errs, status)
		}
	}
	if _, errs, status := weir(t, t.TempDir()+"/none", "query", "--timeout", "1h"); status != exitStore {
		t.Errorf("got %q, status %d: an error within the time is not the timeout's", errs, status)
	}
}
