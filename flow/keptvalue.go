package flow

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// An ElementType is an abstract data type of RFC 7011, section 6.1, by its name
// there. TypeAny is that of an element of which nobody has said what it is.
type ElementType string

// TypeAny is decided for each value: one of a field of at most 8 bytes is an
// unsigned number, any other is octets.
const TypeAny ElementType = ""

// A Form is how the values of a type are held.
type Form uint8

const (
	FormUnsigned Form = iota // as it is
	FormSigned               // see SignedNum
	FormFloat                // see FloatNum
	FormBoolean              // 1 or 0
	FormMAC                  // 48 bits
	FormTime                 // ms since the Unix epoch
	FormAddr
	FormString // UTF-8, as far as the exporter keeps to that
	FormOctets
	FormAny // see AnyNum and AnyOctets
)

// elementTypes are all types that a kept element may have.
var elementTypes = map[ElementType]Form{
	"unsigned8": FormUnsigned, "unsigned16": FormUnsigned, "unsigned32": FormUnsigned, "unsigned64": FormUnsigned,
	"signed8": FormSigned, "signed16": FormSigned, "signed32": FormSigned, "signed64": FormSigned,
	"float32": FormFloat, "float64": FormFloat, "boolean": FormBoolean, "macAddress": FormMAC,
	"dateTimeSeconds": FormTime, "dateTimeMilliseconds": FormTime, "dateTimeMicroseconds": FormTime, "dateTimeNanoseconds": FormTime,
	"ipv4Address": FormAddr, "ipv6Address": FormAddr, "string": FormString, "octetArray": FormOctets, TypeAny: FormAny,
}

// ElementTypes returns the names of all types that can be said.
func ElementTypes() []string {
	return []string{"unsigned8", "unsigned16", "unsigned32", "unsigned64", "signed8", "signed16", "signed32", "signed64",
		"float32", "float64", "boolean", "macAddress", "octetArray", "string", "dateTimeSeconds", "dateTimeMilliseconds",
		"dateTimeMicroseconds", "dateTimeNanoseconds", "ipv4Address", "ipv6Address"}
}

// ParseElementType returns the type of that name, whatever its case, and false if
// there is none.
func ParseElementType(name string) (ElementType, bool) {
	for _, known := range ElementTypes() {
		if strings.EqualFold(known, name) {
			return ElementType(known), true
		}
	}
	return TypeAny, false
}

// Form returns how values of the type are held; as octets where it is unknown,
// as it is of lists.
func (t ElementType) Form() Form {
	if form, ok := elementTypes[t]; ok {
		return form
	}
	return FormOctets
}

// Slots returns the first slot for values of the form, and the one behind the
// last.
func (f Form) Slots() (first, end Field) {
	switch f {
	case FormAddr:
		return FirstKeptAddr, FirstKeptText
	case FormString, FormOctets, FormAny:
		return FirstKeptText, FieldCount
	}
	return FirstKeptNumber, FirstKeptAddr
}

// SignedNum returns a signed number as it is held: such numbers are in the order
// of what they stand for.
func SignedNum(v int64) uint64 { return uint64(v) ^ 1<<63 }

// FloatNum returns a float as it is held, in the order of what it stands for.
func FloatNum(v float64) uint64 {
	bits := math.Float64bits(v)
	if bits>>63 != 0 {
		return ^bits
	}
	return bits | 1<<63
}

// NumFloat is the inverse of FloatNum.
func NumFloat(v uint64) float64 {
	if v>>63 != 0 {
		return math.Float64frombits(v &^ (1 << 63))
	}
	return math.Float64frombits(^v)
}

// What values of FormAny begin with: a number of 8 bytes, or octets.
const (
	anyNum    = 'n'
	anyOctets = 'o'
)

// AnyNum returns a number as a value of FormAny.
func AnyNum(v uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte{anyNum}, v))
}

// AnyOctets returns octets as a value of FormAny.
func AnyOctets(b []byte) string {
	return string(append([]byte{anyOctets}, b[:min(len(b), MaxText-1)]...))
}

