package ledger

// What can happen to an exporter, as its history says it.
const (
	EventFirst    = "first seen"
	EventTemplate = "template changed"
	EventSampling = "sampling changed"
	EventRestart  = "restarted"
	EventAddress  = "address changed"
)

// MaxEvents bounds the history of one exporter; the oldest go, but not the
// first.
const MaxEvents = 256

// An Event is a line of an exporter's dated history.
type Event struct {
	At     uint64 `json:"at"` // ms, receipt
	What   string `json:"what"`
	Domain uint32 `json:"domain"`
	Detail string `json:"detail,omitempty"` // in words: "template 256: 21 fields, before 19", "1:1000, before 1:100"
}
