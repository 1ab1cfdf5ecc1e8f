package retention

import (
	"context"
	"slices"
	"testing"
	"time"

	"weir/store"
)

// heldWorld is a world with holds of one hour whole, that counts what is asked.
type heldWorld struct {
	*world
	whole   store.Hour
	asked   []store.Hour
	lapsed  int
	noted   int
	keeping *Keeper
}

func (w *heldWorld) Stays(b store.BucketInfo) []string {
	if b.Hour == w.whole {
		return []string{"IR-17"}
	}
	return nil
}

func (w *heldWorld) Drop(_ context.Context, b store.BucketInfo, note func() error) error {
	w.asked = append(w.asked, b.Hour)
	w.keeping.Status() // whoever asks while hours pass is not kept waiting
	if b.Hour == w.whole {
		return ErrStays
	}
	if err := note(); err != nil {
		return err
	}
	return w.world.Drop(b.Hour)
}

func (w *heldWorld) Lapse(context.Context, time.Time) error { w.lapsed++; return nil }

// TestKeeperAsksHolds checks that every hour goes through the holds, that one that
// stays is no failure and is told apart, and that no hold ends while the clock is
// not believed.
func TestKeeperAsksHolds(t *testing.T) {
	w := &heldWorld{world: newWorld(30)}
	w.whole = w.buckets[1].Hour
	k, err := New(Options{
		Store: w.world, State: w.world, Keep: day, Holds: w, BeforeDrop: func(store.Hour) error { w.noted++; return nil },
		Now: func() time.Time { return w.wall }, Monotonic: func() time.Duration { return w.mono },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.keeping = k
	expired := Expired(w.buckets, w.wall, day)
	k.Tick(context.Background())
	if !slices.Equal(w.asked, expired) || len(w.dropped) != len(expired)-1 || w.noted != len(w.dropped) || w.lapsed != 1 {
		t.Errorf("asked for %v, dropped %v, noted %d, lapsed %d, expired %v", w.asked, w.dropped, w.noted, w.lapsed, expired)
	}
	s := k.Status()
	if len(s.Expired) != 0 || len(s.Stays) != 1 || s.Stays[0].Hour != w.whole.String() || s.Dropped.Buckets != len(expired)-1 {
		t.Errorf("status %+v", s)
	}
	if due := k.Due(); len(due) != 1 || due[0].Hour != w.whole {
		t.Errorf("due %v", due)
	}
	w.wall = w.wall.Add(2 * day) // a jump
	w.asked = nil
	k.Tick(context.Background())
	if len(w.asked) != 0 || w.lapsed != 1 || len(k.Due()) != 0 {
		t.Errorf("a clock that jumped: asked for %v, lapsed %d, due %v", w.asked, w.lapsed, k.Due())
	}
}
