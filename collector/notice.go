package collector

import (
	"fmt"
	"sync"

	"weir/flow/ledger"
)

// A scopeTally is what an exporter sent in an hour, ours and not.
type scopeTally struct {
	hour    uint32 // of receipt, hours since the Unix epoch
	records uint64
	outside uint64
	warned  uint64 // ms, receipt of the datagram that was warned about; 0: none was
}

// When an exporter is warned about.
const (
	warnEvery   = 10 * 60 * 1000      // ms
	warnImplied = 24 * 60 * 60 * 1000 // ms, where no scope was asked for: there, transit may well be what is usual
	warnAtOnce  = 20                  // warnings a minute about all exporters together
)

// notice counts the records of a datagram, n in all and out that are not ours,
// and warns of an exporter that sends much of others.
func (p *Policy) notice(e *exporter, n, out, received uint64) {
	t := &e.scope
	if hour := uint32(received / hourMS); t.hour != hour {
		*t = scopeTally{hour: hour, warned: t.warned}
	}
	t.records += n
	t.outside += out
	r, every := e.rule, uint64(warnEvery)
	if r.of.scope.Implied {
		every = warnImplied
	}
	if out == 0 || r.usual || !ledger.Notable(t.outside, t.records) || t.warned != 0 && received-t.warned < every {
		return
	}
	suppressed, ok := p.warned.allow(received)
	if !ok {
		return
	}
	t.warned = received
	args := []any{"exporter", e.addr, "name", r.name(), "group", r.group(), "out_of_scope", t.outside, "of", t.records,
		"share", fmt.Sprintf("%.1f%%", 100*float64(t.outside)/float64(t.records)), "treatment", r.treatment, "suppressed", suppressed}
	if r.of.scope.Implied {
		args = append(args, "hint", "scope: in the configuration says what to do with them; a group with keep there is meant to have them")
	}
	p.log.Warn("an exporter sends records of which no address is in networks", args...)
}

// warnings bound how many lines exporters together can write.
type warnings struct {
	mu         sync.Mutex
	minute     uint64 // of receipt, minutes since the Unix epoch
	written    int    // in it
	suppressed uint64 // since the last line
}

// allow reports whether one more line may be written, and how many were not
// since the last one.
func (w *warnings) allow(received uint64) (suppressed uint64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if minute := received / 60_000; minute != w.minute {
		w.minute, w.written = minute, 0
	}
	if w.written >= warnAtOnce {
		w.suppressed++
		return 0, false
	}
	w.written++
	suppressed, w.suppressed = w.suppressed, 0
	return suppressed, true
}
