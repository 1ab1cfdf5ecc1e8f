package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"weir/flow"
	"weir/flow/ledger"
	"weir/index"
	"weir/query"
	"weir/retention"
	"weir/store"
)

// carveTries is how often an hour is taken up anew because records came to it.
const carveTries = 5

// Drop implements retention.Holds. What is to be held of the hour is with its
// holds, sealed and on the disk, before the hour goes. A crash at any moment
// leaves the hour as it was, and what was taken out of it is taken out anew; or
// the hour has been decided to go, and goes at the next start.
func (h *holds) Drop(ctx context.Context, b store.BucketInfo, note func() error) error {
	h.passing.Lock()
	defer h.passing.Unlock()
	for try := 1; ; try++ {
		err := h.dropOnce(ctx, b, note)
		if !errors.Is(err, store.ErrMoved) || try == carveTries {
			return err
		}
		now, there := h.mainBucket(b.Hour)
		if !there {
			return nil
		}
		b = now
	}
}

// A passage is an hour on its way from the archive to its holds.
type passage struct {
	*holds
	of     store.BucketInfo
	carved []*heldStore
	alone  bool // moving is held
}

func (h *holds) dropOnce(ctx context.Context, b store.BucketInfo, note func() error) (err error) {
	p := &passage{holds: h, of: b}
	defer func() {
		if p.alone {
			h.moving.Unlock()
		}
		for _, s := range p.carved {
			err = errors.Join(err, h.done(s))
		}
	}()
	stays := len(h.Stays(b)) > 0
	for _, one := range h.all() {
		if !one.partly(b) || one.whole(b) || stays && h.carved(one, b) {
			continue
		}
		s, err := p.carve(ctx, one)
		if s != nil {
			p.carved = append(p.carved, s)
		}
		if err != nil {
			return fmt.Errorf("take out what case %s holds: %w", one.Case, err)
		}
	}
	if stays {
		return retention.ErrStays
	}
	if err := note(); err != nil {
		return err
	}
	if len(p.carved) == 0 {
		return h.main.Drop(b.Hour)
	}
	return p.move()
}

// carved reports whether what a hold is about of a bucket is known to be with it.
func (h *holds) carved(one *hold, b store.BucketInfo) bool {
	m, is := h.mark(one.Case, b.Hour)
	return is && m.Done && m.Rows == b.Rows && m.Scopes == len(one.Scopes)
}

// exclude keeps questions from looking until the passage is over.
func (p *passage) exclude() {
	if !p.alone {
		p.moving.Lock()
		p.alone = true
	}
}

// move lets an hour go whose records are with their holds. That it goes is on
// the disk before: else a crash between the two could not be told from an hour
// that was filled again.
func (p *passage) move() error {
	p.exclude()
	name := carvedPrefix + p.of.Hour.String()
	if err := p.main.PutState(name, strconv.AppendInt(nil, p.of.Rows, 10)); err != nil {
		return err
	}
	if err := p.main.Flush(); err != nil {
		return err
	}
	if err := p.main.DropIf(p.of.Hour, p.of.Rows); err != nil {
		return errors.Join(err, p.main.DeleteState(name), p.main.Flush())
	}
	for _, s := range p.carved {
		if err := p.settle(s, p.of.Hour); err != nil {
			return err
		}
	}
	return p.main.DeleteState(name)
}

// settle says that an hour has gone from the archive.
func (h *holds) settle(s *heldStore, hour store.Hour) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return s.settle(hour)
}

// settle forgets the mark of an hour. holds.mu is held.
func (s *heldStore) settle(hour store.Hour) error {
	delete(s.marks, hour)
	if err := s.DeleteState(markPrefix + hour.String()); err != nil {
		return err
	}
	return s.Flush()
}

// undo takes back what was taken over of an hour since its mark. holds.mu is
// held.
func (s *heldStore) undo(hour store.Hour) error {
	before := s.marks[hour].Blocks
	_, err := s.Remove(hour, func(b *store.Block) ([]uint64, error) {
		if b.Number() < before {
			return nil, nil
		}
		all := make([]uint64, store.BlockRows/64)
		for i := range all {
			all[i] = ^uint64(0)
		}
		return all, nil
	})
	if err != nil {
		return err
	}
	return s.settle(hour)
}

