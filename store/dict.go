package store

import (
	"encoding/binary"
	"sort"

	"weir/flow"
)

// PostingFields are the fields whose dictionaries answer which rows hold a
// value.
var PostingFields = []flow.Field{flow.SrcAddr, flow.DstAddr, flow.SrcPort, flow.DstPort}

// A Dict is a column as the sorted list of its distinct values and one code a
// row, the value's place in that list. It belongs to one goroutine.
type Dict struct {
	nums     []uint64    // numeric fields
	addrs    []flow.Addr // address fields
	texts    []string    // fields of texts
	n        int
	codes    []uint16 // by row; n where the field is absent
	postings bool

	// Rows grouped by code, made by the first call of Rows.
	grouped bool
	start   []uint32 // of each code's rows; n+1 long
	next    []uint32 // scratch
	rows    []uint16
}

// Len returns how many distinct values there are.
func (d *Dict) Len() int { return d.n }

// Num returns value i of a numeric field.
func (d *Dict) Num(i int) uint64 { return d.nums[i] }

// Addr returns value i of an address field.
func (d *Dict) Addr(i int) flow.Addr { return d.addrs[i] }

// Nums returns the sorted values of a numeric field; they must not be changed.
func (d *Dict) Nums() []uint64 { return d.nums }

// Addrs returns the sorted values of an address field; they must not be
// changed.
func (d *Dict) Addrs() []flow.Addr { return d.addrs }

// HasPostings reports whether Rows may be called: for PostingFields.
func (d *Dict) HasPostings() bool { return d.postings }

// Codes fills dst with one code a row; Len() where the field is absent. It
// reuses dst.
func (d *Dict) Codes(dst []uint16) []uint16 {
	dst = sized(dst, len(d.codes))
	copy(dst, d.codes)
	return dst
}

// RowCodes returns what Codes does, without a copy: it must not be changed.
func (d *Dict) RowCodes() []uint16 { return d.codes }

// Rows returns the rows that hold value i, ascending. The slice must not be
// changed.
func (d *Dict) Rows(i int) []uint16 {
	if !d.grouped {
		d.group()
	}
	return d.rows[d.start[i]:d.start[i+1]]
}

// group sorts the rows by code, by counting.
func (d *Dict) group() {
	d.grouped = true
	d.start = sized(d.start, d.n+2)
	clear(d.start)
	for _, code := range d.codes {
		d.start[int(code)+1]++
	}
	for i := 1; i < len(d.start); i++ {
		d.start[i] += d.start[i-1]
	}
	d.next = append(d.next[:0], d.start...)
	next := d.next
	d.rows = sized(d.rows, len(d.codes))
	for row, code := range d.codes {
		d.rows[next[code]] = uint16(row)
		next[code]++
	}
}

// FindNum returns the codes i to j-1 of the values from lo to hi, both
// inclusive.
func (d *Dict) FindNum(lo, hi uint64) (i, j int) {
	i = sort.Search(len(d.nums), func(k int) bool { return d.nums[k] >= lo })
	j = sort.Search(len(d.nums), func(k int) bool { return d.nums[k] > hi })
	return i, max(i, j)
}

// FindAddr returns the codes i to j-1 of the addresses from lo to hi, both
// inclusive.
func (d *Dict) FindAddr(lo, hi flow.Addr) (i, j int) {
	i = sort.Search(len(d.addrs), func(k int) bool { return !d.addrs[k].Less(lo) })
	j = sort.Search(len(d.addrs), func(k int) bool { return hi.Less(d.addrs[k]) })
	return i, max(i, j)
}

// RowNums returns the value of every row of a numeric field, 0 where absent. It
// reuses dst.
func (d *Dict) RowNums(dst []uint64) []uint64 {
	dst = sized(dst, len(d.codes))
	d.fillNums(dst)
	return dst
}

func (d *Dict) fillNums(dst []uint64) {
	values := append(d.nums[:d.n], 0) // absent
	for row, code := range d.codes {
		dst[row] = values[code]
	}
}

func (d *Dict) fillAddrs(dst []flow.Addr) {
	values := append(d.addrs[:d.n], flow.Addr{}) // absent
	for row, code := range d.codes {
		dst[row] = values[code]
	}
}

// A dictionary of numbers is their count and the differences between
// neighbours; one of addresses keeps IPv4 addresses, which stand together in
// the order of addresses, by their 32 bits:
//
//	numbers:    +-----------------+-----------------------+
//	            | count (uvarint) | differences (numbers) |
//	            +-----------------+-----------------------+
//	addresses:  +-----------------+-----------------------+-------------------+
//	            | count (uvarint) | before IPv4 (uvarint) | IPv4 (uvarint)    |
//	            +-----------------+-----------------------+-------------------+
//	            | IPv4: differences of the low words (numbers)                |
//	            | others: differences of the high words | low words (numbers) |
//	            +-------------------------------------------------------------+
//
// The first difference is from zero.

