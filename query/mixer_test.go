package query

import (
	"math/rand/v2"
	"testing"
)

// TestMixer checks that every hash leads back to its key, and that keys that differ
// little spread over the shards.
func TestMixer(t *testing.T) {
	for _, seed := range []uint64{0, 1, 2, ^uint64(0), rand.Uint64()} {
		m := newMixer(seed)
		keys := []uint64{0, 1, 1 << 63, ^uint64(0)}
		for range 1000 {
			keys = append(keys, rand.Uint64())
		}
		for _, key := range keys {
			if got := m.unmix(m.mix(key)); got != key {
				t.Fatalf("seed %#x: key %#x comes back as %#x", seed, key, got)
			}
		}
	}
	const n = 100 * shardCount
	for _, shift := range []uint{0, 2, 20, 35, 48} {
		m, sizes := newMixer(rand.Uint64()), [shardCount]int{}
		for key := range uint64(n) {
			sizes[shardOf(m.mix(key<<shift))]++
		}
		for i, size := range sizes {
			if size > 4*n/shardCount {
				t.Errorf("keys from bit %d on: %d of %d are in shard %d, seed %#x", shift, size, n, i, m.seed)
			}
		}
	}
}
