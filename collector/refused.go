package collector

import (
	"net/netip"
	"slices"
	"sync"

	"weir/flow/ledger"
)

// refusals count the datagrams of refused senders by the hour of receipt: those
// of ledger.MaxSenders by their address, the others together, so that a flood of
// forged addresses does not make them grow. The last two hours are kept, so that
// the ledger of an hour that has just ended gets all of it.
type refusals struct {
	mu    sync.Mutex
	hours [2]refusedHour // the later one first
	total uint64         // since the start
}

type refusedHour struct {
	hour    uint32 // hours since the Unix epoch
	senders map[netip.Addr]uint64
	others  uint64
}

// A refusal says whether a refused datagram is worth a word in the log.
type refusal uint8

const (
	repeated      refusal = iota
	firstOfSender         // in its hour
	firstOfOthers         // the first in its hour of a sender beyond ledger.MaxSenders
)

// count counts one datagram.
func (r *refusals) count(sender netip.Addr, received uint64) refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total++
	h := r.at(uint32(received / hourMS))
	n, known := h.senders[sender]
	if !known && len(h.senders) >= ledger.MaxSenders {
		h.others++
		if h.others == 1 {
			return firstOfOthers
		}
		return repeated
	}
	h.senders[sender] = n + 1
	if !known {
		return firstOfSender
	}
	return repeated
}

// at returns the counters of an hour, new ones in place of the older ones that
// are kept. A clock that is set back makes another hour like any.
func (r *refusals) at(hour uint32) *refusedHour {
	for i := range r.hours {
		if h := &r.hours[i]; h.hour == hour && h.senders != nil {
			return h
		}
	}
	r.hours[1] = r.hours[0]
	r.hours[0] = refusedHour{hour: hour, senders: map[netip.Addr]uint64{}}
	return &r.hours[0]
}

// Refused returns how many datagrams of refused senders came in an hour, in
// hours since the Unix epoch: those of single senders by address, ascending, and
// the others. It knows this hour and the one before.
func (p *Policy) Refused(hour uint32) (by []ledger.Drop, others ledger.Drop) {
	if p == nil {
		return nil, others
	}
	p.refused.mu.Lock()
	defer p.refused.mu.Unlock()
	for _, h := range p.refused.hours {
		if h.hour != hour || h.senders == nil {
			continue
		}
		senders := make([]netip.Addr, 0, len(h.senders))
		for addr := range h.senders {
			senders = append(senders, addr)
		}
		slices.SortFunc(senders, netip.Addr.Compare)
		for _, addr := range senders {
			by = append(by, ledger.Drop{Where: addr.String(), Count: h.senders[addr]})
		}
		if h.others > 0 {
			others = ledger.Drop{Where: "others", Count: h.others}
		}
	}
	return by, others
}

// refusedTotal returns how many datagrams were refused since the start.
func (p *Policy) refusedTotal() uint64 {
	if p == nil {
		return 0
	}
	p.refused.mu.Lock()
	defer p.refused.mu.Unlock()
	return p.refused.total
}
