package collector

import (
	"sync"
	"testing"

	"weir/flow"
)

// Many goroutines decode, save and count at once, with exporters coming and
// going, and nothing is lost from the totals.
func TestConcurrentDecoding(t *testing.T) {
	d := NewDecoder(DecoderOptions{State: newMemoryState(), Limits: Limits{Exporters: 32}})
	const workers, rounds = 4, 2000
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range workers {
		wg.Go(func() {
			b := flow.NewBatch(0)
			for i := range rounds {
				b.Reset()
				_ = d.Decode(b, testTime+uint64(i), addrN(i%48, uint16(i%3)), v9(uint32(i%2), set(0, templateUsual), dataUsual))
				if b.Len() != 5 {
					t.Errorf("got %d records, want 5", b.Len())
				}
			}
		})
	}
	var others sync.WaitGroup
	others.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if err := d.Save(); err != nil {
					t.Error(err)
				}
				_ = d.Stats()
				d.Expire(testTime)
			}
		}
	})
	wg.Wait()
	close(done)
	others.Wait()
	if got, want := d.Stats().Total.Records, uint64(workers*rounds*5); got != want {
		t.Errorf("got %d records in the totals, want %d", got, want)
	}
}
