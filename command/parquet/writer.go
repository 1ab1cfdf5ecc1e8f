package parquet

import (
	"errors"
	"fmt"
	"io"

	parquetgo "github.com/parquet-go/parquet-go"
)

// Bounds of what a Writer holds.
const (
	batchRows     = 1024     // rows that are handed to the columns at once
	maxGroupRows  = 1 << 19  // rows of a row group
	maxGroupBytes = 16 << 20 // of a row group: pages as they are in the file, and what is not in a page yet
	pageBytes     = 128 << 10
	maxDictionary = 1 << 20 // bytes of the different texts of a column in a row group; past it they are written as they come
)

// A Writer writes a file. It belongs to one goroutine.
type Writer struct {
	out     *parquetgo.GenericWriter[any]
	columns []Column
	values  [][]parquetgo.Value // of the rows of a batch, by column
	text    []byte              // what the texts among them refer to
	rows    int                 // in the batch
	group   int                 // rows in the row group that are in no batch any more
	begun   int64               // size of the file before the row group
	err     error               // the first; nothing is written after it
}

// NewWriter begins a file on out, which buffers. The names of the columns
// differ. created is the program and its version.
func NewWriter(out io.Writer, columns []Column, created, version string) (*Writer, error) {
	if len(columns) == 0 {
		return nil, errors.New("a Parquet file has at least one column")
	}
	seen := map[string]bool{}
	for _, c := range columns {
		if seen[c.Name] {
			return nil, fmt.Errorf("a Parquet file has no two columns called %q", c.Name)
		}
		seen[c.Name] = true
	}
	w := parquetgo.NewGenericWriter[any](out, schemaOf(columns),
		parquetgo.Compression(&parquetgo.Zstd), parquetgo.PageBufferSize(pageBytes), parquetgo.WriteBufferSize(0),
		parquetgo.DictionaryMaxBytes(maxDictionary), parquetgo.CreatedBy(created, version, ""))
	return &Writer{out: w, columns: columns, values: make([][]parquetgo.Value, len(columns))}, nil
}

// Levels of Parquet: how much of a value is there.
const (
	levelNull  = 0
	levelThere = 1
	levelItem  = 2 // of a list
)

// Null sets column i of the row to null.
func (w *Writer) Null(i int) { w.add(i, parquetgo.NullValue(), 0, levelNull) }

// Uint sets column i of the row, a number or a time, to v.
func (w *Writer) Uint(i int, v uint64) {
	switch w.columns[i].Type {
	case Time, Uint64:
		w.add(i, parquetgo.Int64Value(int64(v)), 0, levelThere)
	default:
		w.add(i, parquetgo.Int32Value(int32(uint32(v))), 0, levelThere)
	}
}

// Text sets column i of the row to text, which it copies.
func (w *Writer) Text(i int, text []byte) {
	from := len(w.text)
	w.text = append(w.text, text...)
	w.add(i, parquetgo.ByteArrayValue(w.text[from:len(w.text):len(w.text)]), 0, levelThere)
}

// List sets column i of the row to a list that is not empty.
func (w *Writer) List(i int, list []uint32) {
	for n, v := range list {
		w.add(i, parquetgo.Int32Value(int32(v)), min(n, 1), levelItem)
	}
}

func (w *Writer) add(i int, v parquetgo.Value, repetition, definition int) {
	w.values[i] = append(w.values[i], v.Level(repetition, definition, i))
}

// EndRow ends a row, every column of which was set once.
func (w *Writer) EndRow() error {
	if w.err != nil {
		return w.err
	}
	if w.rows++; w.rows >= batchRows {
		w.err = w.flush()
	}
	return w.err
}

// flush hands the batch to the columns, and ends the row group if it is large
// enough.
func (w *Writer) flush() error {
	for i, c := range w.out.ColumnWriters() {
		n, err := c.WriteRowValues(w.values[i])
		if err != nil {
			return fmt.Errorf("write column %s: %w", w.columns[i].Name, err)
		}
		if n != w.rows {
			return fmt.Errorf("write column %s: it took %d of %d rows", w.columns[i].Name, n, w.rows)
		}
		clear(w.values[i]) // they refer to the texts
		w.values[i] = w.values[i][:0]
	}
	w.group += w.rows
	w.rows, w.text = 0, w.text[:0]
	if w.group < maxGroupRows && w.out.Size()-w.begun < maxGroupBytes {
		return nil
	}
	if err := w.out.Flush(); err != nil {
		return fmt.Errorf("write a row group: %w", err)
	}
	w.group, w.begun = 0, w.out.Size()
	return nil
}

// Close writes what is left and the footer. It does not close what the Writer
// writes to.
func (w *Writer) Close() error {
	if w.err == nil && w.rows > 0 {
		w.err = w.flush()
	}
	if w.err == nil {
		if err := w.out.Close(); err != nil {
			w.err = fmt.Errorf("write the footer: %w", err)
		}
	}
	return w.err
}
