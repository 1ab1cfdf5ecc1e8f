package command

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"weir/flow"
	"weir/query"
)

// exportArchive returns an archive with a capture in it.
func exportArchive(t *testing.T, captures ...string) string {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	for _, c := range captures {
		if _, errs, status := weir(t, data, "import", filepath.Join("../testdata", c)); status != exitOK {
			t.Fatalf("import %s: %s", c, errs)
		}
	}
	return data
}

// mustExport writes a package and returns its directory and manifest.
func mustExport(t *testing.T, data string, args ...string) (string, *manifest) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "package")
	out, errs, status := weir(t, data, append([]string{"export", "-o", dir}, args...)...)
	if status != exitOK {
		t.Fatalf("export %q: status %d, %s%s", args, status, out, errs)
	}
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		t.Fatal(err)
	}
	m := new(manifest)
	if err := json.Unmarshal(text, m); err != nil {
		t.Fatal(err)
	}
	if out, errs, status := weir(t, "", "verify", dir); status != exitOK {
		t.Fatalf("verify: status %d, %s%s", status, out, errs)
	}
	return dir, m
}

func packageText(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A package holds what weir query prints, and its manifest says what it is.
func TestExport(t *testing.T) {
	data := exportArchive(t, "switch-sflow.pcap")
	for _, format := range []string{formatCSV, formatJSON} {
		dir, m := mustExport(t, data, "proto tcp", "--format", format, "--case", "IR-1", "--reason", "it was asked for")
		want, _, _ := weir(t, data, "query", "proto tcp", "-o", format)
		name := map[string]string{formatCSV: "records.csv", formatJSON: "records.ndjson"}[format]
		if got := packageText(t, dir, name); got != want {
			t.Errorf("%s: the records are not those of weir query", format)
		}
		if m.Rows == 0 || m.Case != "IR-1" || m.Reason != "it was asked for" || m.Asked.Filter != "proto tcp" || m.Kind != "records" ||
			m.Weir != version || m.By.User == "" || m.Made == "" || m.Anonymisation != nil {
			t.Errorf("%s: the manifest says %+v", format, m)
		}
		sent := uint64(0)
		for _, e := range m.Exporters {
			sent += e.Records
		}
		if sent != m.Rows || m.Sampling.Sampled != m.Rows || !slices.Equal(m.Sampling.Intervals, []uint64{512}) {
			t.Errorf("%s: %d rows, of exporters %+v, sampling %+v", format, m.Rows, m.Exporters, m.Sampling)
		}
		if len(m.Coverage.Words) == 0 || m.Coverage.Detail == nil || len(m.Columns) != len(flow.JSONFields) {
			t.Errorf("%s: coverage %+v, %d columns", format, m.Coverage, len(m.Columns))
		}
		if readme := packageText(t, dir, readmeName); !strings.Contains(readme, m.Files[0].Name) || !strings.Contains(readme, "sha256sum") {
			t.Errorf("%s: the readme says %s", format, readme)
		}
	}
	out, _, _ := weir(t, data, "audit", "--command", "export", "-n", "1", "-o", "json")
	var line auditLine
	if err := json.Unmarshal([]byte(out), &line); err != nil || line.Rows == 0 || line.Case != "IR-1" || line.Filter != "proto tcp" {
		t.Errorf("the audit log says %s", out)
	}
}

func TestColumnMeanings(t *testing.T) {
	for _, name := range append(fieldNames(), durationColumn) {
		if c := describe(name); columnMeanings[name] == "" || c.Meaning == "" {
			t.Errorf("%s has no meaning", name)
		}
	}
	for name := range columnMeanings {
		if !slices.Contains(fieldNames(), name) && name != durationColumn {
			t.Errorf("%s is no column", name)
		}
	}
}

// What cannot be done is refused before anything is written.
func TestExportRefused(t *testing.T) {
	data := exportArchive(t, "switch-sflow.pcap")
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "theirs"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(short, []byte(strings.Repeat("ab", 33)), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "new")
	for _, args := range [][]string{
		{"any", "-o", full}, {"any"}, {"-o", dir}, {"any", "-o", dir, "--format", "table"}, {"any", "-o", dir, "--anonymise", "crypto-pan"},
		{"any", "-o", dir, "--anonymise", "rot13"}, {"any", "-o", dir, "--anonymise", "truncate/33,/56"}, {"any", "-o", dir, "--anonymise", "truncate/24"},
		{"any", "-o", dir, "--anonymise", "crypto-pan", "--key-file", short}, {"any", "-o", dir, "--side", "ours"},
		{"any", "-o", dir, "--anonymise", "truncate/24,/56", "--side", "ours"}, {"any", "-o", dir, "--anonymise", "truncate/24,/56", "--fields", "src_org"},
		{"any", "-o", dir, "--round", "often"}, {"any", "-o", dir, "--statistics", "proto", "--fields", "proto"}, {"any", "-o", dir, "--min-hosts", "3"},
		{"any", "-o", dir, "--statistics", "proto", "--min-hosts", "0"}, {"prot tcp", "-o", dir}, {"any", "-o", dir, "--fields", "nonsense"},
	} {
		if _, errs, status := weir(t, data, append([]string{"export"}, args...)...); status != exitUsage || errs == "" {
			t.Errorf("%q: status %d, %s", args, status, errs)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Fatalf("%q: something was written", args)
		}
	}
	if list, _ := os.ReadDir(full); len(list) != 1 {
		t.Error("something was written to a directory that is not empty")
	}
	// An export that ends early leaves nothing that looks like a package.
	p, err := newPackage(dir, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	w, err := p.create("records.csv")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.finish(0); err != nil {
		t.Fatal(err)
	}
	if _, err := p.create(readmeName); err != nil {
		t.Fatal(err)
	}
	if out, _, status := weir(t, "", "verify", dir); status != exitIncomplete || !strings.Contains(out, "interrupted") {
		t.Errorf("verify of what is not finished: status %d, %s", status, out)
	}
	if said := p.abandon(); !strings.Contains(said, "not finished") {
		t.Errorf("got %s", said)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("an abandoned export left its directory")
	}
}

// An export that is interrupted says so and leaves nothing.
func TestExportInterrupted(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
	}{{context.Canceled, exitInterrupted}, {errors.New("no luck"), exitFailure}} {
		b := &fakeBackend{flows: func(_ context.Context, _ query.FlowsRequest, emit func(*flow.Record) error) (query.Summary, error) {
			r := new(flow.Record)
			r.SetNum(flow.Bytes, 1)
			if err := emit(r); err != nil {
				return query.Summary{}, err
			}
			return query.Summary{}, test.err
		}}
		_, data := serve(t, b)
		for _, made := range []bool{false, true} {
			dir := filepath.Join(t.TempDir(), "package")
			if made {
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			out, errs, status := weir(t, data, "export", "any", "-o", dir)
			if status != test.status || out != "" || !strings.Contains(errs, "not finished") {
				t.Errorf("%v: status %d, %s%s", test.err, status, out, errs)
			}
			list, err := os.ReadDir(dir)
			if len(list) > 0 || made != (err == nil) {
				t.Errorf("%v: %v, %v are left", test.err, list, err)
			}
		}
	}
}

// weir verify finds every kind of tampering.
func TestVerifyFinds(t *testing.T) {
	data := exportArchive(t, "switch-sflow.pcap")
	write := func(name string, text []byte) func(dir string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), text, 0o600) }
	}
	change := func(name string, edit func(text []byte) []byte) func(dir string) error {
		return func(dir string) error {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, name), edit(text), 0o600)
		}
	}
	// forge changes the manifest and gives it the hash it then has.
	forge := func(edit func(text []byte) []byte) func(dir string) error {
		return func(dir string) error {
			text, err := os.ReadFile(filepath.Join(dir, manifestName))
			if err != nil {
				return err
			}
			m := new(manifest)
			if err := json.Unmarshal(edit(text), m); err != nil {
				return err
			}
			for _, name := range []string{manifestName, sumsName} {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					return err
				}
			}
			_, err = (&exportPackage{dir: dir}).seal(m, func(string) error { return nil })
			return err
		}
	}
	replace := func(old, new string) func(text []byte) []byte {
		return func(text []byte) []byte { return bytes.Replace(text, []byte(old), []byte(new), 1) }
	}
	rows := regexp.MustCompile(`"rows": \d+`)
	for _, test := range []struct {
		name   string
		tamper func(dir string) error
		want   []string // in the output
	}{
		{"a digit", change("records.csv", func(b []byte) []byte { b[len(b)-3] ^= 1; return b }), []string{"records.csv: SHA-256 is"}},
		{"a row more", change("records.csv", func(b []byte) []byte { return append(b, "1\r\n"...) }),
			[]string{"records.csv: SHA-256 is", "bytes, the manifest says", "121 rows, the manifest says 120"}},
		{"cut off", change("records.csv", func(b []byte) []byte { return b[:len(b)/2] }), []string{"bytes, the manifest says", "rows, the manifest says 120"}},
		{"gone", func(dir string) error { return os.Remove(filepath.Join(dir, "records.csv")) }, []string{"records.csv: no such file"}},
		{"readme", change(readmeName, func(b []byte) []byte { return append(b, '!') }), []string{"README.txt: SHA-256 is"}},
		{"one more file", write("more.csv", nil), []string{"more.csv: not in the manifest"}},
		{"a directory", func(dir string) error { return os.Mkdir(filepath.Join(dir, "d"), 0o700) }, []string{"d: not in the manifest"}},
		{"a part", write("records.csv.part", nil), []string{"records.csv.part: what an interrupted export left"}},
		{"manifest", change(manifestName, replace(`"case"`, `"cave"`)), []string{"SHA256SUMS: it does not say"}},
		{"manifest's hash", change(sumsName, func(b []byte) []byte { b[0] ^= 1; return b }), []string{"SHA256SUMS: it does not say"}},
		{"manifest gone", func(dir string) error { return os.Remove(filepath.Join(dir, manifestName)) }, []string{"manifest.json: no such file"}},
		{"its hash gone", func(dir string) error { return os.Remove(filepath.Join(dir, sumsName)) }, []string{"SHA256SUMS: no such file"}},
		{"no JSON", write(manifestName, []byte("{")), []string{"manifest.json: unexpected EOF"}},
		{"forged rows", forge(func(b []byte) []byte { return rows.ReplaceAll(b, []byte(`"rows": 7`)) }), []string{"120 rows, the manifest says 7"}},
		{"forged sum of rows", forge(func(b []byte) []byte { return bytes.Replace(b, rows.Find(b), []byte(`"rows": 7`), 1) }), []string{"7 rows in all, but 120"}},
		{"out of the directory", forge(replace(`"README.txt"`, `"../../etc/passwd"`)), []string{`"../../etc/passwd" is not the name`, "README.txt: not in the manifest"}},
		{"twice", forge(replace(`"README.txt"`, `"records.csv"`)), []string{"lists records.csv twice", "README.txt: not in the manifest"}},
		{"newer", forge(replace(`"version": 1`, `"version": 2`)), []string{"version 2; this weir knows up to 1"}},
		{"another format", forge(replace(`"weir export"`, `"bag it"`)), []string{"it is not of a weir export"}},
		{"a link", func(dir string) error {
			name := filepath.Join(dir, "records.csv")
			return cmpErr(os.Rename(name, dir+".csv"), func() error { return os.Symlink(dir+".csv", name) })
		}, []string{"records.csv: it is not a regular file"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, _ := mustExport(t, data, "any", "--case", "IR-1")
			if err := test.tamper(dir); err != nil {
				t.Fatal(err)
			}
			out, _, status := weir(t, "", "verify", dir)
			if status != exitIncomplete {
				t.Errorf("status %d", status)
			}
			for _, want := range test.want {
				if !strings.Contains(out, want) {
					t.Errorf("%q is missing in\n%s", want, out)
				}
			}
		})
	}
	dir, _ := mustExport(t, data, "any")
	if out, _, status := weir(t, "", "verify", dir, "--manifest", strings.Repeat("0", 64)); status != exitIncomplete || !strings.Contains(out, "as given") {
		t.Errorf("another hash than given: status %d, %s", status, out)
	}
}

