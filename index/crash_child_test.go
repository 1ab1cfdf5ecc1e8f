package index

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"weir/flow"
	"weir/store"
)

// The environment variables that make the test binary a process to be killed.
const (
	envCrashDir  = "WEIR_TEST_CRASH_DIR"
	envCrashSeed = "WEIR_TEST_CRASH_SEED"
	envCrashNext = "WEIR_TEST_CRASH_NEXT" // number of the first record
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(envCrashDir); dir != "" {
		if err := crashChild(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Records are numbered from 0, and the number says all that is in a record.
const (
	crashHour0   = store.Hour(490_000)
	crashPerHour = 90_000 // a full block and a part of one
	crashKept    = 5      // hours before the current one that are not dropped
)

// crashHour is the hour of record n; some come an hour late, when theirs may be
// sealed already.
func crashHour(n uint64) store.Hour {
	h := crashHour0 + store.Hour(n/crashPerHour)
	if n%101 == 0 && h > crashHour0 {
		h--
	}
	return h
}

func crashAddr(n uint64) flow.Addr { return flow.AddrFrom4(uint32(n*2654435761) >> 12) }
func crashPort(n uint64) uint64    { return n * 31 % 5000 }

// crashRecord appends record n to b.
func crashRecord(b *flow.Batch, n uint64) {
	row := b.Grow(1)
	b.SetNum(flow.Received, row, crashHour(n).StartMS()+n%crashPerHour/30)
	b.SetNum(flow.Bytes, row, n)
	b.SetAddr(flow.SrcAddr, row, crashAddr(n))
	b.SetAddr(flow.DstAddr, row, crashAddr(n/7))
	b.SetNum(flow.SrcPort, row, crashPort(n))
	b.SetNum(flow.DstPort, row, crashPort(n/7))
}

// crashChild appends, seals and drops until it is killed, and says on standard
// output what is done: "acked N" when all records up to N are flushed,
// "dropping H" and "dropped H" around a drop.
func crashChild(dir string) error {
	seed, err := strconv.ParseUint(os.Getenv(envCrashSeed), 10, 64)
	if err != nil {
		return err
	}
	next, err := strconv.ParseUint(os.Getenv(envCrashNext), 10, 64)
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		return err
	}
	var current atomic.Uint32 // the hour that is being written
	current.Store(uint32(crashHour(next | 1)))
	failed := make(chan error, 2)
	go func() { failed <- crashSeal(s, &current) }()
	go func() { failed <- crashAppend(s, rng, next, &current) }()
	return <-failed
}

func crashAppend(s *store.Store, rng *rand.Rand, next uint64, current *atomic.Uint32) error {
	b := flow.NewBatch(4096)
	for {
		b.Reset()
		for range 1 + rng.IntN(4000) {
			crashRecord(b, next)
			next++
		}
		current.Store(uint32(crashHour0) + uint32((next-1)/crashPerHour))
		if err := s.Append(b); err != nil {
			return err
		}
		if rng.IntN(3) > 0 {
			continue
		}
		if err := s.Flush(); err != nil {
			return err
		}
		fmt.Println("acked", next-1)
	}
}

// crashSeal seals every hour that is over, and drops old ones.
func crashSeal(s *store.Store, current *atomic.Uint32) error {
	now := func() time.Time {
		return time.UnixMilli(int64(store.Hour(current.Load()).StartMS()))
	}
	r := NewSealer(s, Options{Now: now, Grace: time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	for {
		// With a grace of 1 ms the hour before the current one is still open:
		// seal it all the same, late records come after.
		if err := r.SealOver(context.Background()); err != nil {
			return err
		}
		h := store.Hour(current.Load())
		for _, b := range s.Buckets() {
			if b.Hour == h && rand.IntN(2) == 0 { // the hour that is being written
				if err := Seal(context.Background(), s, h); err != nil {
					return err
				}
			}
			if b.Hour+crashKept < h {
				fmt.Println("dropping", uint32(b.Hour))
				if err := s.Drop(b.Hour); err != nil {
					return err
				}
				fmt.Println("dropped", uint32(b.Hour))
			}
		}
		time.Sleep(time.Millisecond)
	}
}
