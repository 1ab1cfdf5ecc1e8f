// Package query answers questions about the records of a store.
//
// [Parse] turns text in nfdump's filter language, with weir's additions, into a
// [Filter]. [Filter.Match] is what a filter means: it looks at one record,
// naively. [Flows] and [Top] give the same answer from a store without looking
// at every record: they leave out whole buckets and blocks by their times, by
// the ranges in the blocks' headers and by the hour's index, test dictionaries
// instead of rows, and read no column that the answer does not need. That the
// two always agree is the package's central promise, and its central test.
//
// [Ledgers] says what an answer lacks: it judges a window by what the collector
// wrote down beside the records ([Coverage]), also by hour and
// exporter ([Grid]).
//
// A condition on a field that a record does not have is false; its negation is
// true.
//
// The package opens nothing and prints nothing; names of files, exporters and
// organisations in a filter are resolved by what the caller hands in
// ([ParseOptions]).
package query
