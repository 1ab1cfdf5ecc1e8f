package flow

import "strconv"

// fixedAddrs is the number of address fields that are no slots, addrPlaces that
// of all.
const (
	fixedAddrs = 10
	addrPlaces = fixedAddrs + int(FirstKeptText-FirstKeptAddr)
)

// addrPlace gives each address field its place in Record.addrs.
var addrPlace = withAddrSlots([FieldCount]uint8{
	Exporter: 0, Agent: 1, SrcAddr: 2, DstAddr: 3, NextHop: 4, BGPNextHop: 5,
	NATSrcAddr: 6, NATDstAddr: 7, TunSrcAddr: 8, TunDstAddr: 9,
})

func withAddrSlots(places [FieldCount]uint8) [FieldCount]uint8 {
	for f := FirstKeptAddr; f < FirstKeptText; f++ {
		places[f] = fixedAddrs + uint8(f-FirstKeptAddr)
	}
	return places
}

// A Record is one flow record. Present says which fields the exporter sent; the
// others are absent, which is not the same as zero.
type Record struct {
	Present FieldSet
	nums    [FirstKeptAddr]uint64
	addrs   [addrPlaces]Addr
	texts   [FieldCount - FirstKeptText]string
}

// Has reports whether the record has field f.
func (r *Record) Has(f Field) bool { return r.Present.Has(f) }

// Num returns the value of a numeric field, 0 where absent.
func (r *Record) Num(f Field) uint64 {
	if f >= FirstKeptAddr {
		return 0
	}
	return r.nums[f]
}

// Addr returns the value of an address field, the zero Addr where absent.
func (r *Record) Addr(f Field) Addr { return r.addrs[addrPlace[f]] }

// Text returns the value of a field of texts, "" where absent.
func (r *Record) Text(f Field) string { return r.texts[f-FirstKeptText] }

// SetNum sets a numeric field and marks it present.
func (r *Record) SetNum(f Field, v uint64) {
	r.nums[f] = v
	r.Present.Add(f)
}

// SetAddr sets an address field and marks it present.
func (r *Record) SetAddr(f Field, a Addr) {
	r.addrs[addrPlace[f]] = a
	r.Present.Add(f)
}

// SetText sets a field of texts and marks it present.
func (r *Record) SetText(f Field, text string) {
	r.texts[f-FirstKeptText] = text
	r.Present.Add(f)
}

// Clear makes field f absent.
func (r *Record) Clear(f Field) {
	r.Present.Remove(f)
	switch {
	case f.IsAddr():
		r.addrs[addrPlace[f]] = Addr{}
	case f.IsText():
		r.texts[f-FirstKeptText] = ""
	default:
		r.nums[f] = 0
	}
}

// AppendMAC appends the 48-bit address as six hexadecimal pairs.
func AppendMAC(dst []byte, mac uint64) []byte {
	const hex = "0123456789abcdef"
	for shift := 40; shift >= 0; shift -= 8 {
		octet := byte(mac >> shift)
		dst = append(dst, hex[octet>>4], hex[octet&15])
		if shift > 0 {
			dst = append(dst, ':')
		}
	}
	return dst
}

// AppendValue appends the text form of one present field: a number in decimal,
// a time in TimeFormat, an address, a MAC address, a version's name, the 20-bit
// label of an MPLS entry, a text. Values of slots look as a KeptElement says.
func (r *Record) AppendValue(dst []byte, f Field) []byte {
	switch f.Kind() {
	case KindNumber:
		return strconv.AppendUint(dst, r.nums[f], 10)
	case KindAddr:
		return AppendAddr(dst, r.Addr(f))
	case KindText:
		return append(dst, r.Text(f)...)
	}
	return AppendNum(dst, f, r.nums[f])
}

// AppendAddr appends the text form of a. Most are IPv4, of which answers hold
// several a record, so those do not go by way of netip.
func AppendAddr(dst []byte, a Addr) []byte {
	if !a.Is4() {
		return a.Netip().AppendTo(dst)
	}
	v := a.As4()
	dst = append(appendOctet(dst, byte(v>>24)), '.')
	dst = append(appendOctet(dst, byte(v>>16)), '.')
	dst = append(appendOctet(dst, byte(v>>8)), '.')
	return appendOctet(dst, byte(v))
}

