package command

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"weir/flow"
)

// A flow crosses the socket as one line, a JSON list of field numbers and
// values in turn, addresses as strings and everything else as the number that
// the record holds:
//
//	[1,1763820185123,8,"192.0.2.7",9,"2001:db8::1",12,6]
//
// The objects that users see would not do: they leave out bits of MPLS entries,
// times beyond year 9999 do not parse, and the general decoder is ten times
// slower than this one.

// appendWireRecord appends the line of r, without its end.
func appendWireRecord(dst []byte, r *flow.Record) []byte {
	dst = append(dst, '[')
	for f := range r.Present.All {
		if dst[len(dst)-1] != '[' {
			dst = append(dst, ',')
		}
		dst = append(strconv.AppendUint(dst, uint64(f), 10), ',')
		if f.IsAddr() {
			dst = append(flow.AppendAddr(append(dst, '"'), r.Addr(f)), '"')
		} else {
			dst = strconv.AppendUint(dst, r.Num(f), 10)
		}
	}
	return append(dst, ']')
}

// parseWireRecord reads what appendWireRecord wrote.
func parseWireRecord(line []byte, r *flow.Record) error {
	*r = flow.Record{}
	p := wireScanner{rest: string(line)}
	if !p.take('[') {
		return p.wrong("a list")
	}
	for first := true; !p.take(']'); first = false {
		if !first && !p.take(',') {
			return p.wrong("a comma")
		}
		number, ok := p.number()
		f := flow.Field(number)
		if !ok || number >= flow.FieldCount || !f.Valid() || !p.take(',') {
			return p.wrong("a field")
		}
		if err := p.value(r, f); err != nil {
			return err
		}
	}
	if p.rest != "" {
		return p.wrong("the end")
	}
	return nil
}

// A wireScanner reads tokens off the front of rest.
type wireScanner struct{ rest string }

func (p *wireScanner) wrong(want string) error {
	return fmt.Errorf("read a flow from the daemon: %s expected at %.40q", want, p.rest)
}

func (p *wireScanner) take(b byte) bool {
	if p.rest == "" || p.rest[0] != b {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *wireScanner) number() (uint64, bool) {
	digits := 0
	for digits < len(p.rest) && p.rest[digits] >= '0' && p.rest[digits] <= '9' {
		digits++
	}
	v, err := strconv.ParseUint(p.rest[:digits], 10, 64)
	p.rest = p.rest[digits:]
	return v, err == nil
}

func (p *wireScanner) value(r *flow.Record, f flow.Field) error {
	if !f.IsAddr() {
		v, ok := p.number()
		if !ok {
			return p.wrong("a number for " + f.String())
		}
		r.SetNum(f, v)
		return nil
	}
	text, rest, ok := strings.Cut(strings.TrimPrefix(p.rest, `"`), `"`)
	if !ok || !p.take('"') {
		return p.wrong("an address for " + f.String())
	}
	a, err := flow.ParseAddr(text)
	if err != nil {
		return fmt.Errorf("read a flow from the daemon: %w", err)
	}
	r.SetAddr(f, a)
	p.rest = rest
	return nil
}

// marshal returns v as one line of JSON; v is one of this package's own types,
// which always marshal.
func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("command: marshal %T: %v", v, err))
	}
	return b
}
