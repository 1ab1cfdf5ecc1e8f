package flow

import (
	"fmt"
	"math/bits"
)

// A Field is one column of the flow record. Its number is written to disk and
// is never reused for another meaning.
type Field uint8

// The fields of a record. The comment gives the unit and the IANA information
// elements (RFC 7012 registry) or wire fields that feed it.
const (
	fieldNone Field = 0

	Received Field = 1 // ms since the Unix epoch, the collector's clock
	Start    Field = 2 // ms since the Unix epoch, the exporter's clock; 22, 150, 152, 154, 156, 158
	End      Field = 3 // ms since the Unix epoch, the exporter's clock; 21, 151, 153, 155, 157, 159

	Exporter Field = 4 // UDP source address of the datagram
	Agent    Field = 5 // sFlow agent address, carried inside the datagram
	Domain   Field = 6 // observation domain (149); v9 source ID; v5 engine type<<8|id; sFlow sub-agent
	Version  Field = 7 // export protocol, one of the Version constants

	SrcAddr Field = 8  // 8, 27
	DstAddr Field = 9  // 12, 28
	SrcPort Field = 10 // 7, 180, 182
	DstPort Field = 11 // 11, 181, 183
	Proto   Field = 12 // 4

	TCPFlags Field = 13 // 6
	TOS      Field = 14 // 5
	Bytes    Field = 15 // octets as exported, not multiplied by the interval; 1, 85, 23, 231
	Packets  Field = 16 // packets as exported; 2, 86, 24, 298

	InIf    Field = 17 // ifIndex; 10, 252
	OutIf   Field = 18 // ifIndex; 14, 253
	SrcAS   Field = 19 // 16
	DstAS   Field = 20 // 17
	SrcMask Field = 21 // prefix length; 9, 29
	DstMask Field = 22 // prefix length; 13, 30

	NextHop    Field = 23 // 15, 62
	BGPNextHop Field = 24 // 18, 63
	SrcMAC     Field = 25 // 56
	DstMAC     Field = 26 // 80
	SrcVLAN    Field = 27 // 58, 243
	DstVLAN    Field = 28 // 59, 254

	ICMPType Field = 29 // 32, 139, 176, 178
	ICMPCode Field = 30 // 32, 139, 177, 179

	Direction        Field = 31 // 0 ingress, 1 egress; 61
	SamplingInterval Field = 32 // N in "1 in N"; 0 unknown, 1 unsampled
	ForwardingStatus Field = 33 // 89
	FlowEndReason    Field = 34 // 136

	NATSrcAddr Field = 35 // 225, 281, Cisco 40001
	NATDstAddr Field = 36 // 226, 282, Cisco 40002
	NATSrcPort Field = 37 // 227, Cisco 40003
	NATDstPort Field = 38 // 228, Cisco 40004
	NATEvent   Field = 39 // 230

	FirewallEvent    Field = 40 // 233, Cisco 40005
	FirewallExtEvent Field = 41 // Cisco 33002

	IngressVRF Field = 42 // 234
	EgressVRF  Field = 43 // 235

	TTL    Field = 44 // IPv4 TTL or IPv6 hop limit; 192
	MinTTL Field = 45 // 52
	MaxTTL Field = 46 // 53

	ReverseBytes   Field = 47 // RFC 5103 reverse octetDeltaCount; responderOctets 232
	ReversePackets Field = 48 // RFC 5103 reverse packetDeltaCount; responderPackets 299
	PostBytes      Field = 49 // 23, where 1 or 85 is present too
	PostPackets    Field = 50 // 24, where 2 or 86 is present too
	PostTOS        Field = 51 // 55

	EtherType  Field = 52 // 256
	PostSrcMAC Field = 53 // 81
	PostDstMAC Field = 54 // 57

	NextAS Field = 55 // 128
	PrevAS Field = 56 // 129
	Flows  Field = 57 // flows this record stands for, where it is an aggregate; 3

	ObservationPoint Field = 58 // 138

	PortBlockStart Field = 59 // 361
	PortBlockEnd   Field = 60 // 362
	PortBlockStep  Field = 61 // 363
	PortBlockSize  Field = 62 // 364

	TunSrcAddr Field = 63 // source of the outer header where a record carries two
	TunDstAddr Field = 64 // destination of the outer header where a record carries two
	TunProto   Field = 65 // protocol of the outer header where a record carries two

	MPLSLabel1  Field = 66 // label<<4 | exp<<1 | bottom of stack; 70
	MPLSLabel2  Field = 67 // 71
	MPLSLabel3  Field = 68 // 72
	MPLSLabel4  Field = 69 // 73
	MPLSLabel5  Field = 70 // 74
	MPLSLabel6  Field = 71 // 75
	MPLSLabel7  Field = 72 // 76
	MPLSLabel8  Field = 73 // 77
	MPLSLabel9  Field = 74 // 78
	MPLSLabel10 Field = 75 // 79

	// Slots hold elements that the configuration says to keep. Which one a slot
	// holds, and what it is called, is written down in each archive: see Kept.
	FirstKeptNumber Field = 76  // numbers of all kinds, in 64 bits
	FirstKeptAddr   Field = 104 // addresses
	FirstKeptText   Field = 110 // texts and octets, at most MaxText bytes

	// FieldCount bounds the numbers of all fields: a Field is less than it.
	FieldCount = 128
)

