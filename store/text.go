package store

import (
	"encoding/binary"
	"slices"

	"weir/flow"
)

// A textCoder finds the sorted distinct texts of a column and the code of each
// row. It keeps its memory.
type textCoder struct {
	places map[string]uint16 // in found
	found  []string
	rank   []uint16 // code by place in found
	order  []uint16 // places by code
	values []string
}

// code returns the distinct texts of v, ascending, and fills codes with the place
// of each in them. The result is good until the next call.
func (c *textCoder) code(v []string, codes []uint16) []string {
	if c.places == nil {
		c.places = map[string]uint16{}
	}
	clear(c.places)
	found := c.found[:0]
	for i, text := range v {
		if i > 0 && text == v[i-1] {
			codes[i] = codes[i-1]
			continue
		}
		place, ok := c.places[text]
		if !ok {
			place = uint16(len(found))
			c.places[text] = place
			found = append(found, text)
		}
		codes[i] = place
	}
	c.found = found
	c.sortFound()
	for i, place := range codes {
		codes[i] = c.rank[place]
	}
	return c.values
}

func (c *textCoder) sortFound() {
	order := grow(&c.order, len(c.found))
	for i := range order {
		order[i] = uint16(i)
	}
	slices.SortFunc(order, func(a, b uint16) int {
		if c.found[a] < c.found[b] {
			return -1
		}
		return 1 // they are distinct
	})
	rank, values := grow(&c.rank, len(c.found)), c.values[:0]
	for code, place := range order {
		rank[place] = uint16(code)
		values = append(values, c.found[place])
	}
	c.values = values
}

// forget lets go of the texts, which belong to a batch.
func (c *textCoder) forget() {
	clear(c.places)
	clear(c.found)
	clear(c.values)
}

// A dictionary of texts is their count, their lengths in bytes, and then all of
// their bytes one after the other, in pieces of 65,536:
//
//	+-----------------+-------------------+--------------------+
//	| count (uvarint) | lengths (numbers) | streams of bytes … |
//	+-----------------+-------------------+--------------------+
const textPiece = BlockRows

func (e *encoder) textDict(dst []byte, values []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(values)))
	lengths := grow(&e.words, len(values))
	all := e.text[:0]
	for i, text := range values {
		lengths[i] = uint64(len(text))
		all = append(all, text...)
	}
	e.text = all
	dst = e.numbers(dst, lengths)
	for len(all) > 0 {
		n := min(len(all), textPiece)
		dst = e.stream(dst, all[:n])
		all = all[n:]
	}
	return dst
}

// takeTexts reads the texts of a dictionary, whose count is known. What it
// allocates is bounded by flow.MaxText bytes for each.
func (dict *Dict) takeTexts(d *decoder, src []byte) ([]byte, error) {
	lengths := grow(&d.words, dict.n)
	src, err := d.numbers(lengths, src, nil, 0)
	if err != nil {
		return nil, err
	}
	total := 0
	for _, n := range lengths {
		if n > flow.MaxText {
			return nil, errValue
		}
		total += int(n)
	}
	all := d.text[:0]
	for len(all) < total {
		var piece []byte
		if piece, src, err = d.stream(src, min(total-len(all), textPiece), &d.plane[0]); err != nil {
			return nil, err
		}
		all = append(all, piece...)
	}
	d.text = all
	text := string(all) // which all of them share
	dict.texts = sized(dict.texts, dict.n+1)[:dict.n]
	for i, n := range lengths {
		dict.texts[i], text = text[:n], text[n:]
		if i > 0 && dict.texts[i-1] >= dict.texts[i] {
			return nil, errValue
		}
	}
	return src, nil
}

// Text returns value i of a field of texts.
func (d *Dict) Text(i int) string { return d.texts[i] }

// Texts returns the sorted values of a field of texts; they must not be changed.
func (d *Dict) Texts() []string { return d.texts }

func (d *Dict) fillTexts(dst []string) {
	values := append(d.texts[:d.n], "") // absent
	for row, code := range d.codes {
		dst[row] = values[code]
	}
}

// texts decodes the column of a field of texts into dst, one value a row.
func (d *decoder) texts(f flow.Field, c *column, dst []string, parents parentSource) error {
	if err := d.dict(&d.own, c, f, parents); err != nil {
		return err
	}
	d.own.fillTexts(dst)
	return nil
}

// Text returns the values of a field of texts, one a row, "" where absent. It
// reuses dst.
func (b *Block) Text(f flow.Field, dst []string) ([]string, error) {
	dst = sized(dst, b.Rows())
	if !b.columns.Has(f) || !f.IsText() {
		clear(dst)
		return dst, nil
	}
	if err := b.src.text(f, dst); err != nil {
		return nil, b.damage(f, err)
	}
	return dst, nil
}

func (s *storedBlock) text(f flow.Field, dst []string) error {
	return s.with(f, func(d *decoder, c *column, parents parentSource) error { return d.texts(f, c, dst, parents) })
}

func (s *snapshot) text(f flow.Field, dst []string) error {
	c, err := s.column(f)
	if err == nil {
		copy(dst, c.texts)
	}
	return err
}

// appendTailTexts appends the texts of a segment that are present, each behind
// its length.
func appendTailTexts(dst []byte, c *segmentColumn) []byte {
	dst = append(append(dst, 0), c.present...)
	for row, text := range c.texts {
		if c.present[row>>3]>>(row&7)&1 != 0 {
			dst = append(binary.AppendUvarint(dst, uint64(len(text))), text...)
		}
	}
	return dst
}

// parseTailTexts reads what stands behind the presence of a column of texts.
func parseTailTexts(b *flow.Batch, f flow.Field, present, src []byte) ([]byte, error) {
	for row := range b.Len() {
		if present[row>>3]>>(row&7)&1 == 0 {
			continue
		}
		text, rest, err := takeBytes(src)
		if err != nil {
			return nil, err
		}
		if len(text) > flow.MaxText {
			return nil, errValue
		}
		b.SetText(f, row, string(text))
		src = rest
	}
	return src, nil
}
