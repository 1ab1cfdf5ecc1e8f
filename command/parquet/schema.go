package parquet

import (
	"reflect"

	parquetgo "github.com/parquet-go/parquet-go"
)

// A Type says what a column holds. Every column may hold nulls.
type Type uint8

// The types of columns.
const (
	Text   Type = iota // UTF-8
	Time               // ms since the Unix epoch, UTC
	Uint8              // unsigned numbers by their width
	Uint16             //
	Uint32             //
	Uint64             //
	List               // of numbers of 32 bits
)

// String returns the type's name as Parquet has it.
func (t Type) String() string {
	return [...]string{"STRING", "TIMESTAMP(MILLIS,UTC)", "UINT_8", "UINT_16", "UINT_32", "UINT_64", "LIST<UINT_32>"}[t]
}

// A Column is a column of a file.
type Column struct {
	Name string
	Type Type
}

// node returns the column's place in a schema. What has few different values in
// a row group is written as numbers of a dictionary.
func (c Column) node() parquetgo.Node {
	var n parquetgo.Node
	switch c.Type {
	case Text:
		n = parquetgo.Encoded(parquetgo.String(), &parquetgo.RLEDictionary)
	case Time:
		n = parquetgo.Timestamp(parquetgo.Millisecond)
	case Uint8:
		n = parquetgo.Encoded(parquetgo.Uint(8), &parquetgo.RLEDictionary)
	case Uint16:
		n = parquetgo.Encoded(parquetgo.Uint(16), &parquetgo.RLEDictionary)
	case Uint32:
		n = parquetgo.Uint(32)
	case Uint64:
		n = parquetgo.Uint(64)
	case List:
		n = parquetgo.List(parquetgo.Uint(32))
	}
	return parquetgo.Optional(n)
}

// A root is the schema's root, with its columns in the order given: the
// library's own group sorts them by name.
type root struct {
	parquetgo.Group
	fields []parquetgo.Field
}

// Fields implements parquetgo.Node.
func (r *root) Fields() []parquetgo.Field { return r.fields }

// A leaf is a column in a root.
type leaf struct {
	parquetgo.Node
	name string
}

// Name implements parquetgo.Field.
func (l *leaf) Name() string { return l.name }

// Value implements parquetgo.Field.
func (l *leaf) Value(base reflect.Value) reflect.Value {
	return base.MapIndex(reflect.ValueOf(l.name))
}

func schemaOf(columns []Column) *parquetgo.Schema {
	r := &root{Group: parquetgo.Group{}}
	for _, c := range columns {
		n := c.node()
		r.Group[c.Name] = n
		r.fields = append(r.fields, &leaf{n, c.Name})
	}
	return parquetgo.NewSchema("flows", r)
}
