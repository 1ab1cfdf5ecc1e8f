package backup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/store"
)

// otherDisk returns a directory on another file system than dir, "" if this
// machine has none.
func otherDisk(t *testing.T, dir string) string {
	t.Helper()
	at, err := os.MkdirTemp("/dev/shm", "weir-test-")
	if err != nil {
		return ""
	}
	t.Cleanup(func() { os.RemoveAll(at) })
	probe := filepath.Join(dir, "probe")
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Link(probe, filepath.Join(at, "probe")) == nil {
		return ""
	}
	return filepath.Join(at, "backups")
}

// places returns a directory for backups on the same file system, and one on
// another.
func places(t *testing.T, dir string) map[string]string {
	list := map[string]string{"linked": filepath.Join(dir, "backups")}
	if other := otherDisk(t, dir); other != "" {
		list["copied"] = other
	} else {
		t.Log("there is no second file system here: backups by copying are not tested")
	}
	return list
}

func makeTest(t *testing.T, s *store.Store, o Options) *Report {
	t.Helper()
	r, err := Make(t.Context(), Source{Store: s}, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// verifyAll checks all backups and wants no problem.
func verifyAll(t *testing.T, dest string) []Finding {
	t.Helper()
	list, err := List(dest)
	if err != nil {
		t.Fatal(err)
	}
	v := NewVerifier(t.Context(), nil)
	var found []Finding
	for i := range list {
		f, err := v.Check(&list[i])
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Problems) > 0 {
			t.Errorf("backup %s: %q", f.Name, f.Problems)
		}
		found = append(found, *f)
	}
	return found
}

// TestBackupsAreIncremental makes three backups and opens, changes and verifies
// them: sealed hours are there once, and nothing that is done to one changes
// another.
func TestBackupsAreIncremental(t *testing.T) {
	dir := t.TempDir()
	for kind, dest := range places(t, dir) {
		t.Run(kind, func(t *testing.T) {
			s := openTest(t, filepath.Join(dir, "data-"+kind), store.Options{})
			filled(t, s, testHour, 50_000)
			first := makeTest(t, s, Options{Dest: dest})
			if first.Records != 50_000 || first.Hours != 1 || first.Shared != 0 || first.Linked != (kind == "linked") {
				t.Errorf("the first: %+v", first)
			}
			filled(t, s, testHour+1, 1000)
			second := makeTest(t, s, Options{Dest: dest})
			if second.Records != 51_000 || second.Fresh*2 > first.Fresh || second.Shared*2 < first.Fresh {
				t.Errorf("the second: %+v, the first %+v", second, first)
			}
			if same, all := sameTables(t, second.Dir, first.Dir); same < 3 || same == all {
				t.Errorf("%d of %d tables are those of the first", same, all)
			}
			if err := s.Drop(testHour); err != nil {
				t.Fatal(err)
			}
			third := makeTest(t, s, Options{Dest: dest})
			if third.Records != 1000 {
				t.Errorf("the third: %+v", third)
			}
			changeBackup(t, first.Dir)
			found := verifyAll(t, dest)
			if len(found) != 3 || !found[0].Opened || found[1].Opened || found[1].Records != 51_000 {
				t.Errorf("found %+v", found)
			}
			latest, err := filepath.EvalSymlinks(filepath.Join(dest, latestName))
			if err != nil || filepath.Base(latest) != third.Name {
				t.Errorf("the latest is %s, %v, want %s", latest, err, third.Name)
			}
			if data, note, err := Resolve(dest); data != third.Dir || note == "" || err != nil {
				t.Errorf("%s means %s (%s), %v", dest, data, note, err)
			}
			noneLeft(t, dest, s.Dir())
		})
	}
}

// changeBackup removes records from a backup, as a purge does.
func changeBackup(t *testing.T, dir string) {
	t.Helper()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Drop(testHour); err != nil {
		t.Fatal(err)
	}
	if err := fill(s, testHour+9, 3000); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Scrub(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// noneLeft looks for what a backup must not leave.
func noneLeft(t *testing.T, dest, data string) {
	t.Helper()
	entries, err := os.ReadDir(dest)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			t.Errorf("%s is left in %s", e.Name(), dest)
		}
	}
	if _, err := os.Lstat(filepath.Join(data, store.CheckpointName, copyName)); err == nil {
		t.Errorf("%s is left in the data directory", copyName)
	}
}

// TestBackupGoesOn restores a backup, which becomes an archive of its own whose
// tables have numbers that the first has given to others, and backs it up to the
// same directory: no table is taken for another.
func TestBackupGoesOn(t *testing.T) {
	dir := t.TempDir()
	for kind, dest := range places(t, dir) {
		t.Run(kind, func(t *testing.T) {
			s := openTest(t, filepath.Join(dir, "data-"+kind), store.Options{})
			filled(t, s, testHour, 5000)
			restored := filepath.Join(dir, "restored-"+kind)
			if err := walkCopy(makeTest(t, s, Options{Dest: dest}).Dir, restored); err != nil {
				t.Fatal(err)
			}
			filled(t, s, testHour+1, 4000)
			makeTest(t, s, Options{Dest: dest})
			other := openTest(t, restored, store.Options{})
			if other.ID() != s.ID() || other.Life() == s.Life() {
				t.Errorf("archive %s, life %s; restored %s, %s", s.ID(), s.Life(), other.ID(), other.Life())
			}
			filled(t, other, testHour+2, 4000)
			if r := makeTest(t, other, Options{Dest: dest}); r.Records != 9000 {
				t.Errorf("of the restored one: %+v", r)
			}
			verifyAll(t, dest)
			list, err := List(dest)
			if err != nil || len(list) != 3 {
				t.Fatalf("%d backups, %v", len(list), err)
			}
			c := openTest(t, list[2].Dir, store.Options{})
			if rows := rowsOf(t, c); rows[testHour+2] != 4000 || rows[testHour+1] != 0 || rows[testHour] != 5000 {
				t.Errorf("the backup of the restored archive has %v", rows)
			}
		})
	}
}

// TestIngestDoesNotPause appends while backups are made. In the middle of each step
// of each backup, rows are appended and synced.
func TestIngestDoesNotPause(t *testing.T) {
	dir := t.TempDir()
	for kind, dest := range places(t, dir) {
		t.Run(kind, func(t *testing.T) {
			s := openTest(t, filepath.Join(dir, "data-"+kind), store.Options{})
			for h := range store.Hour(8) {
				filled(t, s, testHour+h, 60_000)
			}
			ctx, stop := context.WithCancel(t.Context())
			var appended atomic.Int64
			var ended sync.WaitGroup
			ended.Go(func() {
				for ctx.Err() == nil {
					if err := errors.Join(fill(s, testHour+9, 1000), s.Flush()); err != nil {
						t.Error(err)
						return
					}
					appended.Add(1)
					time.Sleep(2 * time.Millisecond)
				}
			})
			defer func() { stop(); ended.Wait() }()
			waits, step, half := 0, "", false
			report := func(p Progress) {
				if p.Step == step && (half || 2*p.Done < p.Total) {
					return
				}
				step, half = p.Step, 2*p.Done >= p.Total
				waits++
				before := appended.Load()
				for end := time.Now().Add(time.Minute); appended.Load() < before+2; time.Sleep(time.Millisecond) { // one of them began now
					if time.Now().After(end) {
						t.Fatalf("%s: nothing is appended at %+v", kind, p)
					}
				}
			}
			for range 3 {
				step, half = "", false
				makeTest(t, s, Options{Dest: dest, Report: report})
			}
			stop()
			ended.Wait()
			if waits < 3 {
				t.Errorf("%s: %d looks in three backups", kind, waits)
			}
			t.Logf("%s: %d appends, %d of them waited for", kind, appended.Load(), 2*waits)
			verifyAll(t, dest)
		})
	}
}

// TestCancelledBackup cuts backups short at many points: nothing of them is left,
// and the next one is whole.
func TestCancelledBackup(t *testing.T) {
	dir := t.TempDir()
	for kind, dest := range places(t, dir) {
		t.Run(kind, func(t *testing.T) {
			s := openTest(t, filepath.Join(dir, "data-"+kind), store.Options{})
			filled(t, s, testHour, 20_000)
			makeTest(t, s, Options{Dest: dest})
			filled(t, s, testHour+1, 20_000)
			cut := 0
			for at := 1; at < 40; at += 3 {
				ctx, cancel := context.WithCancel(t.Context())
				n := 0
				_, err := Make(ctx, Source{Store: s}, Options{Dest: dest, Report: func(Progress) {
					if n++; n == at {
						cancel()
					}
				}})
				cancel()
				if err == nil {
					break // it was through
				}
				if cut++; !errors.Is(err, context.Canceled) {
					t.Errorf("cut at %d: %v", at, err)
				}
				noneLeft(t, dest, s.Dir())
			}
			if cut == 0 {
				t.Error("no backup was cut short")
			}
			if err := os.MkdirAll(filepath.Join(dest, unfinishedPrefix+"of-a-crash", "held"), 0o700); err != nil {
				t.Fatal(err)
			}
			if r := makeTest(t, s, Options{Dest: dest}); r.Records != 40_000 {
				t.Errorf("afterwards: %+v", r)
			}
			noneLeft(t, dest, s.Dir())
			verifyAll(t, dest)
		})
	}
}

// TestVerifyFindsDamage changes files of backups in ways that a disk does.
func TestVerifyFindsDamage(t *testing.T) {
	dest := filepath.Join(t.TempDir(), "backups")
	s := openTest(t, filepath.Join(t.TempDir(), "data"), store.Options{})
	filled(t, s, testHour, 30_000)
	for _, test := range []struct {
		name, glob string
		spoil      func(name string) error
	}{
		{"a bit", "*.sst", func(name string) error { return flipByte(name) }},
		{"a table is cut", "*.sst", func(name string) error { return os.Truncate(name, 100) }},
		{"a table is missing", "*.sst", os.Remove},
		{"a manifest is cut", "MANIFEST-*", func(name string) error { return os.Truncate(name, 20) }},
		{"a log is missing", "*.log", os.Remove},
		{"the list is cut", store.ListingName, func(name string) error { return os.Truncate(name, 99) }},
		{"the list is missing", store.ListingName, os.Remove},
	} {
		t.Run(test.name, func(t *testing.T) {
			copied := filepath.Join(t.TempDir(), "copy")
			if err := walkCopy(makeTest(t, s, Options{Dest: dest}).Dir, copied); err != nil {
				t.Fatal(err)
			}
			names, err := filepath.Glob(filepath.Join(copied, test.glob))
			if err != nil || len(names) == 0 {
				t.Fatalf("%v, %v", names, err)
			}
			if err := test.spoil(names[len(names)-1]); err != nil {
				t.Fatal(err)
			}
			b := Look(copied)
			f, err := NewVerifier(t.Context(), nil).Check(&b)
			if err != nil || len(f.Problems) == 0 {
				t.Errorf("found %+v, %v", f, err)
			}
		})
	}
}

func flipByte(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, 40); err != nil {
		return err
	}
	b[0] ^= 4
	_, err = f.WriteAt(b, 40)
	return err
}

