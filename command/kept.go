package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/backup"
	"weir/collector"
	"weir/flow"
	"weir/query"
	"weir/store"
)

// keptKey is where the collector writes down what elements are kept and in which
// slots, for itself and for commands that open the archive themselves.
const keptKey = "collect/kept"

// readKept returns what elements an archive keeps, or has kept.
func readKept(s *store.Store) (*flow.Kept, error) {
	text, err := s.GetState(keptKey)
	if err != nil || text == nil {
		return nil, err
	}
	var list []flow.KeptElement
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("read the kept elements: %w", err)
	}
	return flow.NewKept(list), nil
}

// keepElements has an archive keep the wanted elements from now on. The others
// with it are archives whose records have the same slots. The slots are on the
// disk when it returns: no record has one before.
func keepElements(wanted []flow.KeptElement, now uint64, s *store.Store, with ...*store.Store) (*flow.Kept, error) {
	before, err := readKept(s)
	if err != nil {
		return nil, err
	}
	if len(wanted) == 0 && len(before.All()) == 0 {
		return nil, nil
	}
	oldest, newest := uint64(math.MaxUint64), uint64(0)
	for _, of := range append(with, s) {
		for _, b := range of.Buckets() {
			oldest, newest = min(oldest, b.Hour.StartMS()), max(newest, b.Hour.EndMS())
		}
	}
	list, err := assignSlots(before.All(), wanted, slotTimes{now, oldest, newest})
	if err != nil {
		return nil, err
	}
	kept := flow.NewKept(list)
	for _, of := range append(with, s) {
		if err := writeKept(of, kept); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// writeKept writes down what an archive keeps, or has kept. It is on the disk when
// writeKept returns.
func writeKept(s *store.Store, k *flow.Kept) error {
	if len(k.All()) > 0 {
		if err := s.UseSlots(); err != nil {
			return fmt.Errorf("have the archive keep elements: %w", err)
		}
	}
	if err := s.PutState(keptKey, marshal(k.All())); err != nil {
		return fmt.Errorf("write down the kept elements: %w", err)
	}
	if err := s.Flush(); err != nil {
		return fmt.Errorf("write down the kept elements: %w", err)
	}
	return nil
}

// keepWanted has the archive keep what its user named for an import.
func (l *local) keepWanted() (err error) {
	if l.wanted == nil {
		return nil
	}
	stores, closeStores, err := l.purgedStores(holdsPurge)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStores()) }()
	var with []*store.Store
	for _, a := range stores[1:] { // the first is the archive itself
		with = append(with, a.store)
	}
	l.elements, err = keepElements(l.wanted, uint64(l.now().UnixMilli()), l.store, with...)
	return err
}

// slotTimes are what decides whether a slot is free, in ms since the Unix epoch.
type slotTimes struct {
	now    uint64
	oldest uint64 // begin of the first hour with records; the highest number: there is none
	newest uint64 // end of the last
}

// assignSlots returns the elements that slots hold when the wanted ones are kept,
// given what they held before. An element that is no longer wanted stays for as
// long as there may be records that have it.
func assignSlots(before, wanted []flow.KeptElement, at slotTimes) ([]flow.KeptElement, error) {
	list := make([]flow.KeptElement, 0, len(before)+len(wanted))
	var used flow.FieldSet
	names := map[string]bool{}
	var fresh []flow.KeptElement
	for _, w := range wanted {
		i := slices.IndexFunc(before, func(b flow.KeptElement) bool { return b.Same(&w) && b.Type == w.Type })
		if i < 0 {
			fresh = append(fresh, w)
		} else {
			w.Field, w.Since = before[i].Field, before[i].Since
			list = append(list, w)
			used.Add(w.Field)
		}
		names[w.Name] = true
	}
	for _, b := range before {
		if used.Has(b.Field) {
			continue
		}
		if b.Until == 0 {
			b.Until = max(at.now, at.newest)
		}
		if b.Until < at.oldest {
			continue // no record has it, nor will one that is still to come
		}
		b.Name = freeName(&b, names)
		names[b.Name] = true
		used.Add(b.Field)
		list = append(list, b)
	}
	for _, w := range fresh {
		if w.Field = freeSlot(w.Type.Form(), used); w.Field == 0 {
			return nil, noSlot(&w, list)
		}
		w.Since = at.now
		used.Add(w.Field)
		list = append(list, w)
	}
	slices.SortFunc(list, func(a, b flow.KeptElement) int { return cmp.Compare(a.Field, b.Field) })
	return list, nil
}

// freeName returns the name of an element that is no longer kept: another one if
// its own is now that of another column.
func freeName(e *flow.KeptElement, taken map[string]bool) string {
	kind := strings.ToLower(cmp.Or(string(e.Type), "any"))
	for _, name := range []string{e.Name, e.Alias, e.Alias + "_" + kind} {
		if !taken[name] {
			return name
		}
	}
	return e.Alias + "_" + e.Field.String()
}

