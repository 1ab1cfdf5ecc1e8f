package command

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"weir/store"
)

func bucketsCommand() *command {
	return &command{
		name:  "buckets",
		usage: "list the hours that the archive holds",
		about: `
A bucket is one hour of receipt, UTC. While its hour lasts it is open; when the hour is over it is sealed, which
builds its index. Sizes are on disk, index included.

The last column names the cases that hold an hour: whole; in part, if records will be taken out of it when it goes; or,
in rows whose state is held, what was taken out and is counted there. With --case REF of a case that has a hold, only
its hours are listed.`,
		flags: []cli.Flag{dataFlag(), outputFlag()},
		examples: []example{
			{"weir buckets", "what there is"},
			{"weir buckets -o csv", "for a spreadsheet"},
			{"weir buckets --case IR-17", "what the hold of a case has"},
		},
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			dir, format, err := archiveAndFormat(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error {
				return runBuckets(ctx, std, dir, format)
			}, noArgs(c)
		},
	}
}

// runBuckets lists the buckets of the archive in dir.
func runBuckets(ctx context.Context, std *Std, dir, format string) error {
	b, err := openBackend(ctx, dir, modeRead, std)
	if err != nil {
		return err
	}
	defer b.Close()
	list, err := heldBuckets(ctx, b)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		fmt.Fprintln(std.Err, "weir: the archive is empty; weir collect or weir import fills it")
	}
	report, err := b.Retention(ctx)
	if err != nil {
		return err
	}
	if line := report.Line(); line != "" && report.Collecting {
		fmt.Fprintln(std.Err, "weir: "+line)
	}
	out := newStream(std.Out, nil)
	defer out.Close()
	switch format {
	case formatJSON:
		err = bucketsJSON(out, list)
	case formatCSV:
		err = bucketsCSV(out, list)
	default:
		err = bucketsTable(out, list, std.color())
	}
	if err != nil {
		return err
	}
	return out.Close()
}

// bucketColumns are the columns of the list, and its JSON keys.
var bucketColumns = []string{"hour", "state", "records", "blocks", "bytes", "first_received", "last_received", "holds"}

func bucketsJSON(out *streamWriter, list []heldBucket) error {
	for _, b := range list {
		cells := bucketCells(b)
		_, err := fmt.Fprintf(out, `{"hour":%q,"state":%q,"records":%s,"blocks":%s,"bytes":%s,"first_received":%q,"last_received":%q,"holds":%s,"holds_part":%s}`+"\n",
			cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6], marshal(b.cases), marshal(b.parts))
		if err != nil {
			return err
		}
	}
	return nil
}

func bucketsCSV(out *streamWriter, list []heldBucket) error {
	w := newCSV(out)
	if err := w.Write(bucketColumns); err != nil {
		return err
	}
	for _, b := range list {
		if err := w.Write(bucketCells(b)); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// bucketCells returns a bucket as programs read it.
func bucketCells(b heldBucket) []string {
	return []string{
		bucketTime(b.Hour), b.state(),
		strconv.FormatInt(b.Rows, 10), strconv.Itoa(b.Blocks), strconv.FormatInt(b.Bytes, 10),
		timeCell(b.FirstReceived), timeCell(b.LastReceived), b.holds(),
	}
}

func bucketsTable(out *streamWriter, list []heldBucket, color bool) error {
	columns := make([]tableColumn, len(bucketColumns))
	for i, name := range bucketColumns {
		columns[i] = tableColumn{name: name, right: i >= 2 && i <= 4}
	}
	t := newTable(out, columns, color)
	for _, b := range list {
		cells := bucketCells(b)
		cells[7] = cmp.Or(cells[7], "-")
		cells[2], cells[4] = humanCount(uint64(b.Rows)), humanCount(uint64(b.Bytes))
		if err := t.row(cells); err != nil {
			return err
		}
	}
	return t.finish()
}

// bucketTime writes the start of an hour with its zone.
func bucketTime(h store.Hour) string { return showMS(h.StartMS()) }

// timeCell writes ms since the epoch, "" for none.
func timeCell(ms uint64) string {
	if ms == 0 {
		return ""
	}
	return showMS(ms)
}
