package query

import (
	"cmp"
	"slices"

	"weir/flow"
	"weir/flow/ledger"
)

// How long an exporter may be quiet at the end of a window before it is said to
// be silent, in ms: one that the configuration expects, and any other, which may
// simply have nothing to report.
const (
	quietExpected = 15 * 60 * 1000
	quietOther    = 60 * 60 * 1000
	quietShort    = 5 * 60 * 1000 // any exporter may be quiet that long at any time

	establishedAfter = 60 * 1000 // ms from the first datagram to the last
)

// An expectation is an exporter that should be heard.
type expectation struct {
	addr     flow.Addr
	name     string
	expected bool // by the configuration
	heard    bool // in the window
	last     Moment
	first    Moment      // in the window
	before   Moment      // last in the day before the window
	silence  ledger.Span // the longest between two datagrams
	several  bool        // heard from several addresses
}

// exporters says who was heard of those expected.
func (j *judge) exporters() {
	if j.c.Ledgers == 0 && j.c.Unrecorded > 0 {
		return // nobody wrote down who was heard
	}
	up := j.line.listening(j.from, j.to)
	if len(up) == 0 { // nobody can be missed: captures hold who they hold
		j.c.Expected = len(j.sum.exporters)
		for i := range j.sum.exporters {
			if j.heard(&j.sum.exporters[i].digest) {
				j.c.Heard++
			}
		}
		return
	}
	list := j.expectations()
	j.c.Expected = len(list)
	for _, e := range list {
		gap := ExporterGap{Name: e.name, Last: e.last}
		if e.addr != (flow.Addr{}) {
			gap.Addr = e.addr.String()
		}
		quiet := uint64(quietOther)
		if e.expected {
			quiet = quietExpected
		}
		switch {
		case !e.heard:
			j.c.Missing = append(j.c.Missing, gap)
			continue
		case overlap(up, uint64(e.last), j.to) >= quiet:
			j.c.Silent = append(j.c.Silent, gap)
		}
		j.c.Heard++
		j.quiet(&e, up, quiet)
	}
	slices.SortStableFunc(j.c.Quiet, func(a, b Quiet) int { return cmp.Compare(b.To-b.From, a.To-a.From) })
	j.c.Quiet = j.c.Quiet[:min(len(j.c.Quiet), MaxNamed)]
	j.c.Missing, j.c.Silent = j.c.Missing[:min(len(j.c.Missing), MaxNamed)], j.c.Silent[:min(len(j.c.Silent), MaxNamed)]
}

// quiet notes the longest time in the window in which an exporter was not heard,
// before its first datagram or between two.
func (j *judge) quiet(e *expectation, up []ledger.Span, least uint64) {
	spans := []ledger.Span{e.silence}
	if e.expected || e.before != 0 {
		spans = append(spans, ledger.Span{From: uint64(e.before), To: uint64(e.first)})
	}
	var worst ledger.Span
	length := uint64(0)
	for _, s := range spans {
		s.From, s.To = max(s.From, j.from), min(s.To, j.to)
		if n := overlap(up, s.From, s.To); n >= least && n > length {
			worst, length = s, n
		}
	}
	if length > 0 {
		j.c.Quiet = append(j.c.Quiet, Quiet{addrText(e.addr), e.name, Moment(worst.From), Moment(worst.To)})
	}
}

// expectations returns the exporters that should be heard: those heard in the
// window or in the day before it, and those that the configuration expects.
// Those with a name come first. Where an exporter of the configuration sends
// from several addresses, one of them is enough.
func (j *judge) expectations() []expectation {
	var list []expectation
	at := map[*ledger.Known]int{}
	put := func(e expectation, k *ledger.Known) {
		if k == nil {
			list = append(list, e)
			return
		}
		i, found := at[k]
		if !found {
			at[k] = len(list)
			e.name, e.expected = k.Name, k.Expected
			list = append(list, e)
			return
		}
		if e.last > list[i].last {
			list[i].addr, list[i].last = e.addr, e.last
		}
		if e.heard && list[i].heard { // by several addresses: one's silence says nothing
			list[i].silence, list[i].before, list[i].first = ledger.Span{}, 0, 0
			list[i].several = true
		} else if e.heard && !list[i].several {
			list[i].silence, list[i].first = e.silence, e.first
		}
		if !list[i].several {
			list[i].before = max(list[i].before, e.before)
		}
		list[i].heard = list[i].heard || e.heard
	}
	for i := range j.sum.exporters {
		if e := &j.sum.exporters[i]; e.addr != (flow.Addr{}) {
			one := expectation{addr: e.addr, heard: j.heard(&e.digest), last: e.digest.Last, first: e.digest.First, silence: e.digest.Silence}
			if before := j.day.exporter(e.addr); before != nil {
				one.before = before.digest.Last
			}
			put(one, j.req.Known.Find(e.addr))
		}
	}
	for i := range j.day.exporters {
		e := &j.day.exporters[i]
		k := j.req.Known.Find(e.addr)
		if e.addr != (flow.Addr{}) && (k != nil || j.sum.exporter(e.addr) == nil && e.digest.established()) {
			put(expectation{addr: e.addr, last: e.digest.Last, before: e.digest.Last}, k)
		}
	}
	for i := range j.req.Known {
		if k := &j.req.Known[i]; k.Expected && j.asked(k) {
			put(expectation{addr: onlySource(k)}, k)
		}
	}
	slices.SortStableFunc(list, func(a, b expectation) int {
		if (a.name == "") != (b.name == "") {
			return cmp.Compare(len(b.name), len(a.name))
		}
		return cmp.Or(cmp.Compare(a.name, b.name), a.addr.Compare(b.addr))
	})
	return list
}

// established reports whether an exporter that the configuration does not know
// is one that can be missed: it sent records for a while. A stray or forged
// datagram makes none.
func (d *Digest) established() bool { return d.Records > 0 && d.Last >= d.First+establishedAfter }

// heard reports whether an exporter was heard in the window itself, which may be
// shorter than its hours.
func (j *judge) heard(d *Digest) bool {
	quiet := d.Silence
	silent := quiet.Length() >= quietShort && quiet.From <= j.from && quiet.To >= j.to
	return d.Datagrams > 0 && uint64(d.Last)+quietShort >= j.from && uint64(d.First) < j.to+quietShort && !silent
}

// asked reports whether the question is about an exporter of the configuration
// that was not heard: with conditions on addresses, one that has a single one.
func (j *judge) asked(k *ledger.Known) bool {
	if j.match.all() {
		return true
	}
	addr := onlySource(k)
	return addr != (flow.Addr{}) && j.match.has(addr)
}

// onlySource returns the address of an exporter that has but one, else the zero
// address.
func onlySource(k *ledger.Known) flow.Addr {
	if len(k.Sources) == 1 && k.Sources[0].IsSingleIP() {
		return flow.AddrFromNetip(k.Sources[0].Addr())
	}
	return flow.Addr{}
}
