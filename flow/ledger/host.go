package ledger

import (
	"encoding/json"
	"fmt"
	"slices"

	"weir/flow"
)

// A Run names one run of a collector or an import: ms since the Unix epoch when
// it began, by the host's clock.
type Run uint64

// How a Run ended, as far as its Host row of an hour tells.
const (
	EndOpen  = ""      // it went on, or crashed: no later hour and no other row says otherwise
	EndClean = "clean" // it was stopped
	EndHour  = "hour"  // it went on into the next hour
)

// Bounds of a Host, so that no flood makes it grow.
const (
	MaxSenders  = 32 // refused senders by address
	MaxUnstored = 64 // spans in which nothing could be stored
	MaxStills   = 64 // spans in which the collector stood still
)

// A Host is what one run counted for the collecting host in one hour. It is
// kept as JSON.
type Host struct {
	Import bool   `json:"import,omitempty"` // the run read captures: Up is what they span in this hour
	Up     Span   `json:"up"`               // in this hour, from the first to the last sign of life
	End    string `json:"end,omitempty"`    // EndOpen, EndClean or EndHour

	Sockets  []Drop  `json:"sockets,omitempty"`    // datagrams that the kernel dropped, by listening address (SO_RXQ_OVFL)
	Waits    []Drop  `json:"queue_full,omitempty"` // times that a socket was not read because its queue was full, by listening address
	Rejected Drop    `json:"rejected,omitzero"`    // records that the store refused, and why
	Unstored []Span  `json:"unstored,omitempty"`   // when nothing could be stored; the last one may go on
	Counting uint64  `json:"counting,omitempty"`   // records counted but not stored in these spans
	Stills   []Still `json:"stills,omitempty"`     // when there was no sign of life, although the run went on; they may begin in an earlier hour
	Senders  []Drop  `json:"senders,omitempty"`    // datagrams of refused senders, by address, MaxSenders at most
	Others   Drop    `json:"others,omitzero"`      // of refused senders beyond those
	Together uint64  `json:"together,omitempty"`   // exporters that were counted under the zero address
}

// A Still is a time without a sign of life in the midst of a run. By the host's
// clock it is as long as the span; how much time really passed tells why.
type Still struct {
	Span
	Why string `json:"why"` // StillAsleep or StillClock
}

// Why a collector seems to have stood still.
const (
	StillAsleep = "asleep" // the time did pass: its host was suspended, or the process was stopped
	StillClock  = "clock"  // it did not: the clock was set forward
)

// A Drop says where something was lost, or went wrong, and how much.
type Drop struct {
	Where string `json:"where"`
	Count uint64 `json:"count"`
}

// Dropped returns the datagrams that the kernel dropped, and how many of them at
// an address that was not read for a while because its queue was full: the
// collector did not keep up.
func (h *Host) Dropped() (kernel, behind uint64) {
	for _, d := range h.Sockets {
		kernel += d.Count
		if slices.ContainsFunc(h.Waits, func(w Drop) bool { return w.Where == d.Where }) {
			behind += d.Count
		}
	}
	return kernel, behind
}

// QueueFull returns the times that a socket was not read because its queue was
// full.
func (h *Host) QueueFull() uint64 {
	n := uint64(0)
	for _, d := range h.Waits {
		n += d.Count
	}
	return n
}

// RefusedDatagrams returns the datagrams of senders that were refused.
func (h *Host) RefusedDatagrams() uint64 {
	n := h.Others.Count
	for _, d := range h.Senders {
		n += d.Count
	}
	return n
}

// A Purge says that records of the hour were deleted on purpose: how many, never
// what. It is kept as JSON.
type Purge struct {
	At       uint64    `json:"at"` // ms
	Exporter flow.Addr `json:"-"`
	Records  uint64    `json:"records"`
	Case     string    `json:"case,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	By       string    `json:"by,omitempty"`
}

// A Loss says that records of the hour were lost to damage on the disk, and are
// no longer looked for. It is kept as JSON.
type Loss struct {
	At       uint64    `json:"at"`             // ms
	Exporter flow.Addr `json:"-"`              // the zero address: of no exporter in particular
	Records  uint64    `json:"records"`        // as far as it is known; 0: not known
	What     string    `json:"what"`           // what was damaged
	Kept     []string  `json:"kept,omitempty"` // files that were set aside, below the data directory
}

// String says what was lost, for people.
func (l *Loss) String() string {
	text := l.What
	if l.Records > 0 {
		text += fmt.Sprintf(": %d records", l.Records)
		if l.Exporter != (flow.Addr{}) {
			text += " of " + l.Exporter.String()
		}
		text += " lost"
	}
	return text
}

// lossJSON is a Loss with its exporter as text.
type lossJSON struct {
	plainLoss
	Exporter string `json:"exporter"`
}

type plainLoss Loss

// MarshalJSON writes the exporter as an address.
func (l Loss) MarshalJSON() ([]byte, error) {
	return json.Marshal(lossJSON{plainLoss(l), l.Exporter.String()})
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (l *Loss) UnmarshalJSON(text []byte) error {
	var j lossJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	addr, err := flow.ParseAddr(j.Exporter)
	if err != nil {
		return fmt.Errorf("exporter of a loss: %w", err)
	}
	*l = Loss(j.plainLoss)
	l.Exporter = addr
	return nil
}

// purgeJSON is a Purge with its exporter as text.
type purgeJSON struct {
	plainPurge
	Exporter string `json:"exporter"`
}

type plainPurge Purge

// MarshalJSON writes the exporter as an address.
func (p Purge) MarshalJSON() ([]byte, error) {
	return json.Marshal(purgeJSON{plainPurge(p), p.Exporter.String()})
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (p *Purge) UnmarshalJSON(text []byte) error {
	var j purgeJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	addr, err := flow.ParseAddr(j.Exporter)
	if err != nil {
		return fmt.Errorf("exporter of a purge: %w", err)
	}
	*p = Purge(j.plainPurge)
	p.Exporter = addr
	return nil
}