func (e *encoder) numDict(dst []byte, values []uint64) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(values)))
	return e.numbers(dst, e.differences(values))
}

func (e *encoder) differences(values []uint64) []uint64 {
	out := grow(&e.diff, len(values))
	last := uint64(0)
	for i, v := range values {
		out[i] = v - last
		last = v
	}
	return out
}

func (e *encoder) addrDict(dst []byte, values []flow.Addr) []byte {
	before := sort.Search(len(values), func(i int) bool { return !values[i].Less(flow.AddrFrom4(0)) })
	after := sort.Search(len(values), func(i int) bool { return flow.AddrFrom4(^uint32(0)).Less(values[i]) })
	dst = binary.AppendUvarint(dst, uint64(len(values)))
	dst = binary.AppendUvarint(dst, uint64(before))
	dst = binary.AppendUvarint(dst, uint64(after-before))

	words := grow(&e.words, 0)
	for _, a := range values[before:after] {
		words = append(words, a.Lo&0xffff_ffff)
	}
	dst = e.numbers(dst, e.differences(words))
	if after-before == len(values) {
		e.words = words
		return dst
	}
	words = words[:0]
	for i, a := range values {
		if i < before || i >= after {
			words = append(words, a.Hi)
		}
	}
	dst = e.numbers(dst, e.differences(words))
	words = words[:0]
	for i, a := range values {
		if i < before || i >= after {
			words = append(words, a.Lo)
		}
	}
	dst = e.numbers(dst, words)
	e.words = words
	return dst
}

// dict decodes a dictionary column into dict.
func (d *decoder) dict(dict *Dict, c *column, f flow.Field, parents parentSource) error {
	src, err := d.dictValues(dict, c, f)
	if err != nil {
		return err
	}
	dict.codes = sized(dict.codes, c.rows)
	return d.codes(dict.codes, c, dict.n, src, parents)
}

// dictValues decodes the values of a dictionary column into dict and returns the
// codes' bytes.
func (d *decoder) dictValues(dict *Dict, c *column, f flow.Field) (rest []byte, err error) {
	if c.layout != layoutDict {
		return nil, errCodec
	}
	dict.reset()
	values, rest, err := takeBytes(c.body)
	if err != nil {
		return nil, err
	}
	if values, err = dict.takeValues(d, c, values, f); err != nil {
		return nil, err
	}
	if len(values) != 0 {
		return nil, errTrailing
	}
	return rest, nil
}

// reset empties a dictionary; the memory stays.
func (d *Dict) reset() {
	d.nums, d.addrs, d.texts, d.codes = d.nums[:0], d.addrs[:0], d.texts[:0], d.codes[:0]
	d.grouped, d.postings = false, false
}

// codesOnly decodes the codes of a dictionary column, without its values.
func (d *decoder) codesOnly(c *column) (coded, error) {
	if c.layout != layoutDict {
		return coded{}, errCodec
	}
	values, src, err := takeBytes(c.body)
	if err != nil {
		return coded{}, err
	}
	n, _, err := takeCount(values, c.count)
	if err != nil {
		return coded{}, err
	}
	out := coded{make([]uint16, c.rows), n + 1}
	if err := d.codes(out.codes, c, n, src, nil); err != nil {
		return coded{}, err // codes may be out of bounds
	}
	return out, nil
}

// codes decodes one code a row, n where the field is absent.
func (d *decoder) codes(dst []uint16, c *column, n int, src []byte, parents parentSource) error {
	done, err := d.shortCodes(dst[:c.count], n, src)
	if err != nil {
		return err
	}
	if !done {
		codes := grow(&d.values, c.count)
		if err := d.whole(codes, src, parents); err != nil {
			return err
		}
		for i, code := range codes {
			if code >= uint64(n) {
				return errValue
			}
			dst[i] = uint16(code)
		}
	}
	spread(dst, c, uint16(n))
	return nil
}

// shortCodes decodes codes below n from all of src, and reports whether it did:
// it knows the usual ways of writing them, and those without the detour by 64
// bits.
func (d *decoder) shortCodes(dst []uint16, n int, src []byte) (done bool, err error) {
	switch {
	case len(src) == 0:
		return false, errShort
	case src[0] == modeFrequent:
		src, err = d.frequentCodes(dst, n, src[1:])
	case src[0] == modePlanes:
		base, rest, err := takeUvarint(src[1:])
		if err != nil {
			return false, err
		}
		if len(rest) == 0 || rest[0] == 0 || rest[0] > 2 || base >= uint64(n) {
			return false, nil
		}
		if src, err = d.planeCodes(dst, n, uint32(base), int(rest[0]), rest[1:]); err != nil {
			return false, err
		}
	default:
		return false, nil
	}
	if err == nil && len(src) != 0 {
		err = errTrailing
	}
	return true, err
}

