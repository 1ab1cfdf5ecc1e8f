package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A usage is what a piece of work took. The zero wall time is unknown.
type usage struct {
	wall time.Duration
	cpu  time.Duration // user and system, of all processes that took part
	peak int64         // bytes of memory, of all of them together
}

// add returns the usage of u and then v.
func (u usage) add(v usage) usage {
	return usage{u.wall + v.wall, u.cpu + v.cpu, max(u.peak, v.peak)}
}

// tool returns a command that speaks plain English and UTC.
func tool(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// measure runs a program, hands its standard output to read while it comes,
// and returns what the program took. Memory below about 15 MiB is not told
// apart: until it executes the program a child process counts as its parent.
func measure(ctx context.Context, read func(io.Reader) error, name string, args ...string) (usage, error) {
	cmd := tool(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return usage{}, err
	}
	if err := forgetPeak(os.Getpid()); err != nil {
		return usage{}, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return usage{}, err
	}
	readErr := read(out)
	_, _ = io.Copy(io.Discard, out) // what was not read must not block the program
	if err := cmd.Wait(); err != nil {
		return usage{}, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return usageOf(cmd, time.Since(began)), readErr
}

// discard reads nothing of a program's output.
func discard(io.Reader) error { return nil }

// usageOf returns what a program took that has ended.
func usageOf(cmd *exec.Cmd, wall time.Duration) usage {
	u := usage{wall: wall, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.peak = int64(r.Maxrss) << 10 // Linux counts in KiB
	}
	return u
}

// A server is a process that stays and answers.
type server struct {
	cmd    *exec.Cmd
	stderr logged
	ended  chan struct{}
	err    error // set when ended is closed
}

// logged is what a running process has printed so far.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends to the text.
func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String returns all that was printed.
func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serve starts a server.
func serve(cmd *exec.Cmd) (*server, error) {
	s := &server{cmd: cmd, ended: make(chan struct{})}
	cmd.Stderr = &s.stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		s.err = cmd.Wait()
		close(s.ended)
	}()
	return s, nil
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// during returns what the server took while work ran. The wall time is work's.
func (s *server) during(work func() error) (usage, error) {
	before, err := cpuOf(s.pid())
	if err == nil {
		err = forgetPeak(s.pid())
	}
	if err != nil {
		return usage{}, err
	}
	began := time.Now()
	if err := work(); err != nil {
		return usage{}, err
	}
	u := usage{wall: time.Since(began)}
	after, err := cpuOf(s.pid())
	if err != nil {
		return usage{}, err
	}
	u.cpu = after - before
	u.peak, err = peakOf(s.pid())
	return u, err
}

// waitFor waits until ready returns true, and fails when the server ends.
func (s *server) waitFor(ctx context.Context, ready func() bool) error {
	timeout := time.After(time.Minute)
	for !ready() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ended:
			return fmt.Errorf("%s: %w\n%s", s.cmd.Path, errors.Join(errors.New("it ended"), s.err), s.stderr.String())
		case <-timeout:
			return fmt.Errorf("%s is not ready after a minute", s.cmd.Path)
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}

// settle waits until the server has done what it does after its start: until it
// takes less than a tenth of a processor, for half a minute at most.
func (s *server) settle(ctx context.Context) error {
	const look = 250 * time.Millisecond
	last, err := cpuOf(s.pid())
	for end := time.Now().Add(30 * time.Second); err == nil && time.Now().Before(end) && sleep(ctx, look); {
		before := last
		if last, err = cpuOf(s.pid()); last-before < look/10 {
			break
		}
	}
	return errors.Join(err, ctx.Err())
}

// stop asks the server to end, waits until it has and returns what it took.
func (s *server) stop() (usage, error) {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-s.ended:
	case <-time.After(2 * time.Minute):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
	if s.err != nil {
		return usage{}, fmt.Errorf("%s: %w\n%s", s.cmd.Path, s.err, s.stderr.String())
	}
	return usageOf(s.cmd, 0), nil
}

// median returns the middle one of an odd number of values, the upper of the
// two in the middle of an even one.
func median[T ~int64 | ~float64](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// medians returns the median of each figure by itself.
func medians(runs []usage) usage {
	var walls, cpus []time.Duration
	var peaks []int64
	for _, u := range runs {
		walls, cpus, peaks = append(walls, u.wall), append(cpus, u.cpu), append(peaks, u.peak)
	}
	return usage{median(walls), median(cpus), median(peaks)}
}

// What takes a few milliseconds is repeated for so long, and at most so often:
// once says as much of how long the processors had slept as of the program.
const (
	shortWork = 250 * time.Millisecond
	mostRuns  = 15
)

// again runs work, repeats it if it is short, and returns the medians.
func again(run func() (usage, error)) (usage, error) {
	var runs []usage
	for began := time.Now(); len(runs) == 0 || len(runs) < mostRuns && time.Since(began) < shortWork; {
		u, err := run()
		if err != nil {
			return usage{}, err
		}
		runs = append(runs, u)
	}
	return medians(runs), nil
}
