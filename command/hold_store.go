package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/index"
	"weir/query"
	"weir/store"
)

// heldName is the directory in the data directory of what holds keep: a data
// directory for each case that has something.
const heldName = "held"

// What a held store takes: little comes into it, and few ask it. It may use the
// space that the archive keeps free, so that a full disk does not keep the hours
// from going whose records move there.
const (
	heldCache    = 8 << 20
	heldMemTable = 8 << 20
	heldMinFree  = 64 << 20
)

// holds are the holds of one archive, and the stores of what they keep. The
// methods may be called from several goroutines.
type holds struct {
	main    *store.Store
	options store.Options // of held stores
	now     func() time.Time
	log     *slog.Logger
	journal *journal // notes what the collector does by itself; nil: no collector runs

	// passing is held while records pass from the archive to holds, go with them,
	// or are purged: one such thing at a time. It is taken before the others.
	passing sync.Mutex
	// moving is held exclusively for the moment in which an hour leaves the archive
	// and what was taken out of it counts, and shared to look at both.
	moving sync.RWMutex

	mu    sync.Mutex // guards what follows
	list  map[string]*hold
	open  map[string]*heldStore
	sums  map[string][]store.BucketInfo      // what held stores have; absent: not known
	marks map[string]map[store.Hour]holdMark // of held stores that were opened
	told  map[string]time.Time               // when it was last said that a hold lapses
	ended bool

	said []string // what newHolds went on with, for who opens the archive
}

// A heldStore is the open store of one case.
type heldStore struct {
	*store.Store
	ref   string // the case
	uses  int
	marks map[store.Hour]holdMark
}

// A holdMark says how far an hour is on its way from the archive into a held
// store. It is in the state of the held store, until the hour has gone.
type holdMark struct {
	Blocks int   `json:"blocks"` // that the held bucket had before
	Rows   int64 `json:"rows"`   // that the archive's bucket had
	Scopes int   `json:"scopes"` // of the hold
	Done   bool  `json:"done"`   // all that is to be held is there
}

// The names of state values: of held stores, and carvedPrefix of the archive:
// hours whose records are with their holds, and which are about to go.
const (
	heldCaseKey   = "hold/case"
	markPrefix    = "hold/mark/"
	damagedPrefix = "hold/damaged/"
	carvedPrefix  = "carved/"
)

// newHolds reads the holds of an archive, and ends what a crash has cut short,
// unless the archive is open for reading only. fs is what the archive is on; nil
// is the disk.
func newHolds(ctx context.Context, main *store.Store, fs store.FS, now func() time.Time, log *slog.Logger, j *journal) (*holds, error) {
	h := &holds{
		main: main, now: now, log: log, journal: j, list: map[string]*hold{}, open: map[string]*heldStore{}, sums: map[string][]store.BucketInfo{},
		told: map[string]time.Time{}, marks: map[string]map[store.Hour]holdMark{},
		options: store.Options{FS: fs, Logger: log, CacheSize: heldCache, MemTableSize: heldMemTable, MinFree: heldMinFree, MaxOpenHours: 1, ColumnCacheSize: heldCache},
	}
	err := main.ScanState(holdPrefix, func(name string, value []byte) error {
		one, err := readHold(name, value)
		if err == nil {
			h.list[one.Case] = one
		}
		return err
	})
	if err != nil || main.ReadOnly() {
		return h, err
	}
	return h, h.recover(ctx)
}

// heldDir returns the directory of what is held for a case.
func (h *holds) heldDir(ref string) string {
	return filepath.Join(h.main.Dir(), heldName, holdSlug(ref))
}

// all returns the holds, ascending by case. They are not to be changed.
func (h *holds) all() []*hold {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	list := slices.Collect(maps.Values(h.list))
	slices.SortFunc(list, func(a, b *hold) int { return strings.Compare(a.Case, b.Case) })
	return list
}

// of returns the hold of a case, nil if it has none or none any more.
func (h *holds) of(ref string) *hold {
	if h == nil || ref == "" {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if one := h.list[ref]; one != nil && one.Ended == "" {
		return one
	}
	return nil
}

// write makes a hold durable, and what counts from now on.
func (h *holds) write(one *hold) error {
	if err := h.main.PutState(holdPrefix+one.Case, marshal(one)); err != nil {
		return err
	}
	if err := h.main.DeleteState(holdOverPrefix + one.Case); err != nil {
		return err
	}
	if err := h.main.Flush(); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list[one.Case] = one
	return nil
}

// Stays implements retention.Holds.
func (h *holds) Stays(b store.BucketInfo) []string {
	var cases []string
	for _, one := range h.all() {
		if one.whole(b) {
			cases = append(cases, one.Case)
		}
	}
	return cases
}

// use opens the store of a case, or shares it; done ends the use. Unless it is to
// be made, a case that has none gives nil.
func (h *holds) use(ref string, create bool) (*heldStore, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return nil, store.ErrClosed
	}
	if s := h.open[ref]; s != nil {
		s.uses++
		return s, nil
	}
	dir, o := h.heldDir(ref), h.options
	o.Existing = !create
	if !create && !store.Exists(dir, o) {
		return nil, nil
	}
	opened, err := store.Open(dir, o)
	if err != nil {
		return nil, fmt.Errorf("open what is held for case %s: %w", ref, err)
	}
	s := &heldStore{Store: opened, ref: ref, uses: 1, marks: map[store.Hour]holdMark{}}
	if err := h.admit(s); err != nil {
		return nil, errors.Join(fmt.Errorf("open what is held for case %s: %w", ref, err), opened.Close())
	}
	h.open[ref], h.marks[ref] = s, s.marks
	return s, nil
}

