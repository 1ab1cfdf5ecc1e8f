package collector

import (
	"bytes"
	"encoding/binary"
	"math"
	"unicode/utf8"
	"unique"

	"weir/flow"
)

// keepers are the elements that are kept beside the fields of the record.
type keepers map[Element]*flow.KeptElement

func newKeepers(list []flow.KeptElement) keepers {
	k := keepers{}
	for i := range list {
		e := list[i]
		k[Element{e.Enterprise, e.Number}] = &e
	}
	return k
}

// A keepStep copies the values of a kept element into its slot.
type keepStep struct {
	kept  *flow.KeptElement
	ref   int16
	short bool // the template gives it a fixed length of at most 8 bytes
}

// keep takes in a field of the template that is a kept element. Of several, the
// first counts.
func (c *compiler) keep(kept *flow.KeptElement, f wireField, at int16) {
	for i := range c.plan.kept {
		if c.plan.kept[i].kept == kept {
			return
		}
	}
	c.plan.kept = append(c.plan.kept, keepStep{kept, at, f.len <= 8})
}

// keep does one step. An empty value is none.
func (d *decoding) keep(s *keepStep) {
	r, f := d.refs[s.ref], s.kept.Field
	if r.len == 0 {
		return
	}
	switch s.kept.Type.Form() {
	case flow.FormUnsigned:
		d.numbers(f, r)
	case flow.FormAddr:
		d.addrs(f, r)
	case flow.FormTime:
		d.times(&step{role: timeRole(s.kept.Type), field: f}, r)
	case flow.FormString, flow.FormOctets, flow.FormAny:
		d.texts(s, r)
	default:
		d.converted(s.kept, r)
	}
}

// timeRole returns how points in time of a type are written (RFC 7011, sections
// 6.1.7 to 6.1.10).
func timeRole(t flow.ElementType) role {
	switch t {
	case "dateTimeSeconds":
		return roleSeconds
	case "dateTimeMilliseconds":
		return roleMillis
	}
	return roleNTP
}

// converted copies numbers that are not held as they are written. A value that
// cannot be one of the type is left absent, and counted.
func (d *decoding) converted(kept *flow.KeptElement, r ref) {
	for i := range d.n {
		if v, ok := keptNumber(kept.Type, d.at(r, i)); ok {
			d.b.SetNum(kept.Field, d.base+i, v)
		} else {
			d.badValues++
		}
	}
}

// keptNumber returns a value as it is held, and false if it is none of the type
// (RFC 7011, sections 6.1.2 to 6.1.5 and 6.2).
func keptNumber(t flow.ElementType, value []byte) (v uint64, ok bool) {
	switch t.Form() {
	case flow.FormSigned:
		if len(value) > 8 {
			return 0, false
		}
		shift := 64 - 8*len(value)
		return flow.SignedNum(int64(uintOf(value)<<shift) >> shift), true
	case flow.FormFloat:
		switch len(value) {
		case 4:
			return flow.FloatNum(float64(math.Float32frombits(binary.BigEndian.Uint32(value)))), true
		case 8:
			return flow.FloatNum(math.Float64frombits(binary.BigEndian.Uint64(value))), true
		}
	case flow.FormBoolean: // 1 is true and 2 false
		if v := uintOf(value); len(value) == 1 && (v == 1 || v == 2) {
			return 2 - v, true
		}
	case flow.FormMAC:
		return uintOf(value), len(value) == 6
	}
	return 0, false
}

// texts copies texts and octets, cut to what is kept of them. The same text is in
// memory once, however many records have it.
func (d *decoding) texts(s *keepStep, r ref) {
	form := s.kept.Type.Form()
	last := ""
	for i := range d.n {
		value := d.at(r, i)
		whole := len(value)
		switch {
		case form == flow.FormString:
			value = bytes.TrimRight(value, "\x00") // of fields of fixed length
			if whole = len(value); whole == 0 {
				continue
			}
			value = cutText(value)
		case form == flow.FormAny && s.short:
			d.b.SetText(s.kept.Field, d.base+i, unique.Make(flow.AnyNum(uintOf(value))).Value())
			continue
		case form == flow.FormAny:
			value = value[:min(whole, flow.MaxText-1)]
		default:
			value = value[:min(whole, flow.MaxText)]
		}
		if len(value) < whole {
			d.cutTexts++
		}
		if form == flow.FormAny {
			last = unique.Make(flow.AnyOctets(value)).Value()
		} else if last != string(value) {
			last = unique.Make(string(value)).Value()
		}
		d.b.SetText(s.kept.Field, d.base+i, last)
	}
}

// cutText returns the beginning of a text that is kept. It ends between
// characters.
func cutText(value []byte) []byte {
	if len(value) <= flow.MaxText {
		return value
	}
	end := flow.MaxText
	for end > flow.MaxText-utf8.UTFMax && !utf8.RuneStart(value[end]) {
		end--
	}
	return value[:end]
}

// ColumnOf returns the name of the column that an element feeds without being
// kept, "" if there is none.
func ColumnOf(e Element) string {
	meaning := lookupElement(10, e.Enterprise, e.Number)
	switch {
	case !meaning.field.Valid():
		return ""
	case meaning.rank == 2 && meaning.field == flow.Bytes:
		return flow.PostBytes.String()
	case meaning.rank == 2 && meaning.field == flow.Packets:
		return flow.PostPackets.String()
	}
	return meaning.field.String()
}
