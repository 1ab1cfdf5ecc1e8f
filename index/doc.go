// Package index answers which blocks, and which rows of them, hold a value.
//
// An hour is indexed once, when it is sealed: [Seal] merges the sorted
// dictionaries of the hour's blocks into one ordered list of terms, a term
// being a field with a value, each with the set of blocks that hold it. The
// list is cut into pages of a few kilobytes, each an entry of the bucket under
// the page's first term. Work and size grow with the number of distinct values
// in the blocks, never with the number of rows.
//
// Which rows of a block have a value is known by the block itself, whose
// address and port columns are stored as postings. [Blocks] therefore finds the
// blocks and [Rows] the rows in them, both as a [Set] with which candidates are
// combined before any column is read. Blocks that were written after the hour
// was sealed, and the open hour's, are not covered by pages; Blocks always
// includes them and their own dictionaries decide.
//
// A [Sealer] seals hours as they end. It finds what is left to do in the store
// alone, so a crash at any point is mended by the next one that runs.
//
// Everything here is derived from the records and can be rebuilt from them;
// [Check] proves that the two agree, and [Verify] does so for all that a store
// holds. The package does not read columns other than dictionaries and does not
// know filters (package query).
package index
