package query

import (
	"math"
	"slices"
	"strconv"
	"time"

	"weir/flow"
)

// The canonical text of a filter names fields as JSON does, and spells out what
// a primitive such as "port" or "flags" stands for.

func (n constNode) appendText(dst []byte) []byte {
	if n {
		return append(dst, "any"...)
	}
	return append(dst, "not any"...)
}

func (n *andNode) appendText(dst []byte) []byte {
	for i, kid := range n.kids {
		if i > 0 {
			dst = append(dst, " and "...)
		}
		if _, ok := kid.(*orNode); ok {
			dst = append(kid.appendText(append(dst, '(')), ')')
		} else {
			dst = kid.appendText(dst)
		}
	}
	return dst
}

func (n *orNode) appendText(dst []byte) []byte {
	for i, kid := range n.kids {
		if i > 0 {
			dst = append(dst, " or "...)
		}
		dst = kid.appendText(dst)
	}
	return dst
}

func (n *notNode) appendText(dst []byte) []byte {
	dst = append(dst, "not "...)
	switch n.kid.(type) {
	case *andNode, *orNode:
		return append(n.kid.appendText(append(dst, '(')), ')')
	}
	return n.kid.appendText(dst)
}

// fieldTerm is the name of a field as a term of a filter: its JSON name, but
// where nfdump has given that name a wider meaning.
func fieldTerm(f flow.Field) string {
	if f == flow.TTL {
		return "ip_ttl"
	}
	return f.String()
}

func (n *numNode) appendText(dst []byte) []byte {
	name := fieldTerm(n.field)
	if n.kept != nil {
		name = n.kept.Name
	}
	dst = append(dst, name...)
	shift, mask, field := n.shift, n.mask, n.field
	if field.Kind() == flow.KindLabel && shift == labelShift && mask == labelMask {
		shift, mask = 0, 0
	}
	if shift != 0 {
		dst = strconv.AppendUint(append(dst, " >> "...), uint64(shift), 10)
	}
	if mask != 0 {
		dst = strconv.AppendUint(append(dst, " & "...), mask, 10)
	}
	if n.shift != 0 || n.mask != 0 {
		field = flow.Bytes // the bits of a value are a plain number
	}
	if n.kept != nil {
		return appendRanges(dst, n.ranges, "..", n.appendNum)
	}
	return appendNumRanges(dst, field, n.ranges)
}

func (n *computedNode) appendText(dst []byte) []byte {
	return appendNumRanges(append(dst, n.value.String()...), flow.Bytes, n.ranges)
}

// appendNumRanges appends a comparison with, or a list of, the values of field
// f in the ranges.
func appendNumRanges(dst []byte, f flow.Field, ranges []numRange) []byte {
	return appendRanges(dst, ranges, rangeMark(f), func(dst []byte, v uint64) []byte { return appendNumValue(dst, f, v) })
}

// appendRanges appends a comparison with, or a list of, the values in the ranges;
// mark stands between the ends of one.
func appendRanges(dst []byte, ranges []numRange, mark string, value func([]byte, uint64) []byte) []byte {
	if len(ranges) == 0 {
		return append(dst, " < 0"...)
	}
	if len(ranges) == 1 {
		switch r := ranges[0]; {
		case r.lo == r.hi:
			return value(append(dst, " = "...), r.lo)
		case r.hi == math.MaxUint64:
			return value(append(dst, " >= "...), r.lo)
		case r.lo == 0:
			return value(append(dst, " <= "...), r.hi)
		}
	}
	dst = append(dst, " in ["...)
	for i, r := range ranges {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = value(dst, r.lo)
		if r.hi != r.lo {
			dst = value(append(dst, mark...), r.hi)
		}
	}
	return append(dst, ']')
}

// rangeMark returns what stands between the ends of a range of f's values: a
// hyphen, but two full stops where values hold hyphens themselves.
func rangeMark(f flow.Field) string {
	if f.Kind() == flow.KindTime {
		return ".."
	}
	return "-"
}

// appendNumValue appends one value of field f as parseNum reads it.
func appendNumValue(dst []byte, f flow.Field, v uint64) []byte {
	switch f.Kind() {
	case flow.KindVersion:
		if _, ok := flow.ParseVersion(flow.VersionName(v)); ok {
			return flow.AppendNum(dst, f, v)
		}
	case flow.KindTime:
		if v < maxTextTime {
			return flow.AppendTime(dst, v)
		}
	case flow.KindMAC:
		if v < 1<<48 {
			return flow.AppendMAC(dst, v)
		}
	}
	return strconv.AppendUint(dst, v, 10)
}

// maxTextTime is the first time, in ms, that RFC 3339 cannot write.
var maxTextTime = uint64(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli())

func (n *addrNode) appendText(dst []byte) []byte {
	dst = append(dst, fieldTerm(n.field)...)
	if len(n.ranges) == 0 {
		return append(dst, " in []"...)
	}
	items := 0
	open := len(dst)
	for _, r := range n.ranges {
		if r == highV6 && n.allV6() {
			continue // with lowV6 it is ::/0
		}
		dst = append(dst, ' ')
		items++
		if r == lowV6 && n.allV6() {
			dst = append(dst, "::/0"...)
		} else {
			dst = appendAddrRange(dst, r)
		}
	}
	if items == 1 {
		return slices.Insert(dst, open, []byte(" =")...)
	}
	return append(slices.Replace(dst, open, open+1, []byte(" in [")...), ']')
}

// allV6 reports whether the ranges hold all IPv6 addresses.
func (n *addrNode) allV6() bool {
	return slices.Contains(n.ranges, lowV6) && slices.Contains(n.ranges, highV6)
}

func appendAddrRange(dst []byte, r addrRange) []byte {
	dst = flow.AppendAddr(dst, r.lo)
	if r.lo == r.hi {
		return dst
	}
	if length, ok := prefixLength(r); ok {
		return strconv.AppendInt(append(dst, '/'), int64(length), 10)
	}
	return flow.AppendAddr(append(dst, '-'), r.hi)
}

func (n *maskNode) appendText(dst []byte) []byte {
	dst = append(dst, fieldTerm(n.field)...)
	dst = flow.AppendAddr(append(dst, " & "...), flow.AddrFrom4(n.mask))
	return flow.AppendAddr(append(dst, " = "...), flow.AddrFrom4(n.want))
}

func (n *blockNode) appendText(dst []byte) []byte {
	return append(append(dst, n.port.String()...), " in pblock"...)
}
