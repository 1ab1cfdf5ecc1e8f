package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/bench"
	"weir/testdata/peer"
)

// TestPeerNfdump sends the same datagrams to weir and to nfcapd and compares
// the records of both, with those that the generator made for a third opinion.
func TestPeerNfdump(t *testing.T) {
	peer.Need(t, "nfcapd", "nfdump")
	binary := buildWeir(t)
	for _, f := range []bench.Format{bench.NetFlow5, bench.NetFlow9, bench.IPFIX} {
		t.Run(f.String(), func(t *testing.T) {
			export, want := generated(t, bench.Options{
				Seed: 31, Records: 3000, Start: time.Now().Add(-time.Minute).Truncate(time.Second), Exporters: bench.UniformExporters(3, f),
			})
			got := liveRows(t, binary, export)
			sameRows(t, "weir and the generator", got, want, tsharkKeys)
			sameRows(t, "weir and nfcapd", forget(got), nfcapdRows(t, export), nfdumpKeys)
		})
	}
}

// forget makes records of ours what nfcapd makes of them: it does not keep
// the masks of NetFlow v5 and the type and code of ICMPv6 in NetFlow v9, and it
// takes the destination port of ICMP in NetFlow v5 for type and code, which weir
// leaves as it was exported.
func forget(rows []row) []row {
	kept := make([]row, len(rows))
	for i, r := range rows {
		kept[i] = maps.Clone(r)
		switch {
		case r["version"] == "netflow5":
			delete(kept[i], "src_mask")
			delete(kept[i], "dst_mask")
			if port, err := strconv.Atoi(r["dst_port"]); err == nil && r["proto"] == "1" {
				delete(kept[i], "dst_port")
				kept[i].put("icmp_type", fmt.Sprint(port>>8))
				kept[i].put("icmp_code", fmt.Sprint(port&0xff))
			}
		case r["version"] == "netflow9" && r["proto"] == "58":
			delete(kept[i], "icmp_type")
			delete(kept[i], "icmp_code")
		}
	}
	return kept
}

// TestPeerNfreplay lets nfreplay send what nfcapd stored to weir collect and
// compares weir query with nfdump on the file.
func TestPeerNfreplay(t *testing.T) {
	peer.Need(t, "nfcapd", "nfdump", "nfreplay")
	binary := buildWeir(t)
	export, _ := generated(t, bench.Options{
		Seed: 32, Records: 2000, Start: time.Now().Add(-time.Minute).Truncate(time.Second), Exporters: bench.UniformExporters(1, bench.NetFlow9),
	})
	dir := nfcapd(t, export)
	for _, version := range []string{"5", "9"} {
		t.Run("v"+version, func(t *testing.T) {
			want := nfdumpRows(t, dir)
			keys := replayKeys
			if version == "5" {
				want = only4(want)
				keys = replayKeys5
			}
			replayed := receive(t, func(to netip.AddrPort) {
				for _, file := range filesOf(t, dir) {
					args := []string{"-r", file, "-H", "127.0.0.1", "-p", fmt.Sprint(to.Port()), "-v", version, "-d", "200"}
					if version == "5" {
						args = append(args, "ipv4")
					}
					runTool(t, "nfreplay", args...)
				}
			})
			got := liveRows(t, binary, replayed)
			sameRows(t, "weir of nfreplay and nfdump", forget(got), want, keys)
		})
	}
}

// nfdumpKeys are the fields that nfdump prints and the test compares.
var nfdumpKeys = []string{
	"exporter", "src_addr", "dst_addr", "src_port", "dst_port", "proto", "tcp_flags", "tos", "bytes", "packets",
	"in_if", "out_if", "src_as", "dst_as", "src_mask", "dst_mask", "next_hop", "start", "end", "icmp_type", "icmp_code",
}

// replayKeys are the fields that nfreplay sends on.
var replayKeys = []string{
	"src_addr", "dst_addr", "src_port", "dst_port", "proto", "tcp_flags", "tos", "bytes", "packets", "start", "end",
	"in_if", "out_if", "src_as", "dst_as",
}

