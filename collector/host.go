package collector

import (
	"slices"

	"weir/flow"
	"weir/flow/ledger"
)

// asleepFor is the time between two signs of life after which the host was
// asleep, or stopped by a debugger, or its clock was set: nothing came in.
const asleepFor = 60_000 // ms

// alive notes a sign of life of the collector, at least every second. before is
// the one before, 0 for the first, and passed how many ms really went by since.
func (b *book) alive(before, now, passed uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	hour := uint32(now / hourMS)
	p := b.page(hour)
	h := &p.host
	if before != 0 && now > before+asleepFor {
		h.Stills = appendStill(h.Stills, ledger.Still{Span: ledger.Span{From: before, To: now}, Why: whyStill(now-before, passed)})
	}
	switch {
	case h.Up.From != 0: // the hour goes on
	case before != 0 && before/hourMS+1 == uint64(hour) && now <= before+asleepFor:
		h.Up.From = uint64(hour) * hourMS
		if last := b.hours[hour-1]; last != nil {
			last.endHour()
			if last.stalled && !p.stalled {
				p.stalled = true
				h.Unstored = []ledger.Span{{From: h.Up.From, To: now}}
			}
			last.stalled = false
		}
	default:
		h.Up.From = now
	}
	h.Up.To = max(h.Up.To, now)
	if p.stalled {
		h.Unstored[len(h.Unstored)-1].To = now
	}
	p.hostDirty = true
}

// whyStill says why there was no sign of life for so many ms by the clock, of
// which so many really passed.
func whyStill(ms, passed uint64) string {
	if passed < ms/2 {
		return ledger.StillClock
	}
	return ledger.StillAsleep
}

// appendStill adds a standstill; beyond the bound the last one is extended over
// it.
func appendStill(list []ledger.Still, s ledger.Still) []ledger.Still {
	if len(list) >= ledger.MaxStills {
		list[len(list)-1].To = s.To
		return list
	}
	return append(list, s)
}

// endHour says that the collector went on into the next hour.
func (p *page) endHour() {
	h := &p.host
	h.Up.To, h.End = uint64(p.hour+1)*hourMS, ledger.EndHour
	if p.stalled {
		h.Unstored[len(h.Unstored)-1].To = h.Up.To
	}
	p.hostDirty = true
}

// stopped says that the collector ended in order.
func (b *book) stopped(now uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.page(uint32(now / hourMS))
	if p.host.Up.From == 0 {
		p.host.Up.From = now
	}
	p.host.Up.To, p.host.End = max(p.host.Up.To, now), ledger.EndClean
	p.hostDirty = true
}

// listened counts for a listening address the datagrams that the kernel dropped
// and the times that a reader had to wait for its queue.
func (b *book) listened(now uint64, where string, dropped, waits uint64) {
	if dropped == 0 && waits == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.page(uint32(now / hourMS))
	p.host.Sockets = addDrop(p.host.Sockets, where, dropped)
	p.host.Waits = addDrop(p.host.Waits, where, waits)
	p.hostDirty = true
}

// addDrop adds n to what is counted at a place, unless there is nothing to add.
func addDrop(list []ledger.Drop, where string, n uint64) []ledger.Drop {
	if n == 0 {
		return list
	}
	at := slices.IndexFunc(list, func(d ledger.Drop) bool { return d.Where == where })
	if at < 0 {
		return append(list, ledger.Drop{Where: where, Count: n})
	}
	list[at].Count += n
	return list
}

// refusals takes over what a policy refused in the hours that are open, those of
// a page that is written again under another run left out: they are written.
func (b *book) refusals(policy *Policy) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for hour, p := range b.hours {
		by, others := policy.Refused(hour)
		_, again := b.over[hour]
		if again || len(by) == 0 || slices.Equal(by, p.host.Senders) && others == p.host.Others {
			continue
		}
		p.host.Senders, p.host.Others, p.hostDirty = by, others, true
	}
}

