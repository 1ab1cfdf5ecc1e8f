package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"weir/testdata/peer"
)

// One datagram, sent to weir's collector and to nfdump's: the flows and the
// totals that both print are the same.
func TestAnswersAgainstNfdump(t *testing.T) {
	peer.Need(t, "nfcapd", "nfdump")
	records := nfdumpRecords()
	datagram := v5Datagram(records)
	file := nfcapdFile(t, datagram)
	data := filepath.Join(t.TempDir(), "data")
	c := startCollector(t, data)
	c.send(t, datagram)
	waitAnswer(t, data, "5\n", "query", "--count")
	for _, question := range []struct {
		nfdump, weir []string
	}{
		{[]string{"-q", "-o", "line"}, []string{"query", "-q", "-o", "line"}},
		{[]string{"-q", "-o", "extended", "proto tcp or packets > 1m"}, []string{"query", "-q", "-o", "extended", "proto tcp or packets > 1m"}},
		{[]string{"-I"}, []string{"stats", "-o", "nfdump"}},
	} {
		cmd := exec.Command("nfdump", append([]string{"-r", file}, question.nfdump...)...)
		cmd.Env = append(os.Environ(), "TZ=UTC")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("nfdump %q: %v", question.nfdump, err)
		}
		answer, errs, status := weir(t, data, question.weir...)
		if status != exitOK {
			t.Fatalf("weir %q: status %d, %s", question.weir, status, errs)
		}
		got, want := words(answer), nfdumpLines(t, string(out), false)
		for i := range want {
			if strings.HasPrefix(want[i], "Ident:") || strings.HasPrefix(want[i], "Sequence failures:") {
				continue
			}
			if normalLayout(at(got, i)) != normalLayout(want[i]) {
				t.Errorf("%q, line %d:\n  weir   %q\n  nfdump %q", question.weir, i+1, at(got, i), want[i])
			}
		}
	}
}
