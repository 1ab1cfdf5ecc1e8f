package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir/store"
)

// Options say where a backup goes.
type Options struct {
	Dest      string         // a directory for backups; made if it is missing
	Keep      int            // how many are left at most, the newest; 0: all
	OlderThan time.Duration  // older ones are deleted, but for the newest; 0: none
	Report    func(Progress) // is told how far it is; may be nil
}

// A Report says what a backup is.
type Report struct {
	Name    string    `json:"name"`
	Dir     string    `json:"dir"`
	Made    time.Time `json:"made"` // what was stored before is in it
	Hours   int       `json:"hours"`
	Records int64     `json:"records"`
	Files   int       `json:"files"`
	Fresh   int64     `json:"new_bytes"`    // of files that no earlier backup has
	Shared  int64     `json:"shared_bytes"` // of files that one has, by hard links
	Linked  bool      `json:"linked"`       // the tables are hard links to the archive's own
	Deleted []string  `json:"deleted,omitempty"`
	Kept    []string  `json:"kept,omitempty"` // that could not be deleted, with the reason
}

// A DestError says that a directory cannot take backups.
type DestError struct{ Reason, Hint string }

func (e *DestError) Error() string { return e.Reason }

// A run is a backup that is being made.
type run struct {
	src    Source
	o      Options
	meter  *meter
	at     string // where it is made, before it has its name
	linked bool
	report Report
	known  map[string]known
}

// Make makes a backup in o.Dest and deletes old ones. When it fails or is
// cancelled nothing is left of it.
func Make(ctx context.Context, src Source, o Options) (*Report, error) {
	r := &run{src: src, o: o, meter: newMeter(ctx, o.Report)}
	if err := r.prepare(); err != nil {
		return nil, err
	}
	if err := r.make(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(r.at))
	}
	r.prune()
	return &r.report, nil
}

// prepare makes the directory for backups, or checks that it is this archive's,
// and removes what was cut short.
func (r *run) prepare() error {
	dest := r.o.Dest
	if err := checkDest(dest, r.src.Store.Dir()); err != nil {
		return err
	}
	switch owner, err := depotOwner(dest); {
	case err == nil && owner != r.src.Store.ID():
		return &DestError{fmt.Sprintf("%s holds the backups of another archive", dest), "give each archive a directory of its own"}
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		if err := makeDepot(dest, r.src.Store.ID()); err != nil {
			return err
		}
	default:
		return err
	}
	entries, err := os.ReadDir(dest)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), unfinishedPrefix) || strings.HasPrefix(e.Name(), gonePrefix) {
			if err := os.RemoveAll(filepath.Join(dest, e.Name())); err != nil {
				return fmt.Errorf("remove what an earlier backup left: %w", err)
			}
		}
	}
	list, err := List(dest)
	r.known = knownFiles(list)
	return err
}

// checkDest refuses places where a backup would be part of the archive, or the
// other way round.
func checkDest(dest, data string) error {
	real := func(dir string) string {
		if full, err := filepath.Abs(dir); err == nil {
			dir = full
		}
		rest := ""
		for at := dir; ; at = filepath.Dir(at) { // the last parts may not be there yet
			if r, err := filepath.EvalSymlinks(at); err == nil {
				return filepath.Join(r, rest)
			}
			if at == filepath.Dir(at) {
				return dir
			}
			rest = filepath.Join(filepath.Base(at), rest)
		}
	}
	rel, err := filepath.Rel(real(data), real(dest))
	if err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return &DestError{fmt.Sprintf("%s lies in the data directory", dest), "name a directory beside it, best on another disk"}
	}
	if _, err := os.Lstat(filepath.Join(dest, "WEIR")); err == nil {
		return &DestError{fmt.Sprintf("%s is a data directory itself", dest), "name a directory that holds backups, or a new one"}
	}
	return nil
}

// makeDepot makes dest a directory for backups, if there is nothing in it.
func makeDepot(dest, id string) error {
	if err := os.MkdirAll(dest, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dest)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != "lost+found" {
			return &DestError{fmt.Sprintf("%s is not empty and holds no backups", dest), "name a directory that does not exist yet"}
		}
	}
	if err := os.WriteFile(filepath.Join(dest, depotName), []byte(depotText+id+"\n"), 0o600); err != nil {
		return err
	}
	return syncDir(dest)
}

// make makes the backup under another name, checks it and gives it its own.
func (r *run) make() (err error) {
	name := r.freeName()
	r.at = filepath.Join(r.o.Dest, unfinishedPrefix+name)
	r.linked = canLink(r.src.Store.Dir(), r.o.Dest)
	l, err := r.copy()
	if err != nil {
		return err
	}
	if err := r.prove(l); err != nil {
		return err
	}
	l.Fresh = r.report.Fresh
	if err := l.Write(store.Disk(), r.at); err != nil {
		return err
	}
	if err := r.meter.ctx.Err(); err != nil {
		return err
	}
	dir := filepath.Join(r.o.Dest, name)
	if err := os.Rename(r.at, dir); err != nil {
		return fmt.Errorf("give the backup its name: %w", err)
	}
	r.report.Name, r.report.Dir, r.report.Made, r.report.Linked, r.report.Files = name, dir, l.Made, r.linked, len(l.Files)
	return r.pointLatest(name)
}