// unstored counts records that the sink refused, by the hours in which they were
// received, which are those that count them. Until stored is called, nothing can
// be stored.
func (b *book) unstored(received []uint64, now uint64, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := slices.Min(received)
	for len(received) > 0 { // a batch has records of two hours at most, as a rule
		hour := uint32(received[0] / hourMS)
		n := 1
		for n < len(received) && uint32(received[n]/hourMS) == hour {
			n++
		}
		p := b.page(hour)
		p.host.Rejected.Where = why[:min(len(why), maxName)]
		p.host.Rejected.Count += uint64(n)
		p.host.Counting += uint64(n)
		p.noRoom(first, now)
		received = received[n:]
	}
	p := b.page(uint32(now / hourMS))
	p.noRoom(first, now)
	p.stalled = true
}

// noRoom says that nothing could be stored from a time to another, as far as that
// is within the hour.
func (p *page) noRoom(from, to uint64) {
	start := uint64(p.hour) * hourMS
	to = min(max(to, start), start+hourMS)
	s := ledger.Span{From: min(max(from, start), to), To: to}
	h := &p.host
	if p.stalled {
		last := &h.Unstored[len(h.Unstored)-1]
		last.To = max(last.To, s.To)
	} else {
		h.Unstored = appendSpan(h.Unstored, s)
	}
	p.hostDirty = true
}

// stored says that records can be stored.
func (b *book) stored(now uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.hours {
		if !p.stalled {
			continue
		}
		p.stalled = false
		span := &p.host.Unstored[len(p.host.Unstored)-1]
		span.To = max(span.To, min(now, uint64(p.hour+1)*hourMS))
		p.hostDirty = true
	}
}

// appendSpan adds a span; beyond the bound the last one is extended over it.
func appendSpan(spans []ledger.Span, s ledger.Span) []ledger.Span {
	if len(spans) > 0 && (spans[len(spans)-1].To >= s.From || len(spans) >= ledger.MaxUnstored) {
		spans[len(spans)-1].To = max(spans[len(spans)-1].To, s.To)
		return spans
	}
	return append(spans, s)
}

// notStored counts a batch that the sink refused.
func (c *Collector) notStored(b *flow.Batch, err error) {
	c.lostRecords.Add(uint64(b.Len()))
	if c.sinkErrors.Add(1)%1000 == 1 {
		c.o.Logger.Error("records lost", "records", b.Len(), "reason", ReasonSink, "error", err)
	}
	c.failing.Store(true)
	if book := c.decoder.book; book != nil {
		now := uint64(c.o.Now().UnixMilli())
		book.unstored(b.Num(flow.Received), now, err.Error())
	}
}

// accepted notes that the sink takes records again.
func (c *Collector) accepted() {
	c.failing.Store(false)
	if book := c.decoder.book; book != nil {
		book.stored(uint64(c.o.Now().UnixMilli()))
	}
}

// writeLedger gives a sign of life, the last one if the collector ends, and
// writes what was counted.
func (c *Collector) writeLedger(last bool) {
	book := c.decoder.book
	if book == nil {
		return
	}
	now, clock := uint64(c.o.Now().UnixMilli()), c.o.Clock()
	c.mu.Lock()
	for _, p := range c.all() {
		p.tell(book, now)
	}
	c.mu.Unlock()
	book.alive(c.lastSign, now, uint64(max(clock-c.lastClock, 0).Milliseconds()))
	c.lastClock = clock
	book.refusals(c.decoder.policy)
	hourEnds := now/hourMS != c.lastSign/hourMS
	c.lastSign = now
	if last {
		book.stopped(now)
	}
	if err := book.flush(now, last || hourEnds); err == nil {
		c.ledgerRefused = 0
	} else if c.ledgerRefused++; c.ledgerRefused%60 == 1 {
		c.o.Logger.Error("the ledger is not written, and kept until it can be", "error", err)
	}
}
