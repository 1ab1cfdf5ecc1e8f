package query

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"weir/flow"
)

// naivePeers joins the records of an address by the other end.
func naivePeers(records []*flow.Record, me flow.Addr, raw bool) map[string]Peer {
	peers := map[string]Peer{}
	for _, r := range records {
		sent := r.Has(flow.SrcAddr) && r.Addr(flow.SrcAddr) == me
		other := flow.SrcAddr
		if sent {
			other = flow.DstAddr
		}
		if !sent && (!r.Has(flow.DstAddr) || r.Addr(flow.DstAddr) != me) || !r.Has(other) {
			continue
		}
		name := r.Addr(other).String()
		p, known := peers[name]
		s := naiveSums(r)
		if !known {
			p.First, p.Last = s.First, s.Last
		}
		p.Addr = name
		p.Flows += s.Flows
		p.Sampled += s.Sampled
		add := func(out, in, packetsOut, packetsIn *uint64, n uint64) {
			if !sent {
				out, in, packetsOut, packetsIn = in, out, packetsIn, packetsOut
			}
			*out += n * s.Bytes
			*packetsOut += n * s.Packets
			*in += n * r.Num(flow.ReverseBytes)
			*packetsIn += n * r.Num(flow.ReversePackets)
		}
		n := max(r.Num(flow.SamplingInterval), 1)
		if raw {
			n = 1
		}
		add(&p.BytesOut, &p.BytesIn, &p.PacketsOut, &p.PacketsIn, n)
		if !raw {
			there, back := &p.VarianceOut, &p.VarianceIn
			if !sent {
				there, back = back, there
			}
			there.add(s.Variance)
			back.add(naiveVariance(Sums{Bytes: r.Num(flow.ReverseBytes), Packets: r.Num(flow.ReversePackets)}, n))
		}
		add(&p.Raw.BytesOut, &p.Raw.BytesIn, &p.Raw.PacketsOut, &p.Raw.PacketsIn, 1)
		p.First, p.Last = min(p.First, s.First), max(p.Last, s.Last)
		peers[name] = p
	}
	return peers
}

func TestPeersAgainstNaive(t *testing.T) {
	rng := newRand(t)
	records := randomRecords(rng, 3000)
	s := questionStore(t, rng, records)
	for range 60 * *roundsFlag {
		me := questionAddrs()[rng.IntN(12)]
		req := PeersRequest{Addr: me.String(), Filter: randomFilter(rng), Window: randomWindow(rng),
			By: append(PeerOrders, "")[rng.IntN(len(PeerOrders)+1)], Limit: rng.IntN(8), Raw: rng.IntN(2) == 0}
		got, summary, err := Peers(context.Background(), s, req)
		if err != nil {
			t.Fatalf("%+v: %v", req, err)
		}
		want := naivePeers(matching(t, records, req.Filter, req.Window), me, req.Raw)
		if got.Count != len(want) || len(got.Peers) != limited(len(want), req.Limit) || summary.Limited != (len(got.Peers) < len(want)) {
			t.Errorf("%+v: got %d of %d peers (limited %v), want %d in all", req, len(got.Peers), got.Count, summary.Limited, len(want))
		}
		flows := uint64(0)
		for _, p := range want {
			flows += p.Flows
		}
		if got.Total.Flows != flows {
			t.Errorf("%+v: got %d flows in all, want %d", req, got.Total.Flows, flows)
		}
		for i, p := range got.Peers {
			p.Ports, p.MorePorts = nil, false
			snap(&p.VarianceOut, want[p.Addr].VarianceOut)
			snap(&p.VarianceIn, want[p.Addr].VarianceIn)
			if !reflect.DeepEqual(p, want[p.Addr]) {
				t.Errorf("%+v: %s:\n got %+v\nwant %+v", req, p.Addr, p, want[p.Addr])
			}
			if i > 0 && peerOrder(req.By, got.Peers[i-1]) < peerOrder(req.By, p) {
				t.Errorf("%+v: peer %d stands below a smaller one", req, i)
			}
		}
	}
}

func peerOrder(by string, p Peer) uint64 {
	switch by {
	case "packets":
		return p.PacketsIn + p.PacketsOut
	case "flows":
		return p.Flows
	case "first":
		return ^p.First
	case "last":
		return p.Last
	}
	return p.BytesIn + p.BytesOut
}

