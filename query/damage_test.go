package query

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"weir/flow"
	"weir/index"
	"weir/store"
)

// TestDamageCostsItsHourOnly changes bytes of an hour's table on the disk and
// checks that a query names the damage and answers from all other hours.
func TestDamageCostsItsHourOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	rng := rand.New(rand.NewPCG(11, 11))
	m := &recordMaker{rng: rng, hours: 4}
	records := make([]flow.Record, 4000)
	batch := flow.NewBatch(1)
	for i := range records {
		records[i] = m.record(uint64(rng.IntN(1000)))
		batch.AppendRecord(&records[i])
	}
	s, err := store.Open(dir, store.Options{FlushEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Append(batch); err != nil {
		t.Fatal(err)
	}
	for _, b := range s.Buckets() {
		if err := index.Seal(context.Background(), s, b.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, table := range largeTables(t, dir) {
		for _, percent := range []int{10, 70} {
			copied := filepath.Join(t.TempDir(), "data")
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			spoil(t, filepath.Join(copied, filepath.Base(table)), percent)
			if checkSpoilt(t, copied, records) {
				found++
			}
		}
	}
	if found == 0 {
		t.Error("no damage was ever found")
	}
}

// spoil changes bytes in the middle of a file.
func spoil(t *testing.T, path string, percent int) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 64 {
		content[len(content)*percent/100+i] ^= 0x55
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// checkSpoilt queries an archive of which one hour is damaged and returns
// whether the damage was met.
func checkSpoilt(t *testing.T, dir string, records []flow.Record) bool {
	t.Helper()
	s, err := store.Open(dir, store.Options{FlushEvery: -1})
	if err != nil {
		return true // the table itself cannot be opened: said when opening
	}
	defer s.Close()
	got := map[store.Hour]int{}
	summary, err := Flows(context.Background(), s, FlowsRequest{Filter: "any"}, func(r *flow.Record) error {
		got[store.HourOf(r.Num(flow.Received))]++
		return nil
	})
	if err != nil {
		t.Errorf("a query over a damaged hour fails: %v", err)
		return true
	}
	want := map[store.Hour]int{}
	for i := range records {
		want[store.HourOf(records[i].Num(flow.Received))]++
	}
	short := 0
	for h, n := range want {
		if got[h] > n {
			t.Errorf("hour %v has %d records, want %d", h, got[h], n)
		}
		if got[h] < n {
			short++
		}
	}
	if short > 1 {
		t.Errorf("%d hours lack records, only one is damaged", short)
	}
	if short > 0 && len(summary.Damaged) == 0 {
		t.Errorf("records are missing and no damage is named: %+v", summary)
	}
	if _, top, err := Top(context.Background(), s, TopRequest{Fields: []string{"src_addr"}, Filter: "port 53 or proto tcp"}); err != nil {
		t.Errorf("a group over a damaged hour fails: %v, %+v", err, top)
	}
	return short > 0
}

// largeTables returns two sorted tables of an archive that hold columns.
func largeTables(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	var large []string
	for _, path := range all {
		if info, err := os.Stat(path); err == nil && info.Size() > 20_000 && len(large) < 2 {
			large = append(large, path)
		}
	}
	return large
}

// TestDamagedIndexCostsNoRecords changes bytes of an hour's index. Answers are
// whole, name the index, and do not say that something is left out.
func TestDamagedIndexCostsNoRecords(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	m := &recordMaker{rng: rand.New(rand.NewPCG(12, 12)), hours: 1}
	batch := flow.NewBatch(1)
	for range 9000 {
		r := m.record(uint64(m.rng.IntN(1000)))
		batch.AppendRecord(&r)
	}
	s, err := store.Open(dir, store.Options{FlushEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Append(batch); err != nil {
		t.Fatal(err)
	}
	for _, b := range s.Buckets() {
		if err := index.Seal(context.Background(), s, b.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, table := range tables {
		for _, percent := range []int{5, 10, 20, 40} {
			if info, err := os.Stat(table); err != nil || info.Size() < 2500 || info.Size() > 20_000 { // the index lies between headers and columns
				continue
			}
			copied := filepath.Join(t.TempDir(), "data")
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			spoil(t, filepath.Join(copied, filepath.Base(table)), percent)
			if checkIndexSpoilt(t, copied) {
				named++
			}
		}
	}
	if named == 0 {
		t.Error("no damaged index was ever named")
	}
}

// checkIndexSpoilt asks an archive with the index and by reading everything, and
// reports whether an index was named.
func checkIndexSpoilt(t *testing.T, dir string) bool {
	t.Helper()
	s, err := store.Open(dir, store.Options{FlushEvery: -1})
	if err != nil {
		t.Error(err)
		return false
	}
	defer s.Close()
	count := func(filter string) (n int, summary Summary) {
		summary, err := Flows(context.Background(), s, FlowsRequest{Filter: filter}, func(*flow.Record) error { n++; return nil })
		if err != nil {
			t.Error(err)
		}
		return n, summary
	}
	noted := false
	for _, filter := range []string{"port 53", "proto tcp and port 443", "ip 10.0.0.1 or port 80", "net 0.0.0.0/1"} {
		n, summary := count(filter)
		noted = noted || len(summary.Notes) > 0
		if whole, all := count("(" + filter + ") or not any"); len(all.Damaged) == 0 && (n != whole || len(summary.Damaged) > 0) {
			t.Errorf("%s: %d records, and %d without the index; left out are %q", filter, n, whole, summary.Damaged)
		}
	}
	return noted
}
