package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// An archive is weir's side.
type archive struct {
	binary string
	dir    string
	daemon *server // nil: none runs
	port   int     // of the daemon
	opened usage   // what the daemon took until it answered
}

// load imports captures, in a process of its own.
func (a *archive) load(ctx context.Context, files []string) (usage, error) {
	return measure(ctx, discard, a.binary, append([]string{"import", "--data", a.dir}, files...)...)
}

// start starts weir collect on a free port of the loopback interface and waits
// until it answers.
func (a *archive) start(ctx context.Context, keep string) error {
	var err error
	if a.port, err = freePort(); err != nil {
		return err
	}
	began := time.Now()
	a.daemon, err = serve(tool(ctx, a.binary, "collect", "--data", a.dir, "--retention", keep,
		"--listen", fmt.Sprintf("netflow://127.0.0.1:%d", a.port)))
	if err != nil {
		return err
	}
	if err := a.daemon.waitFor(ctx, func() bool { s, err := socketOn(a.port); return err == nil && s.open }); err != nil {
		return err
	}
	wall := time.Since(began)
	cpu, err := cpuOf(a.daemon.pid())
	if err != nil {
		return err
	}
	peak, err := peakOf(a.daemon.pid())
	a.opened = usage{wall, cpu, peak}
	return err
}

// startCalm starts weir collect to be asked: it waits until nothing else is
// done.
func (a *archive) startCalm(ctx context.Context) error {
	if err := a.start(ctx, "forever"); err != nil {
		return err
	}
	return a.daemon.settle(ctx)
}

// stop stops the daemon.
func (a *archive) stop() error {
	if a.daemon == nil {
		return nil
	}
	_, err := a.daemon.stop()
	a.daemon = nil
	return err
}

// ask asks a question by the command line, the start of whose process counts,
// and so does what the daemon does for it.
func (a *archive) ask(ctx context.Context, read func(io.Reader) error, args ...string) (usage, error) {
	args = append(args, "--data", a.dir)
	if a.daemon == nil {
		return measure(ctx, read, a.binary, args...)
	}
	var client usage
	daemon, err := a.daemon.during(func() (err error) {
		client, err = measure(ctx, read, a.binary, args...)
		return err
	})
	return usage{client.wall, client.cpu + daemon.cpu, client.peak + daemon.peak}, err
}

// blocksRead is in what --timing says.
var blocksRead = regexp.MustCompile(`(\S+) read; flows:`)

// blocks returns how many blocks a question read.
func (a *archive) blocks(ctx context.Context, args ...string) (string, error) {
	cmd := tool(ctx, a.binary, append(args, "--timing", "--data", a.dir)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("weir %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	m := blocksRead.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("weir %s --timing does not say how many blocks it read:\n%s", strings.Join(args, " "), out)
	}
	return string(m[1]), nil
}

// bytes returns the size on disk: all of it, and the write-ahead log in it.
func (a *archive) bytes() (total, wal int64) {
	total = diskUsage(a.dir, func(string) bool { return true })
	return total, diskUsage(a.dir, func(name string) bool { return filepath.Ext(name) == ".log" })
}

// diskUsage adds up the files below a directory whose names are wanted, each once
// however many links it has, of one name each, as in weir's checkpoints. Files
// that go meanwhile are gone.
func diskUsage(dir string, want func(name string) bool) (total int64) {
	seen := map[string][]fs.FileInfo{}
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !want(d.Name()) {
			return nil
		}
		info, err := d.Info()
		same := func(other fs.FileInfo) bool { return os.SameFile(info, other) }
		if err == nil && !slices.ContainsFunc(seen[d.Name()], same) {
			seen[d.Name()] = append(seen[d.Name()], info)
			total += info.Size()
		}
		return nil
	})
	return total
}

// freePort returns a UDP port that nobody listens on.
func freePort() (int, error) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port, nil
}
