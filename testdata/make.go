//go:build ignore

// Command make makes the captures of this directory again, with the records
// that they hold. It needs softflowd.
//
//	go run testdata/make.go
//
// The softflowd captures differ in their datagrams' times from run to run; all
// others are the same every time.
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"weir/bench"
	"weir/flow"
	"weir/testdata"
)

var start = time.Date(2026, time.November, 22, 14, 0, 0, 0, time.UTC)

func main() {
	log.SetFlags(0)
	makeSoftflowd()
	makeGenerated()
}

func addr(s string) flow.Addr {
	a, err := flow.ParseAddr(s)
	if err != nil {
		log.Fatal(err)
	}
	return a
}

// makeSoftflowd lets softflowd read ten minutes of an office and keeps what it
// exports.
func makeSoftflowd() {
	packets := bench.Session(bench.SessionHosts{
		Client: addr(testdata.Client), Client6: addr(testdata.Client6), Resolver: addr(testdata.Resolver),
		Server: addr(testdata.Server), Scanned: addr(testdata.Scanned), Answered: addr(testdata.Answered),
		Scanner: addr(testdata.Scanner), Controller: addr(testdata.C2), Stranger: addr(testdata.Stranger),
		Web: addr(testdata.Web), Web6: addr(testdata.Web6), Visitor: addr(testdata.Visitor), Time: addr(testdata.Time),
	}, start)
	var wire bytes.Buffer
	check(bench.WriteSession(&wire, packets))
	session := filepath.Join(os.TempDir(), fmt.Sprint("weir-session-", os.Getpid(), ".pcap"))
	check(os.WriteFile(session, wire.Bytes(), 0o600))
	defer os.Remove(session)
	for i, c := range []struct {
		name string
		args []string
	}{
		{"office-softflowd-v5", []string{"-v", "5"}},
		{"office-softflowd-v9", []string{"-v", "9", "-6"}},
		{"office-softflowd-ipfix", []string{"-v", "10", "-6", "-A", "milli"}},
		{"office-softflowd-biflow", []string{"-v", "10", "-6", "-A", "milli", "-b"}},
	} {
		exporter := netip.AddrFrom4([4]byte{127, 2, 3, byte(i + 1)})
		runSoftflowd(session, exporter, c.name, c.args)
	}
}

// runSoftflowd writes the datagrams that softflowd sends to a capture. Their
// time of receipt is set to just after the session, which softflowd -a makes
// the time of its export too.
func runSoftflowd(session string, exporter netip.Addr, name string, args []string) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(err)
	defer conn.Close()
	check(conn.SetReadBuffer(1 << 20))
	port := conn.LocalAddr().(*net.UDPAddr).Port
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	args = append(args, "-r", session, "-a", "-d", "-n", "127.0.0.1:"+strconv.Itoa(port),
		"-p", session+".pid", "-c", "none")
	if out, err := exec.CommandContext(ctx, "softflowd", args...).CombinedOutput(); err != nil {
		log.Fatalf("softflowd %v: %v\n%s", args, err, out)
	}
	var file bytes.Buffer
	w := bench.NewCaptureWriter(&file)
	buf := make([]byte, 65536)
	received := uint64(start.Add(11 * time.Minute).UnixMilli())
	for {
		check(conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond)))
		n, err := conn.Read(buf)
		if err != nil {
			break
		}
		check(w.Write(received, netip.AddrPortFrom(exporter, 50000),
			netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), bench.PortNetFlow), buf[:n]))
		received += 5
	}
	check(w.Flush())
	check(os.WriteFile(filepath.Join("testdata", name+".pcap"), file.Bytes(), 0o644))
}

// makeGenerated writes what the simulated routers tell.
func makeGenerated() {
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	client := addr(testdata.Client)
	router := func(i int, e bench.Exporter) []bench.Exporter {
		e.Addr, e.Share, e.Uplinks = netip.AddrFrom4([4]byte{127, 2, 4, byte(i)}), 1, 2
		return []bench.Exporter{e}
	}
	generate("ssh-scan-answered", bench.Options{
		Seed: 11, Records: 230, Rate: 2, Exporters: router(1, bench.Exporter{Name: "edge", Format: bench.NetFlow9, Domain: 1}),
		Incidents: []bench.Incident{bench.Scan(addr(testdata.Scanner), addr(testdata.Scanned), 22, at(20), 100, addr(testdata.Answered))},
	})
	generate("beacon-then-exfiltration", bench.Options{
		Seed: 12, Records: 240, Rate: 1, Exporters: router(2, bench.Exporter{Name: "region", Format: bench.IPFIX, Domain: 7, Layer2: true}),
		Incidents: []bench.Incident{
			bench.Beacon(12, client, addr(testdata.C2), testdata.C2Port, at(3), 10*time.Second, 22),
			bench.Exfiltration(client, addr(testdata.Drop), at(30), 3*time.Minute, 4_300_000_000),
		},
	})
	generate("flood-at-the-sampled-edge", bench.Options{
		Seed: 13, Records: 200, Rate: 3,
		Exporters: router(3, bench.Exporter{Name: "edge", Format: bench.NetFlow9, Domain: 257, Sampling: 100}),
		Incidents: []bench.Incident{bench.Flood(13, addr(testdata.Server), at(15), 40*time.Second, 140)},
	})
	generate("behind-the-translator", bench.Options{
		Seed: 14, Records: 100, Rate: 1, Exporters: router(4, bench.Exporter{Name: "nat", Format: bench.IPFIX, Domain: 3, NAT: true}),
		Incidents: []bench.Incident{bench.Translated(addr(testdata.Hidden), addr(testdata.Public), addr(testdata.Web), 55555, testdata.PublicPort, at(42))},
	})
	generate("switch-sflow", bench.Options{
		Seed: 15, Records: 120, Rate: 2, Exporters: router(5, bench.Exporter{Name: "switch", Format: bench.SFlow5, Sampling: 512}),
	})
	generate("six-exporters", bench.Options{Seed: 16, Records: 200, Rate: 20})
}

// generate writes a capture and the records that went into it.
func generate(name string, o bench.Options) {
	o.Start = start
	var file, records bytes.Buffer
	w := bench.NewCaptureWriter(&file)
	g, b := bench.New(o), flow.NewBatch(64)
	for {
		b.Reset()
		p, ok := g.Next(b)
		if !ok {
			break
		}
		check(w.Write(p.Time, p.Source(), p.Destination(), p.Payload))
		for r := range b.Records {
			records.Write(append(r.AppendJSON(nil), '\n'))
		}
	}
	check(w.Flush())
	check(os.WriteFile(filepath.Join("testdata", name+".pcap"), file.Bytes(), 0o644))
	check(os.WriteFile(filepath.Join("testdata", name+".jsonl"), records.Bytes(), 0o644))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
