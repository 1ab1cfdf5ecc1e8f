package command

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"
	"go.yaml.in/yaml/v3"
)

// logOptions say how a program that runs for long logs.
type logOptions struct {
	Format string     // one of logFormats; "": the first
	Level  slog.Level // what is below is left out
}

// logFormats are the values of --log-format.
var logFormats = []string{"text", logJSON}

const logJSON = "json"

// logLevels are the values of --log-level.
var logLevels = []string{"debug", "info", "warn", "error"}

func logFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "log-format", Usage: "log in `FORMAT`: text or json (an object a line)", DefaultText: logFormats[0]},
		&cli.StringFlag{Name: "log-level", Usage: "log what is at least `LEVEL`: debug, info, warn or error", DefaultText: "info"},
	}
}

// logOptionsOf returns what the flags say, and where they say nothing what the
// configuration does.
func logOptionsOf(c *cli.Context, file logOptions) (logOptions, error) {
	o := file
	if c.IsSet("log-format") {
		if err := o.setFormat(c.String("log-format")); err != nil {
			return o, err
		}
	}
	if c.IsSet("log-level") {
		return o, o.setLevel(c.String("log-level"))
	}
	return o, nil
}

func (o *logOptions) setFormat(name string) error {
	o.Format = name
	return oneOf("log format", name, logFormats)
}

func (o *logOptions) setLevel(name string) error {
	if err := oneOf("log level", name, logLevels); err != nil {
		return err
	}
	return o.Level.UnmarshalText([]byte(name))
}

// readLog reads the value of log:.
func (c *config) readLog(v *yaml.Node) error {
	store := func(set func(string) error) func(*yaml.Node) error {
		return func(v *yaml.Node) error {
			word, err := text(v)
			if err == nil {
				err = set(word)
			}
			return err
		}
	}
	return readMapping(v, []entryKey{{"format", store(c.Log.setFormat)}, {"level", store(c.Log.setLevel)}})
}

// newLogger returns a log on w. The level can be changed through the variable
// that it also returns.
func newLogger(w io.Writer, o logOptions) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(o.Level)
	options := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(w, options)
	if o.Format == logJSON {
		h = slog.NewJSONHandler(w, options)
	}
	return slog.New(newLogLimiter(h, time.Now)), level
}

// How many lines a minute may have: of one kind of complaint, of one kind of
// anything else, and of all. Who sends bad datagrams, or a disk that fails, must
// not fill the disk of the log.
const (
	logKindLines = 30
	logInfoLines = 300
	logLines     = 600
	logKinds     = 256 // kinds that are told apart; the others are one
)

// A logLimiter passes on as many lines a minute as the bounds permit. A kind is a
// message: what varies is in the attributes. What is left out is
// counted, and told with the next line of that kind, or when the minute is over.
type logLimiter struct {
	slog.Handler
	lines *logTally // of all handlers that come from one
}

type logTally struct {
	now func() time.Time

	mu    sync.Mutex // guards what follows
	since time.Time  // of the minute
	all   int        // lines in it
	kinds map[string]*logKind
}

type logKind struct {
	lines   int    // in the minute
	leftOut uint64 // since the last line
}

func newLogLimiter(h slog.Handler, now func() time.Time) *logLimiter {
	return &logLimiter{h, &logTally{now: now, since: now(), kinds: map[string]*logKind{}}}
}

// Handle implements slog.Handler.
func (l *logLimiter) Handle(ctx context.Context, r slog.Record) error {
	ended := l.lines.turn()
	for _, kind := range slices.Sorted(maps.Keys(ended)) {
		note := slog.NewRecord(r.Time, slog.LevelWarn, "lines were left out of the log", 0)
		note.AddAttrs(slog.String("of", kind), slog.Uint64("lines", ended[kind]))
		_ = l.Handler.Handle(ctx, note) // a log that cannot be written has nobody to tell
	}
	leftOut, ok := l.lines.count(r.Level, r.Message)
	if !ok {
		return nil
	}
	if leftOut > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Uint64("lines_left_out", leftOut))
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l *logLimiter) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logLimiter{l.Handler.WithAttrs(attrs), l.lines}
}

// WithGroup implements slog.Handler.
func (l *logLimiter) WithGroup(name string) slog.Handler {
	return &logLimiter{l.Handler.WithGroup(name), l.lines}
}

// turn begins another minute if the last one is over, and returns what was left
// out in it.
func (t *logTally) turn() map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if now.Sub(t.since) < time.Minute {
		return nil
	}
	var ended map[string]uint64
	for name, k := range t.kinds {
		if k.leftOut > 0 {
			if ended == nil {
				ended = map[string]uint64{}
			}
			ended[name] = k.leftOut
		}
	}
	t.since, t.all = now, 0
	clear(t.kinds)
	return ended
}

// count counts a line. It reports whether it may be written, and how many of its
// kind were not since the last one.
func (t *logTally) count(level slog.Level, message string) (leftOut uint64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	name := message
	k := t.kinds[name]
	if k == nil {
		if len(t.kinds) >= logKinds {
			name = strings.ToLower(level.String()) + " lines of many kinds"
			k = t.kinds[name]
		}
		if k == nil {
			k = &logKind{}
			t.kinds[name] = k
		}
	}
	most := logKindLines
	if level < slog.LevelWarn {
		most = logInfoLines
	}
	if k.lines >= most || t.all >= logLines {
		k.leftOut++
		return 0, false
	}
	k.lines++
	t.all++
	leftOut, k.leftOut = k.leftOut, 0
	return leftOut, true
}
