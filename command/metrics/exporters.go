package metrics

import (
	"cmp"
	"slices"
	"time"

	"weir/flow/ledger"
)

// MaxExporters bounds the exporters that have a label of their own.
const MaxExporters = 1000

// OtherLabel is the label of all others together.
const OtherLabel = "other"

// labels gives exporters their labels. One that has a label keeps it for as long
// as it is in the snapshots: a counter that moved between labels would look like
// a restart.
type labels struct{ named map[string]bool }

// bound sums exporters of one name, and those without a label, so that at most
// MaxExporters and one more are left. It keeps room for those that the
// configuration describes.
func (l *labels) bound(list []Exporter, forgotten *Exporter) (own []Exporter, other Exporter) {
	byName := make(map[string]*Exporter, len(list))
	for i := range list {
		if e := byName[list[i].Name]; e != nil {
			e.add(&list[i])
			continue
		}
		e := list[i]
		e.Errors = nil
		e.addErrors(list[i].Errors)
		byName[e.Name] = &e
	}
	l.name(byName)
	other.add(forgotten)
	for name, e := range byName {
		if l.named[name] {
			own = append(own, *e)
		} else {
			other.add(e)
		}
	}
	slices.SortFunc(own, func(a, b Exporter) int { return cmp.Compare(a.Name, b.Name) })
	other.Name = OtherLabel
	return own, other
}

// name decides which exporters have labels: known ones, those that had one, and
// then in the order of their names, as far as there is room.
func (l *labels) name(all map[string]*Exporter) {
	order := make([]*Exporter, 0, len(all))
	for _, e := range all {
		if e.Name != OtherLabel {
			order = append(order, e)
		}
	}
	rank := func(e *Exporter) int {
		switch {
		case e.Known:
			return 0
		case l.named[e.Name]:
			return 1
		}
		return 2
	}
	slices.SortFunc(order, func(a, b *Exporter) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Name, b.Name))
	})
	named := make(map[string]bool, min(len(order), MaxExporters))
	for _, e := range order[:min(len(order), MaxExporters)] {
		named[e.Name] = true
	}
	l.named = named
}

// add adds what another address of the same exporter, or another exporter,
// counted.
func (e *Exporter) add(o *Exporter) {
	if o.Counts[ledger.Datagrams] > e.Counts[ledger.Datagrams] { // what cannot be summed is that of the busier
		e.Sampling, e.SkewMedian, e.HasSkew = o.Sampling, o.SkewMedian, o.HasSkew
	}
	for i := range e.Counts {
		e.Counts[i] += o.Counts[i]
	}
	for i := range e.Lost {
		e.Lost[i] += o.Lost[i]
	}
	e.LostRecords += o.LostRecords
	e.addErrors(o.Errors)
	e.CounterSamples, e.DropSamples = e.CounterSamples+o.CounterSamples, e.DropSamples+o.DropSamples
	e.Scoped, e.Usual = e.Scoped || o.Scoped, e.Usual || o.Usual
	e.Templates += o.Templates
	e.Waiting += o.Waiting
	e.Known, e.Expected = e.Known || o.Known, e.Expected || o.Expected
	e.Group = cmp.Or(e.Group, o.Group)
	if o.Last.After(e.Last) {
		e.Last = o.Last
	}
}

func (e *Exporter) addErrors(errors map[string]uint64) {
	for reason, n := range errors {
		if e.Errors == nil {
			e.Errors = map[string]uint64{}
		}
		e.Errors[reason] += n
	}
}

// UpFor is for how long after its last datagram an exporter counts as up.
const UpFor = 15 * time.Minute

// silence returns how long nothing came, since the start where nothing did.
func (e *Exporter) silence(s *Snapshot) time.Duration {
	since := e.Last
	if since.IsZero() {
		since = s.Started
	}
	return max(s.Now.Sub(since), 0)
}

// up reports whether the exporter was heard of lately. Since the collector itself
// has not been there for long, nobody is missing.
func (e *Exporter) up(s *Snapshot) bool { return e.silence(s) < UpFor }
