package command

import (
	"strings"

	"weir/flow"
)

// layoutReads are the fields that the values of the usual tokens are made of. Of a
// layout that has others, all fields are asked for.
var layoutReads = map[string][]flow.Field{
	"ts": {flow.Start}, "te": {flow.End}, "tr": {flow.Received}, "tsr": {flow.Start}, "ter": {flow.End}, "trr": {flow.Received},
	"td": {flow.Start, flow.End}, "tds": {flow.Start, flow.End},
	"pr": {flow.Proto}, "sa": {flow.SrcAddr}, "da": {flow.DstAddr}, "ra": {flow.Exporter},
	"sp": {flow.SrcPort}, "sap": {flow.SrcAddr, flow.SrcPort},
	"dp":  {flow.DstPort, flow.Proto, flow.ICMPType, flow.ICMPCode},
	"dap": {flow.DstAddr, flow.DstPort, flow.Proto, flow.ICMPType, flow.ICMPCode},
	"pkt": {flow.Packets}, "ipkt": {flow.Packets}, "byt": {flow.Bytes}, "ibyt": {flow.Bytes}, "fl": {flow.Flows},
	"bps": {flow.Bytes, flow.Start, flow.End}, "pps": {flow.Packets, flow.Start, flow.End}, "bpp": {flow.Bytes, flow.Packets},
	"flg": {flow.TCPFlags, flow.Proto}, "tos": {flow.TOS}, "in": {flow.InIf}, "out": {flow.OutIf},
	"sas": {flow.SrcAS}, "das": {flow.DstAS}, "n": {},
}

// layoutFields returns the fields that a layout is made of; false if it may need
// any, as one does that names kept elements, which are not known yet.
func layoutFields(format string) (flow.FieldSet, bool) {
	var set flow.FieldSet
	if strings.ContainsRune(format, '_') { // only their names have it
		return set, false
	}
	l, err := parseLayout(format, false, nil)
	if err != nil {
		return set, false
	}
	for _, name := range l.names {
		fields, known := layoutReads[name]
		if !known {
			return set, false
		}
		for _, f := range fields {
			set.Add(f)
		}
	}
	return set, true
}
