package query

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"weir/flow"
)

// baseTime is when the random records begin: an hour's first millisecond.
const baseTime = uint64(1_795_305_600_000)

// A recordMaker makes random records that have much in common: few addresses,
// ports and values, so that filters match some and not all.
type recordMaker struct {
	rng   *rand.Rand
	hours uint64
	wild  bool // values over the whole width of every field
}

func (m *recordMaker) addr() flow.Addr {
	if m.wild && m.rng.IntN(4) == 0 {
		return flow.Addr{Hi: m.rng.Uint64(), Lo: m.rng.Uint64()}
	}
	switch m.rng.IntN(4) {
	case 0:
		return flow.Addr{Hi: 0x2001_0db8_0000_0000 | uint64(m.rng.IntN(3)), Lo: uint64(m.rng.IntN(6))}
	case 1:
		return flow.AddrFrom4(0xc000_0200 | uint32(m.rng.IntN(20)))
	}
	return flow.AddrFrom4(0x0a00_0000 | uint32(m.rng.IntN(3))<<16 | uint32(m.rng.IntN(8)))
}

func (m *recordMaker) num(f flow.Field) uint64 {
	top := ^uint64(0) >> (64 - f.Bits())
	if m.wild {
		switch m.rng.IntN(4) {
		case 0:
			return m.rng.Uint64() & top
		case 1:
			return top - uint64(m.rng.IntN(2))
		}
	}
	switch f {
	case flow.SrcPort, flow.DstPort:
		return []uint64{53, 80, 443, 22, 1024, 40000, uint64(m.rng.IntN(65536))}[m.rng.IntN(7)]
	case flow.Proto:
		return []uint64{6, 6, 17, 1, 58, 47}[m.rng.IntN(6)]
	case flow.TCPFlags:
		return uint64(m.rng.IntN(64))
	case flow.Version:
		return []uint64{flow.VersionNF5, flow.VersionNF9, flow.VersionIPFIX, flow.VersionSFlow5}[m.rng.IntN(4)]
	case flow.Bytes, flow.ReverseBytes, flow.PostBytes:
		return uint64(m.rng.IntN(4)) * uint64(m.rng.IntN(3000))
	case flow.SamplingInterval:
		return []uint64{0, 1, 100, 1000}[m.rng.IntN(4)]
	case flow.PortBlockStart:
		return 1024
	case flow.PortBlockEnd:
		return 40000
	}
	if f.Kind() == flow.KindLabel {
		return (uint64(m.rng.IntN(4))<<4 | uint64(m.rng.IntN(16))) & top
	}
	return uint64(m.rng.IntN(5)) & top
}

// usual are the fields that most records have.
var usual = flow.SetOf(flow.Exporter, flow.Version, flow.SrcAddr, flow.DstAddr, flow.SrcPort, flow.DstPort,
	flow.Proto, flow.Bytes, flow.Packets, flow.InIf, flow.OutIf)

// record makes a record received in the given fraction of the time, in
// thousandths.
func (m *recordMaker) record(at uint64) flow.Record {
	var r flow.Record
	received := baseTime + at*m.hours*3600
	r.SetNum(flow.Received, received)
	start := received - uint64(m.rng.IntN(600_000))
	switch m.rng.IntN(10) {
	case 0: // no times
	case 1:
		r.SetNum(flow.Start, start)
	case 2:
		r.SetNum(flow.End, start)
	case 3: // a clock that is wrong
		r.SetNum(flow.Start, start+uint64(m.rng.IntN(100_000_000)))
		r.SetNum(flow.End, start)
	case 4: // long ago
		r.SetNum(flow.Start, start-uint64(m.rng.IntN(50_000_000)))
		r.SetNum(flow.End, start)
	default:
		r.SetNum(flow.Start, start)
		r.SetNum(flow.End, start+uint64(m.rng.IntN(300_000)))
	}
	for _, f := range flow.Fields() {
		switch {
		case f == flow.Received || f == flow.Start || f == flow.End:
			continue
		case usual.Has(f) && m.rng.IntN(30) == 0, !usual.Has(f) && m.rng.IntN(6) != 0:
			continue
		case f.IsAddr():
			r.SetAddr(f, m.addr())
		default:
			r.SetNum(f, m.num(f))
		}
	}
	return r
}

// A filterMaker makes random filters about the values that records have.
type filterMaker struct {
	rng     *rand.Rand
	records []flow.Record
}

func (m *filterMaker) pick(words ...string) string { return words[m.rng.IntN(len(words))] }

// sample returns a record's value of a field as text, or a made-up one.
func (m *filterMaker) sample(f flow.Field) string {
	for range 20 {
		if r := &m.records[m.rng.IntN(len(m.records))]; r.Has(f) {
			return string(r.AppendValue(nil, f))
		}
	}
	if f.IsAddr() {
		return "192.0.2.1"
	}
	return string(flow.AppendNum(nil, f, 3))
}

func (m *filterMaker) prefix(f flow.Field) string {
	a := m.sample(f)
	if strings.Contains(a, ":") {
		return fmt.Sprintf("%s/%d", a, m.rng.IntN(129))
	}
	return fmt.Sprintf("%s/%d", a, m.rng.IntN(33))
}