// MaxText is how many bytes of a text or of octets are kept at most.
const MaxText = 255

// Values of the Version field.
const (
	VersionUnknown uint64 = 0
	VersionNF1     uint64 = 1
	VersionNF5     uint64 = 5
	VersionNF7     uint64 = 7
	VersionNF9     uint64 = 9
	VersionIPFIX   uint64 = 10
	VersionSFlow5  uint64 = 105
)

// A Kind says how the values of a field are held and written.
type Kind uint8

const (
	KindNumber  Kind = iota // unsigned integer
	KindTime                // ms since the Unix epoch
	KindAddr                // IPv4 or IPv6 address
	KindMAC                 // 48-bit MAC address in the low bits
	KindVersion             // one of the Version constants
	KindLabel               // MPLS label stack entry: label<<4 | exp<<1 | bottom
	KindText                // bytes, at most MaxText of them
)

type fieldInfo struct {
	name string
	kind Kind
	bits uint8 // width of the widest value, 0 for addresses and texts
}

var fieldInfos = withSlots([FieldCount]fieldInfo{
	Received: {"received", KindTime, 64}, Start: {"start", KindTime, 64}, End: {"end", KindTime, 64},
	Exporter: {"exporter", KindAddr, 0}, Agent: {"agent", KindAddr, 0},
	Domain: {"domain", KindNumber, 32}, Version: {"version", KindVersion, 8},
	SrcAddr: {"src_addr", KindAddr, 0}, DstAddr: {"dst_addr", KindAddr, 0},
	SrcPort: {"src_port", KindNumber, 16}, DstPort: {"dst_port", KindNumber, 16},
	Proto: {"proto", KindNumber, 8}, TCPFlags: {"tcp_flags", KindNumber, 16}, TOS: {"tos", KindNumber, 8},
	Bytes: {"bytes", KindNumber, 64}, Packets: {"packets", KindNumber, 64},
	InIf: {"in_if", KindNumber, 32}, OutIf: {"out_if", KindNumber, 32},
	SrcAS: {"src_as", KindNumber, 32}, DstAS: {"dst_as", KindNumber, 32},
	SrcMask: {"src_mask", KindNumber, 8}, DstMask: {"dst_mask", KindNumber, 8},
	NextHop: {"next_hop", KindAddr, 0}, BGPNextHop: {"bgp_next_hop", KindAddr, 0},
	SrcMAC: {"src_mac", KindMAC, 48}, DstMAC: {"dst_mac", KindMAC, 48},
	SrcVLAN: {"src_vlan", KindNumber, 16}, DstVLAN: {"dst_vlan", KindNumber, 16},
	ICMPType: {"icmp_type", KindNumber, 8}, ICMPCode: {"icmp_code", KindNumber, 8},
	Direction: {"direction", KindNumber, 8}, SamplingInterval: {"sampling_interval", KindNumber, 32},
	ForwardingStatus: {"forwarding_status", KindNumber, 8}, FlowEndReason: {"flow_end_reason", KindNumber, 8},
	NATSrcAddr: {"nat_src_addr", KindAddr, 0}, NATDstAddr: {"nat_dst_addr", KindAddr, 0},
	NATSrcPort: {"nat_src_port", KindNumber, 16}, NATDstPort: {"nat_dst_port", KindNumber, 16},
	NATEvent:      {"nat_event", KindNumber, 8},
	FirewallEvent: {"firewall_event", KindNumber, 8}, FirewallExtEvent: {"firewall_ext_event", KindNumber, 16},
	IngressVRF: {"ingress_vrf", KindNumber, 32}, EgressVRF: {"egress_vrf", KindNumber, 32},
	TTL: {"ttl", KindNumber, 8}, MinTTL: {"min_ttl", KindNumber, 8}, MaxTTL: {"max_ttl", KindNumber, 8},
	ReverseBytes: {"reverse_bytes", KindNumber, 64}, ReversePackets: {"reverse_packets", KindNumber, 64},
	PostBytes: {"post_bytes", KindNumber, 64}, PostPackets: {"post_packets", KindNumber, 64},
	PostTOS: {"post_tos", KindNumber, 8}, EtherType: {"ether_type", KindNumber, 16},
	PostSrcMAC: {"post_src_mac", KindMAC, 48}, PostDstMAC: {"post_dst_mac", KindMAC, 48},
	NextAS: {"next_as", KindNumber, 32}, PrevAS: {"prev_as", KindNumber, 32}, Flows: {"flows", KindNumber, 64},
	ObservationPoint: {"observation_point", KindNumber, 64},
	PortBlockStart:   {"port_block_start", KindNumber, 16}, PortBlockEnd: {"port_block_end", KindNumber, 16},
	PortBlockStep: {"port_block_step", KindNumber, 16}, PortBlockSize: {"port_block_size", KindNumber, 16},
	TunSrcAddr: {"tun_src_addr", KindAddr, 0}, TunDstAddr: {"tun_dst_addr", KindAddr, 0},
	TunProto:   {"tun_proto", KindNumber, 8},
	MPLSLabel1: {"mpls_label1", KindLabel, 24}, MPLSLabel2: {"mpls_label2", KindLabel, 24},
	MPLSLabel3: {"mpls_label3", KindLabel, 24}, MPLSLabel4: {"mpls_label4", KindLabel, 24},
	MPLSLabel5: {"mpls_label5", KindLabel, 24}, MPLSLabel6: {"mpls_label6", KindLabel, 24},
	MPLSLabel7: {"mpls_label7", KindLabel, 24}, MPLSLabel8: {"mpls_label8", KindLabel, 24},
	MPLSLabel9: {"mpls_label9", KindLabel, 24}, MPLSLabel10: {"mpls_label10", KindLabel, 24},
})

