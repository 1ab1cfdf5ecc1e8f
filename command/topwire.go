package command

import (
	"encoding/binary"
	"errors"
	"math"

	"weir/flow"
	"weir/query"
)

// The groups of an answer cross the socket as flows do, a frame each, before the
// object that ends the answer: without a limit they are hundreds of thousands, of
// which objects would be a gigabyte of memory and most of the time. A group is its
// sums, and then the values of its key up to the end of the frame. All numbers are
// unsigned varints (encoding/binary), and fractions their 64 bits (IEEE 754), least
// significant byte first.
//
//	+------------+------------+-----------------+-----+
//	| 10 numbers | 3 fractions | value of the key | … |
//	+------------+------------+-----------------+-----+
//
// A value of the key is its field, what it has (wirePresent and so on), its bits and 1,
// its number or, of a field of addresses, its address (flow.Addr.AppendBinary);
// and with wireNamed its name, behind the length of that.

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

// frames implements framed.
func (w *wireTop) frames(write func(frame []byte) error) error {
	var frame []byte
	for i := range w.rows {
		frame = appendWireRow(beginFrame(frame[:0], frameGroup), &w.rows[i])
		if err := write(frame); err != nil {
			return err
		}
	}
	return nil
}

var errNoGroup = errors.New("read the collector's answer: these bytes are no group")

// add reads a frame that frames wrote.
func (w *wireTop) add(kind byte, data []byte) error {
	row, ok := parseWireRow(data)
	if kind != frameGroup || !ok {
		return errNoGroup
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

// appendWireRow appends what a group's frame holds.
func appendWireRow(dst []byte, r *query.TopRow) []byte {
	for _, n := range [...]uint64{
		r.Records, r.Flows, r.Bytes, r.Packets, r.EstimatedBytes, r.EstimatedPackets, r.Sampled, r.First, r.Last, r.Distinct,
	} {
		dst = binary.AppendUvarint(dst, n)
	}
	for _, x := range [...]float64{r.Variance.Bytes, r.Variance.Packets, r.Share} {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(x))
	}
	for i := range r.Key {
		dst = appendWireKey(dst, &r.Key[i])
	}
	return dst
}

// What a value of a key has.
const (
	wirePresent = 1 << iota
	wireLiteral
	wireNamed // a name follows its number or address
)

// appendWireKey appends a value of a key.
func appendWireKey(dst []byte, v *query.Value) []byte {
	has := byte(0)
	if v.Present {
		has |= wirePresent
	}
	if v.Literal {
		has |= wireLiteral
	}
	if v.Named {
		has |= wireNamed
	}
	dst = binary.AppendUvarint(append(dst, byte(v.Field), has), uint64(v.Bits+1))
	if v.Field.IsAddr() {
		dst = v.Addr.AppendBinary(dst)
	} else {
		dst = binary.AppendUvarint(dst, v.Num)
	}
	if v.Named {
		dst = append(binary.AppendUvarint(dst, uint64(len(v.Name))), v.Name...)
	}
	return dst
}

// A wireReader takes a group's frame apart. Behind what cannot be read all is zero,
// and bad is set.
type wireReader struct {
	rest []byte
	bad  bool
}

func (r *wireReader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// octets returns the next n bytes, nil if there are not so many.
func (r *wireReader) octets(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *wireReader) octet() byte {
	if b := r.octets(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *wireReader) fraction() float64 {
	if b := r.octets(8); b != nil {
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	return 0
}

func (r *wireReader) addr() flow.Addr {
	a, rest, ok := flow.ParseBinaryAddr(r.rest)
	if r.rest = rest; !ok {
		r.fail()
	}
	return a
}

func (r *wireReader) fail() { r.rest, r.bad = nil, true }

// parseWireRow reads what appendWireRow wrote.
func parseWireRow(data []byte) (row query.TopRow, ok bool) {
	r := wireReader{rest: data}
	for _, n := range [...]*uint64{
		&row.Records, &row.Flows, &row.Bytes, &row.Packets, &row.EstimatedBytes, &row.EstimatedPackets, &row.Sampled,
		&row.First, &row.Last, &row.Distinct,
	} {
		*n = r.number()
	}
	for _, x := range [...]*float64{&row.Variance.Bytes, &row.Variance.Packets, &row.Share} {
		*x = r.fraction()
	}
	var room [4]query.Value
	key := room[:0]
	for len(r.rest) > 0 {
		v, ok := r.key()
		if !ok {
			return row, false
		}
		key = append(key, v)
	}
	row.Key = append(row.Key, key...)
	return row, !r.bad
}

// key reads what appendWireKey wrote.
func (r *wireReader) key() (v query.Value, ok bool) {
	v.Field = flow.Field(r.octet())
	has, bits := r.octet(), r.number()
	if v.Field != 0 && !v.Field.Valid() || bits > 129 {
		return v, false
	}
	v.Present, v.Literal, v.Bits = has&wirePresent != 0, has&wireLiteral != 0, int(bits)-1
	if v.Field.IsAddr() {
		v.Addr = r.addr()
	} else {
		v.Num = r.number()
	}
	if v.Named = has&wireNamed != 0; v.Named {
		v.Name = string(r.octets(r.number()))
	}
	return v, !r.bad
}
