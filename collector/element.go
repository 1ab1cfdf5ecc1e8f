package collector

import "weir/flow"

// Private enterprise numbers that the element table knows.
const (
	penIANA    = 0
	penCisco   = 9     // v9 field types from 32768 on are Cisco's: type = 32768 + element
	penReverse = 29305 // RFC 5103, section 6.1: the element of the same number, other direction
)

// A role says what becomes of an element's value.
type role uint8

const (
	roleNone    role = iota
	roleNumber       // unsigned integer into the field
	roleAddr         // 4 or 16 bytes into the field
	roleSeconds      // seconds since 1970
	roleMillis       // milliseconds since 1970
	roleNTP          // RFC 7011, section 6.1.9 and 6.1.10: NTP seconds and fraction
	roleUptime       // milliseconds of sysUptime
	roleDelta        // microseconds before the export time; RFC 7011 calls it deltaMicroseconds

	// The following have no field of their own; the plan keeps where they are.
	roleICMP4     // type<<8 | code of ICMP
	roleICMPType4 // type of ICMP
	roleICMPCode4 // code of ICMP
	roleICMP6     // type<<8 | code of ICMPv6
	roleICMPType6 // type of ICMPv6
	roleICMPCode6 // code of ICMPv6
	roleDurationMillis
	roleDurationMicros
	roleSysInit        // systemInitTimeMilliseconds
	roleIPVersion      // 4 or 6
	roleSampler        // names a sampler or selector of the options data
	roleSequence       // names a selection sequence of the options data
	roleInterval       // own sampling interval
	roleRandomInterval // the same of random sampling
	rolePacketInterval
	rolePacketSpace
	roleSampleSize
	rolePopulation
	roleFrame     // section of a data link frame
	roleIPPacket  // section of an IP packet
	roleFrameSize // length of the whole frame
	roleFrameType // 1: IEEE 802.3, 2: IEEE 802.11
)

// An element says what one information element means for the flow record.
//
// Of several elements of a template that feed one field, those of the lowest
// rank count; among equals, the first whose value is not zero.
type element struct {
	role  role
	field flow.Field
	rank  uint8
	inner bool // taken from a packet header: of two, the last is the inner flow's
}

// lookupElement returns the meaning of an element. NetFlow v9 field types from
// 32768 on are looked up as Cisco's enterprise elements.
func lookupElement(version uint16, pen uint32, id uint16) element {
	if version == 9 && id >= 0x8000 {
		pen, id = penCisco, id&0x7fff
	}
	switch pen {
	case penIANA:
		if int(id) < len(ianaElements) {
			return ianaElements[id]
		}
	case penCisco:
		return ciscoElement(id)
	case penReverse:
		return reverseElement(id)
	}
	return element{}
}

// ciscoElement knows the elements of the ASA's NSEL (v9 types 40001 to 40005
// and 33002).
func ciscoElement(id uint16) element {
	switch id {
	case 40001 - 32768:
		return element{roleAddr, flow.NATSrcAddr, 1, false}
	case 40002 - 32768:
		return element{roleAddr, flow.NATDstAddr, 1, false}
	case 40003 - 32768:
		return element{roleNumber, flow.NATSrcPort, 1, false}
	case 40004 - 32768:
		return element{roleNumber, flow.NATDstPort, 1, false}
	case 40005 - 32768:
		return element{roleNumber, flow.FirewallEvent, 1, false}
	case 33002 - 32768:
		return element{roleNumber, flow.FirewallExtEvent, 0, false}
	}
	return element{}
}

func reverseElement(id uint16) element {
	switch id {
	case 1:
		return element{roleNumber, flow.ReverseBytes, 0, false}
	case 85:
		return element{roleNumber, flow.ReverseBytes, 1, false}
	case 2:
		return element{roleNumber, flow.ReversePackets, 0, false}
	case 86:
		return element{roleNumber, flow.ReversePackets, 1, false}
	}
	return element{}
}

