package backup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"weir/store"
)

// prune deletes the backups that the options say. The newest stays whatever they
// say, and one that somebody has open stays until the next time.
func (r *run) prune() {
	list, err := List(r.o.Dest)
	if err != nil {
		r.report.Kept = append(r.report.Kept, err.Error())
		return
	}
	now := time.Now()
	for i := range list {
		b := &list[i]
		left := len(list) - i // this one and those after it
		old := r.o.OlderThan > 0 && now.Sub(b.begun()) > r.o.OlderThan
		if left == 1 || !old && (r.o.Keep <= 0 || left <= r.o.Keep) {
			continue
		}
		if err := r.delete(b); err != nil {
			r.report.Kept = append(r.report.Kept, fmt.Sprintf("%s: %v", b.Name, err))
			continue
		}
		r.report.Deleted = append(r.report.Deleted, b.Name)
	}
}

// begun returns when a backup was begun, by its name.
func (b *Backup) begun() time.Time {
	t, err := time.Parse(nameLayout, b.Name[:min(len(b.Name), len(nameLayout))])
	if err != nil {
		return time.Now()
	}
	return t
}

// delete deletes a backup. It loses its name first, so that nobody takes a half
// for one.
func (r *run) delete(b *Backup) error {
	s, err := store.Open(b.Dir, store.Options{ReadOnly: true, CacheSize: heldMemory})
	if errors.Is(err, store.ErrInUse) {
		return errors.New("it is open")
	}
	if err == nil {
		if err := s.Close(); err != nil {
			return err
		}
	}
	gone := filepath.Join(r.o.Dest, gonePrefix+b.Name)
	if err := os.Rename(b.Dir, gone); err != nil {
		return err
	}
	return os.RemoveAll(gone)
}
