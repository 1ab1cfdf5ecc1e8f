package query

// A StatsRequest asks for totals.
type StatsRequest struct {
	Filter string
	Window Window
	Per    string // "", or hour: totals of each hour by flow start
	Raw    bool   // counters as exported, not multiplied by the sampling interval
}

// A StatsResult is the answer to a StatsRequest.
type StatsResult struct {
	Total     StatsRow   `json:"total"`
	Protocols []StatsRow `json:"protocols"` // tcp, udp, icmp (also of IPv6) and other, all four always
	Exporters []StatsRow `json:"exporters"` // by address
	Versions  []StatsRow `json:"versions"`  // by name of the export protocol
	Hours     []StatsRow `json:"hours,omitempty"`
	Sampled   bool       `json:"sampled,omitempty"`
}

// A StatsRow is the totals of one group.
type StatsRow struct {
	Key     string `json:"key,omitempty"` // "" where the record has no such field
	Records uint64 `json:"records"`
	Flows   uint64 `json:"flows"` // what the records stand for
	Bytes   uint64 `json:"bytes"`
	Packets uint64 `json:"packets"`
	First   uint64 `json:"first"` // ms, the earliest start
	Last    uint64 `json:"last"`  // ms, the latest end
}