func (m *filterMaker) list(n int, item func() string) string {
	items := make([]string, 1+m.rng.IntN(n))
	for i := range items {
		items[i] = item()
	}
	return "in [" + strings.Join(items, m.pick(" ", ", ")) + "]"
}

func (m *filterMaker) op() string {
	return m.pick("", "=", "==", ">", "<", ">=", "<=", "!=", "gt", "le")
}

// leaf returns a random condition.
func (m *filterMaker) leaf() string {
	side := m.pick("", "src ", "dst ", "src or dst ", "src and dst ")
	switch m.rng.IntN(22) {
	case 0, 1:
		return side + m.pick("ip ", "host ") + m.sample(m.pickField(flow.SrcAddr, flow.DstAddr))
	case 2, 3:
		return side + "net " + m.prefix(m.pickField(flow.SrcAddr, flow.DstAddr))
	case 4:
		return side + "ip " + m.list(12, func() string {
			if m.rng.IntN(2) == 0 {
				return m.prefix(flow.SrcAddr)
			}
			return m.sample(flow.DstAddr)
		})
	case 5, 6:
		return side + "port " + m.op() + " " + m.sample(flow.SrcPort)
	case 7:
		return side + "port " + m.list(8, func() string { return m.sample(flow.DstPort) })
	case 8:
		return "proto " + m.pick("tcp", "udp", "icmp", "gre", "> 6")
	case 9:
		return "flags " + m.pick("S", "SA", "X", "= S", "> 15", "3", "R")
	case 10:
		return m.pick("bytes ", "packets ", "in bytes ", "out bytes ", "flows ", "duration ", "pps ", "bps ", "bpp ") +
			m.op() + " " + m.pick("0", "1", "2", "100", "1k", "5000", "3m")
	case 11:
		return side + m.pick("as ", "mask ", "vlan ") + m.pick("0", "1", "2", "3", "> 1", "in [1 3]")
	case 12:
		return m.pick("any", "ipv4", "ipv6", "inet6", "sampled", "not any", "src ipv6")
	case 13:
		return m.pick("first", "last") + " seen " + m.op() + " " + m.sample(m.pickField(flow.Start, flow.End, flow.Received))
	case 14:
		return m.pick("icmp-type ", "icmp-code ", "engine-id ", "engine-type ", "nat event ", "asa event ", "ttl ",
			"mpls label1 ", "mpls eos ", "mpls any ", "mpls exp2 ", "ingress vrf ", "fwdstat ", "tos ", "dst tos ") +
			m.pick("0", "1", "2", "3")
	case 15:
		return m.pick("port in pblock", "src port in nat pblock", "ttl equal", "src net 10.0.0.1 255.0.0.255", "router ip 192.0.2.1",
			"next ip 192.0.2.3", "nat ip 10.0.0.1", "src nat port 53", "tun ip 192.0.2.2")
	case 16:
		return "received " + m.op() + " " + m.sample(flow.Received)
	}
	return m.fieldLeaf()
}

func (m *filterMaker) pickField(fields ...flow.Field) flow.Field {
	return fields[m.rng.IntN(len(fields))]
}

// fieldLeaf returns a random condition on a field by name.
func (m *filterMaker) fieldLeaf() string {
	fields := flow.Fields()
	f := fields[m.rng.IntN(len(fields))]
	name := fieldTerm(f)
	switch {
	case f.IsAddr() && m.rng.IntN(2) == 0:
		return name + " = " + m.prefix(f)
	case f.IsAddr():
		return name + " " + m.list(5, func() string { return m.sample(f) })
	case m.rng.IntN(3) == 0:
		return name + " " + m.list(5, func() string { return m.sample(f) })
	case f.Kind() == flow.KindNumber && f != flow.Flows && m.rng.IntN(4) == 0:
		return fmt.Sprintf("%s >> %d & %d %s %d", name, m.rng.IntN(3), 1+m.rng.IntN(7), m.pick("=", ">", "<="), m.rng.IntN(4))
	}
	return name + " " + m.op() + " " + m.sample(f)
}

// filter returns a random filter of conditions up to the given depth.
func (m *filterMaker) filter(depth int) string {
	if depth == 0 || m.rng.IntN(3) == 0 {
		return m.leaf()
	}
	switch m.rng.IntN(5) {
	case 0:
		return "not (" + m.filter(depth-1) + ")"
	case 1, 2:
		return "(" + m.filter(depth-1) + ") and (" + m.filter(depth-1) + ")"
	}
	return "(" + m.filter(depth-1) + ") or (" + m.filter(depth-1) + ")"
}

// window returns a random window over the records' time.
func (m *filterMaker) window() Window {
	if m.rng.IntN(3) == 0 {
		return Window{}
	}
	pick := func() uint64 {
		r := &m.records[m.rng.IntN(len(m.records))]
		from, to := r.Span()
		return []uint64{from, to, from + 1, to + 1, r.Num(flow.Received)}[m.rng.IntN(5)]
	}
	from, to := pick(), pick()
	if from > to {
		from, to = to, from
	}
	return [...]Window{{from, to}, {0, to}, {from, 0}, {from, to + 1}}[m.rng.IntN(4)]
}
