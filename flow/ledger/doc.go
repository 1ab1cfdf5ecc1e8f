// Package ledger is the vocabulary of completeness: what the collector counted
// of one hour, beside the records themselves, so that an answer can say what it
// lacks.
//
// A ledger is rows. Each belongs to one hour of receipt and one [Run] of a
// collector (or of an import), and is written again, whole, as it grows. A
// reader adds the rows of several runs together. There are four kinds of row:
//
//   - an [Entry] for each exporter, observation domain and protocol ([Key]):
//     datagrams, records, sequence gaps, templates, sampling, clocks;
//   - one [Host] for the collecting host: from when to when it was up, what the
//     kernel dropped, how often a queue was full, who was refused, when nothing
//     could be stored;
//   - a [Purge] for each time that records were deleted on purpose;
//   - a [Loss] for each time that records were lost to damage.
//
// The package knows how rows are added, written and read. Who counts is package
// collector, where they lie is package store, and what they mean for an answer
// is package query.
package ledger