// admit reads what the state of a held store says, and undoes what a crash has
// cut short in it. mu is held.
func (h *holds) admit(s *heldStore) error {
	owner, err := s.GetState(heldCaseKey)
	if err == nil && owner == nil {
		if err = s.PutState(heldCaseKey, []byte(s.ref)); err == nil {
			err = s.Flush()
		}
	} else if err == nil && string(owner) != s.ref {
		err = fmt.Errorf("%s is of case %s", s.Dir(), owner)
	}
	if err != nil {
		return err
	}
	if err := h.keepSlots(s); err != nil {
		return err
	}
	err = s.ScanState(markPrefix, func(name string, value []byte) error {
		var m holdMark
		hour, err := store.ParseHour(strings.TrimPrefix(name, markPrefix))
		if err == nil {
			err = json.Unmarshal(value, &m)
		}
		s.marks[hour] = m
		return err
	})
	if err != nil {
		return err
	}
	for hour, m := range maps.Clone(s.marks) {
		switch _, there := h.mainBucket(hour); {
		case !there: // it has gone since
			err = s.settle(hour)
		case !m.Done || m.Blocks > 0:
			err = s.undo(hour)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keepSlots has a held store keep the elements that the archive keeps, in the same
// slots: records are copied as they are.
func (h *holds) keepSlots(s *heldStore) error {
	kept, err := readKept(h.main)
	if err != nil || s.ReadOnly() || len(kept.All()) == 0 {
		return err
	}
	has, err := readKept(s.Store)
	if err != nil || slices.Equal(has.All(), kept.All()) {
		return err
	}
	return writeKept(s.Store, kept)
}

// stores returns what is held, of all cases; done ends the use.
func (h *holds) stores() (list []*store.Store, done func() error, err error) {
	var used []*heldStore
	done = func() (err error) {
		for _, s := range used {
			err = errors.Join(err, h.done(s))
		}
		return err
	}
	for _, one := range h.all() {
		s, err := h.use(one.Case, false)
		if err != nil {
			return nil, nil, errors.Join(err, done())
		}
		if s != nil {
			used, list = append(used, s), append(list, s.Store)
		}
	}
	return list, done, nil
}

// mainBucket returns a bucket of the archive, also one that has only a ledger.
func (h *holds) mainBucket(hour store.Hour) (store.BucketInfo, bool) {
	for _, list := range [][]store.BucketInfo{h.main.Buckets(), h.main.BareBuckets()} {
		for _, b := range list {
			if b.Hour == hour {
				return b, true
			}
		}
	}
	return store.BucketInfo{}, false
}

// done ends a use.
func (h *holds) done(s *heldStore) error {
	if s == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.uses--; s.uses > 0 {
		return nil
	}
	if h.open[s.ref] == s {
		delete(h.open, s.ref)
	}
	if err := s.Close(); err != nil {
		return fmt.Errorf("close what is held for case %s: %w", s.ref, err)
	}
	return nil
}

// with calls fn with the store of a case, nil if it has none.
func (h *holds) with(ref string, fn func(*heldStore) error) (err error) {
	s, err := h.use(ref, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.done(s)) }()
	return fn(s)
}

// eachStore calls fn with the store of every case that has one.
func (h *holds) eachStore(fn func(*heldStore) error) error {
	for _, one := range h.all() {
		err := h.with(one.Case, func(s *heldStore) error {
			if s == nil {
				return nil
			}
			return fn(s)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// buckets returns what the store of a case has, ascending.
func (h *holds) buckets(ref string) (list []store.BucketInfo, err error) {
	h.mu.Lock()
	list, known := h.sums[ref]
	h.mu.Unlock()
	if known {
		return list, nil
	}
	err = h.with(ref, func(s *heldStore) error {
		if s != nil {
			list = s.Buckets()
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.sums[ref] = list
		return nil
	})
	return list, err
}

// changed forgets what was known of the store of a case.
func (h *holds) changed(ref string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sums, ref)
}

// close closes what is open.
func (h *holds) close() error {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	var err error
	for _, s := range h.open {
		err = errors.Join(err, s.Close())
	}
	h.open = map[string]*heldStore{}
	return err
}

// mark returns how far an hour is on its way to a case, as far as its store was
// opened, and false if it is not.
func (h *holds) mark(ref string, hour store.Hour) (holdMark, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := h.marks[ref][hour]
	return m, ok
}

// sealer returns what seals the hours of a held store.
func (s *heldStore) sealer(now func() time.Time) *index.Sealer {
	return index.NewSealer(s.Store, index.Options{Now: now, Logger: slog.New(slog.DiscardHandler)})
}

// damage returns what could not be taken over of the hours in a window.
func (s *heldStore) damage(w query.Window) (list []string, err error) {
	err = s.ScanState(damagedPrefix, func(name string, value []byte) error {
		hour, err := store.ParseHour(strings.TrimPrefix(name, damagedPrefix))
		if err == nil && w.Holds(hour.StartMS(), hour.EndMS()-1) {
			list = append(list, string(value))
		}
		return err
	})
	return list, err
}

// byDir returns the store in a directory of the archive's, held/NAME, and what
// ends its use; nil if no case has it.
func (h *holds) byDir(rel string) (*store.Store, func() error, error) {
	for _, one := range h.all() {
		if filepath.Join(heldName, holdSlug(one.Case)) != filepath.Clean(rel) {
			continue
		}
		s, err := h.use(one.Case, false)
		if s == nil || err != nil {
			return nil, nil, err
		}
		return s.Store, func() error { return h.done(s) }, nil
	}
	return nil, nil, nil
}

// steady keeps records from passing to holds until the function it returns is
// called.
func (h *holds) steady() (release func()) {
	if h == nil {
		return func() {}
	}
	h.passing.Lock()
	return h.passing.Unlock
}
