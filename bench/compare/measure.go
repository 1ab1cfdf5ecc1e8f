package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"weir/bench"
)

// A usage is what a process took.
type usage struct {
	wall, cpu time.Duration
	peak      int64 // bytes of memory
}

// compression is how nfcapd is told to compress: LZ4, its cheapest.
const compression = "y"

// measure runs a program and returns what it took and its standard output.
func measure(name string, args ...string) (usage, []byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return usage{}, nil, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return usageOf(cmd, time.Since(began)), stdout.Bytes(), nil
}

func usageOf(cmd *exec.Cmd, wall time.Duration) usage {
	u := usage{wall: wall, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.peak = r.Maxrss << 10 // Linux counts in KiB
	}
	return u
}

// median returns the run with the median wall time.
func median(runs []usage) usage {
	slices.SortFunc(runs, func(a, b usage) int { return int(a.wall - b.wall) })
	return runs[len(runs)/2]
}

// loadPeer lets nfcapd store the capture.
func (c *comparison) loadPeer() (usage, string, error) {
	help, _ := exec.Command("nfcapd", "-h").CombinedOutput()
	if strings.Contains(string(help), "\n-f ") {
		u, _, err := measure("nfcapd", "-f", c.capture, "-w", c.flows(), "-t", "3600", "-"+compression)
		return u, "", err
	}
	return c.sendPeer()
}

// peerPort is where nfcapd listens; peerRate is what it takes without loss.
const (
	peerPort = 19995
	peerRate = 150_000
)

// sendPeer sends the records of the capture to nfcapd over UDP, slowly.
func (c *comparison) sendPeer() (usage, string, error) {
	cmd := exec.Command("nfcapd", "-b", "127.0.0.1", "-p", fmt.Sprint(peerPort), "-w", c.flows(), "-t", "3600",
		"-B", "8000000", "-"+compression)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return usage{}, "", err
	}
	defer func() { _ = cmd.Process.Kill() }()
	time.Sleep(time.Second)
	to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), peerPort)
	if err := c.sendSlowly(to); err != nil {
		return usage{}, "", err
	}
	time.Sleep(time.Second)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return usage{}, "", err
	}
	if err := cmd.Wait(); err != nil {
		return usage{}, "", fmt.Errorf("nfcapd: %w\n%s", err, stderr.String())
	}
	u := usageOf(cmd, 0)
	return u, "nfcapd was sent the datagrams", nil
}

// sendSlowly sends the same datagrams as are in the capture, at peerRate
// whatever their simulated times say.
func (c *comparison) sendSlowly(to netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	out := bench.NewSender(to)
	defer out.Close()
	g := bench.New(c.options)
	began, sent := time.Now(), 0
	for ctx.Err() == nil {
		p, ok := g.Next(nil)
		if !ok {
			return nil
		}
		if err := out.Send(p.Exporter.Addr, p.Payload); err != nil {
			return err
		}
		sent += p.Records
		if ahead := time.Duration(sent)*time.Second/peerRate - time.Since(began); ahead > time.Millisecond {
			time.Sleep(ahead)
		}
	}
	return ctx.Err()
}
