package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"weir/flow"
	"weir/flow/ledger"
)

// tableRows are the rows of each hour of tableStore.
const tableRows = 300

// tableStore makes a store of three sealed hours and an open one, of which every
// row has a number of its own, and each hour a ledger.
func tableStore(t *testing.T) *MemFS {
	t.Helper()
	fs := NewMemFS()
	s := openTest(t, "data", tableOptions(fs))
	for i := range 4 {
		h := testHour + Hour(i)
		appendTest(t, s, numbered(h, i*tableRows, tableRows))
		putLedger(t, s, h, ledger.Row{Kind: ledger.KindEntry, Run: 1, Key: ledger.Key{Domain: 1, Version: 9}, Entry: entryOf(tableRows)})
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
		if i < 3 {
			sealTest(t, s, h)
		}
		if err := s.PutState(fmt.Sprint("state/", i), []byte("value")); err != nil {
			t.Fatal(err)
		}
		auditTest(t, s)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return fs
}

func tableOptions(fs FS) Options { return Options{FS: fs, FlushEvery: -1, MinFree: -1, blockRows: 100} }

func entryOf(records uint64) *ledger.Entry {
	e := &ledger.Entry{}
	e.Counts[ledger.Records] = records
	return e
}

func auditTest(t *testing.T, s *Store) {
	t.Helper()
	err := noteTest(s, func(number uint64, _ []byte) ([]byte, error) { return []byte(fmt.Sprint("entry ", number)), nil })
	if err != nil {
		t.Errorf("AppendAudit: %v", err)
	}
}

// harms are the ways in which a file is damaged.
var harms = map[string]func(content []byte) []byte{
	"missing":            func([]byte) []byte { return nil },
	"empty":              func([]byte) []byte { return []byte{} },
	"half":               func(c []byte) []byte { return c[:len(c)/2] },
	"without its end":    func(c []byte) []byte { return c[:len(c)-1] },
	"zeroed":             func(c []byte) []byte { return make([]byte, len(c)) },
	"zeroed middle":      func(c []byte) []byte { return zeroed(c, len(c)/3, len(c)/3) },
	"zeroed footer":      func(c []byte) []byte { return zeroed(c, len(c)-40, 40) },
	"zeroed index block": func(c []byte) []byte { return zeroed(c, max(0, len(c)-700), 500) },
}

func zeroed(c []byte, from, n int) []byte {
	c = slices.Clone(c)
	clear(c[max(from, 0):min(len(c), from+n)])
	return c
}

// harm damages a file.
func harm(t *testing.T, fs FS, path string, how func([]byte) []byte) {
	t.Helper()
	content := how(fileContent(t, fs, path))
	if content == nil {
		if err := fs.Remove(path); err != nil {
			t.Fatal(err)
		}
		return
	}
	writeAll(t, fs, path, content)
}

func fileContent(t *testing.T, fs FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, info.Size())
	if len(content) > 0 {
		if _, err := f.ReadAt(content, 0); err != nil {
			t.Fatal(err)
		}
	}
	return content
}

