package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/collector"
	"weir/flow"
	"weir/testdata"
)

var update = flag.Bool("update", false, "write the records of the softflowd captures and the counters of all")

// decoded is what a collector gets out of a capture.
type decoded struct {
	records  []string // JSON
	counters string
}

func decode(t *testing.T, name string, capture []byte) decoded {
	t.Helper()
	d := collector.NewDecoder(collector.DecoderOptions{})
	b := flow.NewBatch(64)
	err := collector.ReadCapture(bytes.NewReader(capture), func(g collector.Datagram) error {
		if err := d.Decode(b, uint64(g.Time.UnixMilli()), g.Src, g.Payload); err != nil {
			t.Errorf("%s: datagram from %v: %v", name, g.Src, err)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var out decoded
	var r flow.Record
	for row := range b.Len() {
		b.Record(row, &r)
		out.records = append(out.records, string(r.AppendJSON(nil)))
	}
	s := d.Stats()
	out.counters = fmt.Sprintf(`{"capture":%q,"exporters":%d,"datagrams":%d,"bytes":%d,"records":%d,"templates":%d,"options_records":%d,"bad_datagrams":%d,"sets_waiting":%d}`,
		name, len(s.Exporters), s.Total.Datagrams, s.Total.Bytes, s.Total.Records, s.Total.Templates,
		s.Total.OptionsRecords, s.Total.BadDatagrams, s.Total.SetsWaiting)
	return out
}

// TestCaptures decodes every capture and compares records and counters with
// what is written beside it. The records of the generated captures were written
// by the generator; those of the softflowd captures were checked against
// nfdump, tshark and the packets (see peer_test.go) and then kept.
//
//	go test . -run TestCaptures -update
func TestCaptures(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.pcap")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures here (%v)", err)
	}
	var counters strings.Builder
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".pcap")
		capture, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got := decode(t, name, capture)
		counters.WriteString(got.counters + "\n")
		if *update && strings.Contains(name, "softflowd") {
			writeExpected(t, name+".jsonl", strings.Join(got.records, "\n")+"\n")
		}
		compareRecords(t, name, got.records)
	}
	if *update {
		writeExpected(t, "counters.jsonl", counters.String())
	}
	want, err := os.ReadFile("testdata/counters.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if counters.String() != string(want) {
		t.Errorf("counters are\n%swant\n%s", counters.String(), want)
	}
}

func writeExpected(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join("testdata", name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func compareRecords(t *testing.T, name string, got []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(got) != len(want) {
		t.Errorf("%s: %d records, want %d", name, len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("%s, record %d:\n got %s\nwant %s", name, i, got[i], want[i])
			return
		}
	}
}

// TestCapturesOfDemo checks that every capture of the demonstration is there
// and that the addresses of the stories are in them.
func TestCapturesOfDemo(t *testing.T) {
	captures := testdata.Captures()
	if len(captures) < 6 {
		t.Errorf("%d captures for the demonstration, want 6", len(captures))
	}
	var all strings.Builder
	for _, c := range captures {
		got := decode(t, c.Name, c.Data)
		if len(got.records) == 0 || c.About == "" {
			t.Errorf("%s: %d records, about %q", c.Name, len(got.records), c.About)
		}
		all.WriteString(strings.Join(got.records, "\n"))
	}
	for _, a := range []string{
		testdata.Client, testdata.Client6, testdata.Resolver, testdata.Server, testdata.Scanned, testdata.Answered,
		testdata.Hidden, testdata.Public, testdata.Scanner, testdata.C2, testdata.Drop, testdata.Stranger,
		testdata.Web, testdata.Web6, testdata.Visitor, testdata.Time,
	} {
		if !strings.Contains(all.String(), `"`+a+`"`) {
			t.Errorf("no record of the demonstration has %s", a)
		}
	}
}

// TestCapturesAreSmall keeps the repository light.
func TestCapturesAreSmall(t *testing.T) {
	total := int64(0)
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if total += info.Size(); info.Size() > 200_000 {
			t.Errorf("%s has %d bytes, want at most 200000", e.Name(), info.Size())
		}
	}
	if total > 1<<20 {
		t.Errorf("all files have %d bytes, want at most %d", total, 1<<20)
	}
}
