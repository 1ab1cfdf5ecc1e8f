package collector

import (
	"weir/flow"
	"weir/flow/ledger"
)

// A pendingSet is a data set that came before its template. It keeps the header
// of its datagram, because its records' times and receipt are those of then.
type pendingSet struct {
	head header
	key  streamKey
	id   uint16
	body []byte // a copy
}

// hold keeps a data set until its template arrives. The oldest make room; a set
// that is larger than the limits is dropped.
func (e *exporter) hold(s *stream, h *header, id uint16, body []byte, d *Decoder) {
	l := &d.limits
	size := len(body) + pendingOverhead
	e.stats.more[ledger.SetsWithout]++
	e.account.size.add(0, len(body)) // who knows how many records
	for len(e.pending) > 0 && (len(e.pending) >= l.Pending || e.pendingBytes+size > l.PendingBytes) {
		e.dropOldest(d)
	}
	own := e.pendingBytes + size
	if own > l.PendingBytes || own > pendingShare && int(d.pendingBytes.Load())+size > l.TotalPendingBytes {
		e.count(ReasonNoTemplate)
		e.stats.SetsDropped++
		return
	}
	e.pending = append(e.pending, pendingSet{*h, s.key, id, append([]byte(nil), body...)})
	e.pendingBytes += size
	d.pendingBytes.Add(int64(size))
	e.stats.SetsWaiting++
}

// pendingOverhead is what a waiting set takes besides its bytes.
const pendingOverhead = 128

func (e *exporter) dropOldest(d *Decoder) {
	e.giveUp(&e.pending[0], d)
	e.pending[0] = pendingSet{}
	e.pending = e.pending[1:]
}

// giveUp counts a set that waited in vain, where it came.
func (e *exporter) giveUp(p *pendingSet, d *Decoder) {
	e.unhold(p, d)
	e.elsewhere(p.key, p.head.received, d, func() {
		e.count(ReasonNoTemplate)
		e.stats.SetsDropped++
	})
}

// unhold takes a set out of the accounts.
func (e *exporter) unhold(p *pendingSet, d *Decoder) {
	size := len(p.body) + pendingOverhead
	e.pendingBytes -= size
	d.pendingBytes.Add(-int64(size))
	e.stats.SetsWaiting--
}

// expire drops the sets that have waited for too long.
func (e *exporter) expire(now uint64, d *Decoder) {
	age := uint64(d.limits.PendingAge.Milliseconds())
	for len(e.pending) > 0 && e.pending[0].head.received+age < now {
		e.dropOldest(d)
	}
}

// recover decodes the waiting sets whose template is known now.
func (e *exporter) recover(b *flow.Batch, id uint16, d *Decoder) {
	if len(e.pending) == 0 {
		return
	}
	kept := e.pending[:0]
	for i := range e.pending {
		p := e.pending[i]
		s := e.streams[p.key]
		var t *template
		if p.id == id && s != nil {
			t = e.template(s, p.id, len(p.body))
		}
		if t == nil {
			kept = append(kept, p)
			continue
		}
		e.unhold(&p, d)
		e.elsewhere(p.key, p.head.received, d, func() {
			e.stats.SetsRecovered++
			if err := e.dataSet(b, s, t, &p.head, p.body, d); err != nil {
				e.noteError(err)
			}
		})
	}
	clear(e.pending[len(kept):])
	e.pending = kept
}
