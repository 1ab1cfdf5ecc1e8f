package query

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"weir/flow"
)

// A PeersRequest asks who an address talked to.
type PeersRequest struct {
	Addr     string `json:"addr"`             // as flow.ParseAddr takes it
	Filter   string `json:"filter,omitempty"` // files expanded (Filter.Source); "" matches all
	Window   `json:"window,omitzero"`
	Exporter string `json:"exporter,omitempty"` // as in FlowsRequest
	By       string `json:"by,omitempty"`       // one of PeerOrders; "": bytes
	Limit    int    `json:"limit,omitempty"`    // how many peers are answered; 0: all
	Raw      bool   `json:"raw,omitempty"`      // count what was exported instead of the estimates
	Dedup    bool   `json:"dedup,omitempty"`    // as in FlowsRequest
}

// PeerOrders are what an answer's peers can be ordered by: the largest or
// latest first, by first the earliest.
var PeerOrders = []string{"bytes", "packets", "flows", "first", "last"}

// A PeersResult is the answer to a PeersRequest.
type PeersResult struct {
	Addr  string `json:"addr"`
	By    string `json:"by"`
	Count int    `json:"count"` // peers in all, also those beyond the limit
	Total Peer   `json:"total"` // of all peers; address and ports are empty
	Peers []Peer `json:"peers"`
}

// A Peer is what one address exchanged with the one asked for. Out is from that
// address to the peer and in is back; a record that carries reverse counters
// (RFC 5103) counts them in the other direction. Counters are estimates, which
// have each record multiplied by its sampling interval, unless the request is
// raw; those of Raw are as exported.
type Peer struct {
	Addr        string     `json:"peer"`
	Flows       uint64     `json:"flows"`
	BytesOut    uint64     `json:"bytes_out"`
	BytesIn     uint64     `json:"bytes_in"`
	PacketsOut  uint64     `json:"packets_out"`
	PacketsIn   uint64     `json:"packets_in"`
	Raw         PeerRaw    `json:"raw"`
	VarianceOut Variance   `json:"variance_out,omitzero"` // of the counters out, where they are estimates
	VarianceIn  Variance   `json:"variance_in,omitzero"`
	Sampled     uint64     `json:"sampled,omitempty"` // records with a sampling interval above 1
	First       uint64     `json:"first_ms"`          // the earliest start
	Last        uint64     `json:"last_ms"`           // the latest end
	Ports       []PeerPort `json:"ports,omitempty"`   // of those that were met first, the most used first
	MorePorts   bool       `json:"more_ports,omitempty"`
}

// A PeerRaw is the counters of a Peer as they were exported.
type PeerRaw struct {
	BytesOut   uint64 `json:"bytes_out"`
	BytesIn    uint64 `json:"bytes_in"`
	PacketsOut uint64 `json:"packets_out"`
	PacketsIn  uint64 `json:"packets_in"`
}

// IsEstimate reports whether the counters differ from what was exported.
func (p *Peer) IsEstimate() bool {
	return p.Raw != PeerRaw{p.BytesOut, p.BytesIn, p.PacketsOut, p.PacketsIn}
}

// A PeerPort is the lower port of both ends, which is nearly always the
// server's.
type PeerPort struct {
	Proto uint8  `json:"proto"`
	Port  uint16 `json:"port"`
	Mine  bool   `json:"mine,omitempty"` // it is the port of the address asked for
	Flows uint64 `json:"flows"`
}

// Peers answers who an address talked to. A record without the address at
// either end is not counted, whatever the filter says.
func Peers(ctx context.Context, s Archive, req PeersRequest) (*PeersResult, Summary, error) {
	return PeersWith(ctx, s, req, ParseOptions{})
}