func cmpErr(err error, next func() error) error {
	if err != nil {
		return err
	}
	return next()
}

// addressesIn returns all addresses and MAC addresses of an archive's records.
func addressesIn(t *testing.T, data string) map[string]bool {
	t.Helper()
	out, errs, status := weir(t, data, "query", "-o", "csv")
	if status != exitOK {
		t.Fatal(errs)
	}
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for i, name := range rows[0] {
		f, _ := flow.ParseField(name)
		if !f.Valid() || f.Kind() != flow.KindAddr && f.Kind() != flow.KindMAC {
			continue
		}
		for _, row := range rows[1:] {
			if v := row[i]; v != "" && v != "0.0.0.0" && v != "::" && v != "00:00:00:00:00:00" {
				found[v] = true
			}
		}
	}
	if len(found) < 10 {
		t.Fatalf("only %d addresses in the archive", len(found))
	}
	return found
}

// Nothing of the original addresses is in an anonymised package, and prefixes
// are kept.
func TestExportAnonymised(t *testing.T) {
	data := exportArchive(t, "switch-sflow.pcap")
	known := addressesIn(t, data)
	filter := "not ip 192.0.2.250"
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("7f", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	plain, _ := mustExport(t, data, filter, "--fields", "src_addr,start,in_if,exporter")
	for _, daemon := range []bool{false, true} {
		t.Run(fmt.Sprint("daemon ", daemon), func(t *testing.T) {
			if daemon {
				startCollector(t, data)
			}
			dir, m := mustExport(t, data, filter, "--anonymise", "crypto-pan", "--case", "RES-4", "--round", "1m")
			again, _ := mustExport(t, data, filter, "--anonymise", "crypto-pan", "--case", "RES-4", "--round", "1m")
			if packageText(t, dir, "records.csv") != packageText(t, again, "records.csv") {
				t.Error("the same case has other pseudonyms")
			}
			given, _ := mustExport(t, data, filter, "--anonymise", "crypto-pan", "--key-file", key, "--fields", "src_addr,start,in_if,exporter")
			if m.Anonymisation.Method != anonCryptoPAn || m.Anonymisation.Key != "of the case" || !m.Asked.Withheld {
				t.Errorf("the manifest says %+v, %+v", m.Anonymisation, m.Asked)
			}
			for _, dir := range []string{dir, given} {
				noneOf(t, dir, known)
			}
			if text := packageText(t, given, manifestName); strings.Contains(text, "7f7f7f") || strings.Contains(text, "f39/f39/") {
				t.Error("the key is in the manifest")
			}
			keptPrefixes(t, packageText(t, plain, "records.csv"), packageText(t, given, "records.csv"))
			for _, row := range readRows(t, packageText(t, dir, "records.csv")) {
				for _, at := range row[:3] { // received, start, end
					if at != "" && !strings.HasSuffix(at, ":00.000Z") {
						t.Fatalf("the time %s is not rounded", at)
					}
				}
			}
		})
	}
	dir, _ := mustExport(t, data, filter, "--anonymise", "truncate/24,/56", "--fields", "src_addr")
	noneOf(t, dir, known)
	was := readRows(t, packageText(t, plain, "records.csv"))
	for i, row := range readRows(t, packageText(t, dir, "records.csv")) {
		addr := netip.MustParseAddr(was[i][0])
		want, _ := addr.Prefix(24)
		if addr.Is6() {
			want, _ = addr.Prefix(56)
		}
		if row[0] != want.Addr().String() {
			t.Errorf("%s became %s, want %s", addr, row[0], want.Addr())
		}
	}
}

// noneOf checks that no file of a package has any of the addresses.
func noneOf(t *testing.T, dir string, known map[string]bool) {
	t.Helper()
	word := regexp.MustCompile(`[0-9a-f:]*:[0-9a-f:]+|\d+\.\d+\.\d+\.\d+`)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		for _, text := range word.FindAllString(packageText(t, dir, f.Name()), -1) {
			if known[text] || text == "192.0.2.250" {
				t.Errorf("%s: %s is an address of the archive", f.Name(), text)
			}
		}
	}
}

