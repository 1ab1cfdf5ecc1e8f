package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"weir/store"
)

// A Verifier checks backups. Files that several share are read once.
type Verifier struct {
	meter *meter
	seen  map[string][]seenFile // by name
}

type seenFile struct {
	info os.FileInfo
	sum  string
}

// NewVerifier returns a Verifier that ends with ctx. report is told how far it
// is; it may be nil.
func NewVerifier(ctx context.Context, report func(Progress)) *Verifier {
	return &Verifier{meter: newMeter(ctx, report), seen: map[string][]seenFile{}}
}

// A Finding is what a check of a backup found.
type Finding struct {
	Name     string   `json:"name"`
	Files    int      `json:"files"`
	Bytes    int64    `json:"bytes"`
	Records  int64    `json:"records"`
	Hours    int      `json:"hours"`
	Opened   bool     `json:"opened"`             // files changed since it was made, because it was opened
	Problems []string `json:"problems,omitempty"` // none: it is sound
}

// Check reads every file of a backup, compares it with what was written down when
// it was made, and opens the backup. Only being cancelled is an error.
func (v *Verifier) Check(b *Backup) (*Finding, error) {
	found := &Finding{Name: b.Name, Opened: b.Opened}
	if b.Err != nil {
		found.Problems = append(found.Problems, b.Err.Error())
	}
	if b.Listing == nil {
		return found, nil
	}
	found.Files = len(b.Listing.Files)
	v.meter.begin("check", b.Size())
	listed := map[string]bool{}
	for i := range b.Listing.Files {
		f := &b.Listing.Files[i]
		listed[f.Name] = true
		err := v.checkFile(b, f)
		if ctxErr := v.meter.ctx.Err(); ctxErr != nil {
			return nil, ctxErr
		}
		if err != nil {
			found.Problems = append(found.Problems, err.Error())
		} else {
			found.Bytes += f.Size
		}
	}
	if b.Opened {
		found.Problems = append(found.Problems, newTables(b, listed)...)
	}
	if len(found.Problems) == 0 {
		found.open(b)
	}
	return found, nil
}

// checkFile compares a file with its hash. When a backup was opened, Pebble wrote
// its own files anew, and tables may have gone.
func (v *Verifier) checkFile(b *Backup, f *store.ListedFile) error {
	if b.Opened && !f.IsTable() {
		return nil
	}
	path := filepath.Join(b.Dir, filepath.FromSlash(f.Name))
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && b.Opened {
		return nil // opening notices if it is needed
	}
	if err != nil {
		return err
	}
	for _, s := range v.seen[f.Name] {
		if os.SameFile(s.info, info) && s.info.ModTime().Equal(info.ModTime()) {
			v.meter.add(f.Size)
			return compare(path, s.sum, f)
		}
	}
	sum, err := v.meter.read(path, io.Discard)
	if err != nil {
		return err
	}
	v.seen[f.Name] = append(v.seen[f.Name], seenFile{info, sum})
	return compare(path, sum, f)
}

func compare(path, sum string, f *store.ListedFile) error {
	if sum == f.SHA256 {
		return nil
	}
	return fmt.Errorf("%s is damaged: its content has another SHA-256 than when the backup was made", path)
}

// newTables checks the tables that came when a backup was opened.
func newTables(b *Backup, listed map[string]bool) (problems []string) {
	names, err := filepath.Glob(filepath.Join(b.Dir, "*.sst"))
	if err != nil {
		return []string{err.Error()}
	}
	for _, name := range names {
		if listed[filepath.Base(name)] {
			continue
		}
		if err := store.CheckTable(store.Disk(), name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, err.Error())
		}
	}
	return problems
}

// open opens the backup, which looks for everything that it needs.
func (f *Finding) open(b *Backup) {
	s, err := store.Open(b.Dir, store.Options{ReadOnly: true, CacheSize: heldMemory})
	if errors.Is(err, store.ErrInUse) {
		return // somebody has it open: it does open
	}
	if err == nil {
		for _, h := range s.Buckets() {
			f.Hours++
			f.Records += h.Rows
		}
		for _, damage := range s.Damage() {
			f.Problems = append(f.Problems, damage.Error())
		}
		err = s.Close()
	}
	if err != nil {
		f.Problems = append(f.Problems, err.Error())
	}
}