// PeersWith is Peers with what the filter may refer to.
func PeersWith(ctx context.Context, s Archive, req PeersRequest, o ParseOptions) (*PeersResult, Summary, error) {
	me, err := flow.ParseAddr(req.Addr)
	if err != nil {
		return nil, Summary{}, &RequestError{Part: "address", Text: req.Addr, Expected: "an IPv4 or IPv6 address"}
	}
	by := cmp.Or(req.By, PeerOrders[0])
	if !slices.Contains(PeerOrders, by) {
		return nil, Summary{}, &RequestError{"order", by, "one of " + joinNames(PeerOrders), nearest(by, PeerOrders)}
	}
	if req.Limit < 0 {
		return nil, Summary{}, &RequestError{Part: "limit", Text: fmt.Sprint(req.Limit), Expected: "a number of peers, 0 for all"}
	}
	sc, err := newScan(s, req.Filter, req.Exporter, req.Window, o)
	if err != nil {
		return nil, Summary{}, err
	}
	sc.sums(req.Dedup)
	ends := []addrRange{{me, me}}
	sc.root = and(or(&addrNode{flow.SrcAddr, ends}, &addrNode{flow.DstAddr, ends}), sc.root)
	sums := perWorker(func() *peerSum { return newPeerSum(me) })
	err = sumBlocks(ctx, sc, peerFields, func(worker int) *cells { return &sums[worker].cells }, nil, func(v *visit) error {
		return tryEach(v.rows, sums[v.worker].row)
	})
	if err != nil {
		return nil, sc.summary, err
	}
	for _, other := range sums[1:] {
		if err := sums[0].merge(other); err != nil {
			return nil, sc.summary, err
		}
	}
	result := sums[0].result(by, req.Limit, req.Raw, &sc.summary.Sampling)
	sc.summary.Emitted = uint64(len(result.Peers))
	sc.summary.Limited = len(result.Peers) < result.Count
	return result, sc.summary, nil
}

// Bounds of what is kept: peers, each a few hundred bytes, and ports of a peer: the
// first that each worker meets, which need not be the most used.
const (
	maxPeers     = 2_000_000
	maxPeerPorts = 16
)

// A peerSum adds up the rows that matched, for one worker.
type peerSum struct {
	cells cells
	me    flow.Addr
	most  int // peers that are kept
	peers map[flow.Addr]*peerTally
}

// A peerTally is what is known of one peer.
type peerTally struct {
	out, in   Sums // in: records and flows are those of both
	ports     []PeerPort
	morePorts bool
}

// peerFields are what a peerSum reads.
var peerFields = spanFields.Union(sumFields).Union(flow.SetOf(flow.SrcAddr, flow.DstAddr, flow.SrcPort, flow.DstPort, flow.Proto,
	flow.ReverseBytes, flow.ReversePackets))

func newPeerSum(me flow.Addr) *peerSum {
	return &peerSum{me: me, most: maxPeers, peers: map[flow.Addr]*peerTally{}}
}

// row adds a row of the loaded block, if the address is an end of it.
func (a *peerSum) row(row int) error {
	c := &a.cells
	src, dst := c.addr(flow.SrcAddr, row), c.addr(flow.DstAddr, row)
	sent := c.has(flow.SrcAddr, row) && src == a.me
	if !sent && (!c.has(flow.DstAddr, row) || dst != a.me) {
		return nil
	}
	peer, has := src, c.has(flow.SrcAddr, row)
	if sent {
		peer, has = dst, c.has(flow.DstAddr, row)
	}
	if !has {
		return nil // nobody is known at the other end
	}
	t, err := a.tally(peer)
	if err != nil {
		return err
	}
	there, back := c.sums(row), Sums{Records: 1, Bytes: c.num(flow.ReverseBytes, row), Packets: c.num(flow.ReversePackets, row)}
	interval := max(c.num(flow.SamplingInterval, row), 1)
	back.EstimatedBytes, back.EstimatedPackets = times(back.Bytes, interval), times(back.Packets, interval)
	back.Variance = varianceOf(back.Bytes, back.Packets, interval)
	back.First, back.Last = there.First, there.Last
	if sent {
		t.out.Join(there)
		t.in.Join(back)
	} else {
		t.in.Join(there)
		t.out.Join(back)
	}
	a.port(t, row, sent)
	return nil
}

func (a *peerSum) tally(peer flow.Addr) (*peerTally, error) {
	t := a.peers[peer]
	if t == nil {
		if len(a.peers) >= a.most {
			return nil, fmt.Errorf("%v has more than %d peers; ask with a shorter window or a narrower filter", a.me, a.most)
		}
		t = new(peerTally)
		a.peers[peer] = t
	}
	return t, nil
}

