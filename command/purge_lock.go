package command

import (
	"context"
	"time"
)

// lockPurges keeps purges from beginning until unlock is called. While one is at
// work it fails with busy, or waits if busy is nil. Who else has the lock only looks
// for one, as a collector does when it starts, or counts what one would delete,
// and is waited for.
func (l *local) lockPurges(ctx context.Context, busy error) (unlock func(), err error) {
	lock := &l.first().purging
	for !lock.TryLock() {
		if busy != nil {
			if st, err := readPurge(l.store); err != nil {
				return nil, err
			} else if st != nil {
				return nil, busy
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockRetry):
		}
	}
	return lock.Unlock, nil
}
