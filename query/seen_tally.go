package query

import (
	"cmp"
	"slices"

	"weir/store"
)

// A seenTally is what is known of one address, in a block, a bucket or more.
type seenTally struct {
	records, asSource, asDestination uint64
	active                           activeHours
	server, client                   seenPorts
	peers                            addrCounter
}

// see counts the records of a note.
func (t *seenTally) see(n *seenNote, hours bool) {
	if n.source {
		t.asSource += uint64(n.ends)
	} else {
		t.asDestination += uint64(n.ends)
	}
	if n.records > 0 {
		t.records += uint64(n.records)
		t.active.see(n.hour, uint64(n.records), hours)
	}
}

// merge adds what from knows, of other hours or of the hour that was merged last.
// It may take from's memory: from is not used again.
func (t *seenTally) merge(from *seenTally, exact int) {
	if from.records == 0 {
		return
	}
	if t.records == 0 {
		*t = *from
		return
	}
	t.records += from.records
	t.asSource += from.asSource
	t.asDestination += from.asDestination
	t.active.merge(&from.active)
	t.server.merge(&from.server)
	t.client.merge(&from.client)
	t.peers.merge(&from.peers, exact)
}

// activeHours are the hours in which records were received.
type activeHours struct {
	n           int
	first, last store.Hour // that were counted, in no order; good when n is not 0
	list        []SeenHour // each of them, if asked for
}

// see counts records of an hour. What is of one hour comes one after the other.
func (a *activeHours) see(hour store.Hour, records uint64, list bool) {
	if a.n == 0 {
		a.first = hour
	}
	if a.n == 0 || hour != a.last {
		a.n, a.last = a.n+1, hour
		if list {
			a.list = append(a.list, SeenHour{hour.StartMS(), 0})
		}
	}
	if list {
		a.list[len(a.list)-1].Records += records
	}
}

// merge adds other hours, of which the first may be the last one here.
func (a *activeHours) merge(from *activeHours) {
	list := from.list
	a.n += from.n
	if from.first == a.last {
		a.n--
		if len(list) > 0 {
			a.list[len(a.list)-1].Records += list[0].Records
			list = list[1:]
		}
	}
	a.last, a.list = from.last, append(a.list, list...)
}

// entry returns the tally as an answer, and from when to when that is.
func (t *seenTally) entry(addr string, span *seenSpan) SeenEntry {
	slices.SortFunc(t.active.list, func(a, b SeenHour) int { return cmp.Compare(a.Start, b.Start) })
	e := SeenEntry{Addr: addr, Records: t.records, First: span.first.Load(), Last: span.last.Load(), Active: t.active.n,
		AsSource: t.asSource, AsDestination: t.asDestination, Hours: t.active.list,
		Server: t.server.top(), Client: t.client.top(),
		MorePorts: len(t.server.keys) > seenTopPorts || len(t.client.keys) > seenTopPorts}
	e.Peers, e.PeersEstimated = t.peers.count()
	return e
}
