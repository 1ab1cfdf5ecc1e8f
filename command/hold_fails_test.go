package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/flow"
	"weir/index"
	"weir/query"
	"weir/store"
)

// TestHoldAskedWhileHoursPass asks for held records again and again while their
// hours leave the archive, are filled again and leave again: each record is there,
// once, at any moment.
func TestHoldAskedWhileHoursPass(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	a := openHeldTest(t, store.NewMemFS())
	defer a.close()
	one := holdScope{Filter: "ip 10.0.0.1", Window: windowOf(heldHour, heldHour+11)}
	a.hold("A", one)
	for h := range store.Hour(12) {
		a.fill(rng, heldHour+h, 100)
	}
	pass := func() {
		var over atomic.Bool
		var passing sync.WaitGroup
		passing.Go(func() {
			defer over.Store(true)
			for h := range store.Hour(12) {
				if gone, err := a.drop(heldHour + h); !gone || err != nil {
					t.Errorf("hour %d: gone %v, %v", h, gone, err)
				}
			}
		})
		asked := 0
		for !over.Load() {
			a.compare(fmt.Sprint("question ", asked), "A", one)
			asked++
		}
		passing.Wait()
		a.compare("in the end", "A", one)
		t.Logf("asked %d times", asked)
	}
	pass()
	for h := range store.Hour(12) {
		a.fill(rng, heldHour+h, 50)
	}
	pass()
}

// TestFullDiskDropsNothingHeld checks that an hour whose held records find no room
// does not go, that one without any does, and that it goes once there is room.
func TestFullDiskDropsNothingHeld(t *testing.T) {
	s, err := store.Open(filepath.Join(t.TempDir(), "data"), store.Options{FlushEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.UnixMilli(int64((heldHour + 3000).StartMS())) }
	h, err := newHolds(context.Background(), s, nil, now, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &heldArchiveTest{t: t, main: s, holds: h}
	defer a.close()
	rng := rand.New(rand.NewPCG(6, 1))
	one := holdScope{Filter: "ip 10.0.0.1", Window: windowOf(heldHour, heldHour)}
	a.fill(rng, heldHour, 50)
	a.fill(rng, heldHour+9, 50)
	a.hold("A", one)
	h.options.MinFree = 1 << 62 // there is never so much
	if _, err := a.drop(heldHour); !errors.Is(err, store.ErrDiskFull) {
		t.Errorf("on a full disk: %v", err)
	}
	if gone, err := a.drop(heldHour + 9); !gone || err != nil {
		t.Errorf("an hour of which nothing is held: gone %v, %v", gone, err)
	}
	a.compare("on a full disk", "A", one)
	h.options.MinFree = 1
	if gone, err := a.drop(heldHour); !gone || err != nil {
		t.Errorf("with room again: gone %v, %v", gone, err)
	}
	a.compare("with room again", "A", one)
}

// TestHoldSaysWhatIsDamaged damages an hour before it goes: what can be read is
// held, what cannot is named by every answer about the hour, and only by those.
func TestHoldSaysWhatIsDamaged(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 1))
	fs := store.NewMemFS()
	a := openHeldTest(t, fs)
	one := holdScope{Filter: "ip 10.0.0.1", Window: query.Window{From: heldHour.StartMS(), To: (heldHour + 9).EndMS()}}
	a.hold("A", one)
	for _, h := range []store.Hour{0, 8} {
		a.fill(rng, heldHour+h, 3000)
		if err := index.Seal(context.Background(), a.main, heldHour+h); err != nil {
			t.Fatal(err)
		}
	}
	a.close()
	damageColumns(t, fs)

	b := openHeldTest(t, fs)
	defer b.close()
	for _, h := range []store.Hour{0, 8} {
		if gone, err := b.drop(heldHour + h); !gone || err != nil {
			t.Fatalf("hour %d: gone %v, %v", h, gone, err)
		}
	}
	l := &local{store: b.main, holds: b.holds, now: b.holds.now}
	ctx := withCase(context.Background(), "A")
	damaged := 0
	for _, h := range []store.Hour{0, 8} {
		w := query.Window{From: (heldHour + h).StartMS(), To: (heldHour + h).EndMS()}
		s, err := l.Flows(ctx, query.FlowsRequest{Window: w}, func(*flow.Record) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case len(s.Damaged) == 0 && s.RowsMatched == 0:
			t.Errorf("hour %d has neither records nor damage", h)
		case len(s.Damaged) > 0:
			damaged++
			if !strings.Contains(s.Damaged[0], (heldHour+h).String()) || !strings.Contains(s.Damaged[0], "could not be read when it was taken over") {
				t.Errorf("hour %d: %q", h, s.Damaged)
			}
		}
	}
	if damaged != 1 {
		t.Errorf("%d hours are damaged, want one", damaged)
	}
	report, err := l.Check(ctx, false)
	if err != nil || report.Sound() {
		t.Errorf("a check finds %+v, %v", report, err)
	}
	shown, err := l.Hold(ctx, true)
	if err != nil || len(shown.Damaged) == 0 {
		t.Errorf("what is shown of the hold is %+v, %v", shown, err)
	}
}

// damageColumns overwrites the middle of the largest table.
func damageColumns(t *testing.T, fs *store.MemFS) {
	t.Helper()
	names, err := fs.List("data")
	if err != nil {
		t.Fatal(err)
	}
	largest, size := "", int64(0)
	for _, name := range names {
		info, err := fs.Stat(fs.PathJoin("data", name))
		if err == nil && strings.HasSuffix(name, ".sst") && info.Size() > size {
			largest, size = name, info.Size()
		}
	}
	f, err := fs.OpenReadWrite(fs.PathJoin("data", largest), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 64), size/3); err != nil {
		t.Fatal(err)
	}
}

// TestHoldLeavesNoOtherDirectory checks that a directory of another case is not
// taken for one's own, whatever its name.
func TestHoldLeavesNoOtherDirectory(t *testing.T) {
	a := openHeldTest(t, store.NewMemFS())
	defer a.close()
	s, err := store.Open(a.holds.heldDir("A"), store.Options{FS: a.fs})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.PutState(heldCaseKey, []byte("B")), s.Close()); err != nil {
		t.Fatal(err)
	}
	if err := a.holds.with("A", func(*heldStore) error { return nil }); err == nil || !strings.Contains(err.Error(), "is of case B") {
		t.Errorf("a directory of another case: %v", err)
	}
}