// SplitAny returns what a value of FormAny stands for: a number, or octets.
func SplitAny(text string) (v uint64, octets string, isNum bool) {
	if len(text) == 9 && text[0] == anyNum {
		return binary.BigEndian.Uint64([]byte(text[1:])), "", true
	}
	if text == "" {
		return 0, "", false
	}
	return 0, text[1:], false
}

// AppendNum appends the text form of a number of the element.
func (e *KeptElement) AppendNum(dst []byte, v uint64) []byte {
	switch e.Type.Form() {
	case FormSigned:
		return strconv.AppendInt(dst, int64(v^1<<63), 10)
	case FormFloat:
		return strconv.AppendFloat(dst, NumFloat(v), 'g', -1, e.floatBits())
	case FormBoolean:
		return strconv.AppendBool(dst, v != 0)
	case FormMAC:
		return AppendMAC(dst, v)
	case FormTime:
		return AppendTime(dst, v)
	}
	return strconv.AppendUint(dst, v, 10)
}

// floatBits returns the precision that floats of the element have.
func (e *KeptElement) floatBits() int {
	if e.Type == "float32" {
		return 32
	}
	return 64
}

// TextOf returns the text form of a text or of octets: octets as text where they
// are printable UTF-8, and else in hexadecimal after 0x.
// What would move a terminal's cursor or break a line is a question mark: texts
// are what a stranger's exporter sends.
func (e *KeptElement) TextOf(text string) string {
	switch e.Type.Form() {
	case FormString:
		return strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return '?'
			}
			return r
		}, text)
	case FormAny:
		v, octets, isNum := SplitAny(text)
		if isNum {
			return strconv.FormatUint(v, 10)
		}
		text = octets
	}
	if isReadable(text) {
		return text
	}
	return "0x" + hex.EncodeToString([]byte(text))
}

// isReadable reports whether octets are shown as text: not where the text could
// be taken for others in hexadecimal.
func isReadable(octets string) bool {
	if !utf8.ValidString(octets) || strings.HasPrefix(octets, "0x") {
		return false
	}
	return !strings.ContainsFunc(octets, func(r rune) bool { return !unicode.IsPrint(r) })
}

// AppendText appends the text form of the record's value, which is present.
func (e *KeptElement) AppendText(dst []byte, r *Record) []byte {
	switch {
	case e.Field.IsAddr():
		return AppendAddr(dst, r.Addr(e.Field))
	case e.Field.IsText():
		return append(dst, e.TextOf(r.Text(e.Field))...)
	}
	return e.AppendNum(dst, r.Num(e.Field))
}

// Plain reports whether the text form of a number of the element is a JSON value
// as it is.
func (e *KeptElement) Plain() bool {
	switch e.Type.Form() {
	case FormUnsigned, FormSigned, FormBoolean:
		return true
	}
	return false
}

// IsNumber reports whether values of the element are numbers to whoever reads
// them.
func (e *KeptElement) IsNumber() bool {
	form := e.Type.Form()
	return form == FormUnsigned || form == FormSigned || form == FormFloat
}

// AppendJSON appends the record's value, which is present, as JSON: numbers and
// booleans as such, everything else as a string, texts with all of their
// characters, of which some are escapes (PrintableJSON). A float that JSON cannot
// write is a string too.
func (e *KeptElement) AppendJSON(dst []byte, r *Record) []byte {
	form, shown := e.Type.Form(), ""
	switch {
	case form == FormString:
		shown = strings.ToValidUTF8(r.Text(e.Field), "\uFFFD")
	case form == FormAny:
		if v, _, isNum := SplitAny(r.Text(e.Field)); isNum {
			return strconv.AppendUint(dst, v, 10)
		}
	case form == FormFloat:
		if v := NumFloat(r.Num(e.Field)); !math.IsNaN(v) && !math.IsInf(v, 0) {
			return e.AppendNum(dst, r.Num(e.Field))
		}
	case e.Plain():
		return e.AppendText(dst, r)
	}
	if form != FormString {
		shown = string(e.AppendText(nil, r))
	}
	text, _ := json.Marshal(shown) // a string always marshals
	return append(dst, PrintableJSON(text)...)
}
