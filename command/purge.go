package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

func purgeCommand() *command {
	return &command{
		name:  "purge",
		usage: "delete the records that match a filter, for a case",
		args:  "[FILTER]",
		about: `
Says how many records would go, by hour and exporter, and deletes them once --yes is given or, on a terminal, the case
reference is typed. They leave the archive, the open hour and the quarantine, and their bytes leave the files of the
directory and its checkpoints. The ledger keeps how many went, why and by whom, never what. They cannot be brought back.
Backups that were made earlier still hold them; the purge is written to the file purges.json in the data directory and
beside the backups, and a backup with that file in or beside it deletes its own before it answers. --apply does it at once.

Give the whole scope: a filter, --exporter or --out-of-scope (records with no address in networks:), and a window, or
--all-time. What goes is in no answer from then on: questions wait. Ctrl-C stops a purge between two hours; the next
weir purge or start of the collector ends it, or --give-up, which leaves what is not gone yet. After a crash it goes on
before the next answer.

A purge that meets a hold (weir hold list) stops before it deletes anything, with exit status 1, and says what is held.
--holds keep deletes the rest, --holds purge what is held too.

` + windowHelp,
		flags: slices.Concat([]cli.Flag{dataFlag(), outputFlag()}, namingFlags(), []cli.Flag{
			&cli.StringFlag{Name: "exporter", Usage: "delete only what `NAME` sent, a name, an address or a prefix"},
			&cli.BoolFlag{Name: "out-of-scope", Usage: "delete only records with no address in networks:"},
			&cli.BoolFlag{Name: "all-time", Usage: "of all time, in place of a window"},
			&cli.StringFlag{Name: "holds", Usage: "where a hold is met, `WHICH` wins: keep leaves what is held, purge deletes it too", DefaultText: "it stops"},
			&cli.BoolFlag{Name: "yes", Usage: "delete, without being asked"},
			&cli.StringFlag{Name: "apply", Usage: "in place of all this: do in this archive the purges of the journal `FILE` that it does not know"},
			&cli.BoolFlag{Name: "give-up", Usage: "end the purge of --case that was cut short: what is gone is gone, the rest stays"},
			filterFileFlag(),
		}, windowFlags()),
		examples: []example{
			{"weir purge 'ip 192.0.2.7' --from 2026-11-01 --to 2026-11-22 --case C-17", "what would go"},
			{"weir purge 'ip 192.0.2.7' --from 2026-11-01 --to 2026-11-22 --case C-17 --yes", "delete it"},
			{"weir purge 'ip 192.0.2.7' --all-time --case C-17 --holds keep --yes", "but leave what a hold keeps"},
			{"weir purge --give-up --case C-17", "end a purge that was cut short, and leave the rest"},
			{"weir purge --exporter uni-a-gw --out-of-scope --all-time --case C-18", "what a misconfigured router sent"},
			{"weir purge --apply /backups/purges.json --data /backups/2026-11-01T02-00-00Z", "what was purged since, in an old backup"},
		},
		words: filterAndFields,
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			if c.IsSet("apply") {
				return prepareApply(c, std)
			}
			if c.Bool("give-up") {
				return giveUpFlags(c, std)
			}
			o, err := purgeFlags(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runPurge(ctx, std, o) }, nil
		},
	}
}

type purgeOptions struct {
	dir, format, ticket string
	yes                 bool
	request             purgeRequest
}

// purgeFlags refuses a scope that is not whole.
func purgeFlags(c *cli.Context, std *Std) (o purgeOptions, err error) {
	if o.dir, err = dataDir(c, std); err != nil {
		return o, err
	}
	if o.format, err = outputFormat(c); err != nil {
		return o, err
	}
	if o.request.Exporter, err = exporterText(c); err != nil {
		return o, err
	}
	if o.request.Window, err = window(c, std); err != nil {
		return o, err
	}
	if o.request.Filter, err = filterText(c, std, 0); err != nil {
		return o, err
	}
	n, err := namingOf(c)
	if err != nil {
		return o, err
	}
	o.request.Networks = networkPrefixes(n.config)
	if o.request.Holds = c.String("holds"); c.IsSet("holds") {
		if err := oneOf("--holds", o.request.Holds, holdsWays); err != nil {
			return o, err
		}
	}
	o.request.OutOfScope, o.yes, o.ticket = c.Bool("out-of-scope"), c.Bool("yes"), strings.TrimSpace(c.String("case"))
	window := c.IsSet("last") || c.IsSet("from") && c.IsSet("to")
	switch {
	case c.IsSet("exporter") && o.request.Exporter == "":
		return o, usagef("--exporter is empty")
	case strings.TrimSpace(o.request.Filter) == "" && o.request.Exporter == "" && !o.request.OutOfScope:
		return o, usagef("nothing says which records are to go").withHint("give a filter, --exporter or --out-of-scope")
	case c.Bool("all-time") && (c.IsSet("last") || c.IsSet("from") || c.IsSet("to")):
		return o, usagef("--all-time goes with no window")
	case !c.Bool("all-time") && !window:
		return o, usagef("the window is not whole").withHint("give --from and --to, --last, or --all-time")
	case o.ticket == "":
		return o, usagef("a purge is for a case").withHint("add --case REF")
	}
	return o, nil
}

