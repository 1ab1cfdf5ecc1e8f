package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/store"
)

func quarantineCommand() *command {
	return &command{
		name:  "quarantine",
		usage: "list, show and delete what was set aside",
		about: `
With scope: in its configuration, weir collect sets aside the records of which no address is in networks: it puts them
in quarantine, where no other command sees them. This command lists them by hour of receipt and exporter. They are
deleted after the days that scope: says, or at once by weir quarantine drop; no backup has them.`,
		flags: []cli.Flag{dataFlag(), outputFlag()},
		examples: []example{
			{"weir quarantine", "whose records, how many, and when they go"},
			{"weir quarantine query --last 1h -n 20", "what they look like"},
			{"weir quarantine drop --all", "they should never have come"},
		},
		commands: []*command{quarantineQuery(), quarantineDrop()},
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			dir, format, err := archiveAndFormat(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runHeld(ctx, std, dir, format) }, noArgs(c)
		},
	}
}

// quarantineQuery is weir query of the quarantine.
func quarantineQuery() *command {
	q := queryCommand()
	q.usage = "print the flows in quarantine that match a filter"
	q.about = `
The same as weir query, of the records that were set aside. See weir query --help for the filter and the fields.

` + windowHelp
	q.examples = []example{
		{"weir quarantine query --last 1h -n 20", "a glance at them"},
		{"weir quarantine query 'exporter uni-a-gw' -o csv", "what to show the organisation"},
	}
	q.prepare = func(c *cli.Context, std *Std) (runner, error) {
		o, err := queryFlags(c, std)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, std *Std) error {
			b, err := openHeld(ctx, o.dir, modeRead, std)
			if err != nil {
				return err
			}
			defer b.Close()
			return answerQuery(ctx, std, b, o)
		}, nil
	}
	return q
}

func quarantineDrop() *command {
	return &command{
		name:  "drop",
		usage: "delete what was set aside, at once",
		about: `
Deletes records in quarantine and says how many are gone, by hour and exporter. They cannot be brought back. The archive
itself is not touched.`,
		flags: []cli.Flag{
			dataFlag(), outputFlag(),
			&cli.StringFlag{Name: "hour", Usage: "delete what came in `HOUR` (UTC), as the list writes it"},
			&cli.StringFlag{Name: "exporter", Usage: "delete only what `NAME` sent, a name, an address or a prefix; of every hour if none is given"},
			&cli.BoolFlag{Name: "all", Usage: "delete everything"},
		},
		examples: []example{
			{"weir quarantine drop --hour 2026-11-22T14", "one hour"},
			{"weir quarantine drop --exporter uni-a-gw", "what one exporter sent"},
			{"weir quarantine drop --all", "everything"},
		},
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			dir, format, err := archiveAndFormat(c, std)
			if err != nil {
				return nil, err
			}
			req, err := dropFlags(c)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runDropHeld(ctx, std, dir, format, req) }, noArgs(c)
		},
	}
}

// dropFlags returns what is to be deleted. Nothing is deleted that was not
// named.
func dropFlags(c *cli.Context) (req dropHeldRequest, err error) {
	if req.Exporter, err = exporterText(c); err != nil {
		return req, err
	}
	req.Hour = strings.TrimSuffix(c.String("hour"), ":00:00Z")
	switch {
	case (c.IsSet("hour") || c.IsSet("exporter")) && c.Bool("all"):
		return req, usagef("--all is everything: it goes with neither --hour nor --exporter")
	case c.IsSet("exporter") && req.Exporter == "":
		return req, usagef("--exporter is empty")
	case c.IsSet("hour"):
		if _, err := store.ParseHour(req.Hour); err != nil {
			return req, usagef("--hour: %q is no hour", c.String("hour")).withHint("write 2026-11-22T14")
		}
	case !c.Bool("all") && !c.IsSet("exporter"):
		return req, usagef("nothing is named to be deleted").withHint("add --hour 2026-11-22T14, --exporter NAME or --all")
	}
	return req, nil
}

// runHeld lists what is in quarantine.
func runHeld(ctx context.Context, std *Std, dir, format string) error {
	b, err := openHeld(ctx, dir, modeRead, std)
	if err != nil {
		return err
	}
	defer b.Close()
	report, err := b.Held(ctx)
	if err != nil {
		return err
	}
	if len(report.Rows) == 0 {
		fmt.Fprintln(std.Err, "weir: the quarantine is empty")
	}
	if err := writeHeld(std, format, report.Rows); err != nil {
		return err
	}
	if len(report.Damaged) > 0 {
		return &incompleteError{"the list leaves out what is damaged: " + strings.Join(report.Damaged, "; ")}
	}
	return nil
}

// runDropHeld deletes, and says what.
func runDropHeld(ctx context.Context, std *Std, dir, format string, req dropHeldRequest) error {
	b, err := openHeld(ctx, dir, modeWrite, std)
	if err != nil {
		return err
	}
	defer b.Close()
	gone, err := b.DropHeld(ctx, req)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.Err, "weir: deleted %s from the quarantine\n", plural(heldRecords(gone), "record"))
	return writeHeld(std, format, gone)
}

// heldColumns are the columns of the list, and its JSON keys.
var heldColumns = []tableColumn{{name: "hour"}, {name: "exporter"}, {name: "name"}, {name: "group"}, {name: "records", right: true}, {name: "goes"}}

// heldCells returns the rows, with counts for people or for programs.
func heldCells(rows []heldRow, format string) [][]string {
	cells := make([][]string, len(rows))
	for i, r := range rows {
		records := strconv.FormatUint(r.Records, 10)
		if format != formatCSV {
			records = humanCount(r.Records)
		}
		cells[i] = []string{r.Hour, r.Exporter, r.Name, r.Group, records, r.Goes}
	}
	return cells
}

func writeHeld(std *Std, format string, rows []heldRow) error {
	out := newStream(std.Out, nil)
	defer out.Close()
	var err error
	switch format {
	case formatJSON:
		for i := range rows {
			if _, err = out.Write(append(marshal(&rows[i]), '\n')); err != nil {
				break
			}
		}
	default:
		err = writeRows(out, format, std.color(), heldColumns, heldCells(rows, format))
	}
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	return quietPipe(err)
}
