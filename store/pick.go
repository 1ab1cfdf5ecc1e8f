package store

import (
	"math/bits"
	"slices"

	"weir/flow"
)

// A picker reads the values of a block's points from one column: its streams are
// decoded, but only the values asked for are put together.
type picker struct {
	*decoder
	c *column
	s *storedBlock // whose points they are
}

// column fills out with one value for each point.
func (p *picker) column(f flow.Field, out []uint64) error {
	rows := p.s.points.rows
	p.places = p.c.places(p.places[:0], rows)
	values := out[:len(p.places)]
	var err error
	switch p.c.layout {
	case layoutNumbers:
		err = p.fromNumbers(values, p.c.body)
	case layoutDict:
		err = p.fromDict(f, values)
	case layoutAgainst:
		return p.fromOther(f, out)
	default:
		err = errCodec
	}
	if err != nil {
		return err
	}
	p.c.spreadPoints(out, rows)
	return nil
}

// fromNumbers picks from numbers that are all of src.
func (p *picker) fromNumbers(dst []uint64, src []byte) (err error) {
	if len(src) > 0 && src[0] == modeByParent {
		src, err = p.fromParent(dst, src[1:])
	} else {
		src, err = p.pick(dst, p.places, p.c.count, src)
	}
	if err == nil && len(src) != 0 {
		err = errTrailing
	}
	return err
}

// fromOther fills out with times that are written against others.
func (p *picker) fromOther(f flow.Field, out []uint64) error {
	if len(p.c.body) == 0 {
		return errShort
	}
	other := flow.Field(p.c.body[0])
	if !other.Valid() || other != againstField(f, flow.SetOf(other)) {
		return errValue
	}
	times, err := p.s.point(other)
	if err != nil {
		return err
	}
	rest, err := p.pick(out[:len(p.places)], p.places, p.c.count, p.c.body[1:])
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return errTrailing
	}
	rows := p.s.points.rows
	p.c.spreadPoints(out, rows)
	for i, row := range rows {
		if p.c.present == nil || p.c.present[row>>6]>>(row&63)&1 != 0 {
			out[i] = times[i] - unzigzag(out[i])
		}
	}
	return nil
}

// fromDict picks from a dictionary column: numbers, or the codes of addresses.
func (p *picker) fromDict(f flow.Field, dst []uint64) error {
	values, src, err := takeBytes(p.c.body)
	if err != nil {
		return err
	}
	n, differences, err := takeCount(values, p.c.count)
	if err != nil {
		return err
	}
	if err := p.fromNumbers(dst, src); err != nil {
		return err
	}
	for _, code := range dst {
		if code >= uint64(n) {
			return errValue
		}
	}
	if f.IsAddr() {
		return nil
	}
	p.places = p.places[:0]
	for _, code := range dst {
		p.places = append(p.places, uint32(code))
	}
	rest, err := p.sums(dst, p.places, n, 0, false, differences)
	if err == nil && len(rest) != 0 {
		err = errTrailing
	}
	return err
}

// fromParent picks from values that follow from a parent.
func (p *picker) fromParent(dst []uint64, src []byte) (rest []byte, err error) {
	if len(src) == 0 || src[0] == 0 || src[0] >= parentCount {
		return nil, errShort
	}
	id := src[0]
	n, src, err := takeCount(src[1:], p.c.count)
	if err != nil {
		return nil, err
	}
	entries, err := p.entries(id, n)
	if err != nil {
		return nil, err
	}
	if src, err = p.pick(dst, entries, n, src); err != nil {
		return nil, err
	}
	return p.except(dst, src)
}

// entries returns the entries of the points that have the field, of n that there
// are.
func (p *picker) entries(id byte, n int) ([]uint32, error) {
	out := grow(&p.entryPlaces, len(p.places))
	parent := parentFields[id]
	if parent[0] == 0 && p.c.present == nil && p.s.head.stats[parent[1]].Present == p.c.rows {
		// Each value of the dictionary is of some row: entries are codes.
		codes, err := p.s.point(parent[1])
		if err != nil {
			return nil, err
		}
		for i, code := range codes {
			if code >= uint64(n) {
				return nil, errValue
			}
			out[i] = uint32(code)
		}
		return out, nil
	}
	all, have, err := (&storedParents{p.s, p.decoder, p.c}).parent(id)
	if err != nil {
		return nil, err
	}
	if have != n || len(all) != p.c.count {
		return nil, errValue
	}
	for i, place := range p.places {
		out[i] = all[place]
	}
	return out, nil
}

