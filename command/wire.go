package command

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"weir/flow"
)

// A flow crosses the socket as one line, a JSON list of numbers: of each field
// its number and its value, which for an address is two numbers, the halves of
// its 128 bits, and for a text its bytes in hexadecimal, as a string.
//
//	[1,1763820185123,8,0,281473902969351,12,6,110,"7777772e"]
//
// The objects that users see would not do: they leave out bits of MPLS entries,
// times beyond year 9999 do not parse, and reading them takes ten times as long.

// appendWireRecord appends the line of r, without its end.
func appendWireRecord(dst []byte, r *flow.Record) []byte {
	dst = append(dst, '[')
	for f := range r.Present.All {
		dst = append(strconv.AppendUint(dst, uint64(f), 10), ',')
		switch {
		case f.IsAddr():
			a := r.Addr(f)
			dst = append(strconv.AppendUint(dst, a.Hi, 10), ',')
			dst = strconv.AppendUint(dst, a.Lo, 10)
		case f.IsText():
			dst = append(hex.AppendEncode(append(dst, '"'), []byte(r.Text(f))), '"')
		default:
			dst = strconv.AppendUint(dst, r.Num(f), 10)
		}
		dst = append(dst, ',')
	}
	if dst[len(dst)-1] == ',' {
		dst = dst[:len(dst)-1]
	}
	return append(dst, ']')
}

// parseWireRecord reads what appendWireRecord wrote.
func parseWireRecord(line []byte, r *flow.Record) error {
	*r = flow.Record{}
	if string(line) == "[]" {
		return nil
	}
	if len(line) == 0 || line[0] != '[' {
		return wireError(line)
	}
	for rest := line; rest[0] != ']' || len(rest) > 1; {
		number, after, ok := wireNumber(rest)
		f := flow.Field(number)
		if !ok || number >= flow.FieldCount || !f.Valid() {
			return wireError(line)
		}
		if f.IsText() {
			text, after, ok := wireText(after, flow.MaxText)
			if !ok {
				return wireError(line)
			}
			r.SetText(f, text)
			rest = after
			continue
		}
		first, after, ok := wireNumber(after)
		if !ok {
			return wireError(line)
		}
		if !f.IsAddr() {
			r.SetNum(f, first)
			rest = after
			continue
		}
		second, after, ok := wireNumber(after)
		if !ok {
			return wireError(line)
		}
		r.SetAddr(f, flow.Addr{Hi: first, Lo: second})
		rest = after
	}
	return nil
}

func wireError(line []byte) error {
	return fmt.Errorf("read a flow from the daemon: %.60q is none", line)
}

// safeDigits is how many digits a number may have that is in 64 bits in any case.
const safeDigits = 19

// wireNumber reads the number behind the first byte of b, which is the opening
// bracket or a comma. What it returns begins with the byte behind the number, a
// comma or the closing bracket.
func wireNumber(b []byte) (v uint64, rest []byte, ok bool) {
	if b[0] == ']' {
		return 0, nil, false
	}
	i := 1
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		digit := uint64(b[i] - '0')
		if i > safeDigits && v > (math.MaxUint64-digit)/10 {
			return 0, nil, false
		}
		v = v*10 + digit
	}
	if i == 1 || i == len(b) || b[i] != ',' && b[i] != ']' {
		return 0, nil, false
	}
	return v, b[i:], true
}

// wireText is wireNumber for a text of at most so many octets.
func wireText(b []byte, most int) (text string, rest []byte, ok bool) {
	if len(b) < 3 || b[0] != ',' || b[1] != '"' {
		return "", nil, false
	}
	end := bytes.IndexByte(b[2:], '"')
	if end < 0 || end > 2*most || len(b) < end+4 || b[end+3] != ',' && b[end+3] != ']' {
		return "", nil, false
	}
	octets, err := hex.DecodeString(string(b[2 : end+2]))
	return string(octets), b[end+3:], err == nil
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