// pastPurge says where records may be that retention has dropped here.
func pastPurge(err error) error {
	var usage *usageError
	if errors.As(err, &usage) {
		return usage.withHint("a backup that still has it: weir purge with --data BACKUP")
	}
	return err
}

// runPurge says what would go, asks, and deletes.
func runPurge(ctx context.Context, std *Std, o purgeOptions) error {
	opened, err := openBackend(ctx, o.dir, modeWrite, std)
	if err != nil {
		return err
	}
	defer opened.Close()
	b := opened.(purger) // all backends but those of tests are
	would, err := b.Purge(ctx, o.request)
	if err != nil {
		return err
	}
	if r := would.Resumed; r != nil {
		fmt.Fprintf(std.Err, "weir: first ended the purge of case %s that was cut short: %s gone\n", r.Case, plural(r.Records, "record"))
	}
	if would.records() == 0 && len(would.Met) == 0 {
		if err := refusePast(ctx, opened, o.request.Window); err != nil {
			return pastPurge(err)
		}
	}
	fmt.Fprintf(std.Err, "weir: %s would go\n", plural(would.records(), "record"))
	undecided := len(would.Met) > 0 && o.request.Holds == ""
	if !o.yes || undecided {
		if err := writePurge(std, o.format, would.Rows); err != nil {
			return err
		}
	}
	if undecided {
		return &holdsMetError{would.Met}
	}
	noteMet(std, o.request.Holds, would.Met)
	if !o.yes {
		if would.records() == 0 || !std.ErrTerminal {
			fmt.Fprintln(std.Err, "weir: nothing was deleted; --yes deletes")
			return purgeDamage(would)
		}
		if err := confirmCase(std, o.ticket, "them", "deleted"); err != nil {
			return err
		}
	}
	o.request.Apply = true
	gone, err := b.Purge(ctx, o.request)
	if err != nil && (ctx.Err() != nil || errors.Is(err, context.Canceled)) {
		notePurgeStopped(ctx, std, opened)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(std.Err, "weir: deleted %s for case %s\n", plural(gone.records(), "record"), o.ticket)
	if gone.Left > 0 {
		fmt.Fprintf(std.Err, "weir: %s with old bytes stay until the questions that read them end\n", plural(gone.Left, "file"))
	}
	sayJournal(std, gone)
	if o.yes {
		if err := writePurge(std, o.format, gone.Rows); err != nil {
			return err
		}
	}
	return purgeDamage(gone)
}

// noteMet says what becomes of what is held.
func noteMet(std *Std, wins string, met []metHold) {
	for _, m := range met {
		fmt.Fprintf(std.Err, "weir: %s of what matches, held for case %s, %s\n", plural(m.Records, "record"), m.Case,
			map[string]string{holdsKeep: "stay", holdsPurge: "go too"}[wins])
	}
}

func purgeDamage(r *purgeReport) error {
	if len(r.Damaged) == 0 {
		return nil
	}
	return &incompleteError{"records of damaged hours stay: " + strings.Join(r.Damaged, "; ")}
}

var purgeColumns = []tableColumn{{name: "archive"}, {name: "hour"}, {name: "exporter"}, {name: "name"}, {name: "records", right: true}}

func writePurge(std *Std, format string, rows []purgeRow) error {
	out := newStream(std.Out, nil)
	defer out.Close()
	err := writePurgeRows(out, format, rows, std.color())
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	return quietPipe(err)
}

func writePurgeRows(out *streamWriter, format string, rows []purgeRow, color bool) error {
	if format == formatJSON {
		for i := range rows {
			if _, err := out.Write(append(marshal(&rows[i]), '\n')); err != nil {
				return err
			}
		}
		return nil
	}
	put, finish := purgeTable(out, format, color)
	for i := range rows {
		r := &rows[i]
		if err := put([]string{r.Archive, r.Hour, r.Exporter, r.Name, strconv.FormatUint(r.Records, 10)}); err != nil {
			return err
		}
	}
	return finish()
}

// purgeTable returns what writes the rows of a table or of csv, and its end.
func purgeTable(out *streamWriter, format string, color bool) (put func([]string) error, finish func() error) {
	if format != formatCSV {
		t := newTable(out, purgeColumns, color)
		return t.row, t.finish
	}
	w := newCSV(out)
	var names []string
	for _, c := range purgeColumns {
		names = append(names, c.name)
	}
	_ = w.Write(names) // finish returns its error
	return w.Write, func() error { w.Flush(); return w.Error() }
}
