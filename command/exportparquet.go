package command

import (
	"io"

	"weir/command/parquet"
	"weir/flow"
)

// formatParquet is the format of records for programs that analyse them.
const formatParquet = "parquet"

// parquetType returns how a column is kept in Parquet. Addresses are text, as
// they are in CSV: IPv4 and IPv6 share a column, and the programs that read such
// files have a type for neither.
func (c column) parquetType() parquet.Type {
	switch {
	case c.text != nil:
		return parquet.Text
	case c.kept != nil && c.kept.Type.Form() == flow.FormTime:
		return parquet.Time
	case c.kept != nil && c.kept.Type.Form() != flow.FormUnsigned:
		return parquet.Text
	case c.field == 0:
		return parquet.Uint64 // the duration
	case c.field == flow.MPLSLabel1:
		return parquet.List
	case c.field.Kind() == flow.KindTime:
		return parquet.Time
	case c.field.Kind() != flow.KindNumber:
		return parquet.Text
	}
	switch bits := c.field.Bits(); {
	case bits <= 8:
		return parquet.Uint8
	case bits <= 16:
		return parquet.Uint16
	case bits <= 32:
		return parquet.Uint32
	}
	return parquet.Uint64
}

// parquetRecords writes records as Parquet.
type parquetRecords struct {
	out     *parquet.Writer
	columns []column
	types   []parquet.Type
	text    []byte
	labels  []uint32
}

func newParquetRecords(out io.Writer, columns []column) (*parquetRecords, error) {
	w := &parquetRecords{columns: columns}
	list := make([]parquet.Column, len(columns))
	for i, c := range columns {
		w.types = append(w.types, c.parquetType())
		list[i] = parquet.Column{Name: c.name, Type: w.types[i]}
	}
	var err error
	w.out, err = parquet.NewWriter(out, list, "weir", version)
	return w, err
}

func (w *parquetRecords) record(r *flow.Record) error {
	for i, c := range w.columns {
		w.value(i, c, r)
	}
	return w.out.EndRow()
}

// value sets column i of the row.
func (w *parquetRecords) value(i int, c column, r *flow.Record) {
	if !c.has(r) {
		w.out.Null(i)
		return
	}
	if name, ok := c.named(r); ok {
		w.out.Text(i, append(w.text[:0], name...))
		return
	}
	switch w.types[i] {
	case parquet.Text:
		if c.kept != nil {
			w.text = c.kept.AppendText(w.text[:0], r)
		} else {
			w.text = r.AppendValue(w.text[:0], c.field)
		}
		w.out.Text(i, w.text)
	case parquet.List:
		w.labels = w.labels[:0]
		for l := range r.Present.Labels().All {
			w.labels = append(w.labels, uint32(r.Num(l)>>4))
		}
		w.out.List(i, w.labels)
	default:
		v := duration(r)
		if c.field != 0 {
			v = r.Num(c.field)
		}
		w.out.Uint(i, v)
	}
}

func (w *parquetRecords) finish() error { return w.out.Close() }
