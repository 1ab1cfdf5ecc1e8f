package command

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"

	"weir/flow"
	"weir/query"
)

// The groups of an answer cross the socket as flows do, a line each, before the
// line that ends the answer: without a limit they are hundreds of thousands, of
// which objects would be a gigabyte of memory and most of the time. A line is a
// JSON list of numbers: the sums of the group, the bits of those that are
// fractions, and of each value of its key what a wireKey says.
//
//	[3,3,180,3,180,3,0,0,0,0,0,4591870180066957722,0,12,5,0,0,281473902969351]

// A wireTop is an answer on its way over the socket. The groups are apart.
type wireTop struct {
	Result  query.TopResult // without rows
	Summary query.Summary

	rows []query.TopRow
}

// toWire returns the form of an answer that crosses the socket.
func toWire(r *query.TopResult, s query.Summary) *wireTop {
	w := &wireTop{Result: *r, Summary: s, rows: r.Rows}
	w.Result.Rows = nil
	return w
}

// lines implements listing.
func (w *wireTop) lines(write func(line []byte) error) error {
	var line []byte
	for i := range w.rows {
		line = appendWireRow(line[:0], &w.rows[i])
		if err := write(line); err != nil {
			return err
		}
	}
	return nil
}

// addLine reads a line that lines wrote.
func (w *wireTop) addLine(line []byte) error {
	row, ok := parseWireRow(line)
	if !ok {
		return fmt.Errorf("read a group from the daemon: %.60q is none", line)
	}
	w.rows = append(w.rows, row)
	return nil
}

// result is the inverse of toWire.
func (w *wireTop) result() (*query.TopResult, query.Summary) {
	w.Result.Rows = w.rows
	if w.rows == nil {
		w.Result.Rows = []query.TopRow{}
	}
	return &w.Result, w.Summary
}

// wireSums is how many numbers a row has before its key.
const wireSums = 13

// appendWireRow appends the line of a group, without its end.
func appendWireRow(dst []byte, r *query.TopRow) []byte {
	numbers := [wireSums]uint64{
		r.Records, r.Flows, r.Bytes, r.Packets, r.EstimatedBytes, r.EstimatedPackets, r.Sampled,
		math.Float64bits(r.Variance.Bytes), math.Float64bits(r.Variance.Packets), r.First, r.Last,
		math.Float64bits(r.Share), r.Distinct,
	}
	dst = append(dst, '[')
	for i, n := range numbers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendUint(dst, n, 10)
	}
	for i := range r.Key {
		dst = appendWireKey(dst, &r.Key[i])
	}
	return append(dst, ']')
}

// What a value of a key has.
const (
	wirePresent = 1 << iota
	wireLiteral
	wireNamed // a name follows its numbers
)

// appendWireKey appends a value: its field, what it has, its bits and 1, and its
// number, or the two of its address; and its name in hexadecimal, as a string.
func appendWireKey(dst []byte, v *query.Value) []byte {
	has := uint64(0)
	if v.Present {
		has |= wirePresent
	}
	if v.Literal {
		has |= wireLiteral
	}
	if v.Name != "" {
		has |= wireNamed
	}
	dst = strconv.AppendUint(append(dst, ','), uint64(v.Field), 10)
	dst = strconv.AppendUint(append(dst, ','), has, 10)
	dst = strconv.AppendUint(append(dst, ','), uint64(v.Bits+1), 10)
	if v.Field != 0 && v.Field.IsAddr() {
		dst = strconv.AppendUint(append(dst, ','), v.Addr.Hi, 10)
		dst = strconv.AppendUint(append(dst, ','), v.Addr.Lo, 10)
	} else {
		dst = strconv.AppendUint(append(dst, ','), v.Num, 10)
	}
	if v.Name != "" {
		dst = append(hex.AppendEncode(append(dst, ',', '"'), []byte(v.Name)), '"')
	}
	return dst
}

// parseWireRow reads what appendWireRow wrote.
func parseWireRow(line []byte) (r query.TopRow, ok bool) {
	if len(line) == 0 || line[0] != '[' {
		return r, false
	}
	var n [wireSums]uint64
	rest, ok := wireNumbers(line, n[:])
	if !ok {
		return r, false
	}
	r.Sums = query.Sums{
		Records: n[0], Flows: n[1], Bytes: n[2], Packets: n[3], EstimatedBytes: n[4], EstimatedPackets: n[5], Sampled: n[6],
		Variance: query.Variance{Bytes: math.Float64frombits(n[7]), Packets: math.Float64frombits(n[8])}, First: n[9], Last: n[10],
	}
	r.Share, r.Distinct = math.Float64frombits(n[11]), n[12]
	var room [4]query.Value
	key := room[:0]
	for rest[0] != ']' {
		var v query.Value
		if rest, ok = parseWireKey(rest, &v); !ok {
			return r, false
		}
		key = append(key, v)
	}
	r.Key = append(r.Key, key...)
	return r, len(rest) == 1
}

// parseWireKey reads what appendWireKey wrote, and returns what follows.
func parseWireKey(rest []byte, v *query.Value) (_ []byte, ok bool) {
	var n [3]uint64
	if rest, ok = wireNumbers(rest, n[:]); !ok {
		return nil, false
	}
	f := flow.Field(n[0])
	if n[0] >= flow.FieldCount || f != 0 && !f.Valid() || n[2] > 129 {
		return nil, false
	}
	v.Field, v.Present, v.Literal, v.Bits = f, n[1]&wirePresent != 0, n[1]&wireLiteral != 0, int(n[2])-1
	named := n[1]&wireNamed != 0
	if f != 0 && f.IsAddr() {
		rest, ok = wireNumbers(rest, n[:2])
		v.Addr = flow.Addr{Hi: n[0], Lo: n[1]}
	} else {
		rest, ok = wireNumbers(rest, n[:1])
		v.Num = n[0]
	}
	if ok && named {
		v.Name, rest, ok = wireText(rest, maxWireName)
	}
	return rest, ok
}

// maxWireName is the longest name of a group in octets: those of kept elements
// are texts of theirs, or twice as many hexadecimal digits; those of files and of
// the configuration are short.
const maxWireName = 1 << 16

// wireNumbers reads as many numbers as there is room for, as wireNumber does.
func wireNumbers(b []byte, into []uint64) (rest []byte, ok bool) {
	for i := range into {
		if into[i], b, ok = wireNumber(b); !ok {
			return nil, false
		}
	}
	return b, true
}