func appendOctet(dst []byte, v byte) []byte {
	switch {
	case v >= 100:
		return append(dst, '0'+v/100, '0'+v/10%10, '0'+v%10)
	case v >= 10:
		return append(dst, '0'+v/10, '0'+v%10)
	}
	return append(dst, '0'+v)
}

// AppendNum appends the text form of the value v of numeric field f.
func AppendNum(dst []byte, f Field, v uint64) []byte {
	switch f.Kind() {
	case KindTime:
		return AppendTime(dst, v)
	case KindMAC:
		return AppendMAC(dst, v)
	case KindVersion:
		return append(dst, VersionName(v)...)
	case KindLabel:
		return strconv.AppendUint(dst, v>>4, 10)
	}
	return strconv.AppendUint(dst, v, 10)
}

// AppendJSON appends the record as one JSON object without a newline: the keys
// of its fields in the order of JSONFields, absent fields left out, MPLS labels
// as one list under "mpls_labels".
func (r *Record) AppendJSON(dst []byte) []byte {
	return r.AppendJSONFields(dst, JSONFields)
}

// AppendJSONFields is AppendJSON for the given fields only.
func (r *Record) AppendJSONFields(dst []byte, fields []Field) []byte {
	dst = append(dst, '{')
	first := true
	for _, f := range fields {
		if !r.Present.HasMember(f) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = r.AppendMember(dst, f)
	}
	return append(dst, '}')
}

// AppendMember appends one present field as a member of an object: its key, a
// colon and its value, for MPLSLabel1 the label stack: the entries that are
// present, top first.
func (r *Record) AppendMember(dst []byte, f Field) []byte {
	if f == MPLSLabel1 {
		dst = append(dst, `"mpls_labels":[`...)
		for l := range r.Present.Labels().All {
			if dst[len(dst)-1] != '[' {
				dst = append(dst, ',')
			}
			dst = AppendNum(dst, l, r.nums[l])
		}
		return append(dst, ']')
	}
	dst = append(dst, memberKeys[f]...)
	dst = r.AppendValue(dst, f)
	if quoted(f) {
		dst = append(dst, '"')
	}
	return dst
}

// quoted reports whether values of the field are strings in JSON.
func quoted(f Field) bool {
	switch f.Kind() {
	case KindAddr, KindTime, KindMAC, KindVersion:
		return true
	}
	return false
}

// memberKeys are the keys of a record's JSON, and the quotation mark that begins
// the value of some.
var memberKeys = func() (keys [FieldCount]string) {
	for f := range Field(FieldCount) {
		keys[f] = `"` + f.String() + `":`
		if quoted(f) {
			keys[f] += `"`
		}
	}
	return keys
}()

// JSONFields is the order of keys in a record's JSON. MPLSLabel1 stands for the
// whole label stack.
var JSONFields = []Field{
	Received, Start, End, Exporter, Agent, Domain, Version,
	SrcAddr, DstAddr, SrcPort, DstPort, Proto, TCPFlags, TOS, Bytes, Packets, Flows,
	InIf, OutIf, SrcAS, DstAS, SrcMask, DstMask, NextHop, BGPNextHop,
	SrcMAC, DstMAC, SrcVLAN, DstVLAN, ICMPType, ICMPCode, Direction,
	SamplingInterval, ForwardingStatus, FlowEndReason,
	NATSrcAddr, NATDstAddr, NATSrcPort, NATDstPort, NATEvent, FirewallEvent, FirewallExtEvent,
	MPLSLabel1, IngressVRF, EgressVRF, TTL, MinTTL, MaxTTL,
	ReverseBytes, ReversePackets, PostBytes, PostPackets, PostTOS,
	EtherType, PostSrcMAC, PostDstMAC, NextAS, PrevAS, ObservationPoint,
	PortBlockStart, PortBlockEnd, PortBlockStep, PortBlockSize,
	TunSrcAddr, TunDstAddr, TunProto,
}
