package collector

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// What a connection defined is its own: nobody else decodes with it, it can be
// withdrawn, and it goes when the connection ends (RFC 7011, sections 8.1 and
// 10.4). What came by datagrams has no such end; it is replaced.

// withdraw takes in the withdrawal of a template or, by the id of the set, of all
// that such sets of the stream's domain defined. Over UDP it says nothing (RFC
// 7011, section 8.4), and is counted all the same.
func (e *exporter) withdraw(s *stream, id uint16, options bool, d *Decoder) {
	e.count(ReasonWithdrawal)
	if s.key.Conn == 0 {
		return
	}
	for _, t := range s.templates {
		if t.options == options && (t.id == id || id == templateSetID(options)) {
			delete(s.templates, t.id)
			e.forget(t, d)
		}
	}
}

// disconnected forgets what a connection defined. Its data sets that wait for a
// template wait in vain.
func (d *Decoder) disconnected(src netip.AddrPort, conn uint64) {
	d.mu.RLock()
	e := d.exporters[normalAddr(src.Addr())]
	d.mu.RUnlock()
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone {
		return
	}
	e.dropPending(conn, d)
	e.commons = slices.DeleteFunc(e.commons, func(c *common) bool { return c.key.Conn == conn })
	for _, s := range e.streams {
		if s.key.Conn == conn {
			e.removeStream(s, d)
		}
	}
}

// dropPending drops the data sets of a connection that wait.
func (e *exporter) dropPending(conn uint64, d *Decoder) {
	e.pending = slices.DeleteFunc(e.pending, func(p pendingSet) bool {
		if p.key.Conn != conn {
			return false
		}
		e.giveUp(&p, d)
		return true
	})
}

// fault counts what is wrong with a connection and belongs to no message.
func (d *Decoder) fault(received uint64, src netip.AddrPort, err error) {
	addr := normalAddr(src.Addr())
	e := d.lock(addr)
	defer e.mu.Unlock()
	e.noteError(err)
	d.log.complain(addr, err)
	e.finish(received, d)
}

// checkFrame refuses what cannot be, or begin, an IPFIX message. It wants 2
// bytes to look at the version and 4 for the length.
func checkFrame(p []byte) error {
	if len(p) >= 2 {
		if version := binary.BigEndian.Uint16(p); version != 10 {
			return decodeErrorf(ReasonFraming, "version %d where an IPFIX message begins", version)
		}
	}
	if len(p) >= 4 {
		if length := binary.BigEndian.Uint16(p[2:]); length < 16 {
			return decodeErrorf(ReasonFraming, "IPFIX message of %d bytes", length)
		}
	}
	return nil
}
