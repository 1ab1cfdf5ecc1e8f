// Package bench makes flow traffic: deterministic, shaped like a research
// network's, and exported the way routers export it.
//
// A [Generator] yields one export datagram's worth of records at a time, with
// the simulated time at which a collector receives it. The same [Options] give
// the same records and the same bytes on every machine and with every release
// of Go: all randomness comes from a splitmix64 sequence and all arithmetic is
// in integers. [WriteCapture] writes the datagrams to a pcap file, [Send] sends
// them over UDP at the simulated pace, and a [Sender] sends any payload from any
// exporter's address.
//
// The traffic has Zipf-distributed hosts on both sides, a request and a
// response flow for each conversation, long flows split by the active timeout,
// background scans and stray packets, IPv4 and IPv6, and exporters that speak
// NetFlow v5, NetFlow v9, IPFIX and sFlow v5. [Incident] plants known events in
// it, so that a test knows the true answer to an analyst's question.
//
// The package decodes nothing and stores nothing.
package bench
