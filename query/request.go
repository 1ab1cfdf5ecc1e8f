package query

import (
	"fmt"
	"strings"
	"time"
)

// A Window selects records by the time of their flow: those that overlap
// [From, To), which is Start < To and End >= From. A record with one of the two
// times uses it for both; with neither, its receipt.
type Window struct {
	From uint64 `json:"from,omitempty"` // ms since the Unix epoch, inclusive; 0: unbounded
	To   uint64 `json:"to,omitempty"`   // ms since the Unix epoch, exclusive; 0: unbounded
}

// A FlowsRequest asks for records. Its zero value asks for all of them.
type FlowsRequest struct {
	Filter string `json:"filter,omitempty"` // files expanded (Filter.Source); "" matches all
	Window
	Exporter string `json:"exporter,omitempty"` // address, prefix or name that the exporter must have; "": any
	Limit    int    `json:"limit,omitempty"`    // number of records at most; 0: no limit
	Order    string `json:"order,omitempty"`    // see ParseOrder; "": received
	Dedup    bool   `json:"dedup,omitempty"`    // leave out what another exporter has reported: see Summary.Folded

	// Fields are the fields that the answer's records need, by name; the others
	// are not read and are absent. None: all.
	Fields []string `json:"fields,omitempty"`
}

// A TopRequest asks for groups of records and their sums.
type TopRequest struct {
	// Fields are what groups have in common: names of fields, addresses with a
	// prefix length for IPv4 and one for IPv6 as in src_addr/24/48 (one alone
	// counts for both families, cut to the family's width), the computed
	// duration, pps, bps and bpp, and the either-side groups addr, port, as,
	// mask, vlan and if, in which a flow counts for both its ends (once, if they
	// are equal), and the names src_org, dst_org and org of either end, country
	// and asname alike. None: one group of everything.
	Fields []string `json:"fields,omitempty"`

	Filter   string `json:"filter,omitempty"` // files expanded (Filter.Source); "" matches all
	Window   `json:"window,omitzero"`
	Exporter string `json:"exporter,omitempty"`  // as in FlowsRequest
	By       string `json:"by,omitempty"`        // bytes (also ""), packets, flows, records, bps, pps, bpp, distinct; with ":asc" the lowest first
	Limit    int    `json:"limit,omitempty"`     // number of groups at most; 0: all
	Distinct string `json:"distinct,omitempty"`  // count the different values of this field in each group
	Times    bool   `json:"times,omitempty"`     // also the first start and the last end of each group
	Raw      bool   `json:"raw,omitempty"`       // By means what was exported, not the estimates
	Dedup    bool   `json:"dedup,omitempty"`     // as in FlowsRequest
	MaxBytes int64  `json:"max_bytes,omitempty"` // memory for groups; 0: DefaultTopBytes

	CountOnly bool `json:"count_only,omitempty"` // only records and flows are counted: bytes and packets are not read, and 0

	Labels LabelTables `json:"labels,omitempty"` // names that go before ParseOptions.Names
}

// An Order is how an answer's records are sorted.
type Order struct {
	Key        string // received, start, end, bytes, packets or duration
	Descending bool
}

// orderKeys are the keys of an Order; counters and durations sort the largest
// first unless told otherwise.
var orderKeys = []string{"received", "start", "end", "bytes", "packets", "duration"}

// ParseOrder reads an order: a key, and ":asc" or ":desc" or a leading "-" for
// descending. Times ascend and counters descend if nothing is said. "" is
// received.
func ParseOrder(text string) (Order, error) {
	key, direction, given := strings.Cut(lower(text), ":")
	if rest, ok := strings.CutPrefix(key, "-"); ok && !given {
		key, direction, given = rest, "desc", true
	}
	if key == "" && !given {
		return Order{Key: "received"}, nil
	}
	for i, k := range orderKeys {
		if k != key {
			continue
		}
		switch {
		case !given:
			return Order{k, i >= 3}, nil
		case direction == "asc":
			return Order{k, false}, nil
		case direction == "desc":
			return Order{k, true}, nil
		}
	}
	return Order{}, &RequestError{"order", text, "one of " + joinNames(orderKeys) + ", with :asc or :desc", nearest(key, orderKeys)}
}

// A RequestError is a mistake in a request outside its filter.
type RequestError struct {
	Part       string // "order", "field", "by", …
	Text       string // what was given
	Expected   string // what could be
	Suggestion string // the nearest of what could be, or ""
}

