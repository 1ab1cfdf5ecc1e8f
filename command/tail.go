package command

import (
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"weir/query"
)

// tailName is the command whose end is that of the patience of who watches.
const tailName = "tail"

func tailCommand() *command {
	return &command{
		name:  tailName,
		usage: "print the flows that match a filter as they arrive",
		args:  "[FILTER]",
		about: `
Shows what the running collector receives and stores, from now on, until Ctrl-C, --timeout or, with -n, until so many
flows were shown. A flow appears when its exporter reports it, which for a long one is a minute or more after it began;
after that, within a second. FILTER and the ways to print are those of weir query. Imports are not shown.

The collector never waits for a reader. What comes faster than it is read passes by, and standard error says how many
records did; weir query finds them. At most ` + fmt.Sprint(maxTails) + ` tails run at once.

Fields: ` + fieldList(fieldNames()),
		flags: slices.Concat([]cli.Flag{dataFlag()}, recordFlags(), []cli.Flag{
			limitFlag("end after `N` flows; 0 is no limit", "0"),
			exporterFlag(), filterFileFlag(), timeoutFlag(),
		}),
		examples: []example{
			{"weir tail 'ip 192.0.2.7'", "what one host does now"},
			{"weir tail 'src net 10.20.0.0/16 and dst port 445 and not dst net 10.20.0.0/16'", "a worm at work"},
			{"weir tail 'exporter 198.51.100.1' -n 1 --timeout 2m", "does this router send? exit status 124 if not"},
			{"weir tail 'port in [ 23 2323 ] and flags S and not flags AFRPU' -o json", "one JSON object a line, for a script that alarms"},
			{"weir tail 'port 53' --fields start,src_addr,dst_addr,bytes", "chosen columns"},
		},
		words: filterAndFields,
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			o, err := tailFlags(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runTail(ctx, std, o) }, nil
		},
	}
}

// tailOptions are the options of weir tail.
type tailOptions struct {
	recordOptions
	dir     string
	request query.TailRequest
}

func tailFlags(c *cli.Context, std *Std) (o tailOptions, err error) {
	if o.dir, err = dataDir(c, std); err != nil {
		return o, err
	}
	if o.recordOptions, err = recordOptionsOf(c); err != nil {
		return o, err
	}
	if o.request.Limit, err = limit(c, 0); err != nil {
		return o, err
	}
	if o.request.Exporter, err = exporterText(c); err != nil {
		return o, err
	}
	o.request.Filter, err = filterText(c, std, 0)
	return o, err
}

// runTail prints what comes in.
func runTail(ctx context.Context, std *Std, o tailOptions) error {
	b, err := connectCollector(ctx, o.dir)
	if err != nil {
		return err
	}
	defer b.Close()
	out := newStream(std.Out, nil)
	defer out.Close()
	w, err := o.writer(ctx, b, out, std.color(), true)
	if err != nil {
		return err
	}
	err = b.Tail(ctx, o.request, w.record, func(n uint64) { noteMissed(std, n) })
	if finishErr := w.finish(); err == nil {
		err = finishErr
	}
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	return quietPipe(err)
}

// connectCollector returns the collector of dir, without which a command has
// nothing to show.
func connectCollector(ctx context.Context, dir string) (*remote, error) {
	if err := checkDir(dir, modeRead); err != nil {
		return nil, err
	}
	b, err := connect(ctx, dir)
	if err != nil && noDaemon(err) {
		return nil, fmt.Errorf("no collector runs on %s, so nothing comes in; start one: weir collect --data %s", dir, quoteArg(dir))
	}
	return b, err
}

// noteMissed says that a tail watches, or how many records it did not look at.
func noteMissed(std *Std, n uint64) {
	switch {
	case n > 0:
		fmt.Fprintf(std.Err, "weir: %s records passed by unseen, matching or not: the reader is too slow\n", humanCount(n))
	case std.ErrTerminal:
		fmt.Fprintln(std.Err, "weir: watching; Ctrl-C ends")
	}
}
