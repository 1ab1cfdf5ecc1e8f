package query

import (
	"fmt"
	"sync"

	"weir/flow"
	"weir/store"
)

// maxTextBytesKept bounds the memory that the different texts of an answer take.
const maxTextBytesKept = 512 << 20

// textNumbers numbers the texts that a question groups by or counts, in the order in
// which they are met, so that everything that sums rows by a number can sum them
// by a text. It may be used by several goroutines. Numbers differ from question to
// question.
type textNumbers struct {
	mu      sync.RWMutex // guards the rest
	numbers map[string]uint32
	list    []string
	bytes   int64
}

func newTextNumbers() *textNumbers { return &textNumbers{numbers: map[string]uint32{}} }

// A TooManyTextsError says that the texts of an answer take too much memory.
type TooManyTextsError struct {
	Texts int
	Bytes int64 // the bound
}

// Error says what to do instead.
func (e *TooManyTextsError) Error() string {
	return fmt.Sprintf("more than %d different texts need more than the %d MiB that they may take: narrow the filter or the window",
		e.Texts, e.Bytes>>20)
}

// number returns the number of a text.
func (t *textNumbers) number(text string) (uint32, error) {
	t.mu.RLock()
	n, ok := t.numbers[text]
	t.mu.RUnlock()
	if ok {
		return n, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if n, ok = t.numbers[text]; ok {
		return n, nil
	}
	const overhead = 96 // of a place in the map, which may have just grown, and in the list
	if t.bytes += int64(len(text)) + overhead; t.bytes > maxTextBytesKept {
		return 0, &TooManyTextsError{len(t.list), maxTextBytesKept}
	}
	// The text shares the memory of its block's dictionary.
	text = string([]byte(text))
	n = uint32(len(t.list))
	t.numbers[text] = n
	t.list = append(t.list, text)
	return n, nil
}

// text returns the text of a number.
func (t *textNumbers) text(n uint32) string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.list[n]
}

// textDict returns the dictionary of a column of texts and the code of every row.
func (c *columns) textDict(f flow.Field) (*store.Dict, []uint16, error) {
	if c.first(f, haveDict) {
		d, err := c.blk.DictIn(f, c.spare[f])
		if err != nil {
			return nil, nil, err
		}
		c.dicts[f], c.spare[f] = d, d
	}
	d := c.dicts[f]
	if d == nil { // the block has no such column
		d = &store.Dict{}
		return d, make([]uint16, c.rows), nil
	}
	return d, d.RowCodes(), nil
}

// textNums returns the numbers of the texts of a column, for the wanted rows only.
func (c *columns) textNums(f flow.Field) ([]uint64, error) {
	d, codes, err := c.textDict(f)
	if err != nil {
		return nil, err
	}
	values := resize(c.nums[f], c.rows)
	clear(values)
	known := make([]uint64, d.Len()) // number and 1, by code
	err = tryEach(c.wanted, func(row int) error {
		code := int(codes[row])
		if code >= len(known) {
			return nil
		}
		if known[code] == 0 {
			n, err := c.texts.number(d.Text(code))
			if err != nil {
				return err
			}
			known[code] = uint64(n) + 1
		}
		values[row] = known[code] - 1
		return nil
	})
	return values, err
}

// gatherText is gatherField for texts.
func (v *visit) gatherText(b *flow.Batch, rows []uint16, f flow.Field, present []uint64) error {
	d, codes, err := v.textDict(f)
	if err != nil {
		return err
	}
	for i, row := range rows {
		if inWords(present, int(row)) {
			b.SetText(f, i, d.Text(int(codes[row])))
		}
	}
	return nil
}
