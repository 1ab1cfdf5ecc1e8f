package command

import (
	"strconv"

	"weir/flow"
	"weir/query"
)

func appendUint(dst []byte, v uint64) []byte { return strconv.AppendUint(dst, v, 10) }

// layoutNum returns the column of a numeric field.
func layoutNum(f flow.Field) func([]byte, *layoutRow) []byte {
	return func(dst []byte, r *layoutRow) []byte {
		if !r.Has(f) {
			return dst
		}
		return appendUint(dst, r.Num(f))
	}
}

// layoutField returns the column of a field in its usual text form.
func layoutField(f flow.Field) func([]byte, *layoutRow) []byte {
	return func(dst []byte, r *layoutRow) []byte {
		if !r.Has(f) {
			return dst
		}
		return r.AppendValue(dst, f)
	}
}

// layoutKept returns the column of a kept element.
func layoutKept(e *flow.KeptElement) func([]byte, *layoutRow) []byte {
	return func(dst []byte, r *layoutRow) []byte {
		if !r.Has(e.Field) {
			return dst
		}
		return appendKept(dst, e, r.Record)
	}
}

func layoutAddr(f flow.Field) func([]byte, *layoutRow) []byte { return layoutField(f) }

// layoutHex returns the column of a field in hexadecimal of at least so many
// digits.
func layoutHex(f flow.Field, digits int) func([]byte, *layoutRow) []byte {
	return func(dst []byte, r *layoutRow) []byte {
		if !r.Has(f) {
			return dst
		}
		v := r.Num(f)
		dst = append(dst, "0x"...)
		for i := digits - 1; i > 0 && v>>(4*i) == 0; i-- {
			dst = append(dst, '0')
		}
		return strconv.AppendUint(dst, v, 16)
	}
}

// layoutTime returns the column of a time, with its zone.
func layoutTime(f flow.Field) func([]byte, *layoutRow) []byte {
	return func(dst []byte, r *layoutRow) []byte {
		if !r.Has(f) {
			return dst
		}
		return appendHumanTime(dst, r.Num(f))
	}
}

// layoutEpoch returns the column of a time in seconds since the epoch.
func layoutEpoch(f flow.Field) func([]byte, *layoutRow) []byte {
	return func(dst []byte, r *layoutRow) []byte {
		if !r.Has(f) {
			return dst
		}
		return appendMillis(dst, r.Num(f))
	}
}

// span returns how long the flow lasted, in ms, and false if it does not say.
// A flow that ends before it starts lasted no time.
func (r *layoutRow) span() (uint64, bool) {
	start, end := r.Num(flow.Start), r.Num(flow.End)
	return end - min(start, end), r.Has(flow.Start) && r.Has(flow.End)
}

func layoutDuration(dst []byte, r *layoutRow) []byte {
	ms, ok := r.span()
	switch {
	case !ok:
		return dst
	case r.plain:
		return layoutSeconds(dst, r)
	}
	s := ms / 1000
	if days := s / 86400; days > 0 {
		dst = append(appendUint(dst, days), "d "...)
	}
	dst = append(flow.AppendPair(dst, s/3600%24), ':')
	dst = append(flow.AppendPair(dst, s/60%60), ':')
	dst = append(flow.AppendPair(dst, s%60), '.')
	return appendThree(dst, ms%1000)
}

func layoutSeconds(dst []byte, r *layoutRow) []byte {
	ms, ok := r.span()
	if !ok {
		return dst
	}
	return appendMillis(dst, ms)
}

// layoutCount returns the column of a counter: the first of the fields that the
// record has.
func layoutCount(fields ...flow.Field) func([]byte, *layoutRow) []byte {
	return func(dst []byte, r *layoutRow) []byte {
		for _, f := range fields {
			if r.Has(f) {
				return r.appendScaled(dst, r.Num(f))
			}
		}
		return dst
	}
}