// carve takes over what a hold is about, and returns the store that it is in.
// What is there already stays.
func (p *passage) carve(ctx context.Context, one *hold) (*heldStore, error) {
	s, err := p.use(one.Case, true)
	if err != nil || p.holds.carved(one, p.of) {
		return s, err
	}
	if _, is := p.mark(one.Case, p.of.Hour); is {
		p.mu.Lock()
		err := s.undo(p.of.Hour)
		p.mu.Unlock()
		if err != nil {
			return s, err
		}
	}
	if err := s.sealer(p.now).SealAll(ctx); err != nil { // so that what was there before are whole blocks
		return s, err
	}
	c := &carving{holds: p.holds, one: one, of: p.of, to: s}
	for _, have := range s.Buckets() {
		if have.Hour == p.of.Hour {
			c.mark.Blocks = have.Blocks
		}
	}
	if c.mark.Blocks > 0 {
		// An hour that was filled again, as by an import: of the held bucket a part
		// counts already.
		p.exclude()
	}
	return s, c.run(ctx)
}

// A carving takes what one hold is about out of one bucket.
type carving struct {
	*holds
	one     *hold
	of      store.BucketInfo
	to      *heldStore
	mark    holdMark
	taken   int
	damaged []string
}

func (c *carving) run(ctx context.Context) error {
	c.mark.Rows, c.mark.Scopes = c.of.Rows, len(c.one.Scopes)
	if err := c.put(); err != nil {
		return err
	}
	if err := c.records(ctx); err != nil {
		return err
	}
	if err := c.ledger(); err != nil {
		return err
	}
	if err := c.to.sealer(c.now).SealAll(ctx); err != nil {
		return err
	}
	if c.journal != nil {
		detail := fmt.Sprintf("keeps %s of hour %s for case %s until %s", plural(c.taken, "record"), c.of.Hour, c.one.Case, showMS(c.one.Until))
		if len(c.damaged) > 0 {
			detail += fmt.Sprintf("; %s of it could not be read", plural(len(c.damaged), "block"))
		}
		if err := c.journal.noteFor(c.one.Case, holdName, detail); err != nil {
			return err
		}
	}
	c.mark.Done = true
	if err := c.put(); err != nil {
		return err
	}
	c.changed(c.one.Case)
	c.log.Info("records are held", "case", c.one.Case, "bucket", c.of.Hour.String(), "records", c.taken, "damaged_blocks", len(c.damaged))
	return nil
}

