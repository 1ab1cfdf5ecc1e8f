package command

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What an export left that was killed is told from other people's files: it is
// removed and said at the next one, and nothing else ever is.
func TestExportAfterKill(t *testing.T) {
	data := exportArchive(t, "switch-sflow.pcap")
	for _, test := range []struct {
		name   string
		files  []string
		status int
		want   string // on standard error
	}{
		{"at once", []string{unfinishedName}, exitOK, "begins anew"},
		{"in the records", []string{unfinishedName, "records.parquet.part"}, exitOK, "begins anew"},
		{"after the records", []string{unfinishedName, "records.ndjson", "README.txt.part"}, exitOK, "begins anew"},
		{"before the manifest", []string{"records.csv", readmeName, sumsName, coverName, manifestName + packagePart}, exitOK, "begins anew"},
		{"with a file of somebody", []string{unfinishedName, "records.csv.part", "mine"}, exitUsage, "there is mine as well"},
		{"records of somebody", []string{"records.csv"}, exitUsage, "is not empty"},
		{"a package", []string{"records.csv", manifestName}, exitUsage, "is a package already"},
		{"a package that lost its lock late", []string{"records.csv", manifestName, unfinishedName}, exitUsage, "is a package already"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range test.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte("old"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if out, _, status := weir(t, "", "verify", dir); status != exitIncomplete {
				t.Errorf("verify: status %d, %s", status, out)
			}
			_, errs, status := weir(t, data, "export", "any", "-o", dir)
			if status != test.status || !strings.Contains(errs, test.want) {
				t.Fatalf("status %d, %s", status, errs)
			}
			if status == exitOK {
				if out, _, status := weir(t, "", "verify", dir); status != exitOK {
					t.Errorf("verify: status %d, %s", status, out)
				}
				return
			}
			for _, name := range test.files {
				if packageText(t, dir, name) != "old" {
					t.Errorf("%s was changed", name)
				}
			}
		})
	}
}

// Two exports do not write to one directory.
func TestExportTwice(t *testing.T) {
	data := exportArchive(t, "switch-sflow.pcap")
	dir := filepath.Join(t.TempDir(), "package")
	p, err := newPackage(dir, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, errs, status := weir(t, data, "export", "any", "-o", dir); status != exitUsage || !strings.Contains(errs, "another export writes") {
		t.Errorf("status %d, %s", status, errs)
	}
	if said := p.abandon(); !strings.Contains(said, "is removed") {
		t.Error(said)
	}
	if _, errs, status := weir(t, data, "export", "any", "-o", dir); status != exitOK {
		t.Errorf("afterwards: status %d, %s", status, errs)
	}
}

// The audit log says where a package went, in which shape, hidden how and for
// what, never the key; and at its end the rows and the manifest's hash.
func TestExportAudited(t *testing.T) {
	data := exportArchive(t, "switch-sflow.pcap")
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("7f", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, daemon := range []bool{false, true} {
		if daemon {
			startCollector(t, data)
		}
		for _, test := range []struct {
			args []string
			want string
		}{
			{[]string{"proto tcp", "--format", "parquet", "--fields", "bytes,proto"}, "as parquet; only bytes,proto"},
			{[]string{"proto tcp", "--anonymise", "crypto-pan", "--round", "1m"}, "as csv; anonymised crypto-pan with the key of the case, side both; times rounded down to 1m"},
			{[]string{"proto tcp", "--anonymise", "crypto-pan", "--key-file", key}, "as csv; anonymised crypto-pan with a key that was given, side both"},
			{[]string{"proto tcp", "--anonymise", "truncate/24,/56", "--format", "json"}, "as json; anonymised truncate/24,/56, side both"},
			{[]string{"proto tcp", "--statistics", "proto"}, "as statistics by proto of groups of at least 5 hosts"},
			{disclose("--legal-basis", "x"), "as csv; disclosure 4 Js 12/26"},
		} {
			dir, m := mustExport(t, data, append(test.args, "--case", "C-1", "--reason", "because")...)
			out, _, _ := weir(t, data, "audit", "--command", "export", "-n", "2", "-o", "json")
			var lines [2]auditLine
			for i, text := range strings.Split(strings.TrimSpace(out), "\n") {
				if err := json.Unmarshal([]byte(text), &lines[i]); err != nil {
					t.Fatal(err)
				}
			}
			sum, _, _ := strings.Cut(packageText(t, dir, sumsName)[strings.LastIndex(strings.TrimSpace(packageText(t, dir, sumsName)), "\n")+1:], " ")
			asked, wrote := lines[0], lines[1]
			for _, l := range lines {
				if !strings.Contains(l.Detail, "to "+dir+" "+test.want) || l.Filter != "proto tcp" || l.Case != "C-1" || l.Reason != "because" || !l.Ended {
					t.Errorf("%q: the audit log says %+v", test.args, l)
				}
			}
			if asked.Failed != "" || wrote.Rows != m.Rows || !strings.HasSuffix(wrote.Detail, "manifest SHA-256 "+sum) || len(sum) != 64 {
				t.Errorf("%q: %d rows and %s: the audit log says %+v", test.args, m.Rows, sum, wrote)
			}
			if strings.Contains(out, strings.Repeat("7f", 8)) { // longer than what a hash has by chance
				t.Error("the key is in the audit log")
			}
		}
	}
	b, err := openBackend(t.Context(), data, modeRead, &Std{Err: io.Discard, Now: nil})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.(exportNoter).NoteExport(t.Context(), exportNote{SHA256: "7f"}); err == nil {
		t.Error("a note without a hash was taken")
	}
}

// A window of which retention has left nothing is refused, nothing being written;
// one of which something is left is not.
func TestExportPastRetention(t *testing.T) {
	data := exportArchive(t, "switch-sflow.pcap")
	past := []string{"any", "--from", "2026-01-01", "--to", "2026-01-31"}
	dir := filepath.Join(t.TempDir(), "package")
	_, errs, status := weir(t, data, append([]string{"export", "-o", dir}, past...)...)
	if status != exitUsage || !strings.Contains(errs, "past retention") || !strings.Contains(errs, "90d") {
		t.Errorf("status %d, %s", status, errs)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something was written")
	}
	mustExport(t, data, "any", "--from", "2026-01-01", "--to", "2026-11-23")
	mustExport(t, data, "any", "--from", "2026-11-01", "--to", "2026-11-02") // nothing came, nothing went
	startCollector(t, data)
	mustExport(t, data, past...) // this one keeps records for ever
}
