package query

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"weir/flow"
)

// The bits of an MPLS field that hold the label.
const (
	labelShift = 4
	labelMask  = 0xfffff
)

// specOf returns what values a condition on field f takes.
func specOf(f flow.Field) *numSpec {
	switch f.Kind() {
	case flow.KindTime:
		return &numSpec{what: "a time, such as 2026-11-22T14:03 (UTC)", max: math.MaxUint64, parse: ParseTime, times: true}
	case flow.KindMAC:
		return &numSpec{what: "a MAC address, such as 00:1b:54:aa:bb:cc", max: 1<<48 - 1, parse: parseMAC}
	case flow.KindVersion:
		return &numSpec{what: "an export protocol: netflow5, netflow9, ipfix or sflow5", max: math.MaxUint8, names: versionNames}
	case flow.KindLabel:
		return &numSpec{what: "an MPLS label", max: labelMask}
	}
	s := &numSpec{max: math.MaxUint64 >> (64 - f.Bits()), names: namesOf(f)}
	s.what = fmt.Sprintf("a number from 0 to %d", s.max)
	if f.Bits() == 64 {
		s.what = "a number, such as 1500, 10k or 1.5m"
	}
	switch f {
	case flow.SrcPort, flow.DstPort, flow.NATSrcPort, flow.NATDstPort:
		s.what = "a port from 0 to 65535 or a service's name"
	case flow.Proto, flow.TunProto:
		s.what = "a protocol's name or number from 0 to 255"
	case flow.TCPFlags:
		s.parse = parseFlags
	case flow.SrcAS, flow.DstAS, flow.NextAS, flow.PrevAS:
		s.what, s.parse = "an AS number", parseAS
	}
	return s
}

var versionNames = map[string]uint64{
	"netflow1": flow.VersionNF1, "netflow5": flow.VersionNF5, "netflow7": flow.VersionNF7,
	"netflow9": flow.VersionNF9, "ipfix": flow.VersionIPFIX, "sflow5": flow.VersionSFlow5,
	"unknown": flow.VersionUnknown,
}

// namesOf returns the names that stand for values of field f, or nil.
func namesOf(f flow.Field) map[string]uint64 {
	switch f {
	case flow.SrcPort, flow.DstPort, flow.NATSrcPort, flow.NATDstPort:
		return serviceNames
	case flow.Proto, flow.TunProto:
		return protoNames
	case flow.ForwardingStatus:
		return forwardingNames
	case flow.FlowEndReason:
		return endReasonNames
	case flow.FirewallEvent:
		return firewallNames
	case flow.FirewallExtEvent:
		return deniedNames
	case flow.NATEvent:
		return natEventNames
	case flow.Direction:
		return directionNames
	case flow.EtherType:
		return etherTypeNames
	}
	return nil
}

// parseMAC reads six hexadecimal octets with colons or hyphens between them, or
// Cisco's three groups of four digits.
func parseMAC(text string) (uint64, bool) {
	if groups := strings.Split(text, "."); len(groups) == 3 {
		for _, g := range groups {
			if len(g) != 4 {
				return 0, false
			}
		}
		v, err := strconv.ParseUint(strings.Join(groups, ""), 16, 48)
		return v, err == nil
	}
	octets := strings.FieldsFunc(text, func(r rune) bool { return r == ':' || r == '-' })
	if len(octets) != 6 || strings.Count(text, ":")+strings.Count(text, "-") != 5 {
		return 0, false
	}
	mac := uint64(0)
	for _, octet := range octets {
		v, err := strconv.ParseUint(octet, 16, 8)
		if err != nil || len(octet) > 2 {
			return 0, false
		}
		mac = mac<<8 | v
	}
	return mac, true
}

// flagBits are nfdump's letters of the TCP flags (RFC 9293, section 3.1).
var flagBits = map[rune]uint64{
	'F': 0x01, 'S': 0x02, 'R': 0x04, 'P': 0x08, 'A': 0x10, 'U': 0x20, 'E': 0x40, 'C': 0x80,
}

// allFlags is nfdump's X: the six flags of RFC 793.
const allFlags = 0x3f

// parseFlags reads letters, each at most once, as the flags they stand for.
func parseFlags(text string) (uint64, bool) {
	if text == "" {
		return 0, false
	}
	flags, seen := uint64(0), ""
	for _, c := range strings.ToUpper(text) {
		bit, ok := flagBits[c]
		if c == 'X' {
			bit, ok = allFlags, true
		}
		if !ok || strings.ContainsRune(seen, c) {
			return 0, false
		}
		seen += string(c)
		flags |= bit
	}
	return flags, true
}

// parseAS reads an AS number in the plain, the "AS786" and the dotted form (RFC
// 5396).
func parseAS(text string) (uint64, bool) {
	if len(text) > 2 && strings.EqualFold(text[:2], "as") {
		text = text[2:]
	}
	if high, low, ok := strings.Cut(text, "."); ok {
		h, errH := strconv.ParseUint(high, 10, 16)
		l, errL := strconv.ParseUint(low, 10, 16)
		return h<<16 | l, errH == nil && errL == nil
	}
	v, err := strconv.ParseUint(text, 10, 32)
	return v, err == nil
}
