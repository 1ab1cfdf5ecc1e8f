package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir/index"
	"weir/store"
)

// Which wins where a purge meets a hold.
const (
	holdsKeep  = "keep"  // what is held stays
	holdsPurge = "purge" // it goes, from what is held as well
)

// holdsWays are the values of --holds.
var holdsWays = []string{holdsKeep, holdsPurge}

// A metHold is how many of the records that match a purge are held for a case.
type metHold struct {
	Case    string `json:"case"`
	Records uint64 `json:"records"`
}

// A holdsMetError stops a purge that nobody has told whether it goes before the
// holds that it meets.
type holdsMetError struct{ met []metHold }

func (e *holdsMetError) Error() string {
	var words []string
	for _, m := range e.met {
		words = append(words, fmt.Sprintf("%s for case %s", plural(m.Records, "record"), m.Case))
	}
	return fmt.Sprintf("nothing was deleted: of what matches, holds keep %s; say which wins: --holds %s leaves what is held, --holds %s deletes it too",
		strings.Join(words, ", "), holdsKeep, holdsPurge)
}

// A holdGuard knows which rows of the archive are held. A nil one knows of none.
type holdGuard struct {
	wins    string // holdsKeep: held rows do not go
	holds   []*hold
	pickers []*holdPicker // of each hold
	buckets map[store.Hour]store.BucketInfo
	counts  map[string]uint64 // held rows that matched, by case
	on      bool              // the archive is looked at
}

// guard returns what is held, nil if nothing is.
func (l *local) guard(wins string) (*holdGuard, error) {
	g := &holdGuard{wins: wins, buckets: map[store.Hour]store.BucketInfo{}, counts: map[string]uint64{}}
	if g.wins == "" {
		g.wins = holdsKeep // a hold that was not there when the purge was decided
	}
	for _, one := range l.holds.all() {
		if one.Ended != "" {
			continue
		}
		p, err := one.picker(l.elements)
		if err != nil {
			return nil, err
		}
		g.holds, g.pickers = append(g.holds, one), append(g.pickers, p)
	}
	if len(g.holds) == 0 {
		return nil, nil
	}
	for _, b := range l.store.Buckets() {
		g.buckets[b.Hour] = b
	}
	return g, nil
}

// showAll has held rows count like others.
func (g *holdGuard) showAll(all bool) {
	if g != nil && all {
		g.wins = holdsPurge
	}
}

// turnTo says which store is looked at next.
func (g *holdGuard) turnTo(a purged) {
	if g != nil {
		g.on = a.held == nil && a.name != quarantineName
	}
}

// look counts the rows of a set that are held and, where holds win, takes them
// out of it.
func (g *holdGuard) look(b *store.Block, set *index.RowSet) error {
	if !g.on {
		return nil
	}
	matched := *set
	for i, one := range g.holds {
		held := matched
		if !one.whole(g.buckets[b.Hour()]) {
			rows, _, err := g.pickers[i].pick(b)
			if err != nil {
				return err
			}
			for w := range held {
				held[w] &= rows[w]
			}
		}
		g.counts[one.Case] += uint64(held.Len())
		if g.wins == holdsKeep {
			for w := range set {
				set[w] &^= held[w]
			}
		}
	}
	return nil
}

// met returns how many records of each hold match, with those that were taken
// out already, which rows have.
func (g *holdGuard) met(rows []purgeRow) (list []metHold) {
	if g == nil {
		return nil
	}
	counts := maps.Clone(g.counts)
	for _, r := range rows {
		if ref, held := strings.CutPrefix(r.Archive, heldPurgeName); held {
			counts[ref] += r.Records
		}
	}
	for _, ref := range slices.Sorted(maps.Keys(counts)) {
		if counts[ref] > 0 {
			list = append(list, metHold{ref, counts[ref]})
		}
	}
	return list
}

// heldPurgeName begins the name that what is held for a case has in a purge.
const heldPurgeName = "hold "

// heldPurged adds what is held for cases to the stores of a purge.
func (l *local) heldPurged(list []purged) ([]purged, func() error, error) {
	var used []*heldStore
	closeAll := func() (err error) {
		for _, s := range used {
			l.holds.changed(s.ref)
			err = errors.Join(err, l.holds.done(s))
		}
		return err
	}
	for _, one := range l.holds.all() {
		s, err := l.holds.use(one.Case, false)
		if err != nil {
			return nil, nil, errors.Join(err, closeAll())
		}
		if s != nil {
			used = append(used, s)
			list = append(list, purged{name: heldPurgeName + one.Case, local: &local{store: s.Store, now: l.now, known: l.known, elements: l.elements}, held: s})
		}
	}
	return list, closeAll, nil
}

// takeBack undoes what has been taken over of hours that are still in the
// archive: they are taken up anew, and what is removed meanwhile cannot be told
// from what was there before.
func (h *holds) takeBack(s *heldStore) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for hour := range maps.Clone(s.marks) {
		if err := s.undo(hour); err != nil {
			return err
		}
	}
	return nil
}

// decided fails if the purge meets a hold and nobody has said which wins.
func (st *purgeState) decided(ctx context.Context, l *local) error {
	if st.Holds != "" || len(l.holds.all()) == 0 {
		return nil
	}
	report := &purgeReport{}
	if err := st.count(ctx, l, report); err != nil {
		return err
	}
	if len(report.Met) > 0 {
		return &holdsMetError{report.Met}
	}
	return nil
}