// appendScaled appends a count as nfdump scales it: in full up to 999999, else
// with one decimal and a decimal unit.
func (r *layoutRow) appendScaled(dst []byte, v uint64) []byte {
	switch {
	case r.plain || v < 1e6:
		return appendUint(dst, v)
	case v < 1e9:
		return appendTenths(dst, float64(v)/1e6, " M")
	case v < 1e12:
		return appendTenths(dst, float64(v)/1e9, " G")
	}
	return appendTenths(dst, float64(v)/1e12, " T")
}

func appendTenths(dst []byte, v float64, unit string) []byte {
	return append(strconv.AppendFloat(dst, v, 'f', 1, 64), unit...)
}

// layoutFlows is the number of flows a record stands for: one, but for an
// aggregate.
func layoutFlows(dst []byte, r *layoutRow) []byte {
	if r.Has(flow.Flows) {
		return appendUint(dst, r.Num(flow.Flows))
	}
	return append(dst, '1')
}

// layoutRate returns the column of a counter per second of the flow's duration,
// times a factor; 0 for a flow without duration, as nfdump has it.
func layoutRate(f flow.Field, factor uint64) func([]byte, *layoutRow) []byte {
	return func(dst []byte, r *layoutRow) []byte {
		ms, ok := r.span()
		if !ok || !r.Has(f) {
			return dst
		}
		return r.appendScaled(dst, query.Rate(r.Num(f), 1000*factor, ms))
	}
}

func layoutBytesPerPacket(dst []byte, r *layoutRow) []byte {
	if !r.Has(flow.Bytes) || !r.Has(flow.Packets) {
		return dst
	}
	return appendUint(dst, r.Num(flow.Bytes)/max(r.Num(flow.Packets), 1))
}

func layoutSrcPort(dst []byte, r *layoutRow) []byte { return layoutNum(flow.SrcPort)(dst, r) }

// layoutDstPort is the destination port or, of ICMP, type and code with a full
// stop between them. Exporters that send no type put it into the port.
func layoutDstPort(dst []byte, r *layoutRow) []byte {
	if p := r.Num(flow.Proto); p != 1 && p != 58 {
		return layoutNum(flow.DstPort)(dst, r)
	}
	switch port := r.Num(flow.DstPort); {
	case r.Has(flow.ICMPType):
		return appendUint(append(appendUint(dst, r.Num(flow.ICMPType)), '.'), r.Num(flow.ICMPCode))
	case r.Has(flow.DstPort):
		return appendUint(append(appendUint(dst, port>>8), '.'), port&0xff)
	}
	return dst
}

// layoutProto is the protocol under nfdump's name for it.
func layoutProto(dst []byte, r *layoutRow) []byte {
	if !r.Has(flow.Proto) {
		return dst
	}
	return r.appendName(dst, r.Num(flow.Proto), layoutProtoNames)
}

// layoutProtoNames are nfdump's names of the protocols that still occur, at
// most five characters.
var layoutProtoNames = []string{
	1: "ICMP", 2: "IGMP", 4: "IPIP", 6: "TCP", 8: "EGP", 9: "IGP", 17: "UDP", 27: "RDP", 33: "DCCP",
	41: "IPv6", 43: "Rte6", 44: "Frag6", 46: "RSVP", 47: "GRE", 50: "ESP", 51: "AH", 55: "MOBIL",
	58: "ICMP6", 59: "NOHE6", 60: "OPTS6", 88: "EIGRP", 89: "OSPF", 97: "ETHIP", 98: "ENCAP", 103: "PIM",
	108: "IPcmp", 112: "VRRP", 113: "PGM", 115: "L2TP", 124: "ISIS4", 132: "SCTP", 133: "FC", 136: "UDP-L", 137: "MPLS",
}

// layoutFlags is a letter for each TCP flag that is set; none are where the
// exporter sent none.
func layoutFlags(dst []byte, r *layoutRow) []byte {
	return appendFlags(dst, r.Num(flow.TCPFlags))
}

func layoutDirection(dst []byte, r *layoutRow) []byte {
	switch {
	case !r.Has(flow.Direction):
		return dst
	case r.Num(flow.Direction) == 0:
		return append(dst, 'I')
	}
	return append(dst, 'E')
}

