package command

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	parquetgo "github.com/parquet-go/parquet-go"

	"weir/command/parquet"
	"weir/flow"
)

// parquetRows returns the rows of a file as CSV has them, its head first.
func parquetRows(t *testing.T, name string) [][]string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parquetgo.OpenFile(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	var head []string
	for _, c := range file.Root().Columns() {
		head = append(head, c.Name())
	}
	rows := [][]string{head}
	for _, g := range file.RowGroups() {
		in := g.Rows()
		defer in.Close()
		buf := make([]parquetgo.Row, 64)
		for {
			n, err := in.ReadRows(buf)
			for _, row := range buf[:n] {
				rows = append(rows, parquetCells(row, head))
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return rows
}

func parquetCells(row parquetgo.Row, head []string) []string {
	cells := make([]string, len(head))
	for _, v := range row {
		c := columnOf(head[v.Column()])
		cell := &cells[v.Column()]
		switch typ := c.parquetType(); {
		case v.IsNull():
		case typ == parquet.Text || v.Kind() == parquetgo.ByteArray:
			*cell = string(v.ByteArray())
		case typ == parquet.Time:
			*cell = string(flow.AppendTime(nil, v.Uint64()))
		case typ == parquet.List:
			*cell = strings.TrimSpace(*cell + " " + fmt.Sprint(v.Uint32()))
		case typ == parquet.Uint64:
			*cell = fmt.Sprint(v.Uint64())
		default:
			*cell = fmt.Sprint(v.Uint32())
		}
	}
	return cells
}

// Parquet has the rows of CSV, whatever is asked for and hidden.
func TestParquetIsCSV(t *testing.T) {
	captures, err := filepath.Glob("../testdata/*.pcap")
	if err != nil || len(captures) < 5 {
		t.Fatal(captures, err)
	}
	for i := range captures {
		captures[i] = filepath.Base(captures[i])
	}
	data := exportArchive(t, captures...)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("7f", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "weir.yaml")
	if err := os.WriteFile(config, []byte("networks:\n  - name: \"us, and them\"\n    prefixes: [10.0.0.0/8]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, daemon := range []bool{false, true} {
		if daemon {
			startCollector(t, data)
		}
		for _, args := range [][]string{
			{"any"},
			{"proto tcp", "--fields", "duration,end,src_addr,mpls_labels,version,src_mac"},
			{"any", "--anonymise", "crypto-pan", "--key-file", key, "--round", "1m"},
			{"any", "--fields", "src_org,dst_org,bytes", "--config", config},
			{"port 1 and port 2"},
		} {
			text, of := mustExport(t, data, args...)
			dir, m := mustExport(t, data, append(args, "--format", "parquet")...)
			want, err := csv.NewReader(strings.NewReader(packageText(t, text, "records.csv"))).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			got := parquetRows(t, filepath.Join(dir, "records.parquet"))
			if len(got) != len(want) || m.Rows != uint64(len(got)-1) || m.Rows != of.Rows {
				t.Fatalf("%q: %d rows, want %d", args, len(got), len(want))
			}
			for i := range got {
				if !slices.Equal(got[i], want[i]) {
					t.Fatalf("%q: row %d is\n%q, want\n%q", args, i, got[i], want[i])
				}
			}
			for i, c := range m.Columns {
				if c.Name != got[0][i] || c.Type == "" {
					t.Errorf("%q: column %d of the manifest is %+v", args, i, c)
				}
			}
		}
	}
}

// A Parquet file has one column of a name, and weir verify counts its rows.
func TestParquetVerified(t *testing.T) {
	data := exportArchive(t, "switch-sflow.pcap")
	dir := filepath.Join(t.TempDir(), "new")
	if _, errs, status := weir(t, data, "export", "any", "-o", dir, "--format", "parquet", "--fields", "bytes,bytes"); status != exitUsage || !strings.Contains(errs, "twice") {
		t.Errorf("status %d, %s", status, errs)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something was written")
	}
	dir, m := mustExport(t, data, "any", "--format", "parquet")
	name := filepath.Join(dir, "records.parquet")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text[:len(text)-5], 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, status := weir(t, "", "verify", dir)
	for _, want := range []string{"SHA-256 is", "bytes, the manifest says", "records.parquet: it is no Parquet file"} {
		if status != exitIncomplete || !strings.Contains(out, want) {
			t.Errorf("status %d, %q is missing in\n%s", status, want, out)
		}
	}
	if m.Rows != 120 {
		t.Errorf("%d rows", m.Rows)
	}
}
