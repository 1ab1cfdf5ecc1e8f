package store

import (
	"errors"
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"weir/flow"
)

var (
	flipSeed  = flag.Uint64("flip.seed", 0, "seed of TestFlippedFiles; 0 runs several")
	flipSeeds = flag.Int("flip.seeds", 300, "how many seeds TestFlippedFiles runs")
)

// TestFlippedFiles damages files of a store at random, one to three at a time. A
// store that opens gives no row that was not written, none twice and none with
// another value, and names each hour that lacks some; one that does not says so.
// It must neither panic nor hang.
//
//	go test ./store -run FlippedFiles -flip.seeds 5000
func TestFlippedFiles(t *testing.T) {
	seeds := []uint64{*flipSeed}
	if *flipSeed == 0 {
		seeds = seeds[:0]
		n := *flipSeeds
		if testing.Short() {
			n = min(n, 60)
		}
		from := rand.Uint64()
		for i := range n {
			seeds = append(seeds, from+uint64(i))
		}
	}
	whole := []*MemFS{tableStore(t), unclosedStore(t)}
	opened, short := 0, 0
	for _, seed := range seeds {
		done := make(chan struct{})
		go func() {
			select {
			case <-done:
			case <-time.After(time.Minute):
				panic("TestFlippedFiles hangs")
			}
		}()
		opens, lacks := flipFiles(t, whole[seed%2], seed)
		close(done)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		if opens {
			opened++
		}
		if lacks {
			short++
		}
	}
	t.Logf("%d of %d opened, %d of them lacked rows", opened, len(seeds), short)
	if *flipSeed == 0 && (opened < len(seeds)/2 || short == 0) {
		t.Error("too few stores opened, or none lacked rows: nothing is tested")
	}
}

// unclosedStore is a store of three hours whose last rows are in the log.
func unclosedStore(t *testing.T) *MemFS {
	t.Helper()
	whole := tableStore(t)
	s := openTest(t, "data", tableOptions(whole))
	for at := 0; at < tableRows; at += 10 {
		appendTest(t, s, numbered(testHour+4, 4*tableRows+at, 10))
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	return whole.Crash(rand.New(rand.NewPCG(1, 1)), 100)
}

// flipFiles damages a copy of a store and looks at what is left.
func flipFiles(t *testing.T, whole *MemFS, seed uint64) (opens, lacks bool) {
	rng := rand.New(rand.NewPCG(seed, 0))
	fs := whole.Crash(rand.New(rand.NewPCG(1, 1)), 100)
	paths := filesLike(t, fs, func(name string) bool {
		return isTable(name) || isLog(name) || strings.HasPrefix(name, "MANIFEST-") || strings.HasPrefix(name, "OPTIONS-") || strings.HasPrefix(name, "marker.")
	})
	logs := false
	for range 1 + rng.IntN(3) {
		path := paths[rng.IntN(len(paths))]
		if _, err := fs.Stat(path); err != nil {
			continue
		}
		harm(t, fs, path, func(c []byte) []byte { return flip(rng, c) })
		logs = logs || isLog(path)
	}
	s, err := Open("data", tableOptions(fs))
	if err != nil {
		return false, false
	}
	defer func() {
		if err := s.Close(); err != nil && !IsDamage(err) && !strings.Contains(err.Error(), "corruption") {
			t.Logf("close: %v", err)
		}
	}()
	return true, checkFlipped(t, s, whole, logs)
}

// flip returns content with a bit, some bytes or its end changed; nil: no file.
func flip(rng *rand.Rand, c []byte) []byte {
	if len(c) == 0 {
		return nil
	}
	at := rng.IntN(len(c))
	switch rng.IntN(6) {
	case 0:
		return nil
	case 1:
		return c[:at]
	case 2:
		return zeroed(c, at, 1+rng.IntN(4096))
	case 3:
		return scrambled(c, at, 1+rng.IntN(300))
	default:
		c = append([]byte(nil), c...)
		c[at] ^= 1 << rng.IntN(8)
		return c
	}
}

// checkFlipped compares what a store has with what was written into it. A log that
// ends early is a crash: what is only in it may be gone without a word.
func checkFlipped(t *testing.T, s *Store, whole *MemFS, logs bool) (lacks bool) {
	rows, damage := hourRows(t, s)
	damage = append(damage, s.Damage()...)
	checkValues(t, s)
	for i := range 4 {
		h := testHour + Hour(i)
		if rows[h] == tableRows {
			continue
		}
		lacks = true
		named := false
		for _, err := range damage {
			var d *DamageError
			named = named || errors.As(err, &d) && d.Hour == h
		}
		if !named {
			t.Errorf("bucket %v has %d of %d rows, and the damage met is %v", h, rows[h], tableRows, damage)
		}
	}
	if last := testHour + 4; !logs && rows[last] != 0 && rows[last] != tableRows && len(damage) == 0 {
		t.Errorf("bucket %v has %d rows, and nothing is said", last, rows[last])
	}
	return lacks
}

// checkValues checks that each row has the values that it was written with.
func checkValues(t *testing.T, s *Store) {
	v, err := s.View(0, ^Hour(0))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, b := range v.Buckets() {
		for i := range b.Blocks() {
			blk, err := b.Block(i)
			if err != nil {
				continue
			}
			ids, err := blk.Num(flow.Bytes, nil)
			if err != nil {
				continue
			}
			addrs, err := blk.Addr(flow.SrcAddr, nil)
			if err != nil {
				continue
			}
			for row, id := range ids {
				n := uint32(id % tableRows) // appended 300 at a time, or ten
				if addrs[row] != flow.AddrFrom4(n%77) && addrs[row] != flow.AddrFrom4(n%10) {
					t.Fatalf("row %d has address %v", id, addrs[row])
				}
			}
		}
	}
}