// TestPrune keeps the newest, deletes by number and by age, and leaves what is
// open.
func TestPrune(t *testing.T) {
	dest := filepath.Join(t.TempDir(), "backups")
	s := openTest(t, filepath.Join(t.TempDir(), "data"), store.Options{})
	filled(t, s, testHour, 100)
	first := makeTest(t, s, Options{Dest: dest})
	makeTest(t, s, Options{Dest: dest})
	open := openTest(t, first.Dir, store.Options{})
	if r := makeTest(t, s, Options{Dest: dest, Keep: 1}); len(r.Deleted) != 1 || len(r.Kept) != 1 {
		t.Errorf("with one open: %+v", r)
	}
	if err := open.Close(); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(dest, "2020-01-02T03-04-05Z")
	if err := os.Rename(first.Dir, old); err != nil {
		t.Fatal(err)
	}
	if r := makeTest(t, s, Options{Dest: dest, OlderThan: time.Hour}); len(r.Deleted) != 1 || r.Deleted[0] != filepath.Base(old) {
		t.Errorf("by age: %+v", r)
	}
	if list, err := List(dest); len(list) != 2 || err != nil {
		t.Errorf("%d are left, %v", len(list), err)
	}
	noneLeft(t, dest, s.Dir())
}

// TestDestIsRefused names places where no backup may go.
func TestDestIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, filepath.Join(dir, "data"), store.Options{})
	other := openTest(t, filepath.Join(dir, "other"), store.Options{})
	makeTest(t, other, Options{Dest: filepath.Join(dir, "others")})
	full := filepath.Join(dir, "full")
	if err := os.MkdirAll(filepath.Join(full, "home"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(s.Dir(), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, dest := range []string{s.Dir(), filepath.Join(s.Dir(), "backups"), other.Dir(), filepath.Join(dir, "others"), full, filepath.Join(dir, "link", "x")} {
		var bad *DestError
		if _, err := Make(t.Context(), Source{Store: s}, Options{Dest: dest}); !errors.As(err, &bad) {
			t.Errorf("%s: got %v", dest, err)
		}
	}
	if entries, err := os.ReadDir(full); len(entries) != 1 || err != nil {
		t.Errorf("in the full directory: %v, %v", entries, err)
	}
}

// TestHeldIsBackedUp has a data directory of its own in held/, which belongs to
// the archive, and one in quarantine/, which does not.
func TestHeldIsBackedUp(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, filepath.Join(dir, "data"), store.Options{})
	for _, rel := range []string{"held/C-17", "quarantine"} {
		h, err := store.Open(filepath.Join(s.Dir(), rel), store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		filled(t, h, testHour, 1234)
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	fixed := Fixed{Source: Source{Store: s}}
	if err := fixed.RenewBoth(); err != nil {
		t.Fatal(err)
	}
	copies := []string{filepath.Join(s.Dir(), store.CheckpointName, "1"), filepath.Join(s.Dir(), store.CheckpointName, "2")}
	for _, dest := range places(t, dir) {
		copies = append(copies, makeTest(t, s, Options{Dest: dest}).Dir)
		verifyAll(t, dest)
	}
	for _, at := range copies {
		if _, err := os.Lstat(filepath.Join(at, "quarantine")); err == nil {
			t.Errorf("%s has the quarantine", at)
		}
		h := openTest(t, filepath.Join(at, "held", "C-17"), store.Options{})
		if rows := rowsOf(t, h); rows[testHour] != 1234 {
			t.Errorf("in %s: %v", at, rows)
		}
	}
}
