package query

import (
	"time"

	"weir/flow/ledger"
)

// A CoverageRequest asks what an answer about a window is worth. The window is
// of flow times; it is judged by the hours of receipt that it overlaps, which
// is where all but the longest of its flows came in.
type CoverageRequest struct {
	Window
	Exporter string // as in FlowsRequest
	Filter   string // as in FlowsRequest: what it says of exporters narrows the judgement as well

	Known   ledger.Directory // exporters that the configuration describes
	Keep    time.Duration    // the retention; 0: for ever
	Now     uint64           // ms since the Unix epoch
	Live    bool             // a collector runs on the archive; without one, a run that ended without a word has crashed
	Copied  uint64           // ms: the archive is a copy that was made then, and that no collector may have gone on with; 0: it is none
	Options ParseOptions     // what Exporter and Filter may refer to
}

// A Coverage says what an answer lacks. Counts are of whole hours of receipt,
// those that the window overlaps. Its zero value says nothing, because nothing
// was written down: the archive is older than its ledger.
type Coverage struct {
	From Moment `json:"from"` // the window that is judged: what was asked for, cut to what can be there; 0: nothing can
	To   Moment `json:"to"`   // exclusive

	Hours      int  `json:"hours"`                // of receipt in the window
	Ledgers    int  `json:"hours_with_ledger"`    // of them, those in which something was written down
	Unrecorded int  `json:"hours_without_ledger"` // of them, those that have records and no ledger: nothing is known of them
	Collected  bool `json:"collected,omitempty"`  // a collector ran, in the window or about it; else there are only captures, and nobody knows what they lack
	Imported   bool `json:"imported,omitempty"`   // captures were imported in the window

	Gaps   []Gap       `json:"gaps,omitempty"`          // when nothing was collected, ascending, the longest MaxGaps of them
	DownMS uint64      `json:"gaps_ms,omitempty"`       // the length of all of them
	Past   Moment      `json:"kept_from,omitempty"`     // the window asked for begins before it, and what was earlier is past retention; 0: it does not
	Early  []EarlyDrop `json:"dropped_early,omitempty"` // hours of the window that were dropped before their time, for want of room
	Begin  Moment      `json:"begins,omitempty"`        // the window asked for begins before it, and so does the archive; 0: it does not
	Copied Moment      `json:"copied,omitempty"`        // the archive is a copy of that time and the window ends after it; 0: it is none, or it does not
	End    Moment      `json:"ends,omitempty"`          // the window asked for ends after it, and the captures do not; 0: it does not, or a collector ran
	Open   Moment      `json:"open_from,omitempty"`     // flows that end after it may still be reported; 0: none in the window
	Newest Moment      `json:"last_heard,omitempty"`    // last receipt in the hours of the window

	Expected int           `json:"exporters_expected"`          // marked so in the configuration, or heard in the window or the day before it
	Heard    int           `json:"exporters_heard"`             // of them, heard in the window
	Missing  []ExporterGap `json:"exporters_missing,omitempty"` // of them, the others, MaxNamed at most
	Silent   []ExporterGap `json:"exporters_silent,omitempty"`  // heard in the window, but not at its end, while something was collected; MaxNamed at most
	Quiet    []Quiet       `json:"exporters_quiet,omitempty"`   // heard after the longest time without a datagram, if that is long; the longest first, MaxNamed at most

	Records   uint64         `json:"records"`                    // received
	Lost      uint64         `json:"lost"`                       // that were exported and never came, an estimate from sequence numbers
	Loss      float64        `json:"loss"`                       // Lost as a share of all, 0 to 1
	WorstLoss *ExporterLoss  `json:"worst_loss,omitempty"`       // the exporter with the highest share
	Kernel    uint64         `json:"kernel_drops"`               // datagrams
	Behind    uint64         `json:"kernel_drops_behind"`        // of them, where and when the collector did not keep up
	QueueFull uint64         `json:"queue_full"`                 // times that a socket was not read because its queue was full
	Unstored  []Gap          `json:"unstored,omitempty"`         // when nothing could be stored; as Gaps
	NotStored uint64         `json:"unstored_records,omitempty"` // records counted in these spans, and those that the store refused
	Templates []ExporterSets `json:"without_template,omitempty"` // data sets given up for want of a template, the most first, MaxNamed at most

	SampleDrops uint64          `json:"sample_drops,omitempty"` // samples that sFlow agents say they dropped
	Agents      []ExporterDrops `json:"agents,omitempty"`       // whose they were, the most first, MaxNamed at most

	Clocks   []ExporterClock `json:"clocks,omitempty"`    // exporters whose clock is off, the furthest first, MaxNamed at most
	BadTimes uint64          `json:"bad_times,omitempty"` // records with impossible times

	Intervals []ledger.Interval `json:"sampling,omitempty"` // records by sampling interval, ascending

	Purged     uint64 `json:"purged,omitempty"`            // records deleted on purpose
	OutOfScope uint64 `json:"out_of_scope,omitempty"`      // records with neither side in our networks
	SetAside   uint64 `json:"set_aside,omitempty"`         // of them, in quarantine: not in this answer
	Refused    uint64 `json:"refused,omitempty"`           // of them, refused
	Strangers  uint64 `json:"refused_datagrams,omitempty"` // of senders that were refused

	Sockets []ledger.Drop `json:"kernel_drops_by_socket,omitempty"` // Kernel by listening address, the most first
	Senders []ledger.Drop `json:"refused_senders,omitempty"`        // Strangers by sender, the most first, ledger.MaxSenders at most; the rest is of others

	Damaged []string `json:"damaged,omitempty"` // parts of the ledger that could not be read; those of records are in Summary.Damaged
}

