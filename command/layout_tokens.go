package command

import (
	"fmt"

	"weir/flow"
)

// layoutTokens returns the tokens of nfdump 1.7 that weir has, and those of its
// later releases that the record answers, by name without the %. Heads are
// nfdump's, so that a script which cuts by column finds them where they were.
func layoutTokens() map[string][]layoutPart {
	tokens := map[string][]layoutPart{
		"nfv": {{head: "Ver", left: true, value: layoutVersion}},
		"cnt": one("Count", func(dst []byte, r *layoutRow) []byte { return appendUint(dst, r.number) }),
		"eng": {{head: " en", value: layoutEngineType}, {head: "gine", left: true, value: layoutEngineID}},

		"ts":  leftPart("Date first seen         ", layoutTime(flow.Start)),
		"te":  leftPart("Date last seen          ", layoutTime(flow.End)),
		"tr":  leftPart("Date flow received      ", layoutTime(flow.Received)),
		"tsr": one("First seen raw", layoutEpoch(flow.Start)),
		"ter": one(" Last seen raw", layoutEpoch(flow.End)),
		"trr": one("  Received raw", layoutEpoch(flow.Received)),
		"td":  one("    Duration    ", layoutDuration),
		"tds": one("    Duration    ", layoutSeconds),

		"pr":  leftPart("Proto", layoutProto),
		"sa":  one("     Src IP Addr", layoutAddr(flow.SrcAddr)),
		"da":  one("     Dst IP Addr", layoutAddr(flow.DstAddr)),
		"sap": addrPort("     Src IP Addr", flow.SrcAddr, layoutSrcPort),
		"dap": addrPort("     Dst IP Addr", flow.DstAddr, layoutDstPort),
		"sp":  one("Src Pt", layoutSrcPort),
		"dp":  one("Dst Pt", layoutDstPort),
		"it":  one("ICMP-T", layoutNum(flow.ICMPType)),
		"ic":  one("ICMP-C", layoutNum(flow.ICMPCode)),
		"sn":  network("     Src Network", flow.SrcAddr, flow.SrcMask),
		"dn":  network("     Dst Network", flow.DstAddr, flow.DstMask),
		"nh":  one("     Next-hop IP", layoutAddr(flow.NextHop)),
		"nhb": one(" BGP next-hop IP", layoutAddr(flow.BGPNextHop)),
		"ra":  one("       Router IP", layoutAddr(flow.Exporter)),

		"sas": one("Src AS", layoutNum(flow.SrcAS)),
		"das": one("Dst AS", layoutNum(flow.DstAS)),
		"nas": one("Next AS", layoutNum(flow.NextAS)),
		"pas": one("Prev AS", layoutNum(flow.PrevAS)),
		"in":  one(" Input", layoutNum(flow.InIf)),
		"out": one("Output", layoutNum(flow.OutIf)),
		"smk": one("SMask", layoutNum(flow.SrcMask)),
		"dmk": one("DMask", layoutNum(flow.DstMask)),

		"pkt":  one(" Packets", layoutCount(flow.Packets)),
		"ipkt": one("  In Pkt", layoutCount(flow.Packets)),
		"opkt": one(" Out Pkt", layoutCount(flow.ReversePackets, flow.PostPackets)),
		"byt":  one("   Bytes", layoutCount(flow.Bytes)),
		"ibyt": one(" In Byte", layoutCount(flow.Bytes)),
		"obyt": one("Out Byte", layoutCount(flow.ReverseBytes, flow.PostBytes)),
		"fl":   one("Flows", layoutFlows),
		"bps":  one("     bps", layoutRate(flow.Bytes, 8)),
		"pps":  one("     pps", layoutRate(flow.Packets, 1)),
		"bpp":  one("   Bpp", layoutBytesPerPacket),

		"flg":  one("   Flags", layoutFlags),
		"tos":  one("Tos", layoutNum(flow.TOS)),
		"stos": one("STos", layoutNum(flow.TOS)),
		"dtos": one("DTos", layoutNum(flow.PostTOS)),
		"dir":  one("Dir", layoutDirection),
		"fwd":  one("Fwd", layoutNum(flow.ForwardingStatus)),
		"end":  one("End", layoutNum(flow.FlowEndReason)),

		"svln": one("SVlan", layoutNum(flow.SrcVLAN)),
		"dvln": one("DVlan", layoutNum(flow.DstVLAN)),
		"ismc": one("  In src MAC Addr", layoutField(flow.SrcMAC)),
		"odmc": one(" Out dst MAC Addr", layoutField(flow.PostDstMAC)),
		"idmc": one("  In dst MAC Addr", layoutField(flow.DstMAC)),
		"osmc": one(" Out src MAC Addr", layoutField(flow.PostSrcMAC)),
		"eth":  one("EtherType", layoutHex(flow.EtherType, 4)),

		"odid": one("obsDomainID", layoutHex(flow.Domain, 9)),
		"opid": one("  obsPointID", layoutHex(flow.ObservationPoint, 10)),
		"vrf":  one("  I-VRF-ID", layoutNum(flow.IngressVRF)),
		"ivrf": one("  I-VRF-ID", layoutNum(flow.IngressVRF)),
		"evrf": one("  E-VRF-ID", layoutNum(flow.EgressVRF)),

		"evt":  one("   Event", layoutEvent),
		"xevt": one(" XEvent", layoutExtEvent),
		"nevt": one("   Event", layoutNATEvent),
		"xsa":  one("   X-late Src IP", layoutAddr(flow.NATSrcAddr)),
		"xda":  one("   X-late Dst IP", layoutAddr(flow.NATDstAddr)),
		"xsp":  one("XsPort", layoutNum(flow.NATSrcPort)),
		"xdp":  one("XdPort", layoutNum(flow.NATDstPort)),
		"xsap": addrPort("   X-Src IP Addr", flow.NATSrcAddr, layoutNum(flow.NATSrcPort)),
		"xdap": addrPort("   X-Dst IP Addr", flow.NATDstAddr, layoutNum(flow.NATDstPort)),

		"pbstart": one("Pb-Start", layoutNum(flow.PortBlockStart)),
		"pbend":   one(" Pb-End", layoutNum(flow.PortBlockEnd)),
		"pbstep":  one("Pb-Step", layoutNum(flow.PortBlockStep)),
		"pbsize":  one("Pb-Size", layoutNum(flow.PortBlockSize)),

		"minttl": one("minTTL", layoutNum(flow.MinTTL)),
		"maxttl": one("maxTTL", layoutNum(flow.MaxTTL)),
		"ttl":    {{head: "  min", value: layoutNum(flow.MinTTL)}, {text: " "}, {head: "maxTTL", value: layoutNum(flow.MaxTTL)}},

		"n": {{text: "\n"}},
	}
	for alias, name := range map[string]string{
		"tfs": "ts", "tsg": "ts", "teg": "te", "trg": "tr",
		"nsa": "xsa", "nda": "xda", "nsp": "xsp", "ndp": "xdp", "nsap": "xsap", "ndap": "xdap",
	} {
		tokens[alias] = tokens[name]
	}
	addLabels(tokens)
	return tokens
}

