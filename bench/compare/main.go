// Command compare measures weir against nfdump, and against DuckDB if asked to,
// on the same work: the same generated records, the same questions, equal
// answers checked. It prints Markdown; people judge. docs/performance.md says
// what each figure means.
//
//	go run ./bench/compare                  # quick: 1 million records
//	go run ./bench/compare -duckdb full     # 10 million in one hour
//	go run ./bench/compare archive          # 90 days by hour, 101 million
//	go run ./bench/compare live             # a minute of UDP at 500,000 records/s
//
// nfcapd and nfdump are taken from the PATH, with every compression of LZ4 and
// zstd that they offer. It fails if a tool fails or if answers differ, never
// for being slow. It runs on Linux alone, whose /proc it reads.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// settings are what the flags say.
type settings struct {
	mode    string
	days    int    // of the archive
	rounds  int    // a question is asked so often
	weir    string // binary; built if empty
	dir     string // for captures and archives; temporary if empty
	duckdb  bool   // install DuckDB for this run
	node    string // directory in which DuckDB's package is installed
	rate    int    // live: records a second
	seconds int    // live: how long
}

func main() {
	log.SetFlags(0)
	s, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		log.Print("compare: ", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		stop()
		log.Fatal("compare: ", err)
	}
}

// parse reads the command line.
func parse(args []string) (settings, error) {
	var s settings
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "Usage: compare [FLAGS] [quick|full|archive|live]\n\nMeasures weir beside nfdump from the PATH; see docs/performance.md.\n\n")
		f.PrintDefaults()
	}
	f.IntVar(&s.days, "days", 90, "archive: so many `DAYS`")
	f.IntVar(&s.rounds, "rounds", 3, "ask each question `N` times; medians are shown")
	f.StringVar(&s.weir, "weir", "", "weir `BINARY`; built from this module if empty")
	f.StringVar(&s.dir, "dir", "", "keep captures and archives in the empty `DIR`; temporary if empty")
	f.BoolVar(&s.duckdb, "duckdb", false, "measure DuckDB too: installs @duckdb/node-api with npm into a temporary directory")
	f.StringVar(&s.node, "node", "", "measure DuckDB too, whose npm package is installed in `DIR`")
	f.IntVar(&s.rate, "rate", 500_000, "live: `RECORDS` a second")
	f.IntVar(&s.seconds, "seconds", 60, "live: for so many `SECONDS`, at most 600")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	s.mode = "quick"
	if f.NArg() > 0 {
		s.mode = f.Arg(0)
	}
	switch {
	case f.NArg() > 1:
		return s, fmt.Errorf("one of quick, full, archive and live is enough")
	case s.mode != "live" && sizeOf(s.mode, s.days).hours == 0:
		return s, fmt.Errorf("%q is none of quick, full, archive, live", s.mode)
	case s.rounds < 1 || s.days < 1 || s.days > 3650 || s.rate < 1 || s.rate > 2_000_000 || s.seconds < 1 || s.seconds > 600:
		return s, fmt.Errorf("a number is out of range: -rounds from 1, -days 1 to 3650, -rate 1 to 2000000, -seconds 1 to 600")
	}
	return s, nil
}

// run makes the scratch directory and the binary and does what is asked.
func run(ctx context.Context, s settings) error {
	if s.dir == "" {
		temp, err := os.MkdirTemp("", "weir-compare-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		s.dir = temp
	} else if err := emptyDir(s.dir); err != nil {
		return err
	}
	if s.weir == "" {
		s.weir = filepath.Join(s.dir, "weir")
		if err := install(ctx, s.weir); err != nil {
			return err
		}
	}
	machine(os.Stdout, time.Now())
	if s.mode == "live" {
		return runLive(ctx, s, os.Stdout)
	}
	return runComparison(ctx, s, os.Stdout)
}

// install builds the binary at path, as a package has it, and copies it, as who
// installs one does. The linker writes by a mapping, page by page, and that is
// how the system keeps the file until it is read anew: every start of a process
// then takes a millisecond and a half more.
func install(ctx context.Context, path string) error {
	built := path + ".built"
	build := exec.CommandContext(ctx, "go", "build", "-tags", "urfave_cli_no_docs", "-trimpath", "-ldflags=-s", "-o", built, "weir")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build weir: %w\n%s", err, out)
	}
	return errors.Join(copyFile(path, built), os.Remove(built))
}

// copyFile copies a program.
func copyFile(to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(struct{ io.Writer }{dst}, src) // piece by piece, as cp does
	return errors.Join(err, dst.Close())
}

// emptyDir makes a directory and refuses one that has something in it.
func emptyDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s is not empty", dir)
	}
	return err
}
