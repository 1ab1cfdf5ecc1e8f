package flow

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestAppendTime(t *testing.T) {
	want := func(ms uint64) string { return time.UnixMilli(int64(ms)).UTC().Format(TimeFormat) }
	check := func(ms uint64) {
		if got := string(AppendTime(nil, ms)); got != want(ms) {
			t.Fatalf("%d ms: got %s, want %s", ms, got, want(ms))
		}
	}
	for _, ms := range []uint64{0, 1, 999, 1000, timeLimit - 1, timeLimit, 1 << 62, 1<<64 - 1} {
		check(ms)
	}
	for day := range uint64(400 * 366) { // a whole era, both ends of each day
		check(day * 86400_000)
		check(day*86400_000 + 86399_999)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		check(r.Uint64N(timeLimit))
	}
}

func BenchmarkAppendTime(b *testing.B) { // go test -bench AppendTime ./flow
	var dst []byte
	for b.Loop() {
		dst = AppendTime(dst[:0], 1763820185123)
	}
}
