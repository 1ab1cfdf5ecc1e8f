package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"weir/flow/ledger"
)

func isLog(name string) bool { return strings.HasSuffix(name, ".log") }

// logStore makes a store whose records of the last hours are in the log alone, as
// after a kill -9: fs is what the disk then has. Row n was flushed n/10th.
func logStore(t *testing.T, rows int) *MemFS {
	t.Helper()
	fs := NewMemFS()
	s := openTest(t, "data", Options{FS: fs, FlushEvery: -1, MinFree: -1, blockRows: 1000})
	appendTest(t, s, numbered(testHour, 0, tableRows))
	sealTest(t, s, testHour)
	for at := 0; at < rows; at += 10 {
		appendTest(t, s, numbered(testHour+1, tableRows+at, 10))
		putLedger(t, s, testHour+1, ledger.Row{Kind: ledger.KindEntry, Run: 1, Key: ledger.Key{Domain: 1, Version: 9}, Entry: entryOf(uint64(at + 10))})
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	return fs.Crash(rand.New(rand.NewPCG(1, 1)), 100)
}

// newestLog returns the log that the last rows are in.
func newestLog(t *testing.T, fs FS) string {
	t.Helper()
	logs := filesLike(t, fs, isLog)
	slices.SortFunc(logs, func(a, b string) int { return len(fileContent(t, fs, a)) - len(fileContent(t, fs, b)) })
	return logs[len(logs)-1]
}

// TestTruncatedLog cuts the log off at many bytes: the store opens, has what is
// before, and nothing else is lost. It is what a power cut leaves.
func TestTruncatedLog(t *testing.T) {
	whole := logStore(t, 200)
	log := newestLog(t, whole)
	size := len(fileContent(t, whole, log))
	last := -1
	for cut := 0; cut <= size; cut += 1 + size/97 {
		fs := whole.Crash(rand.New(rand.NewPCG(1, 1)), 100)
		writeAll(t, fs, log, fileContent(t, fs, log)[:cut])
		s := openTest(t, "data", Options{FS: fs, FlushEvery: -1, MinFree: -1})
		rows := ownRows(t, s)
		if rows[testHour] != tableRows {
			t.Fatalf("cut at %d: %d rows of the sealed hour", cut, rows[testHour])
		}
		if n := rows[testHour+1]; n < last || n%10 != 0 {
			t.Fatalf("cut at %d: %d rows, with less of the log it was %d", cut, n, last)
		} else {
			last = n
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if last != 200 {
		t.Errorf("%d rows of the whole log, want 200", last)
	}
}

// ownRows counts rows by hour; those of an hour must be the first ones that were
// appended to it.
func ownRows(t *testing.T, s *Store) map[Hour]int {
	t.Helper()
	v, err := s.View(0, ^Hour(0))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	rows := map[Hour]int{}
	for _, id := range viewNumbers(t, v) {
		h := testHour + Hour(min(id/tableRows, 1))
		if id != uint64(rows[h])+uint64(h-testHour)*tableRows {
			t.Fatalf("row %d of bucket %v comes after %d rows", id, h, rows[h])
		}
		rows[h]++
	}
	return rows
}

// TestDamagedLog damages the middle of the log. Pebble does not open it; the store
// must: with what is before, with the file kept and with a word of what is lost.
func TestDamagedLog(t *testing.T) {
	whole := logStore(t, 3000)
	log := newestLog(t, whole)
	for name, how := range map[string]func([]byte) []byte{
		"zeroed":  func(c []byte) []byte { return zeroed(c, len(c)/2, 100) },
		"flipped": func(c []byte) []byte { return flipped(c, len(c)/2) },
		"random":  func(c []byte) []byte { return scrambled(c, len(c)/3, 5000) },
		"a block": func(c []byte) []byte { return zeroed(c, recordBlock, recordBlock) },
	} {
		t.Run(name, func(t *testing.T) {
			fs := whole.Crash(rand.New(rand.NewPCG(1, 1)), 100)
			harm(t, fs, log, how)
			o := Options{FS: fs, FlushEvery: -1, MinFree: -1}
			if _, err := pebble.Open("data", &pebble.Options{FS: fs.Crash(rand.New(rand.NewPCG(1, 1)), 100), Logger: pebbleLogger{log: o.withDefaults().Logger}}); err == nil {
				t.Fatal("Pebble opens the log: nothing is tested")
			}
			s := openTest(t, "data", o)
			rows := ownRows(t, s)
			if rows[testHour] != tableRows || rows[testHour+1] < 300 || rows[testHour+1] >= 3000 {
				t.Errorf("%v rows, want all of the first hour and the first ones of the second", rows)
			}
			var d *DamageError
			if bad := s.Damage(); len(bad) != 1 || !errors.As(bad[0], &d) || d.Hour != testHour+1 {
				t.Errorf("Damage() = %v, want the log, of %v", bad, testHour+1)
			}
			if kept := s.Aside(); len(kept) != 1 || !strings.HasPrefix(kept[0], (testHour+1).String()) {
				t.Errorf("kept are %v", kept)
			}
			lost := lostRecords(t, s, testHour+1)
			if lost == 0 || int(lost) > 3000-rows[testHour+1] {
				t.Errorf("the ledger says that %d records are lost, there are %d of 3000", lost, rows[testHour+1])
			}
			appendTest(t, s, numbered(testHour+1, tableRows+rows[testHour+1], 10))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openTest(t, "data", o)
			if again := ownRows(t, s); again[testHour+1] != rows[testHour+1]+10 || len(s.Damage()) > 0 {
				t.Errorf("after another start: %v rows, damage %v", again, s.Damage())
			}
		})
	}
}

func flipped(c []byte, at int) []byte {
	c = slices.Clone(c)
	c[at] ^= 0x10
	return c
}

func scrambled(c []byte, from, n int) []byte {
	c = slices.Clone(c)
	rng := rand.New(rand.NewPCG(7, 7))
	for i := from; i < min(len(c), from+n); i++ {
		c[i] = byte(rng.Uint32())
	}
	return c
}

func lostRecords(t *testing.T, s *Store, h Hour) (n uint64) {
	t.Helper()
	err := s.ScanLedger(h, h, func(_ Hour, row ledger.Row) error {
		if row.Kind == ledger.KindLoss {
			n += row.Loss.Records
		}
		return nil
	})
	if err != nil && !IsDamage(err) {
		t.Error(err)
	}
	return n
}

// TestLostFiles removes or damages the files by which Pebble knows its tables. The
// store opens and has all rows, or says that it does not and changes nothing:
// Pebble alone would make a new store and delete the tables.
func TestLostFiles(t *testing.T) {
	whole := tableStore(t)
	for _, c := range []struct {
		name  string
		file  string // the prefix of its name
		how   func([]byte) []byte
		opens bool
	}{
		{"no marker of the manifest", "marker.manifest", harms["missing"], true},
		{"no marker of the format", "marker.format", harms["missing"], true},
		{"no options", "OPTIONS-", harms["missing"], true},
		{"options zeroed", "OPTIONS-", harms["zeroed"], true},
		{"options cut off", "OPTIONS-", harms["half"], true},
		{"options scrambled", "OPTIONS-", func(c []byte) []byte { return scrambled(c, 0, len(c)) }, true},
		{"no manifest", "MANIFEST-", harms["missing"], false},
		{"manifest empty", "MANIFEST-", harms["empty"], false},
		{"manifest zeroed", "MANIFEST-", harms["zeroed"], false},
		{"manifest flipped at the front", "MANIFEST-", func(c []byte) []byte { return flipped(c, 9) }, false},
		{"manifest flipped in the middle", "MANIFEST-", func(c []byte) []byte { return flipped(c, len(c)/2) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := whole.Crash(rand.New(rand.NewPCG(1, 1)), 100)
			for _, path := range filesLike(t, fs, func(name string) bool { return strings.HasPrefix(name, c.file) }) {
				harm(t, fs, path, c.how)
			}
			before := filesLike(t, fs, isTable)
			s, err := Open("data", tableOptions(fs))
			if !c.opens {
				if !errors.Is(err, ErrDirectory) || !strings.Contains(err.Error(), "backup") {
					t.Errorf("Open: %v, want ErrDirectory with what to do", err)
				}
				if s != nil {
					s.Close()
				}
				if after := filesLike(t, fs, isTable); !slices.Equal(before, after) {
					t.Errorf("tables are %v, they were %v", after, before)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			rows, damage := hourRows(t, s)
			if fmt.Sprint(rows) != fmt.Sprint(map[Hour]int{testHour: tableRows, testHour + 1: tableRows, testHour + 2: tableRows, testHour + 3: tableRows}) || len(damage) > 0 {
				t.Errorf("%v rows, %v", rows, damage)
			}
		})
	}
}

// TestTornManifest cuts the manifest off in its last record, as a power cut in
// the middle of a write does: that is no damage.
func TestTornManifest(t *testing.T) {
	fs := logStore(t, 20)
	path := filesLike(t, fs, func(name string) bool { return strings.HasPrefix(name, "MANIFEST-") })
	content := fileContent(t, fs, path[len(path)-1])
	writeAll(t, fs, path[len(path)-1], append(content, content[:5]...))
	s := openTest(t, "data", Options{FS: fs, FlushEvery: -1, MinFree: -1})
	if rows := ownRows(t, s); rows[testHour] != tableRows || rows[testHour+1] != 20 {
		t.Errorf("%v rows", rows)
	}
}
