// Package parquet writes flat rows as a Parquet file, column by column, and
// counts the rows of one.
//
// A [Writer] begins with NewWriter, takes rows value by value, each row ended
// with EndRow, and ends with Close, which writes the footer: a file without it
// is none. Its memory is that of one row group, which is bounded by size and by
// number of rows, and of the footer, which grows by a few kilobytes with each
// row group.
//
// [Rows] reads nothing of a file but its footer, and trusts nothing in it.
package parquet
