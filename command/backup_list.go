package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/backup"
	"weir/store"
)

func backupListCommand() *command {
	return &command{
		name:  "list",
		usage: "list the backups in a directory",
		args:  "DEST",
		about: `
Lists the backups in DEST, the oldest first: the newest record and how much is in each, how many bytes of its files no
earlier one had, and whether it is whole. Whole means that each file is there with its size; weir backup verify reads
them. "opened" is one that was asked or collected into since: its audit log has grown.`,
		flags:    []cli.Flag{outputFlag()},
		examples: []example{{"weir backup list /backups/weir", "what there is"}, {"weir backup list /backups/weir -o json", "for a program"}},
		words:    func(int) []string { return []string{completeFiles} },
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			format, err := outputFormat(c)
			if err != nil {
				return nil, err
			}
			dest, err := destArg(c, "weir backup list /backups/weir")
			return func(_ context.Context, std *Std) error { return runBackupList(std, dest, format) }, err
		},
	}
}

func backupVerifyCommand() *command {
	return &command{
		name:  "verify",
		usage: "read every file of backups and compare it with what was written",
		args:  "DEST[/NAME]",
		about: `
Reads every file of the backups in DEST, or of one, compares its SHA-256 with that of when the backup was made, and opens
the backup. Files that backups share are read once. weir check --data DEST/NAME looks at every record. Exit status 4 says
that something is not as it was.`,
		flags:    []cli.Flag{outputFlag()},
		examples: []example{{"weir backup verify /backups/weir", "all of them"}, {"weir backup verify /backups/weir/latest", "the newest"}},
		words:    func(int) []string { return []string{completeFiles} },
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			format, err := outputFormat(c)
			if err != nil {
				return nil, err
			}
			dest, err := destArg(c, "weir backup verify /backups/weir")
			return func(ctx context.Context, std *Std) error { return runBackupVerify(ctx, std, dest, format) }, err
		},
	}
}

// backupsIn returns the backups that an argument names: those of a directory of
// backups, or one.
func backupsIn(dest string) ([]backup.Backup, error) {
	if _, err := os.Stat(dest); err != nil {
		return nil, &storeError{err.Error()}
	}
	if backup.IsDepot(dest) {
		return backup.List(dest)
	}
	real, err := filepath.EvalSymlinks(dest)
	if err != nil {
		return nil, &storeError{err.Error()}
	}
	b := backup.Look(real)
	if _, err := os.Stat(filepath.Join(real, store.ListingName)); err != nil {
		return nil, &storeError{fmt.Sprintf("%s is neither a directory of backups nor one of them; weir backup DEST makes one", dest)}
	}
	return []backup.Backup{b}, nil
}

var backupColumns = []tableColumn{{name: "name"}, {name: "newest_record"}, {name: "hours", right: true}, {name: "records", right: true},
	{name: "bytes", right: true}, {name: "new_bytes", right: true}, {name: "state"}}

// A backupRow is a backup in a list.
type backupRow struct {
	Name    string `json:"name"`
	Newest  string `json:"newest_record"` // "" for none
	Hours   int    `json:"hours"`
	Records int64  `json:"records"`
	Bytes   int64  `json:"bytes"`     // of all files
	Fresh   int64  `json:"new_bytes"` // of those that no earlier backup had
	State   string `json:"state"`     // "whole", "opened", or what is wrong
}

func (r *backupRow) cells(number func(int64) string) []string {
	return []string{r.Name, r.Newest, strconv.Itoa(r.Hours), number(r.Records), number(r.Bytes), number(r.Fresh), r.State}
}

func backupRowOf(b *backup.Backup) backupRow {
	r := backupRow{Name: b.Name, Bytes: b.Size(), State: "whole"}
	if l := b.Listing; l != nil {
		r.Newest, r.Hours, r.Records, r.Fresh = timeCell(l.Newest), l.Hours, l.Records, l.Fresh
	}
	if b.Opened {
		r.State = "opened"
	}
	if b.Err != nil {
		r.State = firstLine(b.Err.Error())
	}
	return r
}

func runBackupList(std *Std, dest, format string) error {
	list, err := backupsIn(dest)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		fmt.Fprintf(std.Err, "weir: %s holds no backup yet\n", dest)
	}
	var rows []backupRow
	var broken []string
	for i := range list {
		rows = append(rows, backupRowOf(&list[i]))
		if list[i].Err != nil {
			broken = append(broken, list[i].Name)
		}
	}
	if err := writeList(std, format, backupColumns, rows, (*backupRow).cells); err != nil {
		return err
	}
	if len(broken) > 0 {
		return &incompleteError{"not whole: " + strings.Join(broken, ", ")}
	}
	return nil
}

// writeList writes a list in the form that was asked for. Tables have numbers for
// people.
func writeList[T any](std *Std, format string, columns []tableColumn, rows []T, cells func(*T, func(int64) string) []string) error {
	out := newStream(std.Out, nil)
	defer out.Close()
	if err := putList(out, format, std.color(), columns, rows, cells); err != nil {
		return quietPipe(err)
	}
	return quietPipe(out.Close())
}

func putList[T any](out io.Writer, format string, color bool, columns []tableColumn, rows []T, cells func(*T, func(int64) string) []string) error {
	exact := func(n int64) string { return strconv.FormatInt(n, 10) }
	switch format {
	case formatJSON:
		for i := range rows {
			if _, err := out.Write(append(marshal(&rows[i]), '\n')); err != nil {
				return err
			}
		}
		return nil
	case formatCSV:
		var names []string
		for _, c := range columns {
			names = append(names, c.name)
		}
		all := [][]string{names}
		for i := range rows {
			all = append(all, cells(&rows[i], exact))
		}
		return newCSV(out).WriteAll(all)
	}
	t := newTable(out, columns, color)
	for i := range rows {
		if err := t.row(cells(&rows[i], func(n int64) string { return humanCount(uint64(n)) })); err != nil {
			return err
		}
	}
	return t.finish()
}

var verifyColumns = []tableColumn{{name: "name"}, {name: "files", right: true}, {name: "bytes", right: true}, {name: "hours", right: true},
	{name: "records", right: true}, {name: "result"}}

func findingCells(f *backup.Finding, number func(int64) string) []string {
	result := "sound"
	switch {
	case len(f.Problems) > 0:
		result = strings.Join(f.Problems, "; ")
	case f.Opened:
		result = "sound, opened since"
	}
	return []string{f.Name, strconv.Itoa(f.Files), number(f.Bytes), strconv.Itoa(f.Hours), number(f.Records), result}
}

func runBackupVerify(ctx context.Context, std *Std, dest, format string) error {
	list, err := backupsIn(dest)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return &storeError{fmt.Sprintf("%s holds no backup yet", dest)}
	}
	wait := startProgress(std)
	defer wait.end()
	v := backup.NewVerifier(ctx, reportsOf(wait.watched(ctx)).copied)
	var found []backup.Finding
	var bad []string
	for i := range list {
		f, err := v.Check(&list[i])
		if err != nil {
			return err
		}
		found = append(found, *f)
		if len(f.Problems) > 0 {
			bad = append(bad, f.Name)
		}
	}
	wait.end()
	if err := writeList(std, format, verifyColumns, found, findingCells); err != nil {
		return err
	}
	if len(bad) > 0 {
		return &incompleteError{"not as they were made: " + strings.Join(bad, ", ")}
	}
	return nil
}
