package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// forgetPeak lets the peak of a process's memory begin again at what it has.
func forgetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// peakOf returns the most memory that a process had since forgetPeak, in bytes.
func peakOf(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("process %d tells no peak of memory", pid)
}

// A socket is what the kernel says of the UDP sockets on a port.
type socket struct {
	open   bool
	queued int64 // bytes that wait to be read
	drops  int64 // datagrams
}

// socketOn adds up the UDP sockets on a port.
func socketOn(port int) (socket, error) {
	var all socket
	for _, name := range []string{"/proc/net/udp", "/proc/net/udp6"} {
		text, err := os.ReadFile(name)
		if err != nil {
			return all, err
		}
		if err := all.read(text, port); err != nil {
			return all, fmt.Errorf("%s: %w", name, err)
		}
	}
	return all, nil
}

// read adds what a table of sockets says of a port:
//
//	sl  local_address rem_address   st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode ref pointer drops
func (s *socket) read(table []byte, port int) error {
	lines := bufio.NewScanner(bytes.NewReader(table))
	lines.Scan() // the head
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 13 {
			return fmt.Errorf("line of %d fields", len(fields))
		}
		_, at, _ := strings.Cut(fields[1], ":")
		if n, err := strconv.ParseUint(at, 16, 16); err != nil || int(n) != port {
			continue
		}
		_, queue, _ := strings.Cut(fields[4], ":")
		queued, err := strconv.ParseInt(queue, 16, 64)
		if err != nil {
			return err
		}
		drops, err := strconv.ParseInt(fields[12], 10, 64)
		if err != nil {
			return err
		}
		s.open, s.queued, s.drops = true, s.queued+queued, s.drops+drops
	}
	return lines.Err()
}
