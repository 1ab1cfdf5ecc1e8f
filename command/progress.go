package command

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"weir/backup"
	"weir/query"
)

// When progress is shown, and how often it is renewed.
const (
	progressAfter = time.Second
	progressEvery = 200 * time.Millisecond
)

// A progress is a line on a terminal's standard error that says how far a slow
// question is. It appears after a second and goes without a trace.
type progress struct {
	out   io.Writer // nil: nothing is shown
	at    atomic.Pointer[query.Progress]
	copy  atomic.Pointer[backup.Progress] // of a backup, in place of at
	start time.Time
	stop  chan struct{}
	once  sync.Once // closes stop
	ended sync.WaitGroup

	mu    sync.Mutex
	shown bool
	quiet bool // rows appear on the same terminal: no line between them
}

// startProgress begins to watch a question. The caller ends it.
func startProgress(std *Std) *progress {
	p := &progress{start: time.Now(), stop: make(chan struct{})}
	if std.ErrTerminal {
		p.out = std.Err
		p.ended.Add(1)
		go p.run()
	}
	return p
}

func (p *progress) run() {
	defer p.ended.Done()
	timer := time.NewTimer(progressAfter)
	defer timer.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-timer.C:
			p.show()
			timer.Reset(progressEvery)
		}
	}
}

func (p *progress) show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet {
		return
	}
	p.shown = true
	took := time.Since(p.start)
	text := progressText(p.at.Load(), took)
	if c := p.copy.Load(); c != nil {
		text = copyText(c, took)
	}
	fmt.Fprintf(p.out, "\r\x1b[K%s", text)
}

// progressText says how far a question is.
func progressText(at *query.Progress, took time.Duration) string {
	if at == nil {
		return fmt.Sprintf("waiting for its turn, %.0f s; Ctrl-C stops", took.Seconds())
	}
	return fmt.Sprintf("%d of %s, %s flows looked at (%s/s), %s match, %.0f s; Ctrl-C stops", at.Buckets, plural(at.Total, "hour"),
		humanCount(at.Rows), humanCount(uint64(float64(at.Rows)/took.Seconds())), humanCount(at.Matched), took.Seconds())
}

// copyText says how far a backup or its check is.
func copyText(at *backup.Progress, took time.Duration) string {
	return fmt.Sprintf("%s: %sB of %sB (%sB/s), %.0f s; Ctrl-C stops", at.Step, humanCount(uint64(at.Done)), humanCount(uint64(at.Total)),
		humanCount(uint64(float64(at.Done)/took.Seconds())), took.Seconds())
}

// reports are told how far something is, which is done here or by the daemon.
type reports struct {
	asked  func(query.Progress)
	copied func(backup.Progress)
}

// watched returns a context with which a question or a backup, here or of the
// daemon, reports to p.
func (p *progress) watched(ctx context.Context) context.Context {
	r := reports{
		asked:  func(at query.Progress) { p.at.Store(&at) },
		copied: func(at backup.Progress) { p.copy.Store(&at) },
	}
	return withReports(query.WithProgress(ctx, r.asked), r)
}

type reportsKey struct{}

func withReports(ctx context.Context, r reports) context.Context {
	return context.WithValue(ctx, reportsKey{}, r)
}

// reportsOf returns what a context of withReports reports to; no functions for
// other contexts.
func reportsOf(ctx context.Context) reports {
	r, _ := ctx.Value(reportsKey{}).(reports)
	return r
}

// hide removes the line for good, before something else is written to the
// terminal.
func (p *progress) hide() {
	if p.out == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.quiet = true
	if p.shown {
		p.shown = false
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// end removes the line and stops; it may be called twice.
func (p *progress) end() {
	if p.out == nil {
		return
	}
	p.hide()
	p.once.Do(func() { close(p.stop) })
	p.ended.Wait()
}

// guard returns a writer to out that hides the line before it writes, if both
// are the terminal.
func (p *progress) guard(out io.Writer, terminal bool) io.Writer {
	if p.out == nil || !terminal {
		return out
	}
	return writeFunc(func(b []byte) (int, error) {
		p.hide()
		return out.Write(b)
	})
}

type writeFunc func(p []byte) (int, error)

func (f writeFunc) Write(p []byte) (int, error) { return f(p) }
