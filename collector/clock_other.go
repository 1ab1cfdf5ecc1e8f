//go:build !linux

package collector

import "time"

// systemClock returns Go's own clock. Systems differ in whether it goes on while
// the host is suspended; where it does not, such a time looks as if the time of
// day had been set.
func systemClock() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}
