package query

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"weir/flow"
)

// A Value is one value of a field, or its absence.
type Value struct {
	Field   flow.Field // 0 for a computed value
	Present bool
	Num     uint64    // of a numeric field, or a computed value; of a name the label
	Addr    flow.Addr // of an address field; the first of the prefix
	Bits    int       // prefix length that Addr was cut to, counted in its family; -1: whole
	Named   bool      // Name is the value's text
	Name    string    // of an organisation or the like, or the text form of a kept element, which may be empty
	Literal bool      // Name is a number or a boolean, and no text

	raw string // of a text in a slot: as it is stored
}

// AppendText appends the value as text: as in CSV and tables, "" if absent.
func (v Value) AppendText(dst []byte) []byte {
	switch {
	case !v.Present:
		return dst
	case v.Named:
		return append(dst, v.Name...)
	case v.Field != 0 && v.Field.IsAddr():
		dst = flow.AppendAddr(dst, v.Addr)
		if v.Bits >= 0 {
			dst = fmt.Appendf(dst, "/%d", v.Bits)
		}
		return dst
	case v.Field == 0:
		return fmt.Appendf(dst, "%d", v.Num)
	}
	return flow.AppendNum(dst, v.Field, v.Num)
}

// keep gives a value of a slot the text form that its element says.
func (v *Value) keep(e *flow.KeptElement, t *textNumbers) {
	if e.Field.IsText() {
		v.raw = t.text(uint32(v.Num))
		v.Name = e.TextOf(v.raw)
		_, _, v.Literal = flow.SplitAny(v.raw)
		v.Literal = v.Literal && e.Type == flow.TypeAny
	} else {
		v.Name = string(e.AppendNum(nil, v.Num))
		v.Literal = e.Plain()
	}
	v.Field, v.Named = 0, true
}

// String returns the value as text, "" if absent.
func (v Value) String() string { return string(v.AppendText(nil)) }

// MarshalJSON writes numbers as numbers, everything else as a string, and
// absence as null.
func (v Value) MarshalJSON() ([]byte, error) {
	if !v.Present {
		return []byte("null"), nil
	}
	if v.Named && !v.Literal {
		return json.Marshal(v.Name)
	}
	plain := v.Literal || v.Field == 0 || v.Field.Kind() == flow.KindNumber || v.Field.Kind() == flow.KindLabel
	if plain {
		return v.AppendText(nil), nil
	}
	return append(v.AppendText([]byte{'"'}), '"'), nil
}

// compare orders values: absent ones last, addresses and numbers ascending.
func (v Value) compare(w Value) int {
	switch {
	case v.Present != w.Present:
		if v.Present {
			return -1
		}
		return 1
	case v.Field != 0 && v.Field.IsAddr():
		return v.Addr.Compare(w.Addr)
	case v.raw != w.raw:
		return strings.Compare(v.raw, w.raw)
	case v.Num < w.Num:
		return -1
	case v.Num > w.Num:
		return 1
	}
	return 0
}

// UnmarshalJSON reads what MarshalJSON wrote. Numbers and names are all that it
// can tell; TopResult.UnmarshalJSON knows the fields and restores the rest.
func (v *Value) UnmarshalJSON(data []byte) error {
	*v = Value{Bits: -1}
	if string(data) == "null" {
		return nil
	}
	v.Present = true
	if len(data) > 0 && data[0] == '"' {
		v.Named = true
		return json.Unmarshal(data, &v.Name)
	}
	if json.Unmarshal(data, &v.Num) != nil { // of a kept element
		v.Named, v.Name, v.Literal = true, string(data), true
	}
	return nil
}

// UnmarshalJSON reads an answer that came over a socket.
func (r *TopResult) UnmarshalJSON(data []byte) error {
	type plain TopResult
	if err := json.Unmarshal(data, (*plain)(r)); err != nil {
		return err
	}
	for i, name := range r.Fields {
		if _, ok := ParseLabelField(lower(name)); ok {
			continue
		}
		g, err := parseGrouper(name, nil)
		if err != nil {
			continue // a kept element, which this side need not know: its text form is all that it takes
		}
		for _, row := range r.Rows {
			if i >= len(row.Key) {
				return fmt.Errorf("group has %d values for %d fields", len(row.Key), len(r.Fields))
			}
			if err := row.Key[i].restore(&g); err != nil {
				return err
			}
		}
	}
	return nil
}

// restore gives a value that was read from JSON its field, and its name the
// meaning that it has there.
func (v *Value) restore(g *grouper) error {
	v.Field = g.field
	if !v.Present || g.field == 0 {
		return nil
	}
	text := v.Name
	v.Named, v.Name = false, ""
	switch g.field.Kind() {
	case flow.KindAddr:
		address, bits, cut := strings.Cut(text, "/")
		a, err := flow.ParseAddr(address)
		if err != nil {
			return err
		}
		v.Addr = a
		if cut {
			if v.Bits, err = strconv.Atoi(bits); err != nil {
				return err
			}
		}
	case flow.KindTime, flow.KindMAC, flow.KindVersion:
		n, ok := specOf(g.field).value(text)
		if !ok {
			return fmt.Errorf("%q is no value of %s", text, g.field)
		}
		v.Num = n
	case flow.KindLabel:
		v.Num <<= labelShift
	}
	return nil
}