// except puts the exceptions of a parent that are among the points in their
// places.
func (p *picker) except(dst []uint64, src []byte) (rest []byte, err error) {
	n, src, err := takeCount(src, p.c.count)
	if err != nil {
		return nil, err
	}
	both := grow(&p.exceptions, 2*n)
	gaps, values := both[:n], both[n:]
	if src, err = p.decoder.numbers(gaps, src, nil, 1); err != nil {
		return nil, err
	}
	if src, err = p.decoder.numbers(values, src, nil, 1); err != nil {
		return nil, err
	}
	next, place := 0, uint64(0)
	for i, gap := range gaps {
		if gap >= uint64(p.c.count)-place {
			return nil, errValue
		}
		place += gap
		for next < len(p.places) && uint64(p.places[next]) < place {
			next++
		}
		if next < len(p.places) && uint64(p.places[next]) == place {
			dst[next] = values[i]
		}
		place++
	}
	return src, nil
}

// pick puts those of n numbers that stand at places into dst and returns what
// follows.
func (d *decoder) pick(dst []uint64, places []uint32, n int, src []byte) (rest []byte, err error) {
	if len(src) == 0 {
		return nil, errShort
	}
	switch src[0] {
	case modePlanes, modeFrequent:
		d.loose.open(n)
		if _, rest, err = d.loose.take(d, src); err != nil {
			return nil, err
		}
		for i, place := range places {
			dst[i] = d.loose.at(int(place))
		}
		return rest, nil
	case modeDifferences:
		return d.sums(dst, places, n, 0, true, src[1:])
	case modeFrom:
		first, src, err := takeUvarint(src[1:])
		if err != nil {
			return nil, err
		}
		return d.sums(dst, places, n, first, true, src)
	}
	return nil, errCodec
}

// sums is pick of the sums, from first on, of numbers that are differences; those
// of times are zigzag.
func (d *decoder) sums(dst []uint64, places []uint32, n int, first uint64, zigzag bool, src []byte) (rest []byte, err error) {
	if rest, err = d.differencesIn(n, src); err != nil {
		return nil, err
	}
	d.order = d.order[:0]
	for i, place := range places {
		d.order = append(d.order, uint64(place)<<32|uint64(i))
	}
	slices.Sort(d.order)
	var room [64]uint64
	sum := first
	for next, word := 0, 0; next < len(d.order); word++ {
		run := d.loose.word(&room, word)
		if d.order[next]>>38 != uint64(word) {
			sum += addUp(run, zigzag)
			continue
		}
		for i := range run {
			sum += addUp(run[i:i+1], zigzag)
			for next < len(d.order) && d.order[next]>>32 == uint64(word<<6+i) {
				dst[uint32(d.order[next])] = sum
				next++
			}
		}
	}
	return rest, nil
}

// differencesIn makes d.loose the n numbers in src and returns what follows.
func (d *decoder) differencesIn(n int, src []byte) (rest []byte, err error) {
	d.loose.open(n)
	ok, rest, err := d.loose.take(d, src)
	if ok || err != nil {
		return rest, err
	}
	values := grow(&d.values, n) // written in a way that no encoder takes for them
	if rest, err = d.numbers(values, src, nil, 1); err == nil {
		d.loose.frequent = false
		d.loose.plain.split(values)
	}
	return rest, err
}

// addUp returns the sum of differences.
func addUp(run []uint64, zigzag bool) (sum uint64) {
	if !zigzag {
		for _, v := range run {
			sum += v
		}
		return sum
	}
	for _, z := range run {
		sum += unzigzag(z)
	}
	return sum
}

// split makes p the planes of values.
func (p *planes) split(values []uint64) {
	p.n, p.width, p.base = len(values), 8, 0
	for k := range p.width {
		p.plane[k] = grow(&p.buf[k], len(values))
		for i, v := range values {
			p.plane[k][i] = byte(v >> (8 * k))
		}
	}
}

// open makes p one of n numbers that are to be taken.
func (p *Packed) open(n int) {
	p.packedColumn = &p.mine
	p.rows, p.count, p.present, p.coded, p.dict = n, n, nil, false, nil
}

// word puts together the at most 64 numbers of a word.
func (p *packedColumn) word(run *[64]uint64, word int) []uint64 {
	from := word << 6
	out := run[:min(64, p.count-from)]
	if !p.frequent {
		p.plain.join(out, from)
		return out
	}
	for i, symbol := range p.symbols[from : from+len(out)] {
		out[i] = p.top[symbol]
	}
	var room [64]uint64
	w := p.other[word]
	others := room[:bits.OnesCount64(w)]
	p.others.join(others, int(p.before[word]))
	for _, v := range others {
		out[bits.TrailingZeros64(w)] = v
		w &= w - 1
	}
	return out
}
