package main

import (
	"net/netip"
	"testing"
	"time"

	"weir/collector"
	"weir/flow"
)

// TestProbePacket checks that a probe is one record that is found by its source.
func TestProbePacket(t *testing.T) {
	now := time.Date(2026, 11, 22, 14, 3, 0, 0, time.UTC)
	for _, n := range []int{0, 1, 255, 0x7fff} {
		p, err := probePacket(probeAddr(n), now)
		if err != nil {
			t.Fatal(err)
		}
		b := flow.NewBatch(1)
		if err := collector.NewDecoder(collector.DecoderOptions{}).Decode(b, p.Time, p.Source(), p.Payload); err != nil || b.Len() != 1 {
			t.Fatalf("probe %d: %d records, %v", n, b.Len(), err)
		}
		var r flow.Record
		b.Record(0, &r)
		if !netip.MustParsePrefix(probeNet).Contains(netip.MustParseAddr(r.Addr(flow.SrcAddr).String())) {
			t.Errorf("probe %d comes from %v, outside of %s", n, r.Addr(flow.SrcAddr), probeNet)
		}
		if back := uint64(now.UnixMilli()) - r.Num(flow.End); back != 2000 {
			t.Errorf("probe %d ended %d ms ago, want 2000", n, back)
		}
	}
	if probeAddr(1) == probeAddr(2) {
		t.Error("two probes have one address")
	}
}
