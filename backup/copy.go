package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"weir/store"
)

// A Progress says how far a copy or its check is, in bytes.
type Progress struct {
	Step  string `json:"step"` // "copy", "check"
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
}

// A meter counts bytes that were read and reports them.
type meter struct {
	ctx    context.Context
	report func(Progress)
	at     Progress
}

func newMeter(ctx context.Context, report func(Progress)) *meter {
	if report == nil {
		report = func(Progress) {}
	}
	return &meter{ctx: ctx, report: report}
}

// begin begins a step of total bytes.
func (m *meter) begin(step string, total int64) {
	m.at = Progress{Step: step, Total: total}
	m.report(m.at)
}

func (m *meter) add(n int64) {
	m.at.Done += n
	m.report(m.at)
}

// copyBuffer is how much is read at a time: after so many bytes a copy notices
// that it is to stop.
const copyBuffer = 1 << 20

// read reads a file to its end into w and returns its SHA-256.
func (m *meter) read(name string, w io.Writer) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	buf := make([]byte, copyBuffer)
	for {
		if err := m.ctx.Err(); err != nil {
			return "", err
		}
		n, err := f.Read(buf)
		sum.Write(buf[:n])
		if _, err := w.Write(buf[:n]); err != nil {
			return "", fmt.Errorf("copy %s: %w", name, err)
		}
		m.add(int64(n))
		if errors.Is(err, io.EOF) {
			return hex.EncodeToString(sum.Sum(nil)), nil
		}
		if err != nil {
			return "", fmt.Errorf("read %s: %w", name, err)
		}
	}
}

// copyFile copies a file and reads the copy again, from the disk where the system
// lets it.
func (m *meter) copyFile(from, to string, mode os.FileMode) (sum string, err error) {
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return "", err
	}
	sum, err = m.read(from, f)
	if err == nil {
		err = f.Sync()
	}
	forget(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	again, err := m.read(to, io.Discard)
	if err == nil && again != sum {
		err = fmt.Errorf("%s was not written as it was read: the disk is not to be trusted", to)
	}
	return sum, err
}

// A known file is one of an earlier backup.
type known struct {
	store.ListedFile
	life string
	path string
}

// knownFiles returns the tables of earlier backups by name, of the newest that
// has one.
func knownFiles(list []Backup) map[string]known {
	files := map[string]known{}
	for i := range list {
		b := &list[i]
		if b.Listing == nil {
			continue
		}
		for _, f := range b.Listing.Files {
			path := filepath.Join(b.Dir, filepath.FromSlash(f.Name))
			if !f.IsTable() || f.SHA256 == "" {
				continue
			}
			if info, err := os.Lstat(path); err == nil && info.Size() == f.Size {
				files[f.Name] = known{f, b.Listing.Life, path}
			}
		}
	}
	return files
}

// isSame reports whether a table is the known one beyond doubt: numbers are not
// used again within one life of the archive.
func (k *known) isSame(f *store.ListedFile, life string) bool {
	return k.path != "" && life != "" && k.life == life && k.Size == f.Size && k.Modified == f.Modified
}