// addLabels adds the tokens of the MPLS label stack.
func addLabels(tokens map[string][]layoutPart) {
	var stack []layoutPart
	for f := flow.MPLSLabel1; f <= flow.MPLSLabel10; f++ {
		n := string(appendUint(nil, uint64(f-flow.MPLSLabel1)+1))
		part := layoutPart{head: fmt.Sprintf(" MPLS lbl %-2s", n), value: layoutLabel(f)}
		tokens["mpls"+n] = []layoutPart{part}
		if stack != nil {
			stack = append(stack, layoutPart{text: " "})
		}
		stack = append(stack, part)
	}
	tokens["mpls"] = stack
}

func one(head string, value func([]byte, *layoutRow) []byte) []layoutPart {
	return []layoutPart{{head: head, value: value}}
}

func leftPart(head string, value func([]byte, *layoutRow) []byte) []layoutPart {
	return []layoutPart{{head: head, left: true, value: value}}
}

// addrPort returns the columns of an address with its port: a colon between
// them or, as nfdump has it, a full stop after an IPv6 address.
func addrPort(head string, addr flow.Field, port func([]byte, *layoutRow) []byte) []layoutPart {
	value := func(dst []byte, r *layoutRow) []byte {
		mark := byte(':')
		if r.Has(addr) && !r.Addr(addr).Is4() {
			mark = '.'
		}
		dst = append(dst, mark)
		if with := port(dst, r); len(with) > len(dst) {
			return with
		}
		return append(dst, layoutAbsent...)
	}
	return []layoutPart{{head: head, value: layoutAddr(addr)}, {head: ":Port ", left: true, value: value}}
}

