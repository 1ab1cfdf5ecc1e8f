package ledger

import (
	"slices"

	"weir/flow"
)

// A Key names what an Entry is about.
type Key struct {
	Exporter flow.Addr // UDP source; the zero Addr: exporters beyond the bound, together
	Domain   uint32    // observation domain; sFlow: sub-agent
	Version  uint16    // one of flow's Version constants
}

// Compare orders keys by exporter, domain and version.
func (k Key) Compare(o Key) int {
	switch {
	case k.Exporter != o.Exporter:
		if k.Exporter.Less(o.Exporter) {
			return -1
		}
		return 1
	case k.Domain != o.Domain:
		if k.Domain < o.Domain {
			return -1
		}
		return 1
	}
	return int(k.Version) - int(o.Version)
}

// A Unit is what a protocol's sequence numbers count.
type Unit uint8

// The units.
const (
	UnitNone      Unit = iota // NetFlow v1 has no sequence numbers
	UnitFlows                 // NetFlow v5 and v7: flow records
	UnitDatagrams             // NetFlow v9 (RFC 3954, section 5.1) and sFlow v5
	UnitRecords               // IPFIX: data records (RFC 7011, section 3.1)
)

// String returns the unit in the plural, as it stands in answers.
func (u Unit) String() string {
	return [...]string{"", "flows", "datagrams", "records"}[min(u, UnitRecords)]
}

// UnitOf returns the unit of a protocol, one of flow's Version constants.
func UnitOf(version uint16) Unit {
	switch uint64(version) {
	case flow.VersionNF5, flow.VersionNF7:
		return UnitFlows
	case flow.VersionNF9, flow.VersionSFlow5:
		return UnitDatagrams
	case flow.VersionIPFIX:
		return UnitRecords
	}
	return UnitNone
}

// A Counter is one of the numbers of an Entry that simply add up. Its value is
// written to disk and never reused for another meaning.
type Counter uint8

// The counters.
const (
	Datagrams       Counter = iota // received from this key
	Bytes                          // in them, without UDP and IP headers
	Records                        // flow records decoded from them
	Lost                           // missing by sequence number, in the protocol's unit, reordered ones taken back
	Gaps                           // runs of missing units
	Reordered                      // datagrams that came after a later one
	Duplicates                     // datagrams whose sequence number had come before
	Restarts                       // the sequence or the uptime began anew
	LostSamples                    // sFlow: flow samples missing by their own sequence numbers
	SampleDrops                    // sFlow: the agent's own count of samples it dropped, as it grew
	Templates                      // template records, refreshes included
	TemplateChanges                // of them, new or with another layout
	Options                        // options records
	SetsWithout                    // data sets that came without their template
	SetsRecovered                  // of them, decoded when it came
	SetsDropped                    // of them, given up
	BadDatagrams                   // with at least one error
	BadTimes                       // records with impossible times
	SamplingChanges                // times that the sampling interval in force changed
	OutOfScope                     // records with neither side in our networks
	SetAside                       // of them, put in quarantine
	Refused                        // of them, refused
	CounterCount                   // how many counters there are
)

var counterNames = [CounterCount]string{
	"datagrams", "bytes", "records", "lost", "gaps", "reordered", "duplicates", "restarts", "lost_samples", "sample_drops",
	"templates", "template_changes", "options", "sets_without_template", "sets_recovered", "sets_dropped", "bad_datagrams",
	"bad_times", "sampling_changes", "out_of_scope", "set_aside", "refused",
}

// String returns the counter's name as it stands in JSON and metrics.
func (c Counter) String() string {
	if c < CounterCount {
		return counterNames[c]
	}
	return "unknown"
}

// What is more than a stray of records that are not ours.
const (
	notableRecords = 10   // in an hour, at least
	notableShare   = 0.01 // and this share of all
)

// Notable reports whether so many records with neither side in our networks, out
// of all of an exporter, are more than strays: a connected organisation's router
// that is misconfigured must be noticed in the same hour, a stray record need
// not.
func Notable(outside, all uint64) bool {
	return outside >= notableRecords && float64(outside) >= notableShare*float64(all)
}

// MaxIntervals bounds the sampling intervals that an Entry tells apart.
const MaxIntervals = 16

// An Interval says of how many records a sampling interval was in force.
type Interval struct {
	N       uint32 `json:"n"` // N in "1 in N"; 0: not known, 1: unsampled
	Records uint64 `json:"records"`
}

// An Entry is what was counted of one key in one hour.
type Entry struct {
	Counts    [CounterCount]uint64 // by Counter
	First     uint64               // ms, receipt of the first datagram; 0: none
	Last      uint64               // ms, receipt of the last datagram
	Streams   uint32               // parallel export streams (source ports) at the most
	Silence   Span                 // the longest time between two datagrams, of which the later came in this hour
	Intervals []Interval           // ascending by N
	Skew      Skew                 // receipt less end of the records
	Errors    map[string]uint64    // by the collector's names of reasons; nil: none
}

// Get returns a counter.
func (e *Entry) Get(c Counter) uint64 { return e.Counts[c] }

// Sample counts n records under a sampling interval. Beyond MaxIntervals they
// count under the nearest that is there.
func (e *Entry) Sample(interval uint32, n uint64) {
	at, found := slices.BinarySearchFunc(e.Intervals, interval, func(i Interval, n uint32) int {
		if i.N < n {
			return -1
		} else if i.N > n {
			return 1
		}
		return 0
	})
	switch {
	case found:
		e.Intervals[at].Records += n
	case len(e.Intervals) < MaxIntervals:
		e.Intervals = slices.Insert(e.Intervals, at, Interval{interval, n})
	default:
		e.Intervals[min(at, MaxIntervals-1)].Records += n
	}
}

// Fail counts an error under its reason.
func (e *Entry) Fail(reason string, n uint64) {
	if n == 0 {
		return
	}
	if e.Errors == nil {
		e.Errors = map[string]uint64{}
	}
	e.Errors[reason] += n
}

// Add adds what o counted: another run's, another key's or another hour's.
func (e *Entry) Add(o *Entry) {
	for i := range e.Counts {
		e.Counts[i] += o.Counts[i]
	}
	if o.First != 0 && (e.First == 0 || o.First < e.First) {
		e.First = o.First
	}
	e.Last = max(e.Last, o.Last)
	e.Streams = max(e.Streams, o.Streams)
	if o.Silence.Length() > e.Silence.Length() {
		e.Silence = o.Silence
	}
	for _, i := range o.Intervals {
		e.Sample(i.N, i.Records)
	}
	e.Skew.Add(&o.Skew)
	for reason, n := range o.Errors {
		e.Fail(reason, n)
	}
}

// Clone returns a copy that shares nothing with e.
func (e *Entry) Clone() *Entry {
	c := &Entry{}
	c.Add(e)
	return c
}

// LostRecords estimates the flow records that never arrived: the missing units,
// where they are not records themselves, times the records that a datagram of
// this key had on average.
func (e *Entry) LostRecords(version uint16) uint64 {
	lost := e.Counts[Lost]
	switch UnitOf(version) {
	case UnitFlows, UnitRecords:
		return lost
	case UnitDatagrams:
		if n := e.Counts[Datagrams]; n > 0 {
			return uint64(float64(lost)*float64(e.Counts[Records])/float64(n) + 0.5)
		}
	}
	return 0
}

// A Span is a stretch of time in ms since the Unix epoch.
type Span struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"` // exclusive; 0 with From 0: none
}

// Length returns the length in ms.
func (s Span) Length() uint64 {
	if s.To <= s.From {
		return 0
	}
	return s.To - s.From
}
