package query

// A PeersRequest asks who an address talked to.
type PeersRequest struct {
	Addr   string // as flow.ParseAddr takes it
	Filter string
	Window Window
	By     string // what orders the answer: bytes (also ""), packets, flows, first or last
	Limit  int    // how many peers are answered; 0: all
	Raw    bool   // counters as exported, not multiplied by the sampling interval
}

// A PeersResult is the answer to a PeersRequest.
type PeersResult struct {
	Addr    string `json:"addr"`
	By      string `json:"by"`
	Count   int    `json:"count"` // peers in all, also those beyond the limit
	Total   Peer   `json:"total"` // of all peers; Addr and ports are empty
	Peers   []Peer `json:"peers"` // largest or latest first, the earliest first by first
	Sampled bool   `json:"sampled,omitempty"`
}

// A Peer is what one address exchanged with the one asked for. Out is from that
// address to the peer and in is back; a record that carries reverse counters
// (RFC 5103) counts them in the other direction.
type Peer struct {
	Addr       string     `json:"peer"`
	Flows      uint64     `json:"flows"`
	BytesOut   uint64     `json:"bytes_out"`
	BytesIn    uint64     `json:"bytes_in"`
	PacketsOut uint64     `json:"packets_out"`
	PacketsIn  uint64     `json:"packets_in"`
	First      uint64     `json:"first"` // ms, the earliest start
	Last       uint64     `json:"last"`  // ms, the latest end
	Ports      []PeerPort `json:"ports,omitempty"`
	MorePorts  bool       `json:"more_ports,omitempty"` // there were more than are kept
}

// A PeerPort is the lower port of both ends, which is nearly always the
// server's.
type PeerPort struct {
	Proto uint8  `json:"proto"`
	Port  uint16 `json:"port"`
	Mine  bool   `json:"mine,omitempty"` // it is the port of the address asked for
	Flows uint64 `json:"flows"`
}
