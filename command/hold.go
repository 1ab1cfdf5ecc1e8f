package command

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"weir/flow"
	"weir/index"
	"weir/query"
	"weir/store"
)

// holdPrefix begins the names of the state values that holds are kept in: the
// case follows.
const holdPrefix = "hold/"

// holdOverPrefix begins the names of the state values that say of cases that
// their hold is over, and how it ended: a question that asks for all that such a
// case has must not get the whole archive in its place.
const holdOverPrefix = "hold-over/"

// A hold keeps what a case needs past its day, and until its own.
type hold struct {
	Case   string      `json:"case"`
	Until  uint64      `json:"until"` // ms since the Unix epoch, exclusive
	Added  uint64      `json:"added"` // ms
	By     string      `json:"by"`    // user
	Reason string      `json:"reason,omitempty"`
	Scopes []holdScope `json:"scopes"`          // one at least
	Ended  string      `json:"ended,omitempty"` // how it ended, while its data is being deleted: "released" or "lapsed"
}

// A holdScope says which records are held.
type holdScope struct {
	Filter string       `json:"filter,omitempty"` // in a form that parses without names; "": hours stay whole
	Typed  string       `json:"typed,omitempty"`  // as it was given, names and all
	Window query.Window `json:"window"`           // of flow times; both ends are set
	Added  uint64       `json:"added"`            // ms
	By     string       `json:"by"`
	Reason string       `json:"reason,omitempty"`
}

// touches reports whether the scope is about a bucket: it has flows of the
// window, or it is of an hour in it, whose ledger then tells what is missing.
func (s *holdScope) touches(b store.BucketInfo) bool {
	w := s.Window
	return b.Hour.StartMS() < w.To && b.Hour.EndMS() > w.From || b.Rows > 0 && w.Holds(b.MinStart, b.MaxEnd)
}

// whole reports whether a bucket stays whole.
func (h *hold) whole(b store.BucketInfo) bool { return h.any(b, true) }

// partly reports whether records of a bucket are to be taken out of it.
func (h *hold) partly(b store.BucketInfo) bool { return h.any(b, false) }

func (h *hold) any(b store.BucketInfo, whole bool) bool {
	if h.Ended != "" {
		return false
	}
	return slices.ContainsFunc(h.Scopes, func(s holdScope) bool { return (s.Filter == "") == whole && s.touches(b) })
}

// window returns the span from the first scope's start to the last one's end.
func (h *hold) window() query.Window {
	w := h.Scopes[0].Window
	for _, s := range h.Scopes[1:] {
		w.From, w.To = min(w.From, s.Window.From), max(w.To, s.Window.To)
	}
	return w
}

// filter returns the filter of the records that are held: those of any scope. A
// scope of whole hours is about all of them, and makes it "".
func (h *hold) filter() string {
	var all []string
	for _, s := range h.Scopes {
		if s.Filter == "" {
			return ""
		}
		if !slices.Contains(all, s.Filter) {
			all = append(all, s.Filter)
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	return "(" + strings.Join(all, ") or (") + ")"
}

// filterText is filter for people.
func (h *hold) filterText() string {
	if text := h.filter(); text != "" {
		return text
	}
	return "whole hours"
}

// readHold reads a hold as the state has it.
func readHold(name string, text []byte) (*hold, error) {
	h := new(hold)
	err := json.Unmarshal(text, h)
	if err == nil && (h.Case != strings.TrimPrefix(name, holdPrefix) || len(h.Scopes) == 0) {
		err = fmt.Errorf("its value is of case %q", h.Case)
	}
	if err != nil {
		return nil, fmt.Errorf("read the hold %q: %w", strings.TrimPrefix(name, holdPrefix), err)
	}
	return h, nil
}

// holdSlug returns the name of the directory of a case: what can be read of the
// reference, and what tells it from all others. It has no separator and no dot.
func holdSlug(ref string) string {
	const most = 40
	name := []byte(ref[:min(len(ref), most)])
	for i, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-':
		default:
			name[i] = '_'
		}
	}
	sum := sha256.Sum256([]byte(ref))
	return string(name) + "-" + hex.EncodeToString(sum[:6])
}

// A holdPicker finds the rows that a hold's filters are about. It belongs to one
// goroutine.
type holdPicker struct {
	matchers []*query.Matcher
	rows     index.RowSet
}

func (h *hold) picker(kept *flow.Kept) (*holdPicker, error) {
	p := &holdPicker{}
	for _, s := range h.Scopes {
		if s.Filter == "" {
			continue
		}
		m, err := query.NewMatcher(s.Filter, "", s.Window, query.ParseOptions{Kept: kept})
		if err != nil {
			return nil, fmt.Errorf("filter of the hold of case %s: %w", h.Case, err)
		}
		p.matchers = append(p.matchers, m)
	}
	return p, nil
}

// pick returns the rows of a block that any filter is about, good until the next
// call, and how many they are at least; 0 is none.
func (p *holdPicker) pick(b *store.Block) (*index.RowSet, int, error) {
	p.rows = index.RowSet{}
	most := 0
	for _, m := range p.matchers {
		set, n, err := m.Rows(b)
		if err != nil {
			return nil, 0, err
		}
		if n == 0 {
			continue
		}
		most = max(most, n)
		for i := range p.rows {
			p.rows[i] |= set[i]
		}
	}
	return &p.rows, most, nil
}

// holdName is the command, and what the collector does by itself under its name.
const holdName = "hold"