// replayKeys5 leaves out what v5 is too narrow for.
var replayKeys5 = []string{
	"src_addr", "dst_addr", "src_port", "dst_port", "proto", "tcp_flags", "tos", "bytes", "packets", "start", "end",
	"in_if", "out_if",
}

func only4(rows []row) []row {
	var all []row
	for _, r := range rows {
		if !strings.Contains(r["src_addr"], ":") {
			all = append(all, r)
		}
	}
	return all
}

// nfcapdRows returns what nfcapd makes of datagrams.
func nfcapdRows(t *testing.T, export []datagram) []row {
	t.Helper()
	return nfdumpRows(t, nfcapd(t, export))
}

// nfcapd sends datagrams to an nfcapd and returns the directory that it wrote.
func nfcapd(t *testing.T, export []datagram) string {
	t.Helper()
	dir, to := t.TempDir(), freePort(t)
	cmd := exec.Command("nfcapd", "-b", "127.0.0.1", "-p", fmt.Sprint(to.Port()), "-w", dir, "-t", "3600", "-B", "4000000")
	cmd.Env = append(os.Environ(), "TZ=UTC")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	waitForListener(t, to)
	sendAll(t, to, export)
	time.Sleep(300 * time.Millisecond) // nfcapd reads on its own time
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("nfcapd does not stop")
	}
	return dir
}

// waitForListener waits until someone listens on a loopback UDP port.
func waitForListener(t *testing.T, at netip.AddrPort) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if taken(at) {
			return
		}
	}
	t.Fatalf("nobody listens on %v", at)
}

func filesOf(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "nfcapd.2*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("nfcapd wrote nothing to %s (%v)", dir, err)
	}
	return files
}

// nfdumpRows returns the records that nfdump prints of a directory.
func nfdumpRows(t *testing.T, dir string) []row {
	t.Helper()
	var rows []row
	for _, file := range filesOf(t, dir) {
		var records []map[string]any
		out := runTool(t, "nfdump", "-r", file, "-o", "json")
		dec := json.NewDecoder(strings.NewReader(string(out)))
		dec.UseNumber()
		if err := dec.Decode(&records); err != nil {
			t.Fatalf("nfdump's JSON: %v", err)
		}
		for _, values := range records {
			rows = append(rows, nfdumpRow(values))
		}
	}
	return rows
}

// nfdumpNames are nfdump's names of plain fields.
var nfdumpNames = map[string]string{
	"in_packets": "packets", "in_bytes": "bytes", "proto": "proto", "src_port": "src_port", "dst_port": "dst_port",
	"src_tos": "tos", "src4_addr": "src_addr", "src6_addr": "src_addr", "dst4_addr": "dst_addr", "dst6_addr": "dst_addr",
	"input_snmp": "in_if", "output_snmp": "out_if", "src_mask": "src_mask", "dst_mask": "dst_mask",
	"src_as": "src_as", "dst_as": "dst_as", "ip4_next_hop": "next_hop", "ip6_next_hop": "next_hop",
	"ip4_router": "exporter", "icmp_type": "icmp_type", "icmp_code": "icmp_code",
}

func nfdumpRow(values map[string]any) row {
	r := row{}
	for name, v := range values {
		switch name {
		case "first":
			r.put("start", fmt.Sprint(v, "Z"))
		case "last":
			r.put("end", fmt.Sprint(v, "Z"))
		case "tcp_flags":
			r.put("tcp_flags", fmt.Sprint(flagBits(fmt.Sprint(v))))
		default:
			r.put(nfdumpNames[name], fmt.Sprint(v))
		}
	}
	return r
}

// flagBits reads flags as nfdump prints them: one of CEUAPRSF or a dot each.
func flagBits(s string) (bits uint64) {
	for _, c := range s {
		bits <<= 1
		if c != '.' {
			bits |= 1
		}
	}
	return bits
}
