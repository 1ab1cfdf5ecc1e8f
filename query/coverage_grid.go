package query

import (
	"slices"
	"time"

	"weir/flow/ledger"
)

// A GridRequest asks how complete the hours of a window are, exporter by
// exporter.
type GridRequest struct {
	Window
	Exporter string `json:"exporter,omitempty"` // as in FlowsRequest
	Step     int    `json:"step,omitempty"`     // hours of a cell; 0: 1

	Known  ledger.Directory `json:"-"` // as in CoverageRequest
	Keep   time.Duration    `json:"-"`
	Now    uint64           `json:"-"`
	Live   bool             `json:"-"`
	Copied uint64           `json:"-"`

	// Usual reports whether exporters of a group are meant to have records with
	// neither side in our networks; nil: nobody looks for such records.
	Usual func(group string) bool `json:"-"`

	Options ParseOptions `json:"-"`
}

// MaxGridCells bounds the steps of a Grid times its exporters.
const MaxGridCells = 300_000

// A Grid is the ledger of a window, hours by exporters.
type Grid struct {
	From      Moment         `json:"from"` // full hours; unbounded windows are cut to what was written down
	To        Moment         `json:"to"`   // exclusive
	Step      int            `json:"step_hours"`
	Hosts     []HostDigest   `json:"hosts"`     // one for each step
	Exporters []GridExporter `json:"exporters"` // by address; expected ones that were not heard last
	Worst     []BadSpan      `json:"worst"`     // worst first, MaxBadSpans at most
	Damaged   []string       `json:"damaged,omitempty"`
}

// LateSteps is how many steps at the end of a Grid say what is lost now: the last
// one has only begun, so that the one before belongs to it.
const LateSteps = 2

// Lately returns what was counted of an exporter in the last LateSteps.
func (g *Grid) Lately(exporter int) (d Digest) {
	cells := g.Exporters[exporter].Cells
	for i := range cells[max(len(cells)-LateSteps, 0):] {
		d.Add(&cells[max(len(cells)-LateSteps, 0)+i].Digest)
	}
	return d
}

// HostLately returns what was counted for the host in the last LateSteps.
func (g *Grid) HostLately() HostDigest {
	var all HostDigest
	for i := max(len(g.Hosts)-LateSteps, 0); i < len(g.Hosts); i++ {
		h := &g.Hosts[i]
		all.Kernel, all.Behind, all.QueueFull = all.Kernel+h.Kernel, all.Behind+h.Behind, all.QueueFull+h.QueueFull
		all.NotStored, all.Refused, all.Purged = all.NotStored+h.NotStored, all.Refused+h.Refused, all.Purged+h.Purged
		all.Sockets, all.Waits, all.Senders = addDrops(all.Sockets, h.Sockets), addDrops(all.Waits, h.Waits), addDrops(all.Senders, h.Senders)
	}
	all.settle()
	return all
}

// A GridExporter is one line of a Grid.
type GridExporter struct {
	Addr     string   `json:"addr,omitempty"` // "" of an exporter that is expected and was not heard; OthersName
	Name     string   `json:"name,omitempty"`
	Group    string   `json:"group,omitempty"`
	Expected bool     `json:"expected,omitempty"`
	Domains  []uint32 `json:"domains,omitempty"`  // ascending
	Versions []uint16 `json:"versions,omitempty"` // ascending; flow's Version constants
	Total    Digest   `json:"total"`
	Cells    []Cell   `json:"cells"` // one for each step
}

// A Cell is one exporter in one step.
type Cell struct {
	Digest
	State Reason `json:"state,omitempty"` // what is worst about it, StateFine, or StateNone where nothing was to be expected
}

// What a Cell can be beside bad.
const (
	StateNone Reason = ""
	StateFine Reason = "fine"
)

// A Digest is what was counted of one exporter, over its domains, protocols and
// the runs of the collector.
type Digest struct {
	Datagrams       uint64 `json:"datagrams,omitempty"`
	Bytes           uint64 `json:"bytes,omitempty"`
	Records         uint64 `json:"records,omitempty"`
	Lost            uint64 `json:"lost,omitempty"`              // records that never came, an estimate
	LostFlows       uint64 `json:"lost_flows,omitempty"`        // what is missing as the sequence numbers count it: flows of NetFlow v5 and v7
	LostDatagrams   uint64 `json:"lost_datagrams,omitempty"`    // datagrams of NetFlow v9 and sFlow
	LostData        uint64 `json:"lost_data_records,omitempty"` // data records of IPFIX
	Gaps            uint64 `json:"gaps,omitempty"`
	Reordered       uint64 `json:"reordered,omitempty"`
	Duplicates      uint64 `json:"duplicates,omitempty"`
	Restarts        uint64 `json:"restarts,omitempty"`
	SetsWithout     uint64 `json:"sets_without_template,omitempty"`
	SetsRecovered   uint64 `json:"sets_recovered,omitempty"` // of them, decoded when it came
	SetsDropped     uint64 `json:"sets_dropped,omitempty"`   // of them, given up
	LostSamples     uint64 `json:"lost_samples,omitempty"`   // sFlow: flow samples missing by their own numbers
	SampleDrops     uint64 `json:"sample_drops,omitempty"`   // sFlow: samples that the agent says it dropped
	Templates       uint64 `json:"templates,omitempty"`      // received, refreshes included
	TemplateChanges uint64 `json:"template_changes,omitempty"`
	Options         uint64 `json:"options,omitempty"` // options records
	BadDatagrams    uint64 `json:"bad_datagrams,omitempty"`
	BadTimes        uint64 `json:"bad_times,omitempty"`
	Changes         uint64 `json:"sampling_changes,omitempty"`
	OutOfScope      uint64 `json:"out_of_scope,omitempty"`
	SetAside        uint64 `json:"set_aside,omitempty"`
	Refused         uint64 `json:"refused,omitempty"`

	First     Moment            `json:"first,omitempty"` // receipt
	Last      Moment            `json:"last,omitempty"`
	Silence   ledger.Span       `json:"silence,omitzero"`  // the longest between two datagrams
	SkewMS    int64             `json:"skew_ms,omitempty"` // receipt less end of the records, median; the worst of a step's hours
	SkewMinMS int64             `json:"skew_min_ms,omitempty"`
	SkewMaxMS int64             `json:"skew_max_ms,omitempty"`
	Errors    map[string]uint64 `json:"errors,omitempty"` // by reason; nil: none
	Intervals []ledger.Interval `json:"sampling,omitempty"`
}

