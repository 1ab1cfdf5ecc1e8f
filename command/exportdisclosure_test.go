package command

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"weir/flow/ledger"
	"weir/query"
)

// disclose returns the arguments of a disclosure of a whole capture.
func disclose(more ...string) []string {
	return append([]string{"proto tcp", "--from", "2026-11-22 14:00", "--to", "2026-11-22 14:03", "--disclosure", "4 Js 12/26"}, more...)
}

// checkSums does what sha256sum -c does, and returns the names.
func checkSums(t *testing.T, dir string) (names []string) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSuffix(packageText(t, dir, sumsName), "\n"), "\n") {
		sum, name, ok := strings.Cut(line, "  ")
		digest := sha256.Sum256([]byte(packageText(t, dir, name)))
		if !ok || hex.EncodeToString(digest[:]) != sum {
			t.Errorf("%s: %q does not fit", sumsName, line)
		}
		names = append(names, name)
	}
	return names
}

// A disclosure says what it rests on, how complete it is and what belongs to it,
// to a person and to sha256sum.
func TestDisclosure(t *testing.T) {
	data := exportArchive(t, "switch-sflow.pcap")
	basis := filepath.Join(t.TempDir(), "basis")
	if err := os.WriteFile(basis, []byte("Order of the <b>court</b> of X,\nof 1 November\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, format := range exportFormats {
		dir, m := mustExport(t, data, disclose("--legal-basis", "@"+basis, "--case", "LE-<7>", "--format", format)...)
		d := m.Disclosure
		if d == nil || d.Reference != "4 Js 12/26" || d.LegalBasis != "Order of the <b>court</b> of X,\nof 1 November" || len(d.Statement) == 0 || m.Rows == 0 {
			t.Fatalf("%s: the manifest says %+v", format, m)
		}
		if names := checkSums(t, dir); len(names) != 4 {
			t.Errorf("%s: the sums are of %q", format, names)
		}
		digest := sha256.Sum256([]byte(packageText(t, dir, manifestName)))
		cover := packageText(t, dir, coverName)
		for _, want := range []string{hex.EncodeToString(digest[:]), "4 Js 12/26", "&lt;b&gt;court&lt;/b&gt; of X, of 1 November", "LE-&lt;7&gt;", "proto tcp",
			fmt.Sprint(m.Rows, " records"), "one packet in 512 only", m.Files[0].SHA256, "sha256sum -c SHA256SUMS", "@page"} {
			if !strings.Contains(cover, want) {
				t.Errorf("%s: the cover sheet lacks %q", format, want)
			}
		}
		if strings.Contains(cover, "<b>court") || strings.Contains(cover, "http") || strings.Contains(cover, "src=") {
			t.Errorf("%s: the cover sheet has what is not its own", format)
		}
	}
	out, _, _ := weir(t, data, "audit", "--for-case", "LE-<7>", "-n", "0", "-o", "csv")
	if !strings.Contains(out, "disclosure 4 Js 12/26") {
		t.Errorf("the audit log says %s", out)
	}
}

// What is not an exact scope, or not raw, is refused before anything is written.
func TestDisclosureRefused(t *testing.T) {
	data := exportArchive(t, "switch-sflow.pcap")
	dir := filepath.Join(t.TempDir(), "new")
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	from, to := []string{"--from", "2026-11-22 14:00"}, []string{"--to", "2026-11-22 14:03"}
	for _, test := range []struct {
		args []string
		want string
	}{
		{disclose(), "--legal-basis TEXT"},
		{disclose("--legal-basis", ""), "--legal-basis TEXT"},
		{disclose("--legal-basis", "@"+empty), "--legal-basis TEXT"},
		{disclose("--legal-basis", "@"+empty+"no"), "no such file"},
		{disclose("--legal-basis", strings.Repeat("x", maxLegalBasis+1)), "over 64 KiB"},
		{disclose("--legal-basis", "x\xff"), "not UTF-8"},
		{disclose("--legal-basis", "x", "--anonymise", "truncate/24,/56"), "does not go with --anonymise"},
		{disclose("--legal-basis", "x", "--round", "1m"), "does not go with --round"},
		{disclose("--legal-basis", "x", "--statistics", "proto"), "does not go with --statistics"},
		{append(append(from, to...), "--disclosure", "R", "--legal-basis", "x"), "lacks a filter"},
		{[]string{"any", "--disclosure", "R", "--legal-basis", "x"}, "lacks a window"},
		{append([]string{"any", "--disclosure", "R", "--legal-basis", "x"}, from...), "no end; add --to"},
		{append([]string{"any", "--disclosure", "R", "--legal-basis", "x"}, to...), "no start; add --from"},
		{[]string{"any", "--disclosure", "R", "--legal-basis", "x", "--last", "2d"}, "no end"},
		{append([]string{"any", "--disclosure", "R", "--legal-basis", "x", "--to", "2027-01-01"}, from...), "in the future"},
		{disclose("--legal-basis", "x", "--disclosure", " "), "reference of a notice"},
		{[]string{"any", "--legal-basis", "x"}, "--legal-basis goes with --disclosure"},
	} {
		_, errs, status := weir(t, data, append([]string{"export", "-o", dir}, test.args...)...)
		if status != exitUsage || !strings.Contains(errs, test.want) {
			t.Errorf("%q: status %d, %s", test.args, status, errs)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Fatalf("%q: something was written", test.args)
		}
	}
}

// Neither the cover sheet nor the sums can be changed, whatever is done about the
// other.
func TestDisclosureTampered(t *testing.T) {
	data := exportArchive(t, "switch-sflow.pcap")
	for _, test := range []struct{ name, old, new, want string }{
		{coverName, "4 Js 12/26", "4 Js 13/26", "cover.html: it is not the cover sheet of this manifest"},
		{coverName, " records", " record", "cover.html: it is not"},
		{sumsName, "README.txt", "REEDME.txt", "SHA256SUMS: it does not say"},
		{manifestName, "4 Js 12/26", "4 Js 13/26", "cover.html: it is not"},
	} {
		dir, _ := mustExport(t, data, disclose("--legal-basis", "x")...)
		name := filepath.Join(dir, test.name)
		text := packageText(t, dir, test.name)
		if err := os.WriteFile(name, []byte(strings.Replace(text, test.old, test.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, _, status := weir(t, "", "verify", dir); status != exitIncomplete || !strings.Contains(out, test.want) {
			t.Errorf("%s changed: status %d, %s", test.name, status, out)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if out, _, status := weir(t, "", "verify", dir); status != exitIncomplete || !strings.Contains(out, test.name+": no such file") {
			t.Errorf("%s gone: status %d, %s", test.name, status, out)
		}
	}
}

// However long everything is that goes into it, the cover sheet has room on one
// page: its box is lower than A4 and Letter are without their margins, and lets
// nothing out; and what is usual fills it without being cut off by the box.
func TestCoverIsOnePage(t *testing.T) {
	long := strings.Repeat("a long text <&> ", 10_000)
	m := &manifest{Made: "2026-11-22T14:03:05Z", Weir: "0.1.0", Case: long, Rows: 1 << 60,
		Asked:      manifestQuestion{Filter: long, Exporter: long, From: "2026-11-22T14:00:00Z", To: "2026-11-22T14:00:00Z"},
		Disclosure: &manifestDisclosure{Reference: long, LegalBasis: long}}
	m.By.User, m.By.Login = long, long
	for range 50 {
		m.Disclosure.Statement = append(m.Disclosure.Statement, long)
		m.Files = append(m.Files, packageFile{Name: "records.parquet", Size: 1 << 60, SHA256: noManifestSum})
		m.Exporters = append(m.Exporters, manifestExporter{"2001:db8:1234:5678:9abc:def0:1234:5678", 1 << 60})
	}
	page, err := coverPage(m, noManifestSum)
	if err != nil {
		t.Fatal(err)
	}
	box := regexp.MustCompile(`main \{ width: (\d+)mm; height: (\d+)mm; overflow: hidden;`).FindSubmatch(page)
	margin := regexp.MustCompile(`@page \{ margin: 12mm 15mm; \}`).Find(page)
	if box == nil || margin == nil || string(box[1]) != "180" || string(box[2]) != "248" {
		t.Fatalf("the box is %q, the margin %q", box, margin)
	}
	const (
		a4Width, letterHeight = 210, 279 // mm: the narrower and the lower of the two
		lineHeight            = 8.5 * 1.25 * 25.4 / 72
	)
	if 180 > a4Width-2*15 || 248 > letterHeight-2*12 {
		t.Error("the box is larger than the page")
	}
	// An average letter is 1.6 mm wide, one of code 1.6 mm: lines of 146 mm beside
	// a head, else of 176 mm.
	lines := 0
	body := string(page)[strings.Index(string(page), "</h1>"):]
	body = body[:strings.Index(body, `class="signatures"`)]
	text := regexp.MustCompile(`<[^>]+>`)
	for part := range strings.SplitSeq(body, "\n") {
		width := 110
		if strings.Contains(part, "<th>") {
			width = 91
			_, part, _ = strings.Cut(part, "<td>")
		}
		part = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&", "&#43;", "+").Replace(text.ReplaceAllString(part, ""))
		if n := utf8.RuneCountInString(part); n > 0 {
			lines += (n + width - 1) / width
		}
	}
	const heads, title, signatures = 4 * (2.2 + 0.6 + 4.5), 10, 14
	if high := float64(lines)*lineHeight + heads + title + signatures; lines < 30 || high > 248 {
		t.Errorf("%d lines make %.0f mm, of 248", lines, high)
	}
	if len(page) > 16<<10 {
		t.Errorf("it has %d bytes", len(page))
	}
}

// Every kind of gap is said in words that need no glossary.
func TestPlainWords(t *testing.T) {
	gap := func(reason query.Reason) query.Gap { return query.Gap{From: 3600_000, To: 7200_000, Reason: reason} }
	name := []query.ExporterGap{{Addr: "192.0.2.1", Name: "edge"}}
	for _, test := range []struct {
		about    string
		coverage *query.Coverage
		sampling query.Sampling
		rows     uint64
		want     []string
	}{
		{"nothing known", nil, query.Sampling{}, 1, []string{"not known how complete", "every packet"}},
		{"whole", &query.Coverage{Collected: true, Ledgers: 1, Hours: 1, Heard: 1, Expected: 1}, query.Sampling{Unknown: 3}, 7, []string{"Nothing is known to be missing", "3 of the 7 records"}},
		{"stopped", &query.Coverage{Ledgers: 1, To: 10_800_000, Gaps: []query.Gap{gap(query.ReasonStopped)}}, query.Sampling{}, 1, []string{"For 1h00m of 3h00m nothing was collected (collector stopped), the longest time from 1970-01-01T01:00:00Z"}},
		{"all else", &query.Coverage{Ledgers: 1, Hours: 2, Unrecorded: 1, Past: 1, Begin: 5, Expected: 3, Heard: 2, Missing: name, Silent: name,
			Quiet: []query.Quiet{{Addr: "192.0.2.1"}}, Lost: 5, Loss: 0.05, Records: 95, Kernel: 2, NotStored: 4, Templates: []query.ExporterSets{{Sets: 6}},
			Strangers: 1, Refused: 8, SetAside: 9, Purged: 10, Damaged: []string{"x"}, Clocks: []query.ExporterClock{{Addr: "192.0.2.1", SkewMS: -60_000}}, Open: 9},
			query.Sampling{Sampled: 2, Intervals: []uint64{100, 512}}, 3,
			[]string{"retention rule", "begins at", "1 of 2 hours", "1 of 3 devices that were expected to report did not: edge (192.0.2.1)", "stopped to report: edge",
				"did not report from", "About 5.0 % of the records", "2 datagrams", "4 are counted", "6 blocks of records", "1 datagram of", "8 records about", "9 records about",
				"10 records of these hours had been deleted on purpose", "1 part of the log", "1m00s ahead", "still going on", "2 of the 3 records", "one packet in 100 or 512 only",
				"does not show that it did not take place"}},
		{"nothing found", &query.Coverage{Ledgers: 1, Intervals: []ledger.Interval{{N: 1, Records: 5}, {N: 512, Records: 3}}}, query.Sampling{}, 0,
			[]string{"it is not proven", "Some of the devices look at one packet in 512 only"}},
	} {
		got := strings.Join(plainWords(test.coverage, test.sampling, test.rows), "\n")
		for _, want := range test.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q is missing in\n%s", test.about, want, got)
			}
		}
	}
}