// freeSlot returns the first slot for values of the form that is not in use, 0 if
// there is none.
func freeSlot(form flow.Form, used flow.FieldSet) flow.Field {
	first, end := form.Slots()
	for f := first; f < end; f++ {
		if !used.Has(f) {
			return f
		}
	}
	return 0
}

// noSlot is the error for an element for which there is no slot.
func noSlot(e *flow.KeptElement, list []flow.KeptElement) error {
	first, end := e.Type.Form().Slots()
	var gone []string
	for _, other := range list {
		if other.Until > 0 && other.Field >= first && other.Field < end {
			gone = append(gone, other.Name)
		}
	}
	return &storeError{fmt.Sprintf("keep: there is no room for %s: the archive has %d columns of %s, and %s there that are no longer kept hold theirs until the last hour is gone that may have them: %s. Leave %s out, or give those hours up",
		e.Name, end-first, slotsText(first), plural(len(gone), "element"), strings.Join(gone, ", "), e.Name)}
}

// keptOf returns what elements the archive of a backend keeps, or has kept.
func keptOf(ctx context.Context, b backend) (*flow.Kept, error) {
	names, err := b.Names(ctx, namesRequest{})
	if err != nil {
		return nil, err
	}
	return flow.NewKept(names.Kept), nil
}

const (
	stdKey   = "std"  // of what a command line has at hand: a *Std
	keptWord = "kept" // of what its archive keeps: a keptAnswer
)

// A keptAnswer is what was found of an archive.
type keptAnswer struct {
	kept *flow.Kept
	err  error
}

// keptIn returns what the archive of a command line keeps. It opens the archive,
// once, and so is asked only of words that are no field's by themselves.
func keptIn(c *cli.Context) (*flow.Kept, error) {
	if found, ok := c.App.Metadata[keptWord].(keptAnswer); ok {
		return found.kept, found.err
	}
	kept, err := askKept(c)
	c.App.Metadata[keptWord] = keptAnswer{kept, err}
	return kept, err
}

func askKept(c *cli.Context) (kept *flow.Kept, err error) {
	std, ok := c.App.Metadata[stdKey].(*Std)
	if !ok {
		return nil, nil
	}
	dir, err := dataDir(c, std)
	if err != nil {
		return nil, err
	}
	if dir, _, err = backup.Resolve(dir); err != nil { // which one it is, the answer says
		return nil, &storeError{err.Error()}
	}
	b, err := openBackend(c.Context, dir, modeRead, std)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return keptOf(c.Context, b)
}

// keptField returns the kept element of that name. Without one it returns nil,
// and an error if that is the name of an element at all.
func keptField(c *cli.Context, flag, name string) (*flow.KeptElement, error) {
	kept, err := keptIn(c)
	if alias := elementAlias(name); alias != "" {
		name = alias
	}
	if e := kept.Find(name); e != nil {
		return e, nil
	}
	hint := elementHint(name)
	switch {
	case hint == "":
		return nil, nil
	case err != nil:
		return nil, err
	}
	return nil, usagef("%s: %s", flag, hint)
}

// elementColumn returns the name of the column of an element that is written as
// enterprise/number, where prefix lengths may stand behind a slash too. Other names
// are returned as they are.
func elementColumn(c *cli.Context, flag, name string) (string, error) {
	whose, _, cut := strings.Cut(name, "/")
	if _, ok := collector.ParseEnterprise(whose); !cut || !ok {
		return name, nil
	}
	e, err := keptField(c, flag, name)
	if e == nil {
		return name, err
	}
	return e.Name, nil
}

// keptColumn returns the column of a kept element.
func keptColumn(e *flow.KeptElement) column {
	return column{name: e.Name, field: e.Field, kept: e}
}

// keptColumns returns the columns of all kept elements.
func keptColumns(k *flow.Kept) []column {
	var list []column
	for i := range k.All() {
		list = append(list, keptColumn(&k.All()[i]))
	}
	return list
}

// keptText lists what is kept, to be noted.
func keptText(k *flow.Kept) string {
	var names []string
	for _, e := range k.Active() {
		names = append(names, e.Name)
	}
	if names == nil {
		return ""
	}
	return ", with " + strings.Join(names, ", ")
}

// appendKept appends the value of a kept element as people read it.
func appendKept(dst []byte, e *flow.KeptElement, r *flow.Record) []byte {
	if !e.Field.IsAddr() && e.Type.Form() == flow.FormTime {
		return appendHumanTime(dst, r.Num(e.Field))
	}
	return e.AppendText(dst, r)
}

// filterOptions returns what the filters of a command line may refer to.
func filterOptions(n *naming) query.ParseOptions {
	return query.ParseOptions{Names: n.names, Unresolved: true, Elements: elementHint, ElementAlias: elementAlias}
}

// keepElements has the archive, what it holds and its quarantine keep the
// elements of the configuration.
func (o *collectOptions) keepElements(std *Std, s *store.Store, held *holds, aside *quarantine) (kept *flow.Kept, err error) {
	others, done, err := held.stores()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	return keepElements(o.config.Kept, uint64(std.Now().UnixMilli()), s, append(others, aside.stores()...)...)
}
