// Package metrics tells a collector's counters in Prometheus' format. It is the
// only package that knows the client library.
//
// The caller hands in a function that returns a [Snapshot]; every scrape calls it
// once, so that the numbers of one scrape belong to one moment. The package
// decides names, labels and help, and keeps the number of series bounded
// whatever sends to the collector: exporters beyond [MaxExporters] are summed
// under one label. [Serve] is the HTTP server. The package counts nothing itself,
// but for what the library knows of the process.
package metrics