// network returns the columns of an address's network and its length.
func network(head string, addr, mask flow.Field) []layoutPart {
	first := func(dst []byte, r *layoutRow) []byte {
		if !r.Has(addr) || !r.Has(mask) {
			return dst
		}
		return flow.AppendAddr(dst, r.Addr(addr).Mask(int(r.Num(mask))))
	}
	length := func(dst []byte, r *layoutRow) []byte {
		if !r.Has(mask) {
			return append(dst, '/', '-')
		}
		return appendUint(append(dst, '/'), r.Num(mask))
	}
	return []layoutPart{{head: head, value: first}, {head: "   ", left: true, value: length}}
}

// What nfdump's other tokens would need and why weir has not got it.
const (
	noGeo     = "it keeps no country or place of an address"
	noPayload = "it keeps no packet content and nothing taken from it"
	noNames   = "it keeps numbers, not the names that the exporter has for them"
	noNSEL    = "it keeps no connection numbers, access lists, user names or security groups of itself; keep: in the collector's configuration keeps the element, under a name that is a token then"
	noNBAR    = "it keeps no applications of itself; with keep: [applicationId, applicationName] in the collector's configuration there are %application_id and %application_name"
	noLatency = "it keeps no latencies"
	noPF      = "it reads no pf log"
	noTor     = "it keeps no list of Tor nodes"
)

// layoutRefused are nfdump's tokens that weir has no field for, each with the
// reason.
var layoutRefused = map[string]string{
	"exp": "nfdump numbers exporters, weir names them by address: %ra",
	"idt": "records have no source name; %ra is the exporter's address",
	"lbl": "records have no label of their own", "bfd": "it keeps no direction of a biflow; reverse counters are %opkt and %obyt",
	"gsap": noGeo, "gdap": noGeo, "gsa": noGeo, "gda": noGeo, "gra": noGeo, "sc": noGeo, "dc": noGeo, "sloc": noGeo, "dloc": noGeo,
	"sasn": "it has no names of AS; %sas is the number", "dasn": "it has no names of AS; %das is the number",
	"stor": noTor, "dtor": noTor,
	"inam": noNames, "onam": noNames, "ivrfnam": noNames, "evrfnam": noNames,
	"ipl": noPayload, "opl": noPayload, "ja3": noPayload, "ja4": noPayload, "sni": noPayload, "tls": noPayload,
	"nbid": noNBAR, "nbnam": noNBAR, "frag": "it keeps no fragment flags",
	"nfc": noNSEL, "iacl": noNSEL, "eacl": noNSEL, "uname": noNSEL, "sgt": noNSEL,
	"msec": "the time of an event is the flow's: %tsr", "tevt": "the time of an event is the flow's: %ts",
	"cl": noLatency, "sl": noLatency, "al": noLatency,
	"pfifn": noPF, "pfact": noPF, "pfrea": noPF, "pfdir": noPF, "pfrule": noPF,
	"flid": "it keeps no flow ID", "isid": "it keeps no service IDs", "osid": "it keeps no service IDs", "nats": "it keeps no NAT string",
}