// Error names the part, what was given and what is expected.
func (e *RequestError) Error() string {
	s := fmt.Sprintf("%s %q: expected %s", e.Part, e.Text, e.Expected)
	if e.Suggestion != "" {
		s += fmt.Sprintf(" (did you mean %q?)", e.Suggestion)
	}
	return s
}

// A Summary says what an answer is made of and what it took.
type Summary struct {
	BucketsConsidered int `json:"buckets_considered"` // in the store
	BucketsPruned     int `json:"buckets_pruned"`     // of them, left out whole by time or index
	BlocksConsidered  int `json:"blocks_considered"`  // in the buckets that remained
	BlocksPruned      int `json:"blocks_pruned"`      // of them, left out by time, header or index
	BlocksRead        int `json:"blocks_read"`        // of them, evaluated

	RowsScanned uint64 `json:"rows_scanned"`     // in the blocks read
	RowsMatched uint64 `json:"rows_matched"`     // of them, matched filter and window and were not folded
	Dedup       bool   `json:"dedup,omitempty"`  // the request asked to fold
	Folded      uint64 `json:"folded,omitempty"` // matched, but are of a flow that another exporter reported before, if the request asked for that
	Emitted     uint64 `json:"emitted"`          // records or groups in the answer

	Damaged []string `json:"damaged,omitempty"` // parts of the store that could not be read: the answer lacks them
	Limited bool     `json:"limited,omitempty"` // Limit left something out, or stopped the search
	Notes   []string `json:"notes,omitempty"`   // what else a reader must know, a line each: indexes that were damaged and not used, and what whoever chose the archive adds

	Sampling Sampling `json:"sampling,omitzero"` // of the records that sums are of; not for records

	Looked *Extent `json:"looked,omitempty"` // at what, if nothing matched. Whoever chose the archive sets it

	Coverage *Coverage `json:"coverage,omitempty"` // what the answer lacks; nil: not asked. Whoever has the store's Ledgers sets it

	Elapsed time.Duration `json:"elapsed_ns"`
	Timing  Timing        `json:"timing"`
}

// A Timing says where the time went, summed over workers.
type Timing struct {
	Plan     time.Duration `json:"plan_ns"`     // pruning, index
	Evaluate time.Duration `json:"evaluate_ns"` // filter and window, columns decoded for them included
	Collect  time.Duration `json:"collect_ns"`  // rows materialised or groups summed
	Merge    time.Duration `json:"merge_ns"`    // groups joined, sorted
}

// A TopResult is the answer to a TopRequest.
type TopResult struct {
	Fields   []string `json:"fields"`
	By       string   `json:"by"`
	Distinct string   `json:"distinct,omitempty"`
	Rows     []TopRow `json:"rows"`
	Groups   int      `json:"groups"` // before Limit
	Total    Sums     `json:"total"`  // over all records that matched, each once
}

// A TopRow is one group.
type TopRow struct {
	Key      []Value `json:"key"` // one for each of TopResult.Fields
	Sums             // over the group
	Share    float64 `json:"share"`              // of the total by TopResult.By, 0 to 1; 0 where a rate has no total
	Distinct uint64  `json:"distinct,omitempty"` // different values of TopRequest.Distinct
}

// Sums are what a group adds up to. Bytes and Packets are as exported;
// EstimatedBytes and EstimatedPackets have each record multiplied by its
// sampling interval, where that is known.
type Sums struct {
	Records          uint64   `json:"records"`
	Flows            uint64   `json:"flows"` // records, or what they stand for where they are aggregates
	Bytes            uint64   `json:"bytes"`
	Packets          uint64   `json:"packets"`
	EstimatedBytes   uint64   `json:"estimated_bytes"`
	EstimatedPackets uint64   `json:"estimated_packets"`
	Sampled          uint64   `json:"sampled,omitempty"`  // records with a sampling interval above 1; of TopResult, in the total only
	Variance         Variance `json:"variance,omitzero"`  // of the estimates
	First            uint64   `json:"first_ms,omitempty"` // earliest start, ms since the Unix epoch; 0 unless asked for
	Last             uint64   `json:"last_ms,omitempty"`  // latest end, ms since the Unix epoch; 0 unless asked for
}

// joinNames joins names for an error's list of what could be.
func joinNames(names []string) string { return strings.Join(names, ", ") }
