package bench

import (
	"encoding/binary"

	"weir/flow"
)

// An element is one field of a template: a column of ours, the information
// element that carries it and how it is written.
type element struct {
	field flow.Field
	id    uint16 // IANA information element, or NetFlow v9 field type
	size  uint8  // bytes
	form  form
}

// A form is how an element's value is written.
type form uint8

const (
	formNumber form = iota // the number, big-endian
	formAddr4              // four bytes
	formAddr16             // sixteen bytes
	formUptime             // ms since the exporter's start, modulo 2^32
	formICMP               // type in the high byte, code in the low one
)

// templateID returns the ID of the template for records of kind k.
func templateID(k kind) uint16 { return 256 + uint16(k) }

// optionsTemplateID is the ID of the options template that states the sampling.
const optionsTemplateID = 270

// layout returns the elements of the exporter's template for records of kind k.
func (e *Exporter) layout(k kind) []element {
	els := addressElements(k)
	els = append(els,
		element{flow.Proto, 4, 1, formNumber}, element{flow.TOS, 5, 1, formNumber},
		element{flow.Bytes, 1, 8, formNumber}, element{flow.Packets, 2, 4, formNumber},
		element{flow.InIf, 10, 4, formNumber}, element{flow.OutIf, 14, 4, formNumber},
		element{flow.SrcAS, 16, 4, formNumber}, element{flow.DstAS, 17, 4, formNumber},
	)
	switch k {
	case kindV4, kindV6:
		els = append(els, element{flow.SrcPort, 7, 2, formNumber}, element{flow.DstPort, 11, 2, formNumber},
			element{flow.TCPFlags, 6, 1, formNumber})
	case kindICMPv4:
		els = append(els, element{flow.ICMPType, 32, 2, formICMP})
	case kindICMPv6:
		els = append(els, element{flow.ICMPType, 139, 2, formICMP})
	}
	if e.Format == IPFIX {
		els = append(els, element{flow.Start, 152, 8, formNumber}, element{flow.End, 153, 8, formNumber},
			element{flow.FlowEndReason, 136, 1, formNumber})
	} else {
		els = append(els, element{flow.Start, 22, 4, formUptime}, element{flow.End, 21, 4, formUptime})
	}
	if e.Layer2 {
		els = append(els, element{flow.SrcMAC, 56, 6, formNumber}, element{flow.DstMAC, 80, 6, formNumber},
			element{flow.SrcVLAN, 58, 2, formNumber}, element{flow.DstVLAN, 59, 2, formNumber})
	}
	if e.NAT && k == kindV4 {
		els = append(els, element{flow.NATSrcAddr, 225, 4, formAddr4}, element{flow.NATDstAddr, 226, 4, formAddr4},
			element{flow.NATSrcPort, 227, 2, formNumber}, element{flow.NATDstPort, 228, 2, formNumber})
	}
	return els
}

func addressElements(k kind) []element {
	if k == kindV4 || k == kindICMPv4 {
		return []element{
			{flow.SrcAddr, 8, 4, formAddr4}, {flow.DstAddr, 12, 4, formAddr4}, {flow.NextHop, 15, 4, formAddr4},
			{flow.SrcMask, 9, 1, formNumber}, {flow.DstMask, 13, 1, formNumber},
		}
	}
	return []element{
		{flow.SrcAddr, 27, 16, formAddr16}, {flow.DstAddr, 28, 16, formAddr16}, {flow.NextHop, 62, 16, formAddr16},
		{flow.SrcMask, 29, 1, formNumber}, {flow.DstMask, 30, 1, formNumber},
	}
}

// sizeOf returns the bytes of a record of these elements.
func sizeOf(els []element) int {
	n := 0
	for _, el := range els {
		n += int(el.size)
	}
	return n
}

// appendRecord appends r as these elements; boot is when the exporter started,
// in ms since the Unix epoch.
func appendRecord(dst []byte, r *flow.Record, els []element, boot uint64) []byte {
	for i := range els {
		el := &els[i]
		switch el.form {
		case formNumber:
			dst = appendUint(dst, r.Num(el.field), el.size)
		case formAddr4:
			dst = binary.BigEndian.AppendUint32(dst, r.Addr(el.field).As4())
		case formAddr16:
			a := r.Addr(el.field)
			dst = binary.BigEndian.AppendUint64(dst, a.Hi)
			dst = binary.BigEndian.AppendUint64(dst, a.Lo)
		case formUptime:
			dst = binary.BigEndian.AppendUint32(dst, uint32(r.Num(el.field)-boot))
		case formICMP:
			dst = append(dst, byte(r.Num(flow.ICMPType)), byte(r.Num(flow.ICMPCode)))
		}
	}
	return dst
}

// appendUint appends the low size bytes of v, big-endian.
func appendUint(dst []byte, v uint64, size uint8) []byte {
	switch size {
	case 1:
		return append(dst, byte(v))
	case 2:
		return binary.BigEndian.AppendUint16(dst, uint16(v))
	case 4:
		return binary.BigEndian.AppendUint32(dst, uint32(v))
	case 8:
		return binary.BigEndian.AppendUint64(dst, v)
	}
	for shift := 8 * (int(size) - 1); shift >= 0; shift -= 8 {
		dst = append(dst, byte(v>>shift))
	}
	return dst
}
