package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"weir/store"
)

// How a hold ends.
const (
	holdReleased = "released"
	holdLapsed   = "lapsed"
)

// lapseSoon is how long before its end it is said that a hold lapses, and
// lapseEvery how often.
const (
	lapseSoon  = 14 * day
	lapseEvery = day
)

// lapses returns when the hold ends by itself.
func (h *hold) lapses() time.Time { return time.UnixMilli(int64(h.Until)).UTC() }

// soon reports whether the hold lapses within lapseSoon of now.
func (h *hold) soon(now time.Time) bool {
	return h.Ended == "" && h.lapses().Sub(now) <= lapseSoon
}

// lapseText says when a hold ends, for people.
func (h *hold) lapseText(now time.Time) string {
	left := h.lapses().Sub(now)
	if left <= 0 {
		return fmt.Sprintf("the hold of case %s is over since %s: what it keeps goes at the next look of the collector", h.Case, showMS(h.Until))
	}
	return fmt.Sprintf("the hold of case %s ends in %s, at %s, and what it keeps goes", h.Case, humanSpan(left), showMS(h.Until))
}

// Lapse implements retention.Holds. Of those that end soon it says so, each day.
func (h *holds) Lapse(ctx context.Context, now time.Time) error {
	var errs []error
	for _, one := range h.all() {
		switch {
		case !one.soon(now):
		case one.lapses().After(now):
			h.announce(one, now)
		default:
			errs = append(errs, h.lapse(ctx, one))
		}
	}
	return errors.Join(errs...)
}

func (h *holds) announce(one *hold, now time.Time) {
	h.mu.Lock()
	last, said := h.told[one.Case]
	if !said || now.Sub(last) >= lapseEvery {
		h.told[one.Case] = now
	}
	h.mu.Unlock()
	if !said || now.Sub(last) >= lapseEvery {
		h.log.Warn("a hold ends soon, and what it keeps goes", "case", one.Case, "ends", showMS(one.Until), "left", humanSpan(one.lapses().Sub(now)),
			"to_keep_it", "weir hold extend --case "+quoteArg(one.Case)+" --until DATE")
	}
}

func (h *holds) lapse(ctx context.Context, one *hold) error {
	if h.journal != nil {
		if err := h.journal.noteFor(one.Case, holdName, fmt.Sprintf("the hold of case %s is over since %s: deletes what it keeps", one.Case, showMS(one.Until))); err != nil {
			return err
		}
	}
	if err := h.finish(ctx, one, holdLapsed); err != nil {
		return err
	}
	h.log.Info("a hold is over, and what it kept is deleted", "case", one.Case, "since", showMS(one.Until))
	return nil
}

// finish ends a hold and deletes what it keeps. Once it has begun, a crash
// leaves the rest to the next start.
func (h *holds) finish(ctx context.Context, one *hold, how string) error {
	h.passing.Lock()
	defer h.passing.Unlock()
	ending := *one
	ending.Ended = how
	if err := h.write(&ending); err != nil {
		return err
	}
	return h.erase(ctx, &ending)
}

// erase deletes what an ended hold keeps, and the hold. The filter leaves the
// files too.
func (h *holds) erase(ctx context.Context, one *hold) error {
	h.mu.Lock()
	if s := h.open[one.Case]; s != nil { // a question that looks at it fails
		delete(h.open, one.Case)
		if err := s.Close(); err != nil {
			h.mu.Unlock()
			return err
		}
	}
	dir := h.heldDir(one.Case)
	err := store.Destroy(dir, h.options)
	delete(h.sums, one.Case)
	delete(h.marks, one.Case)
	h.mu.Unlock()
	if err != nil {
		return err
	}
	if err := h.main.PutState(holdOverPrefix+one.Case, []byte(one.Ended)); err != nil {
		return err
	}
	if err := h.main.DeleteState(holdPrefix + one.Case); err != nil {
		return err
	}
	if err := h.main.Flush(); err != nil {
		return err
	}
	h.mu.Lock()
	delete(h.list, one.Case)
	delete(h.told, one.Case)
	h.mu.Unlock()
	if _, err := h.main.Scrub(ctx, holdPrefix); err != nil {
		return fmt.Errorf("what was held is deleted, but take its filter out of the files: %w", err)
	}
	return nil
}
