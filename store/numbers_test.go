package store

import (
	"slices"
	"testing"
)

// TestDifferencesFromZero reads what earlier builds wrote.
func TestDifferencesFromZero(t *testing.T) {
	want := []uint64{1_748_736_070_788, 1_748_736_070_790, 1_748_736_070_789, 7, ^uint64(0)}
	diff := make([]uint64, len(want))
	last := uint64(0)
	for i, v := range want {
		diff[i], last = zigzagOf(v-last), v
	}
	value := newEncoder().planes([]byte{modeDifferences}, diff, rangeOf(diff))
	got := make([]uint64, len(want))
	if err := newDecoder().whole(got, value, nil); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %d, want %d", got, want)
	}
}
