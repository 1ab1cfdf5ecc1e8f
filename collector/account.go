package collector

import (
	"weir/flow"
	"weir/flow/ledger"
)

// An account attributes what an exporter counts to a tally: the counters of
// ExporterStats go on for as long as the exporter is known, and what they grew
// by since they were last settled is the tally's. It is guarded like the rest of
// the exporter.
type account struct {
	tally  *tally // locked while it is set; nil: none
	place  place
	stats  ExporterStats // as last settled
	size   units         // data records of the datagram being decoded
	folded uint32        // hour in which the exporter was last counted as one of many
}

// A place is where something is counted.
type place struct {
	key  ledger.Key
	hour uint32
	dom  *domain // caches the tally of its current hour; nil: none
}

// enter attributes a datagram to the domain of its stream.
func (e *exporter) enter(s *stream, h *header, d *Decoder) {
	if d.book == nil {
		return
	}
	hour := uint32(h.received / hourMS)
	e.open(place{ledger.Key{Exporter: e.key, Domain: s.key.Domain, Version: s.key.Version}, hour, s.domain}, d)
	t := e.account.tally
	if s.hour != hour {
		s.hour, s.inHour = hour, 0
	}
	if s.inHour++; s.inHour == 2 { // some exporters send every datagram from another port
		t.parallel++
	}
	t.entry.Streams = max(t.parallel, 1)
	before := s.domain.heard
	if t.key == (ledger.Key{}) {
		before = 0 // the silence of one is not that of all
	}
	t.heard(h.received, before)
	s.domain.heard = max(h.received, before)
}

// open makes a place's tally the one that is counted in, and locks it.
func (e *exporter) open(p place, d *Decoder) {
	for {
		var t *tally
		if p.dom != nil && p.dom.tally != nil && p.dom.tally.hour == p.hour {
			t = p.dom.tally
		} else if t = d.book.tally(p.key, p.hour); p.dom != nil {
			p.dom.tally = t
		}
		t.mu.Lock()
		if t.gone {
			t.mu.Unlock()
			if p.dom != nil {
				p.dom.tally = nil
			}
			continue
		}
		if t.key != p.key && e.account.folded != p.hour {
			e.account.folded = p.hour
			d.book.together(p.hour)
		}
		e.account.tally, e.account.place = t, p
		return
	}
}

// finish settles a datagram. One that was too broken to have a domain is
// counted under domain 0 and version 0. Of a source in a capture that never sent
// anything better, it is the zero address's: a capture has other traffic, too.
func (e *exporter) finish(received uint64, d *Decoder) {
	if d.book == nil {
		return
	}
	if e.account.tally == nil {
		p := place{key: ledger.Key{Exporter: e.key}, hour: uint32(received / hourMS)}
		if d.book.reads && len(e.streams) == 0 {
			p.key = ledger.Key{}
		}
		e.open(p, d)
		e.account.tally.heard(received, 0)
	}
	e.shut(d)
}

// shut settles and lets go of the tally.
func (e *exporter) shut(d *Decoder) {
	t := e.account.tally
	if t == nil {
		return
	}
	e.settle(t, d)
	d.book.changed(t)
	t.mu.Unlock()
	e.account.tally = nil
}

// elsewhere attributes what fn counts to the stream and the hour of an earlier
// datagram.
func (e *exporter) elsewhere(key streamKey, received uint64, d *Decoder, fn func()) {
	if d.book == nil {
		fn()
		return
	}
	size, was, open := e.account.size, e.account.place, e.account.tally != nil
	e.shut(d)
	p := place{key: ledger.Key{Exporter: e.key, Domain: key.Domain, Version: key.Version}, hour: uint32(received / hourMS)}
	e.open(p, d)
	fn()
	e.shut(d)
	e.account.size = size
	if open {
		e.open(was, d)
	}
}

// settle gives the tally what was counted since the last time.
func (e *exporter) settle(t *tally, d *Decoder) {
	a := &e.account
	if e.stats.Errors != a.stats.Errors {
		for r, n := range e.stats.Errors {
			t.errors[r] += n - a.stats.Errors[r]
		}
		a.stats.Errors = e.stats.Errors
	}
	// Of a usual datagram, only these three move.
	now, was := &e.stats, &a.stats
	t.entry.Counts[ledger.Datagrams] += now.Datagrams - was.Datagrams
	t.entry.Counts[ledger.Bytes] += now.Bytes - was.Bytes
	t.entry.Counts[ledger.Records] += now.Records - was.Records
	was.Datagrams, was.Bytes, was.Records = now.Datagrams, now.Bytes, now.Records
	if now.more == was.more && now.rare() == was.rare() {
		return
	}
	counts, before := now.counts(), was.counts()
	for c, n := range counts {
		if n == before[c] {
			continue
		}
		if missing := t.add(ledger.Counter(c), int64(n-before[c])); missing < 0 {
			d.book.takeBack(t.key, t.hour-1, ledger.Counter(c), missing)
		}
	}
	*was = *now
}

// rows counts the records from a row on, which came with h, by the sampling
// interval that the configuration says if it says one. mixed says that they may
// have several.
func (e *exporter) rows(b *flow.Batch, from int, h *header, mixed bool) {
	e.override(b, from)
	if t := e.account.tally; t != nil && b.Len() > from {
		e.stats.more[ledger.BadTimes] += t.rows(b, from, b.Len(), h.received, mixed)
	}
}