// ianaElements is the part of the IANA registry that the record has fields
// for, by element number. docs/protocols.md repeats it with the names.
var ianaElements = [409]element{
	1:   {roleNumber, flow.Bytes, 0, false},
	85:  {roleNumber, flow.Bytes, 1, false},
	23:  {roleNumber, flow.Bytes, 2, false}, // plan.compile makes it PostBytes beside 1 or 85
	231: {roleNumber, flow.Bytes, 3, false},
	2:   {roleNumber, flow.Packets, 0, false},
	86:  {roleNumber, flow.Packets, 1, false},
	24:  {roleNumber, flow.Packets, 2, false}, // plan.compile makes it PostPackets beside 2 or 86
	298: {roleNumber, flow.Packets, 3, false},
	232: {roleNumber, flow.ReverseBytes, 2, false},
	299: {roleNumber, flow.ReversePackets, 2, false},
	3:   {roleNumber, flow.Flows, 0, false},

	4:   {roleNumber, flow.Proto, 0, true},
	5:   {roleNumber, flow.TOS, 0, true},
	55:  {roleNumber, flow.PostTOS, 0, false},
	6:   {roleNumber, flow.TCPFlags, 0, true},
	7:   {roleNumber, flow.SrcPort, 0, true},
	11:  {roleNumber, flow.DstPort, 0, true},
	180: {roleNumber, flow.SrcPort, 1, true},
	181: {roleNumber, flow.DstPort, 1, true},
	182: {roleNumber, flow.SrcPort, 1, true},
	183: {roleNumber, flow.DstPort, 1, true},
	8:   {roleAddr, flow.SrcAddr, 0, true},
	27:  {roleAddr, flow.SrcAddr, 0, true},
	12:  {roleAddr, flow.DstAddr, 0, true},
	28:  {roleAddr, flow.DstAddr, 0, true},
	32:  {roleICMP4, 0, 0, true},
	139: {roleICMP6, 0, 0, true},
	176: {roleICMPType4, 0, 0, true},
	178: {roleICMPType6, 0, 0, true},
	177: {roleICMPCode4, 0, 0, true},
	179: {roleICMPCode6, 0, 0, true},
	192: {roleNumber, flow.TTL, 0, true},
	52:  {roleNumber, flow.MinTTL, 0, true},
	53:  {roleNumber, flow.MaxTTL, 0, true},
	60:  {roleIPVersion, 0, 0, true},

	9:   {roleNumber, flow.SrcMask, 0, false},
	29:  {roleNumber, flow.SrcMask, 0, false},
	13:  {roleNumber, flow.DstMask, 0, false},
	30:  {roleNumber, flow.DstMask, 0, false},
	10:  {roleNumber, flow.InIf, 0, false},
	252: {roleNumber, flow.InIf, 1, false},
	14:  {roleNumber, flow.OutIf, 0, false},
	253: {roleNumber, flow.OutIf, 1, false},
	16:  {roleNumber, flow.SrcAS, 0, false},
	17:  {roleNumber, flow.DstAS, 0, false},
	128: {roleNumber, flow.NextAS, 0, false},
	129: {roleNumber, flow.PrevAS, 0, false},
	15:  {roleAddr, flow.NextHop, 0, false},
	62:  {roleAddr, flow.NextHop, 0, false},
	18:  {roleAddr, flow.BGPNextHop, 0, false},
	63:  {roleAddr, flow.BGPNextHop, 0, false},

	56:  {roleNumber, flow.SrcMAC, 0, true},
	80:  {roleNumber, flow.DstMAC, 0, true},
	81:  {roleNumber, flow.PostSrcMAC, 0, false},
	57:  {roleNumber, flow.PostDstMAC, 0, false},
	58:  {roleNumber, flow.SrcVLAN, 0, false},
	243: {roleNumber, flow.SrcVLAN, 1, false},
	59:  {roleNumber, flow.DstVLAN, 0, false},
	254: {roleNumber, flow.DstVLAN, 1, false},
	256: {roleNumber, flow.EtherType, 0, false},

	61:  {roleNumber, flow.Direction, 0, false},
	89:  {roleNumber, flow.ForwardingStatus, 0, false},
	136: {roleNumber, flow.FlowEndReason, 0, false},
	138: {roleNumber, flow.ObservationPoint, 0, false},
	234: {roleNumber, flow.IngressVRF, 0, false},
	235: {roleNumber, flow.EgressVRF, 0, false},

	225: {roleAddr, flow.NATSrcAddr, 0, false},
	281: {roleAddr, flow.NATSrcAddr, 0, false},
	226: {roleAddr, flow.NATDstAddr, 0, false},
	282: {roleAddr, flow.NATDstAddr, 0, false},
	227: {roleNumber, flow.NATSrcPort, 0, false},
	228: {roleNumber, flow.NATDstPort, 0, false},
	230: {roleNumber, flow.NATEvent, 0, false},
	233: {roleNumber, flow.FirewallEvent, 0, false},
	361: {roleNumber, flow.PortBlockStart, 0, false},
	362: {roleNumber, flow.PortBlockEnd, 0, false},
	363: {roleNumber, flow.PortBlockStep, 0, false},
	364: {roleNumber, flow.PortBlockSize, 0, false},

	70: {roleNumber, flow.MPLSLabel1, 0, false}, 71: {roleNumber, flow.MPLSLabel2, 0, false},
	72: {roleNumber, flow.MPLSLabel3, 0, false}, 73: {roleNumber, flow.MPLSLabel4, 0, false},
	74: {roleNumber, flow.MPLSLabel5, 0, false}, 75: {roleNumber, flow.MPLSLabel6, 0, false},
	76: {roleNumber, flow.MPLSLabel7, 0, false}, 77: {roleNumber, flow.MPLSLabel8, 0, false},
	78: {roleNumber, flow.MPLSLabel9, 0, false}, 79: {roleNumber, flow.MPLSLabel10, 0, false},

	152: {roleMillis, flow.Start, 0, false},
	153: {roleMillis, flow.End, 0, false},
	154: {roleNTP, flow.Start, 1, false},
	155: {roleNTP, flow.End, 1, false},
	156: {roleNTP, flow.Start, 1, false},
	157: {roleNTP, flow.End, 1, false},
	158: {roleDelta, flow.Start, 2, false},
	159: {roleDelta, flow.End, 2, false},
	150: {roleSeconds, flow.Start, 3, false},
	151: {roleSeconds, flow.End, 3, false},
	22:  {roleUptime, flow.Start, 4, false},
	21:  {roleUptime, flow.End, 4, false},
	160: {roleSysInit, 0, 0, false},
	161: {roleDurationMillis, 0, 0, false},
	162: {roleDurationMicros, 0, 0, false},

	34:  {roleInterval, 0, 0, false},
	50:  {roleRandomInterval, 0, 0, false},
	305: {rolePacketInterval, 0, 0, false},
	306: {rolePacketSpace, 0, 0, false},
	309: {roleSampleSize, 0, 0, false},
	310: {rolePopulation, 0, 0, false},
	48:  {roleSampler, 0, 0, false},
	302: {roleSampler, 0, 0, false},
	301: {roleSequence, 0, 0, false},

	315: {roleFrame, 0, 0, false},
	104: {roleFrame, 0, 1, false},
	313: {roleIPPacket, 0, 0, false},
	312: {roleFrameSize, 0, 0, false},
	408: {roleFrameType, 0, 0, false},
}
