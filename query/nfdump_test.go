package query

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/bench"
	"weir/collector"
	"weir/flow"
	"weir/index"
	"weir/store"
	"weir/testdata/peer"
)

// A sharedExport is the same datagrams in nfcapd's file and in a store.
type sharedExport struct {
	*archive
	file string
}

// shareExport sends generated datagrams to nfcapd and decodes them into a
// store, which it seals.
func shareExport(t *testing.T, exporters []bench.Exporter, records int64) *sharedExport {
	t.Helper()
	s, err := store.Open("weir-data", store.Options{FS: store.NewMemFS(), FlushEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	shared := &sharedExport{archive: &archive{store: s}}
	dir := t.TempDir()
	to := startNfcapd(t, dir)
	sender := bench.NewSender(to)
	defer sender.Close()
	decoder := collector.NewDecoder(collector.DecoderOptions{})
	g := bench.New(bench.Options{Seed: 5, Records: records, Exporters: exporters, Start: time.Now().Add(-time.Minute).Truncate(time.Second)})
	batch := flow.NewBatch(64)
	for n := 0; ; n++ {
		p, more := g.Next(nil)
		if !more {
			break
		}
		if err := decoder.Decode(batch, p.Time, p.Source(), p.Payload); err != nil {
			t.Fatal(err)
		}
		if err := sender.Send(p.Source().Addr(), p.Payload); err != nil {
			t.Fatal(err)
		}
		if n%8 == 7 {
			time.Sleep(time.Millisecond) // nfcapd's socket buffer is small
		}
	}
	if err := s.Append(batch); err != nil {
		t.Fatal(err)
	}
	shared.records = make([]flow.Record, batch.Len())
	for i := range shared.records {
		batch.Record(i, &shared.records[i])
	}
	for _, b := range s.Buckets() {
		if err := index.Seal(context.Background(), s, b.Hour); err != nil {
			t.Fatal(err)
		}
	}
	shared.file = stopNfcapd(t, dir)
	return shared
}

// startNfcapd starts nfcapd on a free port, to be stopped by stopNfcapd.
func startNfcapd(t *testing.T, dir string) netip.AddrPort {
	t.Helper()
	probe, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	to := probe.LocalAddr().(*net.UDPAddr).AddrPort()
	probe.Close()
	cmd := exec.Command("nfcapd", "-b", "127.0.0.1", "-p", fmt.Sprint(to.Port()), "-w", dir, "-t", "3600", "-B", "4000000",
		"-P", filepath.Join(dir, "pid"))
	cmd.Env = append(os.Environ(), "TZ=UTC")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	// A look at the kernel's table: a bind of ours could come before nfcapd's.
	entry := fmt.Sprintf(":%04X 00000000:0000", to.Port())
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if table, err := os.ReadFile("/proc/net/udp"); err == nil && strings.Contains(string(table), entry) {
			return to
		}
	}
	t.Fatal("nfcapd does not listen")
	return to
}

// stopNfcapd ends nfcapd and returns the file that it wrote.
func stopNfcapd(t *testing.T, dir string) string {
	t.Helper()
	time.Sleep(300 * time.Millisecond) // nfcapd reads on its own time
	text, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		time.Sleep(50 * time.Millisecond)
		if files, _ := filepath.Glob(filepath.Join(dir, "nfcapd.2*")); len(files) == 1 {
			if _, err := os.Stat(filepath.Join(dir, "pid")); errors.Is(err, os.ErrNotExist) {
				return files[0]
			}
		}
	}
	t.Fatal("nfcapd does not stop")
	return ""
}

var nfdumpSummary = regexp.MustCompile(`total flows: (\d+), total bytes: (\d+), total packets: (\d+)`)

