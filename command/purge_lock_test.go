package command

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A collector that starts looks for a purge to go on with. A hold that is made at
// that moment waits for the look, and is refused only if there is one.
func TestHoldWaitsForALookAtPurges(t *testing.T) {
	s, err := openStore(exportArchive(t, "switch-sflow.pcap"), modeWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l := &local{store: s, now: func() time.Time { return testNow }}

	l.purging.Lock() // the look
	ctx, cancel := context.WithTimeout(t.Context(), 2*lockRetry)
	defer cancel()
	if _, err := l.noPurge(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while somebody looks: %v, want the end of the wait", err)
	}
	ended := make(chan error)
	go func() {
		done, err := l.noPurge(t.Context())
		if err == nil {
			done()
		}
		ended <- err
	}()
	l.purging.Unlock()
	if err := <-ended; err != nil {
		t.Errorf("after the look: %v", err)
	}

	st := purgeState{Filter: "proto udp", Case: "C-9", By: "somebody", At: 1}
	if err := st.write(s); err != nil {
		t.Fatal(err)
	}
	if _, err := l.noPurge(t.Context()); !errors.Is(err, errPurgeFirst) {
		t.Errorf("with one that was cut short: %v", err)
	}
	l.purging.Lock() // it is at work
	if _, err := l.noPurge(t.Context()); !errors.Is(err, errPurgeFirst) {
		t.Errorf("with one at work: %v", err)
	}
	l.purging.Unlock()
	if !l.purging.TryLock() {
		t.Error("a hold that was refused kept the lock")
	}
}