// port counts the lower port of a row.
func (a *peerSum) port(t *peerTally, row int, sent bool) {
	c := &a.cells
	if !c.has(flow.SrcPort, row) || !c.has(flow.DstPort, row) || !c.has(flow.Proto, row) || !hasPorts(c.num(flow.Proto, row)) {
		return
	}
	src, dst := c.num(flow.SrcPort, row), c.num(flow.DstPort, row)
	if src == 0 && dst == 0 {
		return
	}
	p := PeerPort{Proto: uint8(c.num(flow.Proto, row)), Port: uint16(dst), Mine: !sent}
	if src < dst && src != 0 || dst == 0 {
		p.Port, p.Mine = uint16(src), sent
	}
	p.Flows = 1
	if c.has(flow.Flows, row) {
		p.Flows = c.num(flow.Flows, row)
	}
	t.addPort(p)
}

func (t *peerTally) addPort(p PeerPort) {
	for i := range t.ports {
		if q := &t.ports[i]; q.Proto == p.Proto && q.Port == p.Port && q.Mine == p.Mine {
			q.Flows = plus(q.Flows, p.Flows)
			return
		}
	}
	if len(t.ports) >= maxPeerPorts {
		t.morePorts = true
		return
	}
	t.ports = append(t.ports, p)
}

// merge adds the sums of b.
func (a *peerSum) merge(b *peerSum) error {
	for peer, from := range b.peers {
		t, err := a.tally(peer)
		if err != nil {
			return err
		}
		t.out.Join(from.out)
		t.in.Join(from.in)
		t.morePorts = t.morePorts || from.morePorts
		for _, p := range from.ports {
			t.addPort(p)
		}
	}
	return nil
}

// result returns the answer in the given order, and notes in sampling what it
// mixes.
func (a *peerSum) result(by string, limit int, raw bool, sampling *Sampling) *PeersResult {
	r := &PeersResult{Addr: a.me.String(), By: by, Count: len(a.peers), Peers: make([]Peer, 0, len(a.peers))}
	var all peerTally
	order := make([]flow.Addr, 0, len(a.peers))
	for addr, t := range a.peers {
		order = append(order, addr)
		all.out.Join(t.out)
		all.in.Join(t.in)
	}
	slices.SortFunc(order, func(x, y flow.Addr) int {
		return cmp.Or(cmp.Compare(a.peers[y].rank(by, raw), a.peers[x].rank(by, raw)), x.Compare(y))
	})
	for _, addr := range order[:limited(len(order), limit)] {
		t := a.peers[addr]
		both := t.both()
		sampling.note(&both)
		r.Peers = append(r.Peers, t.peer(addr.String(), raw))
	}
	together := all.both()
	sampling.note(&together)
	r.Total = all.peer("", raw)
	return r
}

// limited returns how many of n a limit lets through; 0 is no limit.
func limited(n, limit int) int {
	if limit == 0 {
		return n
	}
	return min(n, limit)
}

// both returns the sums of both directions.
func (t *peerTally) both() Sums {
	s := t.out
	s.Join(t.in)
	return s
}

// rank returns what a peer is ordered by, the highest first.
func (t *peerTally) rank(by string, raw bool) uint64 {
	s := t.both()
	bytes, packets := s.Counted(raw)
	switch by {
	case "packets":
		return packets
	case "flows":
		return s.Flows
	case "first":
		return ^s.First
	case "last":
		return s.Last
	default:
		return bytes
	}
}

// peer returns the tally as an answer.
func (t *peerTally) peer(addr string, raw bool) Peer {
	slices.SortStableFunc(t.ports, func(a, b PeerPort) int {
		return cmp.Or(cmp.Compare(b.Flows, a.Flows), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Proto, b.Proto), compareBool(a.Mine, b.Mine))
	})
	both := t.both()
	bytesOut, packetsOut := t.out.Counted(raw)
	bytesIn, packetsIn := t.in.Counted(raw)
	p := Peer{
		Addr: addr, Flows: both.Flows, BytesOut: bytesOut, BytesIn: bytesIn, PacketsOut: packetsOut, PacketsIn: packetsIn,
		Raw: PeerRaw{t.out.Bytes, t.in.Bytes, t.out.Packets, t.in.Packets}, Sampled: both.Sampled, First: both.First, Last: both.Last, Ports: t.ports, MorePorts: t.morePorts,
	}
	if !raw {
		p.VarianceOut, p.VarianceIn = t.out.Variance, t.in.Variance
	}
	return p
}
