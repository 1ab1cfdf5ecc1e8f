package backup

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/store"
)

// bytesOf returns the bytes that the files below dir take, each once however many
// names it has.
func bytesOf(t *testing.T, dir string) (n int64) {
	t.Helper()
	var seen []os.FileInfo
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) {
				return nil
			}
			return err
		}
		info, err := d.Info()
		if os.IsNotExist(err) || d.IsDir() {
			return nil
		}
		for _, other := range seen {
			if os.SameFile(info, other) {
				return nil
			}
		}
		seen = append(seen, info)
		n += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestDropGivesSpaceBack drops an hour of an archive with checkpoints, which have
// its tables too: within seconds they take no space.
func TestDropGivesSpaceBack(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "data"), store.Options{MemTableSize: 1 << 20})
	filled(t, s, testHour, 60_000)
	filled(t, s, testHour+1, 60_000)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	fixed := &Fixed{Source: Source{Store: s}}
	go func() { fixed.Run(ctx); close(ended) }()
	defer func() { stop(); <-ended }()
	for fixed.renewed().IsZero() {
		time.Sleep(10 * time.Millisecond)
	}
	if err := fixed.RenewBoth(); err != nil {
		t.Fatal(err)
	}
	before := bytesOf(t, s.Dir())
	hour := s.Buckets()[0].Bytes
	if hour < 200_000 {
		t.Fatalf("the hour has %d bytes only", hour)
	}
	start := time.Now()
	if err := s.Drop(testHour); err != nil {
		t.Fatal(err)
	}
	for before-bytesOf(t, s.Dir()) < hour*9/10 {
		if time.Since(start) > time.Minute {
			t.Fatalf("%d bytes before, %d after a minute; the hour had %d", before, bytesOf(t, s.Dir()), hour)
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("%d of %d bytes are back after %v", before-bytesOf(t, s.Dir()), hour, time.Since(start).Round(time.Millisecond))
	for _, name := range store.CheckpointNames() {
		c := openTest(t, filepath.Join(s.Dir(), store.CheckpointName, name), store.Options{})
		if rows := rowsOf(t, c); rows[testHour] != 0 || rows[testHour+1] != 60_000 {
			t.Errorf("checkpoint %s has %v", name, rows)
		}
	}
}

// TestFullDiskKeepsOne has a disk that is full: one checkpoint gives up its
// space, and one stays.
func TestFullDiskKeepsOne(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "data"), store.Options{MinFree: 1 << 60})
	fixed := &Fixed{Source: Source{Store: s}}
	if err := fixed.RenewBoth(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		fixed.yieldSpace()
		data, _, err := Resolve(filepath.Join(s.Dir(), store.CheckpointName))
		if filepath.Base(data) != "2" || err != nil {
			t.Errorf("left is %s, %v", data, err)
		}
		if _, err := os.Lstat(filepath.Join(s.Dir(), store.CheckpointName, "1")); err == nil {
			t.Error("the older one is still there")
		}
	}
}

// TestUnfinishedCheckpointGoes has what a crash left behind while a checkpoint
// was made and put in place.
func TestUnfinishedCheckpointGoes(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "data"), store.Options{})
	filled(t, s, testHour, 100)
	fixed := &Fixed{Source: Source{Store: s}}
	if err := fixed.RenewBoth(); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(s.Dir(), store.CheckpointName, name) }
	if err := os.Rename(at("1"), at(goneName)); err != nil { // between the two renames
		t.Fatal(err)
	}
	if err := os.MkdirAll(at(newName), 0o700); err != nil {
		t.Fatal(err)
	}
	if data, _, err := Resolve(at("")); data != filepath.Clean(at("2")) || err != nil {
		t.Errorf("meanwhile: %s, %v", data, err)
	}
	if err := fixed.renew(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"1": true, "2": true, newName: false, goneName: false} {
		if _, err := os.Lstat(at(name)); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", name, err == nil, want)
		}
	}
}