// readRows returns the rows of CSV without its header.
func readRows(t *testing.T, text string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) < 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	return rows[1:]
}

// keptPrefixes checks that addresses share as many first bits as they did, and
// that interfaces are told apart as they were.
func keptPrefixes(t *testing.T, was, is string) {
	t.Helper()
	before, after := readRows(t, was), readRows(t, is)
	if len(before) != len(after) {
		t.Fatalf("%d rows became %d", len(before), len(after))
	}
	shared := func(a, b string) int {
		x, y := netip.MustParseAddr(a), netip.MustParseAddr(b)
		for n := x.BitLen(); x.Is4() == y.Is4() && n > 0; n-- {
			if p, _ := x.Prefix(n); p.Contains(y) {
				return n
			}
		}
		return 0
	}
	for i := 1; i < len(before); i++ {
		if got, want := shared(after[0][0], after[i][0]), shared(before[0][0], before[i][0]); got != want {
			t.Errorf("%s and %s share %d bits; they became %s and %s, which share %d", before[0][0], before[i][0], want, after[0][0], after[i][0], got)
		}
		if (after[0][2] == after[i][2]) != (before[0][2] == before[i][2]) {
			t.Errorf("interfaces %s and %s became %s and %s", before[0][2], before[i][2], after[0][2], after[i][2])
		}
	}
}

