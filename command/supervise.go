package command

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"weir/collector"
	"weir/command/systemd"
)

// The service manager is asked for time while the archive is opened or closed,
// which takes as long as the disk does: so much at a time, and not for ever.
const (
	extendBy    = 30 * time.Second
	extendEvery = 10 * time.Second
	extendFor   = 30 * time.Minute
)

// statusEvery is how often the manager gets a new line.
const statusEvery = 10 * time.Second

// leastPatience is for how long a loop may stand still, however impatient the
// manager is: some go round once a second, and a disk may take a moment.
const leastPatience = 5 * time.Second

// A supervisor tells the service manager how a collector does.
type supervisor struct {
	manager   *systemd.Notifier
	log       *slog.Logger
	progress  func() (what string, since time.Duration) // Collector.Progress
	rates     *meter
	exporters func() int // that were heard since the start
	told      bool       // that it stands still; only run's
}

func newSupervisor(n *systemd.Notifier, log *slog.Logger, c *collector.Collector, rates *meter) *supervisor {
	return &supervisor{manager: n, log: log, progress: c.Progress, rates: rates,
		exporters: func() int { return len(c.Stats().Exporters) }}
}

// extend asks the manager for time until the returned function is called.
func extend(n *systemd.Notifier) (enough func()) {
	if n == nil {
		return func() {}
	}
	done := make(chan struct{})
	n.Extend(extendBy) // before anything else is said
	go func() {
		tick := time.NewTicker(extendEvery)
		defer tick.Stop()
		for end := time.Now().Add(extendFor); time.Now().Before(end); {
			select {
			case <-done:
				return
			case <-tick.C:
				n.Extend(extendBy)
			}
		}
	}()
	return func() { close(done) }
}

// line says how the collector does, for systemctl status.
func (s *supervisor) line() string {
	rate, _, ok := s.rates.rates(time.Now())
	if !ok {
		return "listens"
	}
	return fmt.Sprintf("%.0f records/s of %s", rate, plural(s.exporters(), "exporter"))
}

// run tells the manager how the collector does until ctx is done, and that it is
// alive as long as receiving and storing go on.
func (s *supervisor) run(ctx context.Context) error {
	if s.manager == nil {
		return nil
	}
	status := time.NewTicker(statusEvery)
	defer status.Stop()
	var beat <-chan time.Time
	patience := s.manager.Watchdog()
	most := max(patience/2, leastPatience)
	if patience > 0 {
		tick := time.NewTicker(patience / 4)
		defer tick.Stop()
		beat = tick.C
		s.beat(most)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-status.C:
			s.manager.Status(s.line())
		case <-beat:
			s.beat(most)
		}
	}
}

// beat says that the collector is alive, unless a loop has stood still for so
// long: then the manager may end the process, and begin it anew.
func (s *supervisor) beat(most time.Duration) {
	what, since := s.progress()
	if since < most {
		s.manager.Alive()
		s.told = false
		return
	}
	if !s.told {
		s.log.Error("the collector makes no progress: the service manager is told no more that it is alive", "what", what, "for", since.Round(time.Second))
		s.told = true
	}
}