// miss takes in what is missing, in the unit of a protocol.
func (d *Digest) miss(version uint16, n uint64) {
	switch ledger.UnitOf(version) {
	case ledger.UnitFlows:
		d.LostFlows = n
	case ledger.UnitDatagrams:
		d.LostDatagrams = n
	case ledger.UnitRecords:
		d.LostData = n
	}
}

// Loss returns the share of the records that never came, 0 to 1.
func (d *Digest) Loss() float64 { return LossShare(d.Lost, d.Records) }

// LossShare returns lost records as a share of these and those received, 0 to 1.
func LossShare(lost, records uint64) float64 {
	if lost == 0 {
		return 0
	}
	return float64(lost) / (float64(lost) + float64(records))
}

// A HostDigest is what was counted for the collecting host in one step.
type HostDigest struct {
	At        Moment        `json:"at"`                // start of the step
	Ledgers   int           `json:"hours_with_ledger"` // hours of the step in which something was written down
	Up        []ledger.Span `json:"up,omitempty"`      // when a collector was up, ascending
	Down      []Gap         `json:"down,omitempty"`    // when none was, and why
	Imported  bool          `json:"imported,omitempty"`
	Kernel    uint64        `json:"kernel_drops,omitempty"`        // datagrams
	Behind    uint64        `json:"kernel_drops_behind,omitempty"` // of them, where and when the collector did not keep up
	QueueFull uint64        `json:"queue_full,omitempty"`          // times that a socket was not read because its queue was full
	Unstored  []ledger.Span `json:"unstored,omitempty"`
	NotStored uint64        `json:"unstored_records,omitempty"`
	Refused   uint64        `json:"refused_datagrams,omitempty"` // of senders that were refused
	Purged    uint64        `json:"purged,omitempty"`            // records

	Sockets []ledger.Drop `json:"kernel_drops_by_socket,omitempty"` // Kernel by listening address, the most first
	Waits   []ledger.Drop `json:"queue_full_by_socket,omitempty"`   // QueueFull likewise
	Senders []ledger.Drop `json:"refused_senders,omitempty"`        // Refused by sender, the most first, ledger.MaxSenders at most
	Others  uint64        `json:"refused_of_others,omitempty"`      // datagrams of refused senders beyond those
}

// add adds what the sum of an hour says.
func (h *HostDigest) add(sum *ledgerSum) {
	h.Ledgers++
	h.Imported = h.Imported || slices.ContainsFunc(sum.runs, func(r runSpan) bool { return r.imported })
	h.Kernel += sum.kernel
	h.Behind += sum.behind
	h.QueueFull += sum.queueFull
	h.NotStored += sum.notStored
	h.Refused += sum.strangers
	h.Purged += sum.purged
	h.Unstored = append(h.Unstored, sum.unstored...)
	h.Sockets, h.Waits = addDrops(h.Sockets, sum.sockets), addDrops(h.Waits, sum.waits)
	h.Senders = addDrops(h.Senders, sum.senders)
}

// settle orders the lists, once all hours are added.
func (h *HostDigest) settle() {
	h.Sockets, h.Waits, h.Senders = mostFirst(h.Sockets), mostFirst(h.Waits), mostFirst(h.Senders)
	if named := countDrops(h.Senders); h.Refused > named {
		h.Others = h.Refused - named
	}
}

// A BadSpan is a span in which an exporter, or all of them, are not complete.
type BadSpan struct {
	Addr    string  `json:"addr,omitempty"` // "": all exporters
	Name    string  `json:"name,omitempty"`
	From    Moment  `json:"from"`
	To      Moment  `json:"to"` // exclusive
	Reason  Reason  `json:"reason"`
	Records uint64  `json:"records"`          // estimate of the records that are missing or, of clocks, misplaced; 0: not known
	Loss    float64 `json:"loss,omitempty"`   // of gaps in sequence numbers: share of the records, 0 to 1
	Detail  string  `json:"detail,omitempty"` // in words, with figures
	Missing float64 `json:"missing_hours"`    // how bad it is: see BadSpan.weigh

	counts [2]uint64 // what Detail counts
	skew   int64     // ms, of a clock
}

// MaxBadSpans bounds the spans that a Grid lists.
const MaxBadSpans = 1000
