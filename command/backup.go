package command

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"weir/backup"
)

func backupCommand() *command {
	return &command{
		name:  "backup",
		usage: "back the archive up, also while it collects; list and verify backups",
		args:  "DEST",
		about: `
DEST is a directory for many backups: each run makes DEST/2026-11-22T14-03-05Z in it, a whole data directory, and points
DEST/latest at it. A backup is consistent: it holds every record that was stored when the command began. The collector
makes it and goes on collecting. What is new is read again and checked before the backup has its name; what an earlier
one in DEST has is shared with it by hard links. On the archive's own file system the tables are links to the archive's.

Any command asks a backup with --data DEST/NAME, and the newest with --data DEST. To restore, copy a backup to where the
data directory was, or collect with --data DEST/NAME. Backups keep what the archive has dropped: --older-than and --keep
delete old ones once the new one is there. DEST/purges.json says what was purged: keep it beside the backups.`,
		flags: []cli.Flag{
			dataFlag(), outputFlag(),
			&cli.StringFlag{Name: "keep", Usage: "leave the newest `N` backups and delete the others"},
			&cli.StringFlag{Name: "older-than", Usage: "delete backups older than `SPAN`: 90d, 12w"},
		},
		examples: []example{
			{"weir backup /backups/weir", "make one"},
			{"weir backup /backups/weir --older-than 90d", "and delete what is older than the retention"},
			{"weir query 'ip 192.0.2.7' --data /backups/weir", "ask the newest"},
			{"weir backup list /backups/weir", "which there are, and whether they are whole"},
			{"weir backup verify /backups/weir", "read every file of every backup"},
		},
		commands: []*command{backupListCommand(), backupVerifyCommand()},
		both:     true,
		words:    func(int) []string { return []string{completeFiles} },
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			o, err := backupFlags(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runBackup(ctx, std, o) }, nil
		},
	}
}

type backupOptions struct {
	dir, format string
	request     backupRequest
}

func backupFlags(c *cli.Context, std *Std) (o backupOptions, err error) {
	if o.dir, o.format, err = archiveAndFormat(c, std); err != nil {
		return o, err
	}
	if o.request.Dest, err = destArg(c, "weir backup /backups/weir"); err != nil {
		return o, err
	}
	if c.IsSet("keep") {
		if o.request.Keep, err = count(c, "keep", 0); err != nil {
			return o, err
		}
		if o.request.Keep == 0 {
			return o, usagef("--keep 0 would leave no backup").withHint("write --keep 7")
		}
	}
	if c.IsSet("older-than") {
		if o.request.OlderThan, err = parseDuration(c.String("older-than")); err != nil {
			return o, prefixUsage("--older-than", err)
		}
		if o.request.OlderThan <= 0 {
			return o, usagef("--older-than: %s is no time", c.String("older-than")).withHint("write --older-than 90d")
		}
	}
	// The daemon stands in another directory.
	o.request.Dest, err = filepath.Abs(o.request.Dest)
	return o, err
}

// destArg returns the one argument, a directory of backups.
func destArg(c *cli.Context, try string) (string, error) {
	if c.NArg() != 1 || c.Args().First() == "" {
		return "", usagef("name one directory of backups").withHint("try: %s", try)
	}
	return c.Args().First(), nil
}

// runBackup makes a backup and says what it is.
func runBackup(ctx context.Context, std *Std, o backupOptions) error {
	b, err := openBackend(ctx, o.dir, modeWrite, std)
	if err != nil {
		return err
	}
	defer b.Close()
	wait := startProgress(std)
	defer wait.end()
	r, err := b.Backup(wait.watched(ctx), o.request)
	wait.end()
	if err != nil {
		return err
	}
	for _, note := range append(r.Notes, r.Kept...) {
		fmt.Fprintf(std.Err, "weir: %s\n", note)
	}
	return forms{
		value: r,
		csv:   func(w io.Writer) error { return backupCSV(w, r) },
		text:  func(w io.Writer) error { return backupText(w, r) },
	}.write(std.Out, o.format)
}

func backupText(w io.Writer, r *backupReport) error {
	shared := "shared with earlier backups"
	if r.Linked {
		shared += "; tables are hard links to the archive's"
	}
	lines := []string{
		fmt.Sprintf("made %s: %s, %s", r.Dir, plural(r.Hours, "hour"), plural(r.Records, "record")),
		fmt.Sprintf("checked: %s, %sB new, %sB %s", plural(r.Files, "file"), humanCount(uint64(r.Fresh)), humanCount(uint64(r.Shared)), shared),
	}
	if len(r.Deleted) > 0 {
		lines = append(lines, fmt.Sprintf("deleted %s: %s", plural(len(r.Deleted), "old backup"), strings.Join(r.Deleted, ", ")))
	}
	lines = append(lines,
		"ask it:     weir query --data "+quoteArg(r.Dir),
		"restore it: stop weir collect, and copy it to where the data directory was")
	_, err := fmt.Fprintln(w, strings.Join(lines, "\n"))
	return err
}

func backupCSV(out io.Writer, r *backupReport) error {
	w := newCSV(out)
	return w.WriteAll([][]string{
		{"name", "dir", "made", "hours", "records", "files", "new_bytes", "shared_bytes", "linked", "deleted"},
		{r.Name, r.Dir, showTime(r.Made), strconv.Itoa(r.Hours), strconv.FormatInt(r.Records, 10), strconv.Itoa(r.Files),
			strconv.FormatInt(r.Fresh, 10), strconv.FormatInt(r.Shared, 10), strconv.FormatBool(r.Linked), strings.Join(r.Deleted, " ")},
	})
}

// A backupRequest says where a backup goes, and what becomes of old ones.
type backupRequest struct {
	Dest      string        `json:"dest"`
	Keep      int           `json:"keep,omitempty"`
	OlderThan time.Duration `json:"older_than,omitempty"` // ns
}

// about says in the audit log what is done.
func (r backupRequest) about() string {
	text := "to " + r.Dest
	if r.Keep > 0 {
		text += fmt.Sprintf(", keeps %d", r.Keep)
	}
	if r.OlderThan > 0 {
		text += ", deletes what is older than " + formatDuration(r.OlderThan)
	}
	return text
}

// A backupReport says what was made.
type backupReport struct {
	backup.Report
	Notes []string `json:"notes,omitempty"` // what the user should know
}

// quoteArg writes an argument as a shell takes it.
func quoteArg(arg string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@%+=:,./_-", r)
	}
	if arg != "" && strings.IndexFunc(arg, func(r rune) bool { return !safe(r) }) < 0 {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}