func writeAll(t *testing.T, fs FS, path string, content []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// filesLike returns the paths of the files of the store whose names end so.
func filesLike(t *testing.T, fs FS, like func(name string) bool) []string {
	t.Helper()
	names, err := fs.List("data")
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, name := range names {
		if like(name) {
			paths = append(paths, fs.PathJoin("data", name))
		}
	}
	slices.Sort(paths)
	return paths
}

func isTable(name string) bool { return strings.HasSuffix(name, ".sst") }

// hourRows counts the rows that can be read of each hour, each once.
func hourRows(t *testing.T, s *Store) (rows map[Hour]int, damage []error) {
	t.Helper()
	v, err := s.View(0, ^Hour(0))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	rows = map[Hour]int{}
	seen := map[uint64]bool{}
	for _, d := range v.Hidden() {
		damage = append(damage, d)
	}
	for _, b := range v.Buckets() {
		for i := range b.Blocks() {
			blk, err := b.Block(i)
			var ids []uint64
			if err == nil {
				ids, err = blk.Num(flow.Bytes, nil)
			}
			if err != nil {
				if !IsDamage(err) {
					t.Errorf("bucket %v block %d: %v, want damage", b.Hour(), i, err)
				}
				damage = append(damage, err)
				continue
			}
			for _, id := range ids {
				if seen[id] {
					t.Errorf("row %d is there twice", id)
				}
				seen[id] = true
				if h := testHour + Hour(id/tableRows); h != b.Hour() {
					t.Errorf("row %d of %v is in %v", id, h, b.Hour())
				}
			}
			rows[b.Hour()] += len(ids)
		}
	}
	return rows, damage
}

// TestDamagedTable harms every table of a store in every way: the store opens,
// all other hours are whole, what is lacking is named, collecting goes on, and
// the hour can be isolated or dropped.
func TestDamagedTable(t *testing.T) {
	whole := tableStore(t)
	for name, how := range harms {
		for _, path := range filesLike(t, whole, isTable) {
			t.Run(name+" "+path, func(t *testing.T) {
				fs := whole.Crash(rand.New(rand.NewPCG(1, 1)), 100)
				harm(t, fs, path, how)
				s := openTest(t, "data", tableOptions(fs))
				hurt := damagedHour(t, s)
				checkGoesOn(t, s)
				if !hurt.ok { // an index, the state or the audit log
					checkRest(t, fs, s)
					return
				}
				isolateTest(t, s, hurt.h)
				dropHurt(t, fs, path, how, hurt.h)
			})
		}
	}
}

// checkRest checks that all rows are there, that state is kept and the audit log
// goes on, also over another start.
func checkRest(t *testing.T, fs FS, s *Store) {
	t.Helper()
	if err := s.PutState("key", []byte("new")); err != nil {
		t.Error(err)
	}
	last, _, err := s.LastAudit()
	if err != nil || last < 4 {
		t.Errorf("LastAudit: %d, %v", last, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, "data", tableOptions(fs))
	if s.LostState() || len(s.Damage()) > 0 {
		t.Errorf("after another start: lost state %v, damage %v", s.LostState(), s.Damage())
	}
	if value, err := s.GetState("key"); err != nil || string(value) != "new" {
		t.Errorf("GetState: %q, %v", value, err)
	}
	for i := range 4 { // an index that was lost is made again
		sealTest(t, s, testHour+Hour(i))
	}
	if rows, damage := hourRows(t, s); rows[testHour+2] != tableRows || len(damage) > 0 {
		t.Errorf("after another start: %v, %v", rows, damage)
	}
}

// TestLostHeads loses the headers and the ledger of a sealed hour: they are had
// back from their copy, and nothing is lost.
func TestLostHeads(t *testing.T) {
	whole := tableStore(t)
	s := openTest(t, "data", tableOptions(whole))
	tables, err := s.liveTables(bucketKey(testHour+1, kindLedger), bucketKey(testHour+1, kindIndex))
	if err != nil || len(tables) != 1 {
		t.Fatalf("%d tables of headers, %v", len(tables), err)
	}
	want := ledgerText(t, s, testHour, testHour+3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, how := range harms {
		fs := whole.Crash(rand.New(rand.NewPCG(1, 1)), 100)
		harm(t, fs, "data/"+tables[0].name, how)
		for range 2 {
			s := openTest(t, "data", tableOptions(fs))
			rows, damage := hourRows(t, s)
			if rows[testHour+1] != tableRows || len(damage) > 0 || len(s.Damage()) > 0 {
				t.Errorf("%s: %v rows, damage %v, %v", name, rows, damage, s.Damage())
			}
			if got := ledgerText(t, s, testHour, testHour+3); got != want {
				t.Errorf("%s: the ledger is %s, want %s", name, got, want)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

type hurtHour struct {
	h  Hour
	ok bool
}

// damagedHour checks that at most one hour lacks rows and that this is said.
func damagedHour(t *testing.T, s *Store) (hurt hurtHour) {
	t.Helper()
	rows, damage := hourRows(t, s)
	for i := range 4 {
		h := testHour + Hour(i)
		if rows[h] == tableRows {
			continue
		}
		if hurt.ok {
			t.Errorf("bucket %v lacks rows too: %v", h, rows)
		}
		hurt = hurtHour{h, true}
		named := slices.ContainsFunc(damage, func(err error) bool {
			var d *DamageError
			return errors.As(err, &d) && d.Hour == h
		})
		if !named {
			t.Errorf("bucket %v has %d of %d rows, and the damage met is %v", h, rows[h], tableRows, damage)
		}
	}
	return hurt
}

// checkGoesOn checks that rows are taken, also for hours that are damaged.
func checkGoesOn(t *testing.T, s *Store) {
	t.Helper()
	appendTest(t, s, numbered(testHour+4, 4*tableRows, 50))
	if err := s.Flush(); err != nil {
		t.Errorf("Flush: %v", err)
	}
	auditTest(t, s)
	if err := s.Checkpoint("copy"); err != nil {
		t.Errorf("Checkpoint: %v", err)
	}
}

// isolateTest isolates the damage, and looks at what is said of it after another
// start.
func isolateTest(t *testing.T, s *Store, h Hour) {
	t.Helper()
	before, _ := hourRows(t, s)
	done, err := s.Isolate(context.Background(), h)
	if err != nil {
		t.Fatal(err)
	}
	if int(done.Rows) != before[h] {
		t.Errorf("isolated: %+v, there were %d rows to be read", done, before[h])
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, "data", s.opts)
	if bad := s.Damage(); len(bad) > 0 {
		t.Errorf("after it was isolated: %v", bad)
	}
	after, damage := hourRows(t, s)
	if after[h] != before[h] || len(damage) > 0 {
		t.Errorf("after it was isolated: %d rows, %v, want %d", after[h], damage, before[h])
	}
	losses := uint64(0)
	err = s.ScanLedger(h, h, func(_ Hour, row ledger.Row) error {
		if row.Kind == ledger.KindLoss {
			losses++
			if row.Loss.Records > 0 && row.Loss.Records != uint64(tableRows-after[h]) {
				t.Errorf("the ledger says %+v, %d are left", row.Loss, after[h])
			}
		}
		return nil
	})
	if err != nil || losses == 0 {
		t.Errorf("the ledger has %d losses, %v", losses, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// dropHurt drops a damaged hour that was not isolated.
func dropHurt(t *testing.T, fs *MemFS, path string, how func([]byte) []byte, h Hour) {
	t.Helper()
	again := fs.Crash(rand.New(rand.NewPCG(1, 1)), 100)
	s := openTest(t, "data", tableOptions(again))
	if err := s.Drop(h); err != nil {
		t.Errorf("Drop: %v", err)
	}
	if bad := s.Damage(); len(bad) > 0 {
		t.Errorf("after the drop: %v", bad)
	}
	if left := s.Aside(); len(left) > 0 {
		t.Errorf("after the drop: %v are set aside", left)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestBadTables has Pebble complain of missing tables in the words that badTables
// understands.
func TestBadTables(t *testing.T) {
	fs := tableStore(t)
	paths := filesLike(t, fs, isTable)
	harm(t, fs, paths[0], harms["missing"])
	harm(t, fs, paths[1], harms["half"])
	_, err := pebble.Open("data", &pebble.Options{FS: fs, ReadOnly: true, Logger: pebbleLogger{log: Options{}.withDefaults().Logger}})
	names := badTables(err)
	slices.Sort(names)
	if len(names) != 2 || "data/"+names[0] != paths[0] || "data/"+names[1] != paths[1] {
		t.Errorf("got %v of %q, want %v", names, err, paths[:2])
	}
}
