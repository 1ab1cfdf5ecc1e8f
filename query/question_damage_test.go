package query

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/flow"
	"weir/index"
	"weir/store"
)

// Damage costs seen and stats the block that it is in, not the answer, and they
// name it.
func TestQuestionsOverDamage(t *testing.T) {
	rng := newRand(t)
	records := randomRecords(rng, 8000)
	dir := filepath.Join(t.TempDir(), "data")
	s, err := store.Open(dir, store.Options{FlushEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	batch := flow.NewBatch(len(records))
	for _, r := range records {
		batch.AppendRecord(r)
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
	want := map[string]uint64{} // records of each address
	for _, a := range questionAddrs() {
		want[a.String()] = naiveSeen(records, a).Records
	}
	missing := 0
	for _, table := range largeTables(t, dir) {
		for percent := 10; percent < 95; percent += 30 {
			copied := filepath.Join(t.TempDir(), "data")
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			spoil(t, filepath.Join(copied, filepath.Base(table)), percent)
			missing += askSpoilt(t, copied, len(records), want)
		}
	}
	if missing == 0 {
		t.Error("no damage was ever met")
	}
}

// A summary of a day that is damaged costs seen nothing, and is named.
func TestSeenOverADamagedSummary(t *testing.T) {
	for name, spoilt := range map[string]func(key []byte) bool{
		"none":  func([]byte) bool { return false },
		"head":  func(key []byte) bool { return key[0] == dayField && len(key) == 1 },
		"pages": func(key []byte) bool { return key[0] == dayField && len(key) > 1 },
	} {
		t.Run(name, func(t *testing.T) {
			s := edgeStore(t, "day", edgeRecord(edgeNoon, edgeNoon, edgeNoon))
			spoilIndex(t, s, spoilt)
			seen, summary, err := Seen(context.Background(), s, SeenRequest{Addrs: []string{edgeAddr}})
			if err != nil || seen.Addrs[0].Records != 1 || len(summary.Damaged) > 0 {
				t.Fatalf("got %+v, %v, damaged %v", seen, err, summary.Damaged)
			}
			if noted := len(summary.Notes) == 1 && strings.Contains(summary.Notes[0], "index"); noted != (name != "none") {
				t.Errorf("the notes are %q", summary.Notes)
			}
		})
	}
}

// dayField begins the keys of a day's summary (docs/format.md).
const dayField = 0xf0

// spoilIndex writes the index of the first bucket again, with what is no page in
// place of some of its entries.
func spoilIndex(t *testing.T, s *store.Store, spoilt func(key []byte) bool) {
	t.Helper()
	z, err := s.BeginSeal(s.Buckets()[0].Hour)
	if err != nil {
		t.Fatal(err)
	}
	it, err := z.Bucket().IndexIter(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for more := it.First(); more && err == nil; more = it.Next() {
		value := it.Value()
		if spoilt(it.Key()) {
			value = []byte("no page at all")
		}
		err = z.Add(it.Key(), value)
	}
	if err := errors.Join(err, it.Close(), z.Commit()); err != nil {
		t.Fatal(err)
	}
}

// askSpoilt asks a damaged archive and returns how many answers lack something.
func askSpoilt(t *testing.T, dir string, records int, want map[string]uint64) (missing int) {
	t.Helper()
	s, err := store.Open(dir, store.Options{FlushEvery: -1})
	if err != nil {
		return 1 // said when opening
	}
	defer s.Close()
	var req SeenRequest
	for _, a := range questionAddrs() {
		req.Addrs = append(req.Addrs, a.String())
	}
	seen, summary, err := Seen(context.Background(), s, req)
	if err != nil {
		t.Errorf("seen over damage fails: %v", err)
		return 1
	}
	short := false
	for _, e := range seen.Addrs {
		if e.Records > want[e.Addr] {
			t.Errorf("%s: got %d records, there are %d", e.Addr, e.Records, want[e.Addr])
		}
		short = short || e.Records < want[e.Addr]
	}
	if short && len(summary.Damaged) == 0 {
		t.Error("seen lacks records and names no damage")
	}
	stats, summary, err := Stats(context.Background(), s, StatsRequest{})
	switch {
	case err != nil:
		t.Errorf("stats over damage fails: %v", err)
	case stats.Total.Records > uint64(records):
		t.Errorf("stats: got %d records, there are %d", stats.Total.Records, records)
	case stats.Total.Records < uint64(records):
		if missing++; len(summary.Damaged) == 0 {
			t.Error("stats lacks records and names no damage")
		}
	}
	if short {
		missing++
	}
	return missing
}
