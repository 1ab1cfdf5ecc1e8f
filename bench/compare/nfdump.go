package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"weir/bench"
	"weir/collector"
)

// nfdump is nfcapd, nfdump and a directory of their files in one compression.
type nfdump struct {
	version     string
	compression string // what it is called in the table
	flag        string // and by nfcapd
	captures    bool   // nfcapd reads captures
	dir         string // of files
	work        string // where nfcapd writes
}

// findNfdump returns a peer for each compression that nfcapd on the PATH offers
// of LZ4, its quickest, and zstd, its smallest.
func findNfdump(ctx context.Context, dir string) ([]*nfdump, error) {
	for _, name := range []string{"nfcapd", "nfdump"} {
		if _, err := exec.LookPath(name); err != nil {
			return nil, fmt.Errorf("find the peer: %w", err)
		}
	}
	help, _ := tool(ctx, "nfcapd", "-h").CombinedOutput() // its status says nothing
	version, err := tool(ctx, "nfdump", "-V").Output()
	if err != nil {
		return nil, fmt.Errorf("nfdump -V: %w", err)
	}
	peers := nfcapdOffers(string(help))
	if len(peers) == 0 {
		return nil, errors.New("nfcapd on the PATH offers neither LZ4 nor zstd: its release is older than 1.7")
	}
	for _, n := range peers {
		n.version = nfdumpVersion(string(version))
		n.dir = filepath.Join(dir, "nfdump-"+n.compression)
		n.work = n.dir + "-work"
		for _, d := range []string{n.dir, n.work} {
			if err := os.Mkdir(d, 0o700); err != nil {
				return nil, err
			}
		}
	}
	return peers, nil
}

// nfcapdOffers reads nfcapd's help: since 1.7.2 it names compressions after -z=.
func nfcapdOffers(help string) []*nfdump {
	captures := strings.Contains(help, "\n-f ")
	var peers []*nfdump
	for _, known := range []struct{ line, compression, flag string }{
		{"\n-y\t", "lz4", "-y"}, {"\n-z=lz4", "lz4", "-z=lz4"}, {"\n-z=zstd", "zstd", "-z=zstd"},
	} {
		if strings.Contains(help, known.line) {
			peers = append(peers, &nfdump{compression: known.compression, flag: known.flag, captures: captures})
		}
	}
	return peers
}

var versionNumber = regexp.MustCompile(`\d+(\.\d+)+`)

// nfdumpVersion returns the release in what nfdump -V prints.
func nfdumpVersion(text string) string { return versionNumber.FindString(text) }

func (n *nfdump) name() string { return fmt.Sprintf("nfdump %s, %s", n.version, n.compression) }

func (n *nfdump) note() string {
	if n.captures {
		return ""
	}
	return fmt.Sprintf("This nfcapd does not read captures, so it was sent the datagrams over UDP at %d records/s or less: its wall time would\n"+
		"say nothing, and its processor time includes the receiving.", peerRate)
}

func (n *nfdump) bytes() int64 { return diskUsage(n.dir, func(string) bool { return true }) }

func (n *nfdump) close() error { return nil }

// nfcapdWeek lets nfcapd write one file: it begins another by the clock on the
// wall, whatever a capture says.
const nfcapdWeek = "604800"

// load stores captures, each in a file of its own, as a running nfcapd would
// store an hour; all in one if they must be sent.
func (n *nfdump) load(ctx context.Context, files []string) (usage, error) {
	if !n.captures {
		return n.receive(ctx, files)
	}
	var all usage
	for _, file := range files {
		u, err := measure(ctx, discard, "nfcapd", "-f", file, "-w", n.work, "-t", nfcapdWeek, n.flag)
		if err == nil {
			err = n.keep(file)
		}
		if err != nil {
			return usage{}, err
		}
		all = all.add(u)
	}
	return all, nil
}

// keep gives the file that nfcapd wrote the name of its capture's hour.
func (n *nfdump) keep(capture string) error {
	written, err := filepath.Glob(filepath.Join(n.work, "nfcapd.2*"))
	if err != nil {
		return err
	}
	if len(written) != 1 {
		return fmt.Errorf("nfcapd wrote %d files, want one", len(written))
	}
	hour := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(capture), ".pcap"), "T", "")
	return os.Rename(written[0], filepath.Join(n.dir, "nfcapd."+hour+"00"))
}

// peerRate is how many records a second nfcapd is sent at first, and peerTries
// how often it is sent them, each time at half the rate: it does not say what
// the kernel dropped, but the kernel does.
const (
	peerRate  = 150_000
	peerTries = 5
)

func (n *nfdump) receive(ctx context.Context, files []string) (usage, error) {
	rate := peerRate
	for range peerTries {
		u, drops, err := n.receiveAt(ctx, files, rate)
		if err != nil {
			return usage{}, err
		}
		if drops == 0 {
			return u, n.keep(files[0])
		}
		if err := errors.Join(os.RemoveAll(n.work), os.Mkdir(n.work, 0o700)); err != nil {
			return usage{}, err
		}
		rate /= 2
	}
	return usage{}, fmt.Errorf("nfcapd loses datagrams even at %d records/s", rate*2)
}

// receiveAt sends captures to an nfcapd and returns how many datagrams the
// kernel dropped.
func (n *nfdump) receiveAt(ctx context.Context, files []string, rate int) (usage, int64, error) {
	port, err := freePort()
	if err != nil {
		return usage{}, 0, err
	}
	s, err := serve(tool(ctx, "nfcapd", "-b", "127.0.0.1", "-p", fmt.Sprint(port), "-w", n.work, "-t", nfcapdWeek,
		"-B", "8000000", n.flag))
	if err != nil {
		return usage{}, 0, err
	}
	err = s.waitFor(ctx, func() bool { s, err := socketOn(port); return err == nil && s.open })
	if err == nil {
		err = replay(ctx, files, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port)), rate)
	}
	if err == nil {
		err = s.waitFor(ctx, func() bool { s, err := socketOn(port); return err == nil && s.queued == 0 })
	}
	at, socketErr := socketOn(port)
	u, stopErr := s.stop()
	return u, at.drops, errors.Join(err, socketErr, stopErr)
}

// recordBytes is about what a record takes in a datagram.
const recordBytes = 60

// replay sends the datagrams of captures, at about a rate of records whatever
// their times say.
func replay(ctx context.Context, files []string, to netip.AddrPort, rate int) error {
	out := bench.NewSender(to)
	defer out.Close()
	began, sent := time.Now(), 0
	send := func(d collector.Datagram) error {
		if err := out.Send(d.Src.Addr(), d.Payload); err != nil {
			return err
		}
		sent += len(d.Payload)
		if ahead := time.Duration(sent/recordBytes)*time.Second/time.Duration(rate) - time.Since(began); ahead > time.Millisecond {
			time.Sleep(ahead)
		}
		return ctx.Err()
	}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		err = collector.ReadCapture(file, send)
		file.Close() // it was only read
		if err != nil {
			return fmt.Errorf("send %s: %w", name, err)
		}
	}
	return nil
}

func (n *nfdump) ask(ctx context.Context, q *question) (usage, answer, bool, error) {
	var a answer
	read := func(r io.Reader) (err error) { a, err = q.readNfdump(r); return err }
	u, err := measure(ctx, read, "nfdump", append([]string{"-R", n.dir, "-N", "-6"}, slices.Clone(q.nfdump)...)...)
	return u, a, true, err
}
