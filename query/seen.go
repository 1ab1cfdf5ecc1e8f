package query

// A SeenRequest asks what an archive knows of addresses.
type SeenRequest struct {
	Addrs  []string // as flow.ParseAddr takes them
	Window Window
	Hours  bool // with the records of every hour
}

// A SeenResult is the answer to a SeenRequest: one entry for each address asked
// for, in ascending order, also for those that were never seen.
type SeenResult struct {
	From  uint64      `json:"from"` // ms, the first hour that the archive has in the window, 0 if none
	To    uint64      `json:"to"`   // ms, the end of the last
	Addrs []SeenEntry `json:"addrs"`
}

// A SeenEntry is what is known of one address. Only records in the window
// count.
type SeenEntry struct {
	Addr    string `json:"addr"`
	Records uint64 `json:"records"` // with the address as source or destination
	First   uint64 `json:"first"`   // ms, the earliest start; 0 if never seen
	Last    uint64 `json:"last"`    // ms, the latest end
	Active  int    `json:"active"`  // hours in which records came in

	AsSource      uint64 `json:"as_source"`      // records
	AsDestination uint64 `json:"as_destination"` // records

	// Peers is the number of distinct addresses at the other end. Above a few
	// hundred to a million of them, the more addresses are asked for the sooner,
	// it is an estimate, within about two per cent.
	Peers          uint64 `json:"peers"`
	PeersEstimated bool   `json:"peers_estimated,omitempty"`

	Server []SeenPort `json:"server,omitempty"` // its own ports that clients used
	Client []SeenPort `json:"client,omitempty"` // ports of servers that it used

	Hours []SeenHour `json:"hours,omitempty"` // ascending, those with records, if asked for
}

// A SeenPort is a port and how many records had it in that role.
type SeenPort struct {
	Proto   uint8  `json:"proto"`
	Port    uint16 `json:"port"`
	Records uint64 `json:"records"`
}

// A SeenHour is the records that came in within an hour.
type SeenHour struct {
	Start   uint64 `json:"start"` // ms
	Records uint64 `json:"records"`
}
