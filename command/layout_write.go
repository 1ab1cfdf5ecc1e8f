package command

import (
	"io"
	"sync"
	"time"

	"weir/flow"
)

// layoutRecords writes flows by a layout, under a head line, which is there
// even without rows. It holds back the first rows as tables do, to learn how
// wide addresses are, and widens a column when a longer value arrives later.
type layoutRecords struct {
	layout *layout
	out    io.Writer

	mu     sync.Mutex
	widths []int
	held   [][]string  // cells of rows not written yet
	headed bool        // the head is written
	timer  *time.Timer // writes the held rows when no more come
	number uint64      // rows so far
	row    layoutRow   // of the record being written
	values []byte      // of it, one behind the other
	ends   []int       // where each of them ends
	line   []byte
	err    error // the first error of out
}

func newLayoutRecords(out io.Writer, l *layout) *layoutRecords {
	return &layoutRecords{layout: l, out: out, widths: l.widths()}
}

func (w *layoutRecords) record(r *flow.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	w.number++
	cells := w.cells(r)
	for i, cell := range cells {
		w.widths[i] = max(w.widths[i], len(cell))
	}
	if w.headed {
		return w.write(cells)
	}
	if w.held = append(w.held, cells); len(w.held) >= tableSample {
		return w.release()
	}
	if w.timer == nil {
		w.timer = time.AfterFunc(tableDelay, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			_ = w.release() // kept in w.err
		})
	}
	return nil
}

// cells returns the values of a record, one for each part, "" for text. They are cut
// out of one string, which is one allocation in place of one each.
func (w *layoutRecords) cells(r *flow.Record) []string {
	w.row = layoutRow{r, w.number, w.layout.plain}
	values, ends := w.values[:0], w.ends[:0]
	for i := range w.layout.parts {
		if value := w.layout.parts[i].value; value != nil {
			before := len(values)
			if values = value(values, &w.row); len(values) == before {
				values = append(values, layoutAbsent...)
			}
		}
		ends = append(ends, len(values))
	}
	w.values, w.ends = values, ends
	text, begin := string(values), 0
	cells := make([]string, len(ends))
	for i, end := range ends {
		cells[i], begin = text[begin:end], end
	}
	return cells
}

func (w *layoutRecords) finish() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
	return w.release()
}

// release writes the head and the rows held back.
func (w *layoutRecords) release() error {
	if w.headed || w.err != nil {
		return w.err
	}
	w.headed = true
	w.line = w.layout.appendHead(w.line[:0], w.widths)
	if _, w.err = w.out.Write(w.line); w.err != nil {
		return w.err
	}
	for _, cells := range w.held {
		if err := w.write(cells); err != nil {
			return err
		}
	}
	w.held = nil
	return nil
}

func (w *layoutRecords) write(cells []string) error {
	w.line = w.layout.appendLine(w.line[:0], cells, w.widths)
	_, w.err = w.out.Write(w.line)
	return w.err
}
