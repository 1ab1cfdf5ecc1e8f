package flow

import (
	"encoding/binary"
	"errors"
)

// The binary form of a record is for those who take it apart at once, as the two
// ends of a socket do; it is not what archives hold.
//
//	 0                16
//	+----------------+------ … ------+
//	| Present        | values        |
//	+----------------+------ … ------+
//
// Present is two words of 64 bits, least significant byte first: field f is bit
// f%64 of word f/64. The values of these fields follow in the order of their
// numbers:
//
//	number    unsigned varint (encoding/binary)
//	address   its length, 4 or 16, in one byte; its bytes in network order
//	text      its length, at most MaxText, as a varint; its bytes
const binaryHead = 16

var errNoRecord = errors.New("these bytes are no flow record")

// AppendBinary appends the binary form of the record.
func (r *Record) AppendBinary(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, r.Present[0])
	dst = binary.LittleEndian.AppendUint64(dst, r.Present[1])
	for f := range r.Present.All {
		switch {
		case f.IsText():
			text := r.Text(f)
			dst = append(binary.AppendUvarint(dst, uint64(len(text))), text...)
		case f.IsAddr():
			dst = r.Addr(f).AppendBinary(dst)
		default:
			dst = binary.AppendUvarint(dst, r.nums[f])
		}
	}
	return dst
}

// ParseBinary makes r the record of which data is the binary form. After an
// error the values of r are no record's; it can be parsed into again.
func (r *Record) ParseBinary(data []byte) error {
	if len(data) < binaryHead {
		return errNoRecord
	}
	present := FieldSet{binary.LittleEndian.Uint64(data), binary.LittleEndian.Uint64(data[8:])}
	if present.Has(fieldNone) { // all other numbers are fields
		return errNoRecord
	}
	r.keep(present)
	data, ok := r.parseValues(data[binaryHead:])
	if !ok || len(data) > 0 {
		return errNoRecord
	}
	return nil
}

// parseValues reads the values of the fields that are present, and returns what
// follows.
func (r *Record) parseValues(data []byte) (rest []byte, ok bool) {
	for f := range r.Present.All {
		switch {
		case f.IsText():
			r.texts[f-FirstKeptText], data, ok = parseText(data)
		case f.IsAddr():
			r.addrs[addrPlace[f]], data, ok = ParseBinaryAddr(data)
		default:
			r.nums[f], data, ok = parseUvarint(data)
		}
		if !ok {
			return nil, false
		}
	}
	return data, true
}

func parseText(data []byte) (text string, rest []byte, ok bool) {
	n, data, ok := parseUvarint(data)
	if !ok || n > MaxText || n > uint64(len(data)) {
		return "", nil, false
	}
	return string(data[:n]), data[n:], true
}

func parseUvarint(data []byte) (v uint64, rest []byte, ok bool) {
	v, n := binary.Uvarint(data)
	if n <= 0 {
		return 0, nil, false
	}
	return v, data[n:], true
}

// AppendBinary appends the length of the address in bytes, 4 or 16, and these in
// network order.
func (a Addr) AppendBinary(dst []byte) []byte {
	if a.Is4() {
		return binary.BigEndian.AppendUint32(append(dst, 4), a.As4())
	}
	dst = binary.BigEndian.AppendUint64(append(dst, 16), a.Hi)
	return binary.BigEndian.AppendUint64(dst, a.Lo)
}

// ParseBinaryAddr reads what Addr.AppendBinary wrote, and returns what follows.
func ParseBinaryAddr(data []byte) (a Addr, rest []byte, ok bool) {
	if len(data) == 0 || len(data) <= int(data[0]) {
		return Addr{}, nil, false
	}
	end := 1 + int(data[0])
	a, ok = AddrFromSlice(data[1:end])
	return a, data[end:], ok
}
