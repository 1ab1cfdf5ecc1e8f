// Package collector turns export datagrams (NetFlow v1, v5, v7, v9, IPFIX and
// sFlow v5) into flow records.
//
// A [Collector] owns UDP sockets, and listeners for IPFIX over TCP and TLS: New
// binds them, Run reads until its context is done, hands batches of records to a [Sink] and returns when everything it
// read is there. A [Decoder] is the same code path without sockets, for imports
// and tests. [ReadCapture] takes the datagrams out of a capture file.
//
// Two more ways lead past the records: a [Receiver] hands out datagrams without
// decoding them, and a [Relay] repeats them to other collectors. Who wants to see
// what exporters define asks a Decoder to Describe it, gives it a [Watch], and
// finds the names of elements in a [Registry].
//
// What a datagram cannot mean, it does not become: bytes that are not understood
// are an error and a counter by exporter and [Reason], never a record. What an
// exporter makes the collector remember (templates, sampling tables, data that
// wait for a template) is bounded for each exporter and in total, so a flood
// costs its sender; see [Limits].
//
// What is missing is counted, too. Sequence numbers tell what was lost on the
// way, see sequence.go and counting.go; a tally for each exporter, domain,
// version and hour of receipt gathers that and much else, and a book of tallies
// writes them to a [Ledger] as they change. The collecting host has a row of its
// own there: when it was up, what the kernel dropped, when nothing could be
// stored. [History] is what exporters did that one may want to know years later.
//
// Data sets are decoded by a plan that is compiled from the template once and
// then runs column by column, without allocation. goflow2 parses templates,
// options data and the less frequent sFlow structures, behind checks of ours
// that keep from it what it cannot bear. docs/protocols.md says what is
// supported, clause by clause.
package collector