// nfdumpSums returns what nfdump counts for a filter, and false if it does not
// accept it.
func (e *sharedExport) nfdumpSums(t *testing.T, filter string) (Sums, bool) {
	t.Helper()
	cmd := exec.Command("nfdump", "-r", e.file, "-N", "-o", "null", filter)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	out, err := cmd.CombinedOutput()
	m := nfdumpSummary.FindSubmatch(out)
	if m == nil {
		if err == nil && !strings.Contains(string(out), "error") && !strings.Contains(string(out), "ine 1:") {
			t.Fatalf("nfdump %s: %s", filter, out)
		}
		return Sums{}, false
	}
	var s Sums
	for i, dst := range []*uint64{&s.Flows, &s.Bytes, &s.Packets} {
		if *dst, err = strconv.ParseUint(string(m[i+1]), 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	return s, true
}

// weirSums returns the same from the store.
func (e *sharedExport) weirSums(t *testing.T, filter string) Sums {
	t.Helper()
	result, _, err := Top(context.Background(), e.store, TopRequest{Filter: filter})
	if err != nil {
		t.Fatalf("%s: %v", filter, err)
	}
	return Sums{Flows: result.Total.Flows, Bytes: result.Total.Bytes, Packets: result.Total.Packets}
}

// A nfdumpMaker makes random filters that nfdump 1.7.1 accepts, out of the
// values of records.
type nfdumpMaker struct{ filterMaker }

func (m *nfdumpMaker) leaf() string {
	side := m.pick("", "src ", "dst ", "src or dst ", "src and dst ")
	op := m.pick("", "= ", "== ", "> ", "< ", ">= ", "<= ", "gt ", "lt ", "ge ", "le ", "eq ")
	switch m.rng.IntN(16) {
	case 0, 1:
		return side + m.pick("ip ", "host ", "IP ") + m.sample(m.pickField(flow.SrcAddr, flow.DstAddr))
	case 2:
		return side + "net " + m.net()
	case 3:
		if m.rng.IntN(3) == 0 {
			return side + "ip in [" + m.net() + "]"
		}
		// Its tree loses entries that lie within others.
		return side + "ip in [" + m.sample(flow.SrcAddr) + " " + m.sample(flow.DstAddr) + " " + m.sample(flow.DstAddr) + "]"
	case 4, 5:
		return m.portLeaf(side + "port " + m.pick("", "= ", "> ", ">= ", "gt ", "GE ") + m.port())
	case 6:
		return m.portLeaf(side + "port in [" + m.port() + " " + m.port() + "," + m.port() + "]")
	case 7:
		return "proto " + m.pick("tcp", "udp", "icmp", "icmp6", "6", "17", "gre")
	case 8:
		return "flags " + m.pick("S", "SA", "A", "AS", "F", "R", "X", "FSRPAU", "> 15", "2", "= 18", "< 20")
	case 9:
		return m.pick("bytes ", "packets ", "in bytes ", "in packets ") + op + m.pick("1", "40", "100", "1000", "1k", "2k", "10k", "1m")
	case 10:
		return m.pick("duration ", "pps ", "bps ", "bpp ") + op + m.pick("0", "1", "10", "100", "1k", "60000", "1m")
	case 11, 12: // and no AS numbers: 1.7.1 refuses them without a database of places
		return m.pick("in if ", "out if ", "if ") + m.sample(m.pickField(flow.InIf, flow.OutIf))
	case 13:
		return m.pick("any", "ipv4", "ipv6", "inet", "inet6", "not any", "tos 0", "src tos 16")
	case 14:
		return m.pick("router ip ", "next ip ") + m.sample(m.pickField(flow.Exporter, flow.NextHop))
	}
	return m.pick("src mask ", "dst mask ", "mask ") + m.sample(m.pickField(flow.SrcMask, flow.DstMask))
}

// net returns a prefix that nfdump 1.7.1 reads as weir does, so not ::/0, which
// it shifts by the width of a word.
func (m *nfdumpMaker) net() string {
	a := m.sample(m.pickField(flow.SrcAddr, flow.DstAddr))
	if strings.Contains(a, ":") {
		return fmt.Sprintf("%s/%d", a, []int{16, 32, 48, 64, 65, 96, 128}[m.rng.IntN(7)])
	}
	return fmt.Sprintf("%s/%d", a, []int{0, 4, 8, 12, 16, 20, 24, 28, 32}[m.rng.IntN(9)])
}

// portLeaf keeps ICMP out of a condition on ports: nfdump shows type and code
// as destination port, where weir has fields of their own.
func (m *nfdumpMaker) portLeaf(text string) string {
	return "(" + text + " and not proto icmp and not proto icmp6)"
}

// port returns a port above 0, which is nfdump's for a record without.
func (m *nfdumpMaker) port() string {
	for {
		if port := m.sample(m.pickField(flow.SrcPort, flow.DstPort)); port != "0" {
			return port
		}
	}
}

func (m *nfdumpMaker) filter(depth int) string {
	if depth == 0 || m.rng.IntN(3) == 0 {
		return m.leaf()
	}
	switch m.rng.IntN(6) {
	case 0:
		return "not " + m.pick("", "not ") + "(" + m.filter(depth-1) + ")"
	case 1: // precedence is nfdump's to decide
		return m.leaf() + m.pick(" and ", " or ", " && ", " || ") + m.leaf() + m.pick(" and ", " or ") + m.pick("", "not ") + m.leaf()
	case 2, 3:
		return "(" + m.filter(depth-1) + ") and (" + m.filter(depth-1) + ")"
	}
	return "(" + m.filter(depth-1) + ") or (" + m.filter(depth-1) + ")"
}

// TestFiltersAreNfdumps runs random filters through nfdump and weir over the
// same export and compares counts and sums. docs/query.md lists where they
// differ on purpose, and where nfdump's releases do.
func TestFiltersAreNfdumps(t *testing.T) {
	peer.Need(t, "nfcapd", "nfdump")
	renewed := peer.NfdumpHas(t, peer.NewFilters)
	filters := 150
	if testing.Short() {
		filters = 40
	}
	for _, format := range []bench.Format{bench.NetFlow5, bench.NetFlow9, bench.IPFIX} {
		t.Run(format.String(), func(t *testing.T) {
			exporters := bench.UniformExporters(3, format)
			e := shareExport(t, exporters, 3000)
			rng := rand.New(rand.NewPCG(uint64(format), 23))
			m := &nfdumpMaker{filterMaker{rng, e.records}}
			some := 0
			for range filters {
				filter := m.filter(2)
				if format == bench.NetFlow5 && strings.Contains(filter, "mask") {
					continue // nfcapd 1.7.1 does not keep them
				}
				theirs := filter
				if renewed {
					theirs = newFilter(filter)
				}
				want, ok := e.nfdumpSums(t, theirs)
				if !ok {
					t.Errorf("nfdump does not take %s", theirs)
					continue
				}
				if want.Flows > 0 && want.Flows < uint64(len(e.records)) {
					some++
				}
				if got := e.weirSums(t, filter); got != want {
					t.Errorf("%s\n weir   %d flows, %d bytes, %d packets\n nfdump %d flows, %d bytes, %d packets",
						filter, got.Flows, got.Bytes, got.Packets, want.Flows, want.Bytes, want.Packets)
				}
			}
			if some < filters/4 {
				t.Errorf("only %d of %d filters told records apart", some, filters)
			}
		})
	}
}