// withSlots adds the slots for kept elements. Their names here tell them apart
// and go over sockets; what users call them says a Kept.
func withSlots(infos [FieldCount]fieldInfo) [FieldCount]fieldInfo {
	for f := FirstKeptNumber; f < FieldCount; f++ {
		switch {
		case f < FirstKeptAddr:
			infos[f] = fieldInfo{fmt.Sprintf("kept_number%d", f-FirstKeptNumber+1), KindNumber, 64}
		case f < FirstKeptText:
			infos[f] = fieldInfo{fmt.Sprintf("kept_addr%d", f-FirstKeptAddr+1), KindAddr, 0}
		default:
			infos[f] = fieldInfo{fmt.Sprintf("kept_text%d", f-FirstKeptText+1), KindText, 0}
		}
	}
	return infos
}

// Valid reports whether f is a field of the record.
func (f Field) Valid() bool { return f < FieldCount && fieldInfos[f].name != "" }

// String returns the field's name as it stands in JSON, CSV and filters, such
// as "src_addr".
func (f Field) String() string {
	if !f.Valid() {
		return "invalid"
	}
	return fieldInfos[f].name
}

// Kind returns how the field's values are held.
func (f Field) Kind() Kind { return fieldInfos[f].kind }

// IsAddr reports whether the field holds addresses. What holds neither addresses
// nor texts holds numbers.
func (f Field) IsAddr() bool { return fieldInfos[f].kind == KindAddr }

// IsText reports whether the field holds texts, or octets.
func (f Field) IsText() bool { return f >= FirstKeptText }

// IsKept reports whether the field is a slot for a kept element.
func (f Field) IsKept() bool { return f >= FirstKeptNumber && f < FieldCount }

// Bits returns the width of the field's widest value, 0 for addresses and texts.
func (f Field) Bits() int { return int(fieldInfos[f].bits) }

