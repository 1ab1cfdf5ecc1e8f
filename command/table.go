package command

import (
	"io"
	"sync"
	"time"
	"unicode/utf8"
)

// How many rows a table holds back to learn its columns' widths, and for how
// long at most.
const (
	tableSample = 200
	tableDelay  = 250 * time.Millisecond
)

// A tableColumn is the head of one column.
type tableColumn struct {
	name  string
	right bool // numbers stand at the right edge
	width int  // the least width, for columns whose usual width is known
}

// A tableWriter writes aligned rows as they come. It holds back the first rows
// to learn the widths and widens a column when a longer value arrives later;
// nothing is ever cut, and memory does not grow with the number of rows. It is
// written by hand because table libraries want all rows before the first.
type tableWriter struct {
	out     io.Writer
	columns []tableColumn
	bold    bool

	mu     sync.Mutex
	held   []*cells    // rows not written yet; nil once the head is out
	headed bool        // the head is written
	timer  *time.Timer // writes the held rows when no more come
	cells  cells       // of row
	line   []byte
	err    error
}

// newTable returns a table writer. With bold the head stands out, for
// terminals.
func newTable(out io.Writer, columns []tableColumn, bold bool) *tableWriter {
	t := &tableWriter{out: out, bold: bold}
	for _, c := range columns {
		c.width = max(c.width, utf8.RuneCountInString(c.name))
		t.columns = append(t.columns, c)
	}
	return t
}

// row adds a row, a cell for each column.
func (t *tableWriter) row(list []string) error {
	t.cells.set(list)
	return t.add(&t.cells)
}

// add is row for cells that are the caller's again when it returns.
func (t *tableWriter) add(row *cells) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		return t.err
	}
	t.widen(row)
	if t.headed {
		return t.write(row)
	}
	if t.held = append(t.held, row.clone()); len(t.held) >= tableSample {
		return t.release()
	}
	if t.timer == nil {
		t.timer = time.AfterFunc(tableDelay, func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			_ = t.release() // kept in t.err
		})
	}
	return nil
}

// finish writes what is held back. A table without rows prints nothing.
func (t *tableWriter) finish() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
	}
	return t.release()
}

func (t *tableWriter) widen(row *cells) {
	ascii := isASCII(row.text)
	for i := range row.ends {
		t.columns[i].width = max(t.columns[i].width, characters(row.cell(i), ascii))
	}
}

// characters returns how many characters a cell of a row has; ascii is whether
// all of the row's are ASCII.
func characters(cell []byte, ascii bool) int {
	if ascii {
		return len(cell)
	}
	return utf8.RuneCount(cell)
}

// begin writes the head, whether or not there are rows.
func (t *tableWriter) begin() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.head()
}

// release writes the head and the rows held back.
func (t *tableWriter) release() error {
	if t.headed || len(t.held) == 0 || t.err != nil {
		return t.err
	}
	if err := t.head(); err != nil {
		return err
	}
	for _, row := range t.held {
		if err := t.write(row); err != nil {
			return err
		}
	}
	t.held = nil
	return nil
}

func (t *tableWriter) head() error {
	t.headed = true
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	var row cells
	row.set(names)
	t.line = t.layout(t.line[:0], &row)
	if t.bold {
		t.line = []byte("\x1b[1m" + string(t.line) + "\x1b[0m")
	}
	_, t.err = t.out.Write(append(t.line, '\n'))
	return t.err
}

func (t *tableWriter) write(row *cells) error {
	t.line = append(t.layout(t.line[:0], row), '\n')
	_, t.err = t.out.Write(t.line)
	return t.err
}

// layout appends the cells, aligned, without spaces at the end of the line.
// Every character of a cell is taken to be one column wide.
func (t *tableWriter) layout(dst []byte, row *cells) []byte {
	ascii, last := isASCII(row.text), len(row.ends)-1
	for i := range row.ends {
		if i > 0 {
			dst = append(dst, "  "...)
		}
		cell := row.cell(i)
		pad := t.columns[i].width - characters(cell, ascii)
		if t.columns[i].right {
			dst = appendRun(dst, blanks, pad)
			pad = 0
		}
		dst = append(dst, cell...)
		if i < last {
			dst = appendRun(dst, blanks, pad)
		}
	}
	return dst
}