// Bounds of a Coverage, so that a bad month stays readable.
const (
	MaxGaps  = 64
	MaxNamed = 64
)

// A Gap is a span in which nothing was collected or stored.
type Gap struct {
	From   Moment `json:"from"`
	To     Moment `json:"to"` // exclusive
	Reason Reason `json:"reason"`
}

// An EarlyDrop is a run of hours that were dropped before their time.
type EarlyDrop struct {
	From    Moment `json:"from"`
	To      Moment `json:"to"` // exclusive
	Hours   int    `json:"hours"`
	Records int64  `json:"records"`
}

// An ExporterGap is an exporter that was not heard.
type ExporterGap struct {
	Addr string `json:"addr,omitempty"` // "" if the configuration has prefixes for it, and it was never heard
	Name string `json:"name,omitempty"`
	Last Moment `json:"last,omitempty"` // when it was, as far as was looked; 0: not found
}

// A Quiet is the longest time in a window in which an exporter was not heard, and
// was heard afterwards, while something was collected.
type Quiet struct {
	Addr string `json:"addr"`
	Name string `json:"name,omitempty"`
	From Moment `json:"from"`
	To   Moment `json:"to"`
}

// An ExporterLoss is how much of an exporter's records was lost.
type ExporterLoss struct {
	Addr    string  `json:"addr"`
	Name    string  `json:"name,omitempty"`
	Records uint64  `json:"records"` // received
	Lost    uint64  `json:"lost"`    // estimate
	Loss    float64 `json:"loss"`    // 0 to 1
}

// ExporterSets are data sets of an exporter that came without their template
// and were given up.
type ExporterSets struct {
	Addr string `json:"addr"`
	Name string `json:"name,omitempty"`
	Sets uint64 `json:"sets"`
}

// ExporterDrops are samples that an sFlow agent says it dropped: it was too busy
// to send them.
type ExporterDrops struct {
	Addr    string `json:"addr"`
	Name    string `json:"name,omitempty"`
	Samples uint64 `json:"samples"`
}

// An ExporterClock is an exporter whose clock is off.
type ExporterClock struct {
	Addr    string `json:"addr"`
	Name    string `json:"name,omitempty"`
	SkewMS  int64  `json:"skew_ms"` // receipt less end, the median of its worst hour; negative: its clock is ahead
	Records uint64 `json:"records"` // in the hours in which it was off
}

// A Reason is why records are missing, or not what they seem.
type Reason string

// The reasons.
const (
	ReasonLost       Reason = "lost on the way"
	ReasonKernel     Reason = "dropped in the kernel"
	ReasonBehind     Reason = "dropped in the kernel: the collector did not keep up"
	ReasonStopped    Reason = "collector stopped"
	ReasonCrashed    Reason = "collector crashed"
	ReasonNotStarted Reason = "collector not started"
	ReasonAsleep     Reason = "collector asleep"    // the process stood still, as when its host is suspended
	ReasonClockSet   Reason = "host clock set"      // the host's clock was set forward: the time in between never was
	ReasonNoCapture  Reason = "no capture imported" // between the captures of an archive that only imports
	ReasonSilent     Reason = "exporter silent"
	ReasonAgent      Reason = "dropped by the sFlow agent"
	ReasonTemplate   Reason = "template missing"
	ReasonClock      Reason = "clock off"
	ReasonUnstored   Reason = "not stored (disk full?)"
	ReasonDamaged    Reason = "damaged"
	ReasonPurged     Reason = "purged"
	ReasonRetention  Reason = "past retention"
	ReasonScope      Reason = "out of scope, refused"
	ReasonForeign    Reason = "out of scope" // kept or set aside
)

// Down reports whether the reason is that no collector ran.
func (r Reason) Down() bool {
	return r == ReasonStopped || r == ReasonCrashed || r == ReasonNotStarted || r == ReasonAsleep
}