// ParseField returns the field of that name, and false if there is none.
func ParseField(name string) (Field, bool) {
	for f := range fieldInfos {
		if fieldInfos[f].name == name && name != "" {
			return Field(f), true
		}
	}
	return fieldNone, false
}

// Fields returns all fields but the slots, in the order of their numbers.
func Fields() []Field {
	fields := make([]Field, 0, FirstKeptNumber)
	for f := Field(1); f < FirstKeptNumber; f++ {
		if f.Valid() {
			fields = append(fields, f)
		}
	}
	return fields
}

// VersionName returns the name of a Version value as it stands in JSON:
// "netflow5", "netflow9", "ipfix", "sflow5" and the like.
func VersionName(v uint64) string {
	switch v {
	case VersionNF1:
		return "netflow1"
	case VersionNF5:
		return "netflow5"
	case VersionNF7:
		return "netflow7"
	case VersionNF9:
		return "netflow9"
	case VersionIPFIX:
		return "ipfix"
	case VersionSFlow5:
		return "sflow5"
	}
	return "unknown"
}

// ParseVersion is the inverse of VersionName; it returns false for a name that
// is none.
func ParseVersion(name string) (uint64, bool) {
	for _, v := range []uint64{VersionNF1, VersionNF5, VersionNF7, VersionNF9, VersionIPFIX, VersionSFlow5} {
		if VersionName(v) == name {
			return v, true
		}
	}
	return VersionUnknown, false
}

// A FieldSet is a set of fields.
type FieldSet [2]uint64

// Add puts f in the set.
func (s *FieldSet) Add(f Field) { s[f>>6] |= 1 << (f & 63) }

// Remove takes f out of the set.
func (s *FieldSet) Remove(f Field) { s[f>>6] &^= 1 << (f & 63) }

// Has reports whether f is in the set.
func (s FieldSet) Has(f Field) bool { return s[f>>6]>>(f&63)&1 != 0 }

// HasMember reports whether a record of these fields has a member for f in its
// JSON. MPLSLabel1 stands for the label stack, of which any entry will do.
func (s FieldSet) HasMember(f Field) bool {
	return s.Has(f) || f == MPLSLabel1 && s.Labels() != FieldSet{}
}

// Labels returns those of the fields that are entries of the MPLS label stack.
func (s FieldSet) Labels() FieldSet { return FieldSet{s[0] & stack[0], s[1] & stack[1]} }

// stack is the whole MPLS label stack.
var stack = SetOf(MPLSLabel1, MPLSLabel2, MPLSLabel3, MPLSLabel4, MPLSLabel5,
	MPLSLabel6, MPLSLabel7, MPLSLabel8, MPLSLabel9, MPLSLabel10)

// Union returns the fields that are in either set.
func (s FieldSet) Union(t FieldSet) FieldSet { return FieldSet{s[0] | t[0], s[1] | t[1]} }

// without returns the fields of s that are not in t.
func (s FieldSet) without(t FieldSet) FieldSet { return FieldSet{s[0] &^ t[0], s[1] &^ t[1]} }

// Len returns how many fields are in the set.
func (s FieldSet) Len() int { return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) }

// All calls yield for every field of the set, in the order of their numbers.
func (s FieldSet) All(yield func(Field) bool) {
	for w, word := range s {
		for ; word != 0; word &= word - 1 {
			if !yield(Field(w<<6 + bits.TrailingZeros64(word))) {
				return
			}
		}
	}
}

// texts returns those of the fields that hold texts, withoutTexts the others.
func (s FieldSet) texts() FieldSet        { return FieldSet{0, s[1] >> textBit << textBit} }
func (s FieldSet) withoutTexts() FieldSet { return FieldSet{s[0], s[1] & (1<<textBit - 1)} }

// textBit is the bit of the first text in the second word of a FieldSet.
const textBit = FirstKeptText - 64

// AllFields returns the set of all fields, slots included.
func AllFields() FieldSet {
	s := SetOf(Fields()...)
	for f := FirstKeptNumber; f < FieldCount; f++ {
		s.Add(f)
	}
	return s
}

// SetOf returns the set of the given fields.
func SetOf(fields ...Field) FieldSet {
	var s FieldSet
	for _, f := range fields {
		s.Add(f)
	}
	return s
}
