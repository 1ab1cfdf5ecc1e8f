package query

import "weir/flow"

// ParseExporter reads the exporter that a request names, as Exporter in a
// FlowsRequest does, and returns whether an address is meant. An error is a
// *RequestError.
func ParseExporter(text string, o ParseOptions) (func(flow.Addr) bool, error) {
	n, err := exporterCondition(text, o)
	if err != nil {
		return nil, err
	}
	return func(a flow.Addr) bool {
		var r flow.Record
		r.SetAddr(flow.Exporter, a)
		return n.match(&r)
	}, nil
}