// Only one side is hidden where that is asked for.
func TestExportSide(t *testing.T) {
	data := exportArchive(t, "switch-sflow.pcap")
	all := readRows(t, packageText(t, first(mustExport(t, data, "any", "--fields", "src_addr,dst_addr")), "records.csv"))
	config := filepath.Join(t.TempDir(), "weir.yaml")
	ours := netip.MustParseAddr(all[0][0])
	if err := os.WriteFile(config, fmt.Appendf(nil, "networks:\n  - name: us\n    prefixes: [%s/%d]\n", ours, ours.BitLen()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, side := range []string{sideOurs, sideTheirs} {
		dir, _ := mustExport(t, data, "any", "--fields", "src_addr,dst_addr", "--anonymise", "crypto-pan", "--case", "X", "--side", side, "--config", config)
		for i, row := range readRows(t, packageText(t, dir, "records.csv")) {
			for j, got := range row {
				hidden := (all[i][j] == ours.String()) == (side == sideOurs)
				if all[i][j] != "" && hidden != (got != all[i][j]) {
					t.Errorf("--side %s: %s became %s", side, all[i][j], got)
				}
			}
		}
	}
}

func first[A, B any](a A, _ B) A { return a }

// Keys are listed without being shown, destroyed for good, and all of it is
// noted.
func TestAnonKeys(t *testing.T) {
	data := exportArchive(t, "switch-sflow.pcap")
	startCollector(t, data)
	args := []string{"any", "--anonymise", "crypto-pan", "--case", "RES-4", "--fields", "src_addr"}
	before, _ := mustExport(t, data, args...)
	out, errs, _ := weir(t, data, "anon-keys", "-o", "json")
	if strings.Count(out, "\n") != 1 || !strings.Contains(out, `"case":"RES-4"`) || strings.Contains(out, `"key"`) {
		t.Errorf("the list is %s%s", out, errs)
	}
	if _, errs, status := weir(t, data, "anon-keys", "destroy", "RES-5"); status != exitUsage {
		t.Errorf("a case without a key: status %d, %s", status, errs)
	}
	if _, errs, status := weir(t, data, "anon-keys", "destroy", "RES-4"); status != exitOK {
		t.Errorf("status %d, %s", status, errs)
	}
	if out, errs, _ := weir(t, data, "anon-keys", "-o", "json"); out != "" || !strings.Contains(errs, "no case has a key") {
		t.Errorf("the list after that is %s%s", out, errs)
	}
	after, _ := mustExport(t, data, args...)
	if packageText(t, before, "records.csv") == packageText(t, after, "records.csv") {
		t.Error("the pseudonyms are those of the key that was destroyed")
	}
	log, _, _ := weir(t, data, "audit", "-n", "0", "-o", "csv")
	for _, want := range []string{"hand out the key of the case", "destroy the key of RES-4", "list the keys"} {
		if !strings.Contains(log, want) {
			t.Errorf("%q is not in the audit log", want)
		}
	}
}

// Sums of too few hosts are in no row of their own.
func TestExportStatistics(t *testing.T) {
	data := exportArchive(t, "switch-sflow.pcap")
	top, _, _ := weir(t, data, "top", "dst_port", "--distinct", "src_addr", "-n", "0", "-o", "csv")
	large, records := map[string]bool{}, 0
	for _, row := range readRows(t, top) {
		if n := row[1]; len(n) > 1 || n >= "3" {
			large[row[0]] = true
		}
	}
	dir, m := mustExport(t, data, "any", "--statistics", "dst_port", "--min-hosts", "3")
	rows := readRows(t, packageText(t, dir, "statistics.csv"))
	for i, row := range rows {
		var n int
		if _, err := fmt.Sscan(row[2], &n); err != nil {
			t.Fatal(err)
		}
		records += n
		if i < len(rows)-1 && !large[row[0]] {
			t.Errorf("the group %q has too few hosts", row)
		}
	}
	if last := rows[len(rows)-1]; last[0] != otherGroup || last[1] != "" || len(rows) != len(large)+1 || records != 120 {
		t.Errorf("%d rows of %d large groups, %d records, the last row %q", len(rows), len(large), records, last)
	}
	if m.Kind != "statistics" || m.Statistics == nil || m.Statistics.Folded == 0 || len(m.Exporters) == 0 || m.Rows != uint64(len(rows)) || len(m.Columns) != len(rows[0]) {
		t.Errorf("the manifest says %+v, %+v", m, m.Statistics)
	}
	dir, m = mustExport(t, data, "any", "--statistics", "proto", "--min-hosts", "100000")
	if text := packageText(t, dir, "statistics.csv"); strings.Count(text, "\n") != 1 || !m.Statistics.Left {
		t.Errorf("too few hosts in all, but %q, %+v", text, m.Statistics)
	}
}
