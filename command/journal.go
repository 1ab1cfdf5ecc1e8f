package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"weir/retention/audit"
	"weir/store"
)

// A journal writes what the collector does by itself into the audit log.
type journal struct {
	log *audit.Log
	who audit.Who
}

func newJournal(s *store.Store, std *Std) *journal {
	return &journal{audit.New(s, std.Now), thisUser(std)}
}

// note writes an entry about something that is about to happen.
func (j *journal) note(command, detail string) error {
	_, err := j.log.Add(audit.Entry{Kind: audit.KindNote, Who: j.who, Command: command, Detail: detail})
	return err
}

// noteFor is note of what is done for a case.
func (j *journal) noteFor(ref, command, detail string) error {
	_, err := j.log.Add(audit.Entry{Kind: audit.KindNote, Who: j.who, Command: command, Detail: detail, Case: ref})
	return err
}

// began notes that a command of this process begins, and what for.
func (j *journal) began(ctx context.Context, command, detail string) error {
	c := callerOf(ctx)
	_, err := j.log.Add(audit.Entry{Kind: audit.KindNote, Who: j.who, Command: command, Detail: detail, Case: c.ticket, Reason: c.reason})
	return err
}

// act notes what is about to be changed, does it, and notes how that ended.
func (j *journal) act(command, detail string, do func() error) error {
	number, err := j.log.Add(audit.Entry{Kind: audit.KindAct, Who: j.who, Command: command, Detail: detail})
	if err != nil {
		return fmt.Errorf("nothing was changed, because it cannot be noted: %w", err)
	}
	err = do()
	_, logErr := j.log.Add(answerTo(number, j.who, 0, err))
	return errors.Join(err, logErr)
}

// drop returns what notes the drop of an hour, which is older than what keep
// returns. What cannot be noted is not dropped yet.
func (j *journal) drop(s *store.Store, keep func() time.Duration) func(store.Hour) error {
	return func(h store.Hour) error {
		return j.note("retention", fmt.Sprintf("drops hour %s of %s, older than %s", h, plural(recordsOf(s, h), "record"), keepText(keep())))
	}
}

// trimDaily deletes entries that are older than what keep returns, and logs the head of the
// chain, so that the journal of the host can bear witness.
func (j *journal) trimDaily(ctx context.Context, keep func() time.Duration, log *slog.Logger) error {
	ticker := time.NewTicker(24 * time.Hour)
	defer ticker.Stop()
	for {
		if gone, err := j.log.Trim(keep(), j.who); err != nil {
			log.Error("delete old entries of the audit log", "err", err)
		} else if gone > 0 {
			log.Info("old entries of the audit log deleted", "entries", gone, "keep", keep())
		}
		if head, number, err := j.log.Head(); err == nil {
			log.Info("audit log", "entries_up_to", number, "head", head)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