// layoutLabel returns the column of an entry of the MPLS label stack: label,
// experimental bits, bottom of stack.
func layoutLabel(f flow.Field) func([]byte, *layoutRow) []byte {
	return func(dst []byte, r *layoutRow) []byte {
		if !r.Has(f) {
			return dst
		}
		v := r.Num(f)
		dst = append(appendUint(dst, v>>4), '-')
		dst = append(appendUint(dst, v>>1&7), '-')
		return appendUint(dst, v&1)
	}
}

// layoutVersion is the export protocol under nfdump's names: Nv5, Nv9, Nv10 for
// IPFIX, Sv5.
func layoutVersion(dst []byte, r *layoutRow) []byte {
	switch v := r.Num(flow.Version); {
	case !r.Has(flow.Version):
		return dst
	case v > 100:
		return appendUint(append(dst, "Sv"...), v-100)
	default:
		return appendUint(append(dst, "Nv"...), v)
	}
}

// layoutEngineType and layoutEngineID are what NetFlow v5 and v9 have instead of
// an observation domain.
func layoutEngineType(dst []byte, r *layoutRow) []byte {
	if !r.hasEngine() {
		return dst
	}
	return appendUint(dst, r.Num(flow.Domain)>>8&0xff)
}

func layoutEngineID(dst []byte, r *layoutRow) []byte {
	if !r.hasEngine() {
		return append(dst, "/-"...)
	}
	return appendUint(append(dst, '/'), r.Num(flow.Domain)&0xff)
}

func (r *layoutRow) hasEngine() bool {
	v := r.Num(flow.Version)
	return r.Has(flow.Domain) && (v == flow.VersionNF5 || v == flow.VersionNF9)
}

// layoutEvent is the firewall's event or, where there is none, the NAT's.
func layoutEvent(dst []byte, r *layoutRow) []byte {
	if v := r.Num(flow.FirewallEvent); r.Has(flow.FirewallEvent) && (v != 0 || !r.Has(flow.NATEvent)) {
		return r.appendName(dst, v, layoutEventNames)
	}
	return layoutNATEvent(dst, r)
}

var layoutEventNames = []string{"IGNORE", "CREATE", "DELETE", "DENIED", "ALERT", "UPDATE"}

// layoutNATEvent is the NAT's event (RFC 8158, section 4.3) under nfdump's short
// names.
func layoutNATEvent(dst []byte, r *layoutRow) []byte {
	if !r.Has(flow.NATEvent) {
		return dst
	}
	return r.appendName(dst, r.Num(flow.NATEvent), layoutNATEventNames)
}

var layoutNATEventNames = []string{
	"INVALID", "ADD", "DELETE", "EXHAUST", "ADD44", "DEL44", "ADD64", "DEL64", "ADD44BIB", "DEL44BIB",
	"ADD64BIB", "DEL64BIB", "PEXHAUST", "QUOTAEXH", "ADDADDR", "DELADDR", "ADDPBLK", "DELPBLK", "THRESHLD",
}

// appendName appends the name of v, or v where it has none.
func (r *layoutRow) appendName(dst []byte, v uint64, names []string) []byte {
	if v < uint64(len(names)) && names[v] != "" && !r.plain {
		return append(dst, names[v]...)
	}
	return appendUint(dst, v)
}

// layoutExtEvent is Cisco's extended event of a denied flow under nfdump's
// names.
func layoutExtEvent(dst []byte, r *layoutRow) []byte {
	if !r.Has(flow.FirewallExtEvent) {
		return dst
	}
	v := r.Num(flow.FirewallExtEvent)
	switch {
	case r.plain:
	case v == 0:
		return append(dst, "IGNORE"...)
	case v == 1001:
		return append(dst, "I-ACL"...)
	case v == 1002:
		return append(dst, "E-ACL"...)
	case v == 1003:
		return append(dst, "DENY"...)
	case v == 1004:
		return append(dst, "NOSYN"...)
	}
	return appendUint(dst, v)
}
