package command

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// How much a streamWriter holds back, in bytes, and for how long at most.
const (
	streamBuffer = 64 << 10
	streamDelay  = 100 * time.Millisecond
)

// A streamWriter buffers small writes and passes them on when there are enough
// or when the first has waited long enough, so that a slow answer shows its
// first rows and a fast one does not make a system call for each.
type streamWriter struct {
	out   io.Writer
	after func() // called after each write to out; may be nil
	skip  int    // lines at the beginning yet to be left out; set before the first write

	mu      sync.Mutex
	buf     []byte
	timer   *time.Timer
	waiting bool
	err     error // the first error of out, which all later calls return
}

func newStream(out io.Writer, after func()) *streamWriter {
	return &streamWriter{out: out, after: after}
}

// Write implements io.Writer.
func (w *streamWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	w.buf = append(w.buf, w.rest(p)...)
	if len(w.buf) >= streamBuffer {
		w.pass()
		return len(p), w.err
	}
	if !w.waiting {
		w.waiting = true
		if w.timer == nil {
			w.timer = time.AfterFunc(streamDelay, w.tick)
		} else {
			w.timer.Reset(streamDelay)
		}
	}
	return len(p), nil
}

// rest returns what of p is not left out.
func (w *streamWriter) rest(p []byte) []byte {
	for w.skip > 0 {
		_, after, found := bytes.Cut(p, []byte{'\n'})
		if p = after; !found {
			break
		}
		w.skip--
	}
	return p
}

func (w *streamWriter) tick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = false
	w.pass()
}

// pass writes the buffer to out. The caller holds mu.
func (w *streamWriter) pass() {
	if len(w.buf) == 0 || w.err != nil {
		return
	}
	_, w.err = w.out.Write(w.buf)
	w.buf = w.buf[:0]
	if w.after != nil && w.err == nil {
		w.after()
	}
}

// Flush passes on what is held back.
func (w *streamWriter) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pass()
	return w.err
}

// Close flushes and stops the clock; later writes fail.
func (w *streamWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pass()
	if w.timer != nil {
		w.timer.Stop()
	}
	err := w.err
	if w.err == nil {
		w.err = io.ErrClosedPipe
	}
	return err
}