// planeCodes is planes for codes below n, of one plane or two.
func (d *decoder) planeCodes(dst []uint16, n int, base uint32, width int, src []byte) (rest []byte, err error) {
	var p [2][]byte
	for k := range width {
		if p[k], src, err = d.stream(src, len(dst), &d.plane[k]); err != nil {
			return nil, err
		}
	}
	most, low := uint32(0), p[0][:len(dst)]
	if width == 1 {
		for i := range dst {
			code := base + uint32(low[i])
			most = max(most, code)
			dst[i] = uint16(code)
		}
	} else {
		high := p[1][:len(dst)]
		for i := range dst {
			code := base + (uint32(low[i]) | uint32(high[i])<<8)
			most = max(most, code)
			dst[i] = uint16(code)
		}
	}
	if len(dst) > 0 && most >= uint32(n) {
		return nil, errValue
	}
	return src, nil
}

// frequentCodes is frequent for codes below n.
func (d *decoder) frequentCodes(dst []uint16, n int, src []byte) (rest []byte, err error) {
	p, rest, err := d.frequentParts(len(dst), src)
	if err != nil {
		return nil, err
	}
	for _, code := range p.top[:p.count] {
		if code >= uint64(n) {
			return nil, errValue
		}
	}
	for _, code := range p.others[:p.n] {
		if code >= uint64(n) {
			return nil, errValue
		}
	}
	return rest, joinFrequent(dst, &p)
}

func (dict *Dict) takeValues(d *decoder, c *column, src []byte, f flow.Field) (rest []byte, err error) {
	if dict.n, src, err = takeCount(src, c.count); err != nil {
		return nil, err
	}
	switch {
	case f.IsAddr():
		return dict.takeAddrs(d, src)
	case f.IsText():
		return dict.takeTexts(d, src)
	}
	dict.nums = sized(dict.nums, dict.n+1)[:dict.n] // and one for fillNums
	if src, err = d.numbers(dict.nums, src, nil, 0); err != nil {
		return nil, err
	}
	return src, sum(dict.nums)
}

// sum turns differences into values, which must ascend.
func sum(v []uint64) error {
	for i := 1; i < len(v); i++ {
		v[i] += v[i-1]
		if v[i] <= v[i-1] {
			return errValue
		}
	}
	return nil
}

func (dict *Dict) takeAddrs(d *decoder, src []byte) ([]byte, error) {
	before, src, err := takeCount(src, dict.n)
	if err != nil {
		return nil, err
	}
	v4, src, err := takeCount(src, dict.n-before)
	if err != nil {
		return nil, err
	}
	dict.addrs = sized(dict.addrs, dict.n+1)[:dict.n] // and one for fillAddrs
	words := grow(&d.words, v4)
	if src, err = d.numbers(words, src, nil, 0); err != nil {
		return nil, err
	}
	if err := sum(words); err != nil {
		return nil, err
	}
	if v4 > 0 && words[v4-1]>>32 != 0 { // the largest
		return nil, errValue
	}
	for i, w := range words {
		dict.addrs[before+i] = flow.AddrFrom4(uint32(w))
	}
	if v4 == dict.n {
		return src, nil // they ascend, or sum would have said so
	}
	if src, err = dict.takeOthers(d, before, v4, src); err != nil {
		return nil, err
	}
	return src, dict.checkAddrs()
}

// takeOthers reads the addresses that are not IPv4.
func (dict *Dict) takeOthers(d *decoder, before, v4 int, src []byte) ([]byte, error) {
	n := dict.n - v4
	words := grow(&d.words, 2*n)
	src, err := d.numbers(words[:n], src, nil, 0)
	if err != nil {
		return nil, err
	}
	if src, err = d.numbers(words[n:], src, nil, 0); err != nil {
		return nil, err
	}
	hi := uint64(0)
	for i := range n {
		hi += words[i]
		at := i
		if i >= before {
			at += v4
		}
		dict.addrs[at] = flow.Addr{Hi: hi, Lo: words[n+i]}
	}
	return src, nil
}

func (dict *Dict) checkAddrs() error {
	for i := 1; i < dict.n; i++ {
		if !dict.addrs[i-1].Less(dict.addrs[i]) {
			return errValue
		}
	}
	return nil
}
