package collector

import (
	"encoding/binary"
	"net/netip"

	"weir/flow"
)

// A header is what the head of a datagram says about all its records.
type header struct {
	version   uint16 // as on the wire
	template  uint16 // of the data set being decoded
	conn      uint64 // the connection it came on; 0: none, a datagram
	domain    uint32
	sequence  uint32
	uptime    uint32 // ms
	hasUptime bool
	sampling  uint32 // v5: N of "1 in N"; 0: not known
	exportMS  uint64 // ms since 1970
	received  uint64 // ms since 1970
	exporter  flow.Addr
	agent     flow.Addr // sFlow
	hasAgent  bool
}

// clocked reports whether the header has a sysUptime.
func (h *header) clocked() bool { return h.hasUptime || h.version == uint16(flow.VersionSFlow5) }

// commonFields are what common sets.
var commonFields = flow.SetOf(flow.Received, flow.Version, flow.Domain, flow.Exporter)

// common sets the fields that all records of a datagram share.
func (d *decoding) common(version uint64) {
	h := d.head
	d.constant(flow.Received, h.received)
	d.constant(flow.Version, version)
	d.constant(flow.Domain, uint64(h.domain))
	d.constantAddr(flow.Exporter, h.exporter)
}

func (d *decoding) constantAddr(f flow.Field, a flow.Addr) {
	col := d.b.Addr(f)[d.base : d.base+d.n]
	for i := range col {
		col[i] = a
	}
	d.b.Mark(f, d.base, d.base+d.n)
}

// readHeader9 reads the header of NetFlow v9 (RFC 3954, section 5.1).
//
//	0  version | count          8  seconds since 1970      16 source id
//	4  sysUptime, ms           12  sequence, datagrams
//
// The count of records is not used: half of the exporters count something else.
func readHeader9(h *header, p []byte) ([]byte, error) {
	if len(p) < 20 {
		return nil, decodeErrorf(ReasonTruncated, "header of v9 in %d bytes", len(p))
	}
	h.uptime, h.hasUptime = binary.BigEndian.Uint32(p[4:]), true
	h.exportMS = uint64(binary.BigEndian.Uint32(p[8:])) * 1000
	h.sequence = binary.BigEndian.Uint32(p[12:])
	h.domain = binary.BigEndian.Uint32(p[16:])
	return p[20:], nil
}

// readHeader10 reads the header of IPFIX (RFC 7011, section 3.1).
//
//	0  version | length         8  sequence, data records
//	4  seconds since 1970      12  observation domain id
//
// It returns the sets, as much as there is of them; the error says whether the
// length and the datagram agree.
func readHeader10(h *header, p []byte) ([]byte, error) {
	if len(p) < 16 {
		return nil, decodeErrorf(ReasonTruncated, "header of IPFIX in %d bytes", len(p))
	}
	h.exportMS = uint64(binary.BigEndian.Uint32(p[4:])) * 1000
	h.sequence = binary.BigEndian.Uint32(p[8:])
	h.domain = binary.BigEndian.Uint32(p[12:])
	switch length := int(binary.BigEndian.Uint16(p[2:])); {
	case length < 16:
		return nil, decodeErrorf(ReasonSetLength, "IPFIX message of %d bytes", length)
	case length > len(p):
		return p[16:], decodeErrorf(ReasonTruncated, "IPFIX message of %d bytes in %d", length, len(p))
	case length < len(p):
		return p[16:length], decodeErrorf(ReasonTrailing, "%d bytes after the IPFIX message", len(p)-length)
	}
	return p[16:], nil
}

func normalAddr(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// maxDatagram is the longest payload of a UDP datagram, in bytes, rounded up.
const maxDatagram = 65535
