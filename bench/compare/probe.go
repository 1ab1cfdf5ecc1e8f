package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"weir/bench"
	"weir/flow"
)

// A probe sends single records to a collector and asks for each until it is in
// the answer.
type probe struct {
	archive *archive
	out     *bench.Sender
	sent    int
	missing int             // records that never were
	visible []time.Duration // from the sending of a record to the end of the first answer with it
}

// Times of a probe. What is not in an answer after probeGives was lost.
const (
	probeEvery = 3 * time.Second
	probeAsks  = 25 * time.Millisecond
	probeGives = 30 * time.Second
)

func newProbe(a *archive) *probe {
	to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(a.port))
	return &probe{archive: a, out: bench.NewSender(to)}
}

func (p *probe) close() error { return p.out.Close() }

// run sends a record every few seconds until ctx is done.
func (p *probe) run(ctx context.Context) error {
	for sleep(ctx, probeEvery) {
		if err := p.one(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// one sends a record with an address of its own and waits until it is seen.
func (p *probe) one(ctx context.Context) error {
	addr := probeAddr(p.sent)
	packet, err := probePacket(addr, time.Now())
	if err != nil {
		return err
	}
	began := time.Now()
	if err := p.out.Send(packet.Exporter.Addr, packet.Payload); err != nil {
		return err
	}
	p.sent++
	for {
		n, err := p.archive.count(ctx, "src ip "+addr.String())
		took := time.Since(began)
		switch {
		case err != nil:
			return err
		case n > 0:
			p.visible = append(p.visible, took)
			return nil
		case took > probeGives:
			p.missing++
			return nil
		case !sleep(ctx, probeAsks):
			return nil
		}
	}
}

// probeNet has the addresses of probes. The generator never uses it (RFC 2544).
const probeNet = "198.18.128.0/17"

// probeAddr returns the address of a probe.
func probeAddr(n int) flow.Addr { return flow.AddrFrom4(0xc6128000 + uint32(n&0x7fff)) }

// probePacket returns a datagram of NetFlow v5 with one record of a source.
func probePacket(src flow.Addr, now time.Time) (bench.Packet, error) {
	end := uint64(now.Add(-2 * time.Second).UnixMilli()) // planted flows are exported two seconds after their end
	g := bench.New(bench.Options{
		Start: now, Records: 1,
		Exporters: []bench.Exporter{{Name: "probe", Addr: netip.AddrFrom4([4]byte{127, 2, 9, 9}), Format: bench.NetFlow5, Uptime: time.Hour}},
		Incidents: []bench.Incident{{Flows: []bench.Flow{{
			Src: src, Dst: flow.AddrFrom4(0x0a000001), SrcPort: 40000, DstPort: 9, Proto: 17, Packets: 1, Bytes: 64, Start: end, End: end,
		}}}},
	})
	packet, ok := g.Next(nil)
	if !ok || packet.Records != 1 {
		return packet, fmt.Errorf("the generator made no datagram of one record")
	}
	return packet, nil
}
