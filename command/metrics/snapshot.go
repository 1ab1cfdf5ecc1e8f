package metrics

import (
	"time"

	"weir/flow/ledger"
)

// A Snapshot is what a scrape tells, as it stood at one moment. Counters are
// those since the collector started.
type Snapshot struct {
	Version  string // of weir
	Revision string // of its source; "": not known
	Now      time.Time
	Started  time.Time

	Exporters []Exporter // in any order; of one name, they are summed
	Forgotten Exporter   // counters of exporters that had to make room

	Sockets        []ledger.Drop // datagrams that the kernel dropped, by listening address
	Waits          []ledger.Drop // times that a socket was not read because its queue was full, by listening address
	Forward        []Forward     // targets of forward:
	Refused        uint64        // datagrams of senders that may not export
	SinkErrors     uint64        // batches that the store refused
	UnstoredCounts uint64        // records in them

	Archive   Archive
	Questions []Question // by name
	Open      int        // questions being answered or waiting
}

// An Exporter is what was counted of one exporter.
type Exporter struct {
	Name     string // as the configuration calls it, else its address
	Group    string // of the configuration; "": none
	Known    bool   // the configuration describes it
	Expected bool   // its silence is a finding

	Counts      [ledger.CounterCount]uint64
	Lost        [ledger.UnitRecords + 1]uint64 // by ledger.Unit
	LostRecords uint64                         // an estimate; see ledger.Entry.LostRecords
	Errors      map[string]uint64              // by the collector's names of reasons

	CounterSamples uint64 // sFlow, which are not kept
	DropSamples    uint64 // sFlow notices of dropped packets, which are not kept

	Scoped bool // somebody looks whether its records are ours
	Usual  bool // it is meant to have others

	Templates  int           // known now
	Waiting    uint64        // data sets that wait for their template now
	Sampling   uint32        // N of "1 in N" that most of its records came under; 0: not known
	SkewMedian time.Duration // receipt less end of its records
	HasSkew    bool
	Last       time.Time // of the last datagram; zero: none since the start
}

// A Forward counts the datagrams that were repeated to another collector.
type Forward struct {
	To     string // address and port
	Sent   uint64
	Full   uint64 // dropped, as the target takes less than comes in
	Failed uint64 // that the system refused to send
}

// An Archive is the state of what is stored.
type Archive struct {
	Open, Sealed int // buckets
	Blocks       int
	Records      int64
	Bytes        uint64        // on disk, all files
	DiskFree     uint64        // bytes that the collector may still use; 0 with DiskSize 0: not known
	DiskSize     uint64        // bytes of the file system
	DiskLeft     time.Duration // until the disk is full at the present rate; negative: it does not get full; 0: not known
	Oldest       time.Time     // receipt of records; zero: there are none
	Newest       time.Time
	Keep         time.Duration // 0: for ever
	NextDrop     time.Time     // zero: nothing is dropped
	Due          int           // hours past their time that are there still
	Held         bool          // retention drops nothing, for it mistrusts the clock
	Dropped      uint64        // hours since the start
	Early        uint64        // of them, those before their time, for want of room
	MaxDisk      uint64        // bytes that the archive may take; 0: no limit
	NextEarly    time.Time     // when the first hour goes before its time; zero: none does
	Damaged      int           // parts of the archive found damaged since it was opened
	Holds        int           // cases for which something is kept past its day
	HeldRecords  int64         // taken out of hours that have gone
	HeldBytes    int64         // that they take
	Stays        int           // hours past retention that stay whole
	NextHoldEnd  time.Time     // zero: nothing is held
}

// A Question is what was asked of one kind of question.
type Question struct {
	Name     string
	Answered uint64
	Failed   uint64
	Seconds  float64  // that they took together, waiting included
	Buckets  []uint64 // by DurationBounds, how many took at most that; not cumulative, one more for the rest
}

// DurationBounds are the upper bounds of the histogram of questions, in seconds.
var DurationBounds = [...]float64{0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300}

// BucketOf returns the bucket of a duration in Question.Buckets.
func BucketOf(d time.Duration) int {
	for i, bound := range DurationBounds {
		if d.Seconds() <= bound {
			return i
		}
	}
	return len(DurationBounds)
}
