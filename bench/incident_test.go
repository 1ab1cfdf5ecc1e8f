package bench

import (
	"fmt"
	"testing"
	"time"

	"weir/flow"
)

// TestIncidentsAreExported plants one of each and finds every flow, once, with
// its counters.
func TestIncidentsAreExported(t *testing.T) {
	at := DefaultStart.Add(2 * time.Second)
	inside, outside := flow.AddrFrom4(10<<24|20<<16|9), flow.AddrFrom4(0xcb007142)
	incidents := []Incident{
		Beacon(1, inside, outside, 8443, at, time.Second, 5),
		Scan(flow.AddrFrom4(0xc633644d), flow.AddrFrom4(10<<24|20<<16|7<<8|1), 22, at, 30, flow.AddrFrom4(10<<24|20<<16|7<<8|9)),
		Exfiltration(inside, flow.AddrFrom4(0xcb0071c8), at, 2*time.Minute, 1_000_000_007),
		Flood(2, flow.AddrFrom4(10<<24|20<<16|80), at, 5*time.Second, 100),
		Translated(inside, flow.AddrFrom4(0xcb007105), outside, 55555, 40000, at),
	}
	want := map[string]int{}
	planted := 0
	for i := range incidents {
		incidents[i].Exporter = i % 2
		for _, f := range incidents[i].Flows {
			want[flowText(f.Src, f.Dst, f.SrcPort, f.DstPort, f.Bytes, f.Packets, f.Start, f.End)]++
			planted++
		}
	}
	exporters := UniformExporters(2, IPFIX)
	g := New(Options{Seed: 6, Rate: 100, Records: 15_000, Exporters: exporters, Incidents: incidents})
	b := flow.NewBatch(1 << 14)
	for {
		if _, ok := g.Next(b); !ok {
			break
		}
	}
	found := 0
	for i := range b.Len() {
		n := func(f flow.Field) uint64 { return b.GetNum(f, i) }
		text := flowText(b.GetAddr(flow.SrcAddr, i), b.GetAddr(flow.DstAddr, i), uint16(n(flow.SrcPort)), uint16(n(flow.DstPort)),
			n(flow.Bytes), n(flow.Packets), n(flow.Start), n(flow.End))
		if want[text] > 0 {
			want[text]--
			found++
		}
	}
	if found != planted {
		t.Errorf("%d of %d planted flows were exported", found, planted)
	}
}

func flowText(src, dst flow.Addr, srcPort, dstPort uint16, bytes, packets, start, end uint64) string {
	return fmt.Sprint(src, dst, srcPort, dstPort, bytes, packets, start, end)
}

func TestExfiltrationAddsUp(t *testing.T) {
	from, to := flow.AddrFrom4(1), flow.AddrFrom4(2)
	sum := uint64(0)
	for _, f := range Exfiltration(from, to, DefaultStart, 7*time.Minute, 1_000_003).Flows {
		if f.Src == from {
			sum += f.Bytes
		}
	}
	if sum != 1_000_003 {
		t.Errorf("the parts have %d bytes, want 1000003", sum)
	}
}

// TestSeenTwice counts the flows that two exporters report.
func TestSeenTwice(t *testing.T) {
	g := New(Options{Seed: 9, Records: 20_000, Exporters: UniformExporters(3, NetFlow9), SeenTwice: 25})
	b := flow.NewBatch(1 << 15)
	for {
		if _, ok := g.Next(b); !ok {
			break
		}
	}
	exporters := map[string]map[flow.Addr]bool{}
	for i := range b.Len() {
		n := func(f flow.Field) uint64 { return b.GetNum(f, i) }
		text := flowText(b.GetAddr(flow.SrcAddr, i), b.GetAddr(flow.DstAddr, i), uint16(n(flow.SrcPort)), uint16(n(flow.DstPort)),
			n(flow.Bytes), n(flow.Packets), n(flow.Start), n(flow.End))
		if exporters[text] == nil {
			exporters[text] = map[flow.Addr]bool{}
		}
		exporters[text][b.GetAddr(flow.Exporter, i)] = true
	}
	twice := 0
	for _, seenBy := range exporters {
		if len(seenBy) == 2 {
			twice++
		}
	}
	if share := twice * 100 / len(exporters); share < 20 || share > 30 {
		t.Errorf("%d of %d flows are seen by two exporters, want about 25 %%", twice, len(exporters))
	}
}
