package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/bench"
	"weir/flow"
	"weir/testdata/peer"
)

// TestPeerSoftflowd lets softflowd make flows of known packets, sends its
// export to a running weir collect, to nfcapd and to tshark, and compares what
// weir query answers with the packets and with what the others saw.
func TestPeerSoftflowd(t *testing.T) {
	peer.Need(t, "softflowd", "nfcapd", "nfdump", "tshark")
	binary := buildWeir(t)
	start := time.Now().Add(-20 * time.Minute).Truncate(time.Second)
	packets := officeSession(t, start)
	session := filepath.Join(t.TempDir(), "session.pcap")
	file, err := os.Create(session)
	if err != nil {
		t.Fatal(err)
	}
	if err := bench.WriteSession(file, packets); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		args   []string
		v4Only bool
	}{
		{"v5", []string{"-v", "5"}, true},
		{"v9", []string{"-v", "9", "-6"}, false},
		{"ipfix", []string{"-v", "10", "-6", "-A", "milli"}, false},
		{"ipfix biflow", []string{"-v", "10", "-6", "-A", "milli", "-b"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			export := softflowd(t, session, c.args)
			want := packetSums(packets, c.v4Only)
			got := liveRows(t, binary, export)
			comparePackets(t, got, want)
			sameRows(t, "weir and tshark", got, tsharkRows(t, writeCapture(t, export)), tsharkKeys)
			if c.name == "ipfix biflow" {
				return // nfcapd 1.7.1 makes two records of a biflow, without the flags of the second
			}
			sameRows(t, "weir and nfcapd", forget(got), nfcapdRows(t, export), nfdumpKeys)
		})
	}
}

// softflowd returns the datagrams that softflowd exports for a capture of
// packets, as if they came from 127.2.9.1.
func softflowd(t *testing.T, session string, args []string) []datagram {
	t.Helper()
	export := receive(t, func(to netip.AddrPort) {
		args = append(args, "-r", session, "-a", "-d", "-n", to.String(), "-p", session+".pid", "-c", "none")
		runTool(t, "softflowd", args...)
	})
	if len(export) == 0 {
		t.Fatal("softflowd exports nothing")
	}
	for i := range export {
		export[i].src = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 2, 9, 1}), 50000)
	}
	return export
}

// liveRows sends datagrams to a running weir collect and returns what weir
// query answers while it runs, and after a stop, which must be the same.
func liveRows(t *testing.T, binary string, export []datagram) []row {
	t.Helper()
	records := len(decodeRows(t, export))
	w := &weir{t: t, binary: binary, dir: filepath.Join(t.TempDir(), "data")}
	c := w.collect()
	sendAll(t, c.addr(t), export)
	live := w.queryUntil(records)
	c.stop()
	if after := w.query(); len(after) != len(live) || len(live) != records {
		t.Errorf("%d records while collecting, %d after a stop, %d sent", len(live), len(after), records)
	}
	return live
}

// A tuple is what softflowd tells flows apart by; ICMP has no ports.
type tuple struct {
	src, dst         string
	srcPort, dstPort string
	proto            string
}

// sums are the packets and bytes of a tuple.
type sums struct{ packets, bytes uint64 }

// packetSums adds up packets by tuple.
func packetSums(packets []bench.PacketSeen, v4Only bool) map[tuple]sums {
	all := map[tuple]sums{}
	for i := range packets {
		p := &packets[i]
		if v4Only && !p.Src.Is4() {
			continue
		}
		key := tuple{p.Src.String(), p.Dst.String(), "", "", fmt.Sprint(p.Proto)}
		if p.SrcPort != 0 {
			key.srcPort, key.dstPort = fmt.Sprint(p.SrcPort), fmt.Sprint(p.DstPort)
		}
		s := all[key]
		all[key] = sums{s.packets + 1, s.bytes + uint64(p.Size)}
	}
	return all
}

// comparePackets adds up records by tuple, both directions of biflows, and
// compares the sums with those of the packets.
func comparePackets(t *testing.T, got []row, want map[tuple]sums) {
	t.Helper()
	all := map[tuple]sums{}
	number := func(r row, f flow.Field) uint64 {
		if r[f.String()] == "" {
			return 0
		}
		return atoi(t, r[f.String()])
	}
	add := func(key tuple, packets, bytes uint64) {
		if packets > 0 {
			s := all[key]
			all[key] = sums{s.packets + packets, s.bytes + bytes}
		}
	}
	for _, r := range got {
		key := tuple{r["src_addr"], r["dst_addr"], r["src_port"], r["dst_port"], r["proto"]}
		if key.proto == "1" || key.proto == "58" {
			key.srcPort, key.dstPort = "", "" // v5 has type and code there
		}
		add(key, number(r, flow.Packets), number(r, flow.Bytes))
		back := tuple{key.dst, key.src, key.dstPort, key.srcPort, key.proto}
		add(back, number(r, flow.ReversePackets), number(r, flow.ReverseBytes))
	}
	for key, w := range want {
		if all[key] != w {
			t.Errorf("%v: %+v, the packets are %+v", key, all[key], w)
		}
	}
	if len(all) != len(want) {
		t.Errorf("%d tuples, the packets have %d", len(all), len(want))
	}
}
