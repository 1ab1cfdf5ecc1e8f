package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"weir/backup"
	"weir/store"
)

// placesKey is where the archive keeps which directories have backups of it, a
// list in JSON: a purge is written down in each of them.
const placesKey = "backup/places"

// Backup implements backend.
func (l *local) Backup(ctx context.Context, req backupRequest) (*backupReport, error) {
	if !l.first().backing.TryLock() {
		return nil, errors.New("a backup is being made already; wait for it to end")
	}
	defer l.first().backing.Unlock()
	made, err := backup.Make(ctx, l.source(), backup.Options{
		Dest: req.Dest, Keep: req.Keep, OlderThan: req.OlderThan, Report: reportsOf(ctx).copied,
	})
	if err != nil {
		return nil, backupError(req.Dest, err)
	}
	r := &backupReport{Report: *made}
	if err := l.notePlace(req.Dest); err != nil {
		return nil, err
	}
	r.Notes, err = l.journalBeside(req.Dest)
	return r, err
}

// backupError says what to do about a directory that cannot take a backup.
func backupError(dest string, err error) error {
	var bad *backup.DestError
	switch {
	case errors.As(err, &bad):
		return usagef("%s", bad.Reason).withHint("%s", bad.Hint)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("back up to %s: %w: user %s must be able to write there; for a collector under systemd, name it in ReadWritePaths= too",
			dest, err, userName(os.Geteuid()))
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("back up to %s: %w: nothing is left of this one; delete older ones (--keep, --older-than), or take another disk", dest, err)
	}
	return fmt.Errorf("back up to %s: %w", dest, err)
}

// places returns the directories that have backups of the archive.
func (l *local) places() (list []string, err error) {
	text, err := l.store.GetState(placesKey)
	if err == nil && text != nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		return nil, fmt.Errorf("read where backups are: %w", err)
	}
	return list, nil
}

// maxPlaces bounds how many directories of backups are remembered.
const maxPlaces = 100

// notePlace remembers a directory of backups.
func (l *local) notePlace(dest string) error {
	list, err := l.places()
	if err != nil || slices.Contains(list, dest) {
		return err
	}
	list = append(list, dest)
	if err := l.store.PutState(placesKey, marshal(list[max(0, len(list)-maxPlaces):])); err != nil {
		return fmt.Errorf("write down where backups are: %w", err)
	}
	return l.store.Flush()
}

// checkpoints returns what keeps the checkpoints in the data directory.
func (l *local) checkpoints() *backup.Fixed {
	if l.fixed != nil {
		return l.fixed
	}
	return &backup.Fixed{Source: l.source()}
}

// source returns what is copied: the archive and what it holds.
func (l *local) source() backup.Source {
	if l.holds == nil {
		return backup.Source{Store: l.store}
	}
	return backup.Source{Store: l.store, Held: l.holds.byDir, Steady: l.holds.steady}
}

// renewCheckpoints has the checkpoints hold nothing that has gone from the
// archive, and takes away what was set aside of it. Checkpoints that cannot be
// made go: their bytes would stay.
func (l *local) renewCheckpoints() error {
	if err := os.RemoveAll(filepath.Join(l.store.Dir(), store.TornName)); err != nil {
		return err
	}
	fixed := l.checkpoints()
	if !fixed.Exists() {
		return nil
	}
	if l.first().backing.TryLock() { // else a backup is being made, and takes it away at its end
		err := fixed.RemoveUnfinished()
		l.first().backing.Unlock()
		if err != nil {
			return err
		}
	}
	if err := fixed.RenewBoth(); err != nil {
		return fixed.Remove()
	}
	return nil
}

// backup makes a backup for a client, and tells it how far it is. It is no
// question that takes its turn: it may take hours.
func (s *server) backup(w http.ResponseWriter, r *http.Request) {
	out := newAnswer(w, s.counts.begin(pathBackup))
	defer out.close()
	var req backupRequest
	if err := readQuestion(w, r, &req); err != nil {
		out.end(nil, err)
		return
	}
	var last time.Time
	ctx := withReports(r.Context(), reports{copied: func(at backup.Progress) {
		if now := time.Now(); now.Sub(last) >= progressEvery {
			last = now
			_ = out.object(answerObject{Copied: &at}) // the client may be gone
			_ = out.stream.Flush()
		}
	}})
	result, err := s.backend.Backup(ctx, req)
	out.end(result, err)
}

// resolveDir returns the data directory that --data means, and says so where it
// means a backup or checkpoint in it.
func resolveDir(dir string, std *Std) (string, error) {
	data, note, err := backup.Resolve(dir)
	if err != nil {
		return "", &storeError{err.Error()}
	}
	if note != "" {
		fmt.Fprintf(std.Err, "weir: %s\n", note)
	}
	return data, nil
}

// collectDir is resolveDir for a collector, which goes on with one backup and
// not with whichever is the newest.
func collectDir(dir string, std *Std) (string, error) {
	if backup.IsDepot(dir) {
		return "", &storeError{fmt.Sprintf("%s holds backups; to restore one, copy it to where the data directory was (cp -a %s /srv/weir/data), or collect with --data %s",
			dir, filepath.Join(dir, "latest")+"/.", filepath.Join(dir, "NAME"))}
	}
	return resolveDir(dir, std)
}

// recoveredText says that a copy was opened at its checkpoint.
func recoveredText(r *store.Recovery) string {
	if r.Made.IsZero() {
		return "this is a copy that was made while weir wrote; its checkpoint takes the place of files that do not belong together"
	}
	lacks := "what came after it is not in it"
	if gap := r.Copied.Sub(r.Made); gap > time.Second {
		lacks = fmt.Sprintf("the records of the %s after it are not in it", humanSpan(gap))
	}
	return fmt.Sprintf("this is a copy that was made while weir wrote; its checkpoint of %s is used, %s", showTime(r.Made), lacks)
}

// harmedText says in what a copy of a stopped archive is not as it was.
func harmedText(what []string) string {
	more := ""
	if n := len(what); n > maxHarmed {
		what, more = what[:maxHarmed], fmt.Sprintf(", and %d more", n-maxHarmed)
	}
	return "this copy is not as weir left the directory: " + strings.Join(what, ", ") + more
}

// maxHarmed is how many files of a copy are named.
const maxHarmed = 5

// sayRecovered tells the user and the audit log that a copy was opened at its
// checkpoint, or with files missing, if it was.
func sayRecovered(s *store.Store, std *Std) error {
	text := ""
	if r := s.Recovered(); r != nil {
		text = recoveredText(r)
	} else if what := s.Harmed(); len(what) > 0 {
		text = harmedText(what)
	} else {
		return nil
	}
	fmt.Fprintf(std.Err, "weir: %s\n", text)
	if s.ReadOnly() {
		return nil
	}
	return newJournal(s, std).note("recovery", text)
}
