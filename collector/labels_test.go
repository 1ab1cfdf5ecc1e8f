package collector

import (
	"testing"

	"weir/flow"
)

func TestLabels(t *testing.T) {
	fields, record := addrsAnd(6, []int{70, 3, 71, 3, 72, 3}, []byte{0x01, 0x23, 0x40}, []byte{0x00, 0x00, 0x01}, []byte{0, 0, 0})
	b := decodeOne(t, 9, fields, record)
	wantNum(t, b, 0, flow.MPLSLabel1, 0x012340)
	wantNum(t, b, 0, flow.MPLSLabel2, 1) // explicit null, bottom of stack
	wantAbsent(t, b, 0, flow.MPLSLabel3)
}

// An entry of zero bits is a label above another, and none below the last.
func TestLabelsOfZero(t *testing.T) {
	none, some, last := []byte{0, 0, 0}, []byte{0x01, 0x23, 0x40}, []byte{0x00, 0x4d, 0x21}
	for _, c := range []struct {
		name   string
		fields []int
		values []any
		want   string
	}{
		{"explicit null on top", []int{70, 3, 71, 3, 72, 3}, []any{none, last, none}, `[0,1234]`},
		{"two on top", []int{70, 3, 71, 3, 72, 3}, []any{none, none, last}, `[0,0,1234]`},
		{"in between", []int{70, 3, 71, 3, 72, 3}, []any{some, none, last}, `[4660,0,1234]`},
		{"fields in another order", []int{71, 3, 70, 3}, []any{last, none}, `[0,1234]`},
		{"no label", []int{70, 3, 71, 3}, []any{none, none}, ``},
		{"the top is not exported", []int{71, 3, 72, 3}, []any{last, none}, `[1234]`},
		{"too wide on top", []int{70, 4, 71, 3}, []any{uint32(1 << 24), last}, `[1234]`},
		{"the same element twice", []int{70, 3, 70, 3, 71, 3}, []any{none, some, last}, `[4660,1234]`},
	} {
		fields, record := addrsAnd(6, c.fields, c.values...)
		b := decodeOne(t, 10, fields, record)
		var r flow.Record
		b.Record(0, &r)
		want := "{}"
		if c.want != "" {
			want = `{"mpls_labels":` + c.want + `}`
		}
		if got := string(r.AppendJSONFields(nil, []flow.Field{flow.MPLSLabel1})); got != want {
			t.Errorf("%s: got %s, want %s", c.name, got, want)
		}
	}
}