// put makes the mark durable.
func (c *carving) put() error {
	if err := c.to.PutState(markPrefix+c.of.Hour.String(), marshal(c.mark)); err != nil {
		return err
	}
	if err := c.to.Flush(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.to.marks[c.of.Hour] = c.mark
	return nil
}

// records takes the records over, block by block in their order.
func (c *carving) records(ctx context.Context) error {
	kept, err := readKept(c.main)
	if err != nil {
		return err
	}
	p, err := c.one.picker(kept)
	if err != nil {
		return err
	}
	v, err := c.main.View(c.of.Hour, c.of.Hour)
	if err != nil {
		return err
	}
	defer v.Close() // what it says was met before, and is counted
	rows := int64(0)
	for _, b := range v.Buckets() {
		rows += b.Info().Rows
	}
	if rows != c.of.Rows {
		return store.ErrMoved
	}
	for _, b := range v.Buckets() {
		for i := range b.Blocks() {
			if err := ctx.Err(); err != nil {
				return err
			}
			err := c.block(b, i, p)
			if store.IsDamage(err) {
				c.damaged = append(c.damaged, err.Error())
			} else if err != nil {
				return err
			}
		}
	}
	return c.noteDamage()
}

func (c *carving) block(b *store.Bucket, i int, p *holdPicker) error {
	blk, err := b.Block(i)
	if err != nil {
		return err
	}
	set, n, err := p.pick(blk)
	if err != nil || n == 0 {
		return err
	}
	all, err := blk.Batch()
	if err != nil {
		return err
	}
	some := selected(all, set)
	c.taken += some.Len()
	return c.to.Append(some)
}

// selected returns the rows of a batch that are in the set.
func selected(all *flow.Batch, set *index.RowSet) *flow.Batch {
	some := flow.NewBatch(0)
	in := func(row int) bool { return set[row>>6]>>(row&63)&1 != 0 }
	for lo := 0; lo < all.Len(); {
		hi := lo + 1
		for hi < all.Len() && in(hi) == in(lo) {
			hi++
		}
		if in(lo) {
			some.AppendRows(all, lo, hi)
		}
		lo = hi
	}
	return some
}

// noteDamage keeps with the held records what could not be taken over: an answer
// about the hour lacks it.
func (c *carving) noteDamage() error {
	if len(c.damaged) == 0 {
		return nil
	}
	c.log.Error("records that were to be held cannot be read", "case", c.one.Case, "bucket", c.of.Hour.String(), "damage", strings.Join(c.damaged, "; "))
	text := fmt.Sprintf("hour %s lacks %s that could not be read when it was taken over: %s", c.of.Hour, plural(len(c.damaged), "block"), strings.Join(c.damaged, "; "))
	return c.to.PutState(damagedPrefix+c.of.Hour.String(), []byte(text))
}

// ledger carries the ledger of the hour along.
func (c *carving) ledger() error {
	inWindow := slices.ContainsFunc(c.one.Scopes, func(s holdScope) bool { return s.touches(store.BucketInfo{Hour: c.of.Hour}) })
	if c.taken == 0 && !inWindow {
		return nil
	}
	var rows []ledger.Row
	err := c.main.ScanLedger(c.of.Hour, c.of.Hour, func(_ store.Hour, row ledger.Row) error {
		rows = append(rows, row)
		return nil
	})
	if store.IsDamage(err) {
		c.log.Error("carry the ledger along", "case", c.one.Case, "bucket", c.of.Hour.String(), "err", err)
	} else if err != nil {
		return err
	}
	return c.to.PutLedger(uint32(c.of.Hour), rows)
}

// recover ends what a crash has cut short: hours that had been decided to go,
// and holds that were ended. What cannot be ended now is logged, and left to the
// next start: the archive is there without it.
func (h *holds) recover(ctx context.Context) error {
	hours := map[store.Hour]int64{}
	err := h.main.ScanState(carvedPrefix, func(name string, value []byte) error {
		hour, err := store.ParseHour(strings.TrimPrefix(name, carvedPrefix))
		if err == nil {
			hours[hour], err = strconv.ParseInt(string(value), 10, 64)
		}
		return err
	})
	if err != nil {
		return err
	}
	for hour, rows := range hours {
		if err := h.recoverHour(hour, rows); err != nil {
			h.log.Error("go on with an hour that was cut short on its way to its holds", "bucket", hour.String(), "err", err)
		}
	}
	if len(hours) > 0 {
		if err := h.main.Flush(); err != nil {
			return err
		}
	}
	for _, one := range h.all() {
		if one.Ended == "" {
			continue
		}
		if err := h.erase(ctx, one); err != nil {
			h.log.Error("go on with the end of a hold that was cut short", "case", one.Case, "err", err)
			continue
		}
		h.wentOn(fmt.Sprintf("went on with the end of the hold of case %s (%s), which was cut short: what it kept is deleted", one.Case, one.Ended))
	}
	return nil
}

// wentOn says what a crash had cut short.
func (h *holds) wentOn(text string) {
	h.log.Info(text)
	h.said = append(h.said, text)
}

// recoverHour ends the drop of an hour that had so many rows when that was
// decided. With others it is not that hour's end any more, and begins anew.
func (h *holds) recoverHour(hour store.Hour, rows int64) error {
	err := h.main.DropIf(hour, rows)
	if b, there := h.mainBucket(hour); errors.Is(err, store.ErrMoved) && !there || there && b.Rows == 0 {
		err = h.main.Drop(hour) // it has gone, or only its ledger is left
	}
	if err != nil && !errors.Is(err, store.ErrMoved) {
		return err
	}
	if err == nil {
		// To open a held store is to settle what has gone.
		if err := h.eachStore(func(*heldStore) error { return nil }); err != nil {
			return err
		}
		h.wentOn(fmt.Sprintf("went on with hour %s, which was cut short on its way to its holds: it has gone", hour))
	}
	return h.main.DeleteState(carvedPrefix + hour.String())
}

// heldWindow cuts a window to what counts of it for a hold.
func heldWindow(w, of query.Window) (query.Window, bool) {
	if w.From = max(w.From, of.From); w.To == 0 || w.To > of.To {
		w.To = of.To
	}
	return w, w.From < w.To
}

// casesText writes cases for people, the first of many.
func casesText(cases []string) string {
	slices.Sort(cases)
	return someOf(slices.Compact(cases), 5)
}
