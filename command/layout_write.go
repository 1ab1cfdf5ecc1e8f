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
	held   []*cells    // rows not written yet
	headed bool        // the head is written
	timer  *time.Timer // writes the held rows when no more come
	row    layoutRow   // the last one; its number is that of rows so far
	cells  cells       // of row
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
	w.row = layoutRow{r, w.row.number + 1, w.layout.plain}
	w.layout.appendCells(&w.cells, &w.row)
	for i := range w.widths {
		w.widths[i] = max(w.widths[i], len(w.cells.cell(i)))
	}
	if w.headed {
		return w.write(&w.cells)
	}
	if w.held = append(w.held, w.cells.clone()); len(w.held) >= tableSample {
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
	for _, row := range w.held {
		if err := w.write(row); err != nil {
			return err
		}
	}
	w.held = nil
	return nil
}

func (w *layoutRecords) write(row *cells) error {
	w.line = w.layout.appendLine(w.line[:0], row, w.widths)
	_, w.err = w.out.Write(w.line)
	return w.err
}
