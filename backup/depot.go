package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"weir/store"
)

// A directory for backups has one directory for each, named by when it was begun,
// a link to the newest, and a file that says whose they are.
const (
	depotName  = "BACKUPS" // "weir backups of archive ID\n"
	depotText  = "weir backups of archive "
	latestName = "latest"

	nameLayout       = "2006-01-02T15-04-05Z"
	unfinishedPrefix = ".unfinished-"
	gonePrefix       = ".gone-"
)

var backupName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ(-\d+)?$`)
})

// A Backup is one in a directory for backups.
type Backup struct {
	Name    string
	Dir     string
	Listing *store.Listing // nil if Err is not
	Opened  bool           // it was opened for writing since: files were added, and may have gone
	Err     error          // it is not whole
}

// Size returns the bytes of all its files, of which many may be shared.
func (b *Backup) Size() (n int64) {
	if b.Listing != nil {
		for i := range b.Listing.Files {
			n += b.Listing.Files[i].Size
		}
	}
	return n
}

// IsDepot reports whether dir is a directory for backups.
func IsDepot(dir string) bool {
	_, err := depotOwner(dir)
	return err == nil
}

// depotOwner returns the ID of the archive whose backups are in dir.
func depotOwner(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, depotName))
	if err != nil {
		return "", err
	}
	id, is := strings.CutPrefix(strings.TrimSpace(string(text)), depotText)
	if !is {
		return "", fmt.Errorf("the file %s in %s does not read %q", depotName, dir, depotText+"…")
	}
	return id, nil
}

// List returns the backups in dir, the oldest first.
func List(dir string) ([]Backup, error) {
	entries, err := os.ReadDir(dir) // sorted, and names sort as times do
	if err != nil {
		return nil, err
	}
	var list []Backup
	for _, e := range entries {
		if e.IsDir() && backupName().MatchString(e.Name()) {
			list = append(list, Look(filepath.Join(dir, e.Name())))
		}
	}
	return list, nil
}

// Look reads what a backup says of itself and looks for its files.
func Look(dir string) Backup {
	b := Backup{Name: filepath.Base(dir), Dir: dir}
	_, err := os.Lstat(filepath.Join(dir, "PLACE"))
	b.Opened = err == nil
	if b.Listing, b.Err = store.ReadListing(store.Disk(), dir); b.Err == nil && b.Listing == nil {
		b.Err = fmt.Errorf("%w: %s has no list of its files (%s)", store.ErrTorn, dir, store.ListingName)
	}
	if b.Err == nil && !b.Opened {
		b.Err = b.Listing.CheckFiles(store.Disk(), dir)
	}
	return b
}

// Resolve returns the data directory that dir means: itself; the newest whole
// backup of a directory for backups; the newest whole checkpoint of a checkpoint
// directory. note says so in the latter cases. A link is followed, because what
// it leads to may change while an archive is open.
func Resolve(dir string) (data, note string, err error) {
	if info, err := os.Lstat(dir); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			dir = real
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "WEIR")); err == nil {
		return dir, "", nil
	}
	if IsDepot(dir) {
		return newestBackup(dir)
	}
	return newestCheckpoint(dir)
}

func newestBackup(dir string) (data, note string, err error) {
	list, err := List(dir)
	if err != nil {
		return "", "", err
	}
	var bad error
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Err != nil {
			bad = errors.Join(bad, list[i].Err)
			continue
		}
		note = fmt.Sprintf("the newest of %d backups in %s is asked: %s", len(list), dir, list[i].Name)
		if bad != nil {
			note = fmt.Sprintf("%v; the newest whole backup in %s is asked: %s", bad, dir, list[i].Name)
		}
		return list[i].Dir, note, nil
	}
	if bad == nil {
		bad = fmt.Errorf("%s holds no backup yet", dir)
	}
	return "", "", bad
}

func newestCheckpoint(dir string) (data, note string, err error) {
	var best Backup
	var bad error
	for _, name := range store.CheckpointNames() {
		at := filepath.Join(dir, name)
		if _, err := os.Lstat(filepath.Join(at, "WEIR")); err != nil {
			continue
		}
		c := Look(at)
		if c.Err != nil {
			bad = errors.Join(bad, c.Err)
		} else if best.Listing == nil || c.Listing.Made.After(best.Listing.Made) {
			best = c
		}
	}
	switch {
	case best.Listing != nil:
		return best.Dir, fmt.Sprintf("the checkpoint of %s is asked (%s); what came later is not in it",
			best.Listing.Made.Format(time.RFC3339), best.Dir), nil
	case bad != nil:
		return "", "", bad
	}
	return dir, "", nil
}
