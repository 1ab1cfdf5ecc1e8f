package collector

import (
	"time"

	"golang.org/x/sys/unix"
)

// systemClock returns a clock of the time since the host was started. It goes on
// while the host is suspended, which Go's own does not, and stays as it is when
// the time of day is set.
func systemClock() func() time.Duration {
	start := time.Now()
	return func() time.Duration {
		var t unix.Timespec
		if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
			return time.Since(start)
		}
		return time.Duration(t.Nano())
	}
}