// peerFlow is a TCP flow between two ends.
func peerFlow(src string, srcPort uint64, dst string, dstPort uint64) *flow.Record {
	r := new(flow.Record)
	for f, text := range map[flow.Field]string{flow.SrcAddr: src, flow.DstAddr: dst} {
		a, err := flow.ParseAddr(text)
		if err != nil {
			panic(err)
		}
		r.SetAddr(f, a)
	}
	for f, v := range map[flow.Field]uint64{flow.Received: questionBase, flow.Start: questionBase - 1000, flow.End: questionBase,
		flow.Proto: 6, flow.SrcPort: srcPort, flow.DstPort: dstPort, flow.Bytes: 100, flow.Packets: 2} {
		r.SetNum(f, v)
	}
	return r
}

func TestPeersJoinsDirectionsAndPorts(t *testing.T) {
	rng := newRand(t)
	s := questionStore(t, rng, []*flow.Record{
		peerFlow("10.0.0.1", 50000, "192.0.2.7", 443), peerFlow("192.0.2.7", 443, "10.0.0.1", 50000),
		peerFlow("10.0.0.1", 50001, "192.0.2.7", 443), peerFlow("192.0.2.7", 60000, "10.0.0.1", 22),
		peerFlow("10.0.0.1", 7, "10.0.0.1", 8),
	})
	got, _, err := Peers(context.Background(), s, PeersRequest{Addr: "10.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	want := []Peer{
		{Addr: "192.0.2.7", Flows: 4, BytesOut: 200, BytesIn: 200, PacketsOut: 4, PacketsIn: 4, Raw: PeerRaw{200, 200, 4, 4}, First: questionBase - 1000, Last: questionBase,
			Ports: []PeerPort{{6, 443, false, 3}, {6, 22, true, 1}}},
		{Addr: "10.0.0.1", Flows: 1, BytesOut: 100, PacketsOut: 2, Raw: PeerRaw{BytesOut: 100, PacketsOut: 2}, First: questionBase - 1000, Last: questionBase,
			Ports: []PeerPort{{6, 7, true, 1}}},
	}
	if !reflect.DeepEqual(got.Peers, want) {
		t.Errorf("got  %+v\nwant %+v", got.Peers, want)
	}
}

// TestPeerPortsHaveAnOrder has ports that were used equally often, in whatever order
// they were met: those of the peer stand before those of the address itself.
func TestPeerPortsHaveAnOrder(t *testing.T) {
	want := []PeerPort{{6, 80, false, 2}, {6, 22, false, 1}, {6, 22, true, 1}, {17, 22, false, 1}, {17, 22, true, 1}, {6, 23, false, 1}}
	for range 20 {
		var met peerTally
		for _, i := range newRand(t).Perm(len(want)) {
			met.addPort(want[i])
		}
		if got := met.peer("", true).Ports; !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestPeersRefuses(t *testing.T) {
	rng := newRand(t)
	s := questionStore(t, rng, nil)
	for _, req := range []PeersRequest{{Addr: "10.0.0.0/8"}, {Addr: ""}, {Addr: "10.0.0.1", By: "size"}, {Addr: "10.0.0.1", Limit: -1}} {
		var wrong *RequestError
		if _, _, err := Peers(context.Background(), s, req); !errors.As(err, &wrong) {
			t.Errorf("%+v: got %v, want a *RequestError", req, err)
		}
	}
}

func TestPeersIsBounded(t *testing.T) {
	sum := newPeerSum(flow.AddrFrom4(1))
	sum.most = 1000
	for i := range uint32(1000) {
		if _, err := sum.tally(flow.AddrFrom4(i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sum.tally(flow.AddrFrom4(1000)); err == nil {
		t.Error("got no error above the bound")
	}
	if _, err := sum.tally(flow.AddrFrom4(7)); err != nil {
		t.Errorf("a peer that is known: %v", err)
	}
	var ports peerTally
	for i := range uint16(100) {
		ports.addPort(PeerPort{Proto: 6, Port: i, Flows: 1})
	}
	if len(ports.ports) != maxPeerPorts || !ports.morePorts {
		t.Errorf("got %d ports, more %v; want %d and more", len(ports.ports), ports.morePorts, maxPeerPorts)
	}
}
