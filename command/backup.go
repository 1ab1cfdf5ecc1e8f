package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/store"
)

func backupCommand() *command {
	return &command{
		name:  "backup",
		usage: "copy the archive, also while it collects",
		args:  "DIR",
		about: `
DIR must not exist yet, or be empty. The copy is consistent: it holds every record that was stored when the command
began, and opens like any archive. On the same file system it shares its files with the archive by hard links and
takes moments; copy it to another disk or host with the tool you like, then remove it. Removing either of the two
does not touch the other.`,
		flags: []cli.Flag{dataFlag()},
		examples: []example{
			{"weir backup /var/backups/weir-2026-11-22", "copy the archive"},
			{"weir query 'ip 192.0.2.7' --data /var/backups/weir-2026-11-22", "ask the copy"},
		},
		words: func(int) []string { return []string{completeFiles} },
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			dir, err := dataDir(c, std)
			if err != nil {
				return nil, err
			}
			if c.NArg() != 1 || c.Args().First() == "" {
				return nil, usagef("name one directory for the copy").withHint("try: weir backup /var/backups/weir")
			}
			to := c.Args().First()
			return func(ctx context.Context, std *Std) error { return runBackup(ctx, std, dir, to) }, nil
		},
	}
}

// runBackup copies the archive in dir to the directory to.
func runBackup(ctx context.Context, std *Std, dir, to string) error {
	full, err := filepath.Abs(to) // the daemon stands in another directory
	if err != nil {
		return err
	}
	if err := checkEmpty(full); err != nil {
		return err
	}
	b, err := openBackend(ctx, dir, modeWrite, std)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := b.Backup(ctx, full); err != nil {
		return fmt.Errorf("back up to %s: %w", to, err)
	}
	return reportBackup(std, to, full)
}

// reportBackup opens the copy, which proves that it is one, and says what it
// holds.
func reportBackup(std *Std, to, full string) error {
	s, err := store.Open(full, store.Options{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("open the copy to check it: %w", err)
	}
	defer s.Close()
	var rows int64
	for _, b := range s.Buckets() {
		rows += b.Rows
	}
	_, err = fmt.Fprintf(std.Out, "copied %s, %s, %s bytes of files to %s\nask it:     weir query --data %s\nrestore it: stop weir collect, and copy it to where the data directory was\n",
		plural(len(s.Buckets()), "hour"), plural(rows, "record"), humanCount(fileSizes(full)), to, quoteArg(to))
	return err
}

// fileSizes returns the size of all files in dir, which has no folders.
func fileSizes(dir string) uint64 {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	var total uint64
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			total += uint64(info.Size())
		}
	}
	return total
}

// checkEmpty refuses a directory that has something in it.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return usagef("%v", err)
	case len(entries) > 0:
		return usagef("%s is not empty", dir).withHint("name a directory that does not exist yet")
	}
	return nil
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
