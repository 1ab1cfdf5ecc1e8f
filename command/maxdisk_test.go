package command

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/flow"
	"weir/query"
	"weir/retention"
	"weir/store"
)

func TestParseMaxDisk(t *testing.T) {
	for _, tt := range []struct {
		text  string
		bytes uint64 // on a disk of 1000 GB
		bad   bool
	}{
		{"", 0, false}, {"none", 0, false},
		{"200G", 200e9, false}, {"200GB", 200e9, false}, {"200g", 200e9, false}, {"1.5T", 1500e9, false},
		{"100GiB", 100 << 30, false}, {"100000000", 100e6, false}, {"80%", 800e9, false}, {"12.5 %", 125e9, false}, {"100%", 1000e9, false},
		{"0", 0, true}, {"-5G", 0, true}, {"101%", 0, true}, {"0%", 0, true}, {"much", 0, true}, {"G", 0, true}, {"10Q", 0, true},
		{"200G200", 0, true}, {"1M", 0, true}, {"1e400", 0, true}, {"NaN", 0, true}, {"Inf", 0, true}, {"%", 0, true}, {"5%%", 0, true},
	} {
		l, err := parseMaxDisk(tt.text)
		if (err != nil) != tt.bad || err == nil && l.in(1000e9) != tt.bytes {
			t.Errorf("%q: got %+v, %v, want %d, refused %v", tt.text, l, err, tt.bytes, tt.bad)
		}
		if err != nil && exitStatus(err) != exitUsage {
			t.Errorf("%q: exit status %d", tt.text, exitStatus(err))
		}
	}
}

func TestDirectorySize(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "below", "a")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	once, err := directorySize(dir)
	if err != nil || once < 1<<20 {
		t.Fatalf("got %d, %v", once, err)
	}
	if err := os.Link(file, filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	if twice, err := directorySize(dir); err != nil || twice != once {
		t.Errorf("a file with two names counts %d, %v, want %d", twice, err, once)
	}
}

// TestMaxDisk has an archive of some hours take more room than it may: the oldest
// go, with a word in the audit log, and answers, the status and the list of what
// is kept say so.
func TestMaxDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s, err := store.Open(dir, store.Options{FlushEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Date(2026, 11, 22, 14, 30, 0, 0, time.UTC)
	std := &Std{Err: new(strings.Builder), Getenv: func(string) string { return "" }, Now: func() time.Time { return now }}
	l := &local{store: s, now: std.Now}
	first := store.HourOf(epochMS(now)) - 9
	for h := first; h <= first+9; h++ {
		b := flow.NewBatch(2000)
		b.Grow(2000)
		for row := range 2000 {
			b.SetNum(flow.Received, row, h.StartMS()+uint64(row))
			b.SetNum(flow.Bytes, row, uint64(row*row*7919))
		}
		if err := s.Append(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.someSealer().SealOver(context.Background()); err != nil {
		t.Fatal(err)
	}
	size := s.Buckets()[0].Bytes
	limit := diskLimit{bytes: uint64(7*size + size/2)} // of the buckets alone, in this test
	p := limit.pressure(s, newJournal(s, std))
	room := p.Room
	p.Room = func() (uint64, uint64, error) {
		used, limit, err := room()
		if used == 0 {
			t.Error("the directory takes nothing")
		}
		used = 0
		for _, b := range s.Buckets() {
			used += uint64(b.Bytes)
		}
		return used, limit, err
	}
	keeper, err := retention.New(retention.Options{Store: s, State: s, Keep: 90 * day, Now: std.Now, Pressure: p})
	if err != nil {
		t.Fatal(err)
	}
	l.keeper = keeper
	keeper.Tick(context.Background())
	kept, err := l.Retention(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	gone := kept.Dropped.Early
	if gone < 2 || s.Buckets()[0].Hour != first+store.Hour(gone) {
		t.Fatalf("%d hours are gone, the first one is %v", gone, s.Buckets()[0].Hour)
	}
	_, summary, err := judged(context.Background(), l, query.Window{From: first.StartMS()}, "", "", func(query.Archive) (struct{}, query.Summary, error) { return struct{}{}, query.Summary{}, nil })
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(summary.Coverage.Lines(), "\n"); !strings.Contains(text, "dropped early for want of disk") {
		t.Errorf("an answer says:\n%s", text)
	}
	var text strings.Builder
	if err := retentionText(&text, kept); err != nil || !strings.Contains(text.String(), "dropped for want of disk") {
		t.Errorf("weir retention says:\n%s", text.String())
	}
	notes := 0
	if err := s.ScanAudit(0, func(_ uint64, value []byte) error {
		if strings.Contains(string(value), "before its time, for want of room") {
			notes++
		}
		return nil
	}); err != nil || notes != gone {
		t.Errorf("%d entries in the audit log for %d hours, %v", notes, gone, err)
	}
}
