package command

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"weir/collector"
	"weir/flow"
	"weir/index"
	"weir/query"
	"weir/store"
)

// A purgeState is a purge that was begun, as the store keeps it until its end:
// what is to go, why, and how far it is. It names nothing that only the
// configuration could explain.
type purgeState struct {
	Filter   string        `json:"filter"` // canonical, with the exporter; "" for all
	Window   query.Window  `json:"window,omitzero"`
	Networks []flow.Prefix `json:"networks,omitempty"` // only records with no address in these; none: all
	Case     string        `json:"case"`
	Reason   string        `json:"reason,omitempty"`
	Holds    string        `json:"holds,omitempty"` // which wins where a hold is met: holdsKeep or holdsPurge; "": none was met
	By       string        `json:"by"`
	At       uint64        `json:"at"`                // ms, when it began
	Done     []string      `json:"done,omitempty"`    // hours that are over, with their archive
	Records  uint64        `json:"records,omitempty"` // that are gone
	ID       string        `json:"id,omitempty"`      // in the journal
	Until    uint64        `json:"until,omitempty"`   // ms: only what was received before; 0: everything. For a purge of a journal
	Stopped  bool          `json:"stopped,omitempty"` // by who asked for it, not by a crash
	fields   []string      // that the filter looks at, for the audit log
}

// purgeKey is where the store keeps the purge that is under way; purgePrefix
// begins it.
const (
	purgePrefix = "purge/"
	purgeKey    = purgePrefix + "current"
)

// readPurge returns the purge that is under way, nil for none.
func readPurge(s *store.Store) (*purgeState, error) {
	text, err := s.GetState(purgeKey)
	if err != nil || text == nil {
		return nil, err
	}
	st := new(purgeState)
	if err := json.Unmarshal(text, st); err != nil {
		return nil, fmt.Errorf("read the purge under way: %w", err)
	}
	return st, nil
}

// write makes how far the purge is durable.
func (st *purgeState) write(s *store.Store) error {
	if err := s.PutState(purgeKey, marshal(st)); err != nil {
		return err
	}
	return s.Flush()
}

// purgeScope reads what a request means.
func (l *local) purgeScope(req purgeRequest) (*purgeState, error) {
	m, err := query.NewMatcher(req.Filter, req.Exporter, req.Window, l.parse())
	if err != nil {
		return nil, err
	}
	st := &purgeState{Filter: m.String(), Window: req.Window, fields: l.columnNames(m.Fields())}
	if strings.TrimSpace(req.Filter) == "" && req.Exporter == "" {
		if st.Filter = ""; !req.OutOfScope {
			return nil, usagef("nothing says which records are to go").withHint("give a filter, --exporter or --out-of-scope")
		}
	}
	if !req.OutOfScope {
		return st, nil
	}
	if st.Networks = req.Networks; len(st.Networks) == 0 {
		st.Networks = l.networks
	}
	if len(st.Networks) == 0 {
		return nil, usagef("--out-of-scope needs to know which networks are ours").withHint("give a configuration with networks: by --config FILE")
	}
	return st, nil
}

// columnNames returns what fields are called in this archive.
func (l *local) columnNames(set flow.FieldSet) []string {
	kept := l.parse().Kept
	var names []string
	for f := range set.All {
		names = append(names, kept.Name(f))
	}
	return names
}

// networkPrefixes returns the prefixes of a configuration's networks:.
func networkPrefixes(c *config) []flow.Prefix {
	var list []flow.Prefix
	for _, n := range c.Networks {
		list = append(list, n.Prefixes...)
	}
	return list
}

// about says in the audit log what goes, without what would tell of the records:
// of a filter its fields and a hash, by which it can be recognised.
func (st *purgeState) about() string {
	var words []string
	if st.Filter != "" {
		sum := sha256.Sum256([]byte(st.Filter))
		words = append(words, fmt.Sprintf("records by %s (filter with SHA-256 %s)", strings.Join(st.fields, ", "), hex.EncodeToString(sum[:])))
	} else {
		words = append(words, "records")
	}
	if len(st.Networks) > 0 {
		words = append(words, "out of scope")
	}
	if st.Holds != "" {
		words = append(words, map[string]string{holdsKeep: "but for what is held", holdsPurge: "held ones too"}[st.Holds])
	}
	if st.Window == (query.Window{}) {
		return strings.Join(append(words, "of all time"), " ")
	}
	if st.Window.From != 0 {
		words = append(words, "from "+rfc3339(st.Window.From))
	}
	if st.Window.To != 0 {
		words = append(words, "to "+rfc3339(st.Window.To))
	}
	return strings.Join(words, " ")
}

// A picker finds the rows of blocks that go.
type picker struct {
	match    *query.Matcher
	networks *flow.PrefixSet // nil: rows go wherever their addresses are
	guard    *holdGuard      // what is held of the archive; nil: nothing is
}

func (st *purgeState) picker(kept *flow.Kept) (*picker, error) {
	m, err := query.NewMatcher(st.Filter, "", st.Window, query.ParseOptions{Kept: kept})
	if err != nil {
		return nil, err
	}
	p := &picker{match: m}
	if len(st.Networks) > 0 {
		p.networks = flow.NewPrefixSet(st.Networks)
	}
	return p, nil
}

// rows returns the rows that go, and how many by exporter, the zero Addr where
// they have none. The rows are good until the next call.
func (p *picker) rows(b *store.Block) (rows []uint64, counts map[flow.Addr]uint64, err error) {
	set, n, err := p.match.Rows(b)
	if err != nil || n == 0 {
		return nil, nil, err
	}
	if p.networks != nil {
		if err := p.onlyOutside(b, set); err != nil {
			return nil, nil, err
		}
	}
	if p.guard != nil {
		if err := p.guard.look(b, set); err != nil {
			return nil, nil, err
		}
	}
	exporters, err := b.Addr(flow.Exporter, nil)
	if err != nil {
		return nil, nil, err
	}
	counts = map[flow.Addr]uint64{}
	for row, addr := range exporters {
		if set[row>>6]>>(row&63)&1 != 0 {
			counts[addr]++
		}
	}
	return set[:], counts, nil
}

// onlyOutside leaves the rows that have an address and none in the networks.
func (p *picker) onlyOutside(b *store.Block, set *index.RowSet) error {
	var outside index.RowSet
	for _, f := range collector.ScopeFields() {
		present, err := b.Present(f, nil)
		if err != nil {
			return err
		}
		values, err := b.Addr(f, nil)
		if err != nil {
			return err
		}
		for row, addr := range values {
			bit := uint64(1) << (row & 63)
			if set[row>>6]&bit == 0 || row>>6 >= len(present) || present[row>>6]&bit == 0 {
				continue
			}
			outside[row>>6] |= bit
			if p.networks.Contains(addr) {
				set[row>>6] &^= bit
			}
		}
	}
	for i := range set {
		set[i] &= outside[i]
	}
	return nil
}