// freeName returns the name of a backup that is begun now.
func (r *run) freeName() string {
	base := time.Now().UTC().Format(nameLayout)
	for n, name := 2, base; ; n++ {
		if _, err := os.Lstat(filepath.Join(r.o.Dest, name)); err != nil {
			return name
		}
		name = fmt.Sprintf("%s-%d", base, n)
	}
}

// canLink reports whether files of data can be linked into dest.
func canLink(data, dest string) bool {
	probe := filepath.Join(dest, unfinishedPrefix+"probe")
	_ = os.Remove(probe)
	if err := os.Link(filepath.Join(data, "WEIR"), probe); err != nil {
		return false
	}
	return os.Remove(probe) == nil
}

// copy puts a copy of the archive where the backup is made. Across file systems
// it is copied from a checkpoint in the data directory, so that the archive is
// not held up.
func (r *run) copy() (*store.Listing, error) {
	from := r.at
	if !r.linked {
		from = filepath.Join(r.src.Store.Dir(), store.CheckpointName, copyName)
		if err := os.RemoveAll(from); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(filepath.Dir(from), 0o700); err != nil {
			return nil, err
		}
		defer os.RemoveAll(from)
	}
	l, err := r.src.snapshot(from)
	if err != nil {
		return nil, err
	}
	r.meter.begin("copy", r.toRead(l))
	for i := range l.Files {
		f := &l.Files[i]
		if r.linked {
			err = r.hash(f, l.Life)
		} else {
			err = r.bring(f, l.Life, from)
		}
		if err != nil {
			return nil, err
		}
	}
	if !r.linked {
		err = syncTree(r.at)
	}
	return l, err
}

// toRead returns how many bytes will be read: those of new files once, and again
// where they are copied.
func (r *run) toRead(l *store.Listing) (n int64) {
	for i := range l.Files {
		f := &l.Files[i]
		if k := r.known[f.Name]; k.isSame(f, l.Life) {
			continue
		}
		if n += f.Size; !r.linked {
			n += f.Size
		}
	}
	return n
}

// hash finds the hash of a file that is linked to the archive's own, and reads it
// unless an earlier backup has the same.
func (r *run) hash(f *store.ListedFile, life string) (err error) {
	k := r.known[f.Name]
	if k.isSame(f, life) {
		f.SHA256 = k.SHA256
		r.report.Shared += f.Size
		return nil
	}
	r.report.Fresh += f.Size
	path := filepath.Join(r.at, filepath.FromSlash(f.Name))
	if f.SHA256, err = r.meter.read(path, io.Discard); err != nil || !f.IsTable() {
		return err
	}
	return store.CheckTable(store.Disk(), path)
}

// bring brings a file to another file system: by a link to an earlier backup that
// has it, or as a copy.
func (r *run) bring(f *store.ListedFile, life, from string) error {
	path, to := filepath.Join(from, filepath.FromSlash(f.Name)), filepath.Join(r.at, filepath.FromSlash(f.Name))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	k := r.known[f.Name]
	same := k.isSame(f, life)
	if !same && k.path != "" && k.Size == f.Size { // a restored archive, maybe
		sum, err := r.meter.read(path, io.Discard)
		if err != nil {
			return err
		}
		same = sum == k.SHA256
	}
	if same && os.Link(k.path, to) == nil {
		f.SHA256 = k.SHA256
		r.report.Shared += f.Size
		return nil
	}
	sum, err := r.meter.copyFile(path, to, 0o600)
	if err != nil {
		return err
	}
	f.SHA256 = sum
	r.report.Fresh += f.Size
	if err := os.Chtimes(to, time.Time{}, time.Unix(0, f.Modified)); err != nil {
		return err
	}
	if !f.IsTable() {
		return nil
	}
	return store.CheckTable(store.Disk(), to)
}

// syncTree makes the names in dir and the directories in it durable.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return syncDir(path)
	})
}

// prove opens the backup and counts what is in it.
func (r *run) prove(l *store.Listing) error {
	dirs := []string{"."}
	held, err := store.HeldDirs(store.Disk(), r.at)
	if err != nil {
		return err
	}
	for _, rel := range append(dirs, held...) {
		s, err := store.Open(filepath.Join(r.at, rel), store.Options{ReadOnly: true, CacheSize: heldMemory})
		if err != nil {
			return fmt.Errorf("open the backup to check it: %w", err)
		}
		if rel == "." {
			l.Hours, l.Records, l.Newest = 0, 0, 0
			for _, b := range s.Buckets() {
				l.Hours++
				l.Records += b.Rows
				l.Newest = max(l.Newest, b.LastReceived)
			}
			r.report.Hours, r.report.Records = l.Hours, l.Records
		}
		if err := s.Close(); err != nil {
			return fmt.Errorf("open the backup to check it: %w", err)
		}
	}
	return nil
}

// pointLatest moves the link to the newest backup.
func (r *run) pointLatest(name string) error {
	temp := filepath.Join(r.o.Dest, unfinishedPrefix+latestName)
	_ = os.Remove(temp)
	if err := os.Symlink(name, temp); err == nil { // some file systems have none
		if err := os.Rename(temp, filepath.Join(r.o.Dest, latestName)); err != nil {
			return fmt.Errorf("point %s at the backup: %w", latestName, err)
		}
	}
	return syncDir(r.o.Dest)
}
