package command

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// The files of a package beside its data.
const (
	manifestName    = "manifest.json"
	manifestSumName = "manifest.json.sha256"
	readmeName      = "README.txt"
)

// packagePart ends the names of files that are not complete.
const packagePart = ".part"

// An exportPackage is a directory being filled. Its manifest comes last, under
// its name only once it is whole: a directory without one is no package.
type exportPackage struct {
	dir   string
	made  bool // the directory was not there before
	files []packageFile
	names []string // of all files written, under whatever name they have now
}

// A packageFile is what the manifest says of a file.
type packageFile struct {
	Name   string  `json:"name"`
	Size   int64   `json:"size"`           // bytes
	SHA256 string  `json:"sha256"`         // lower-case hexadecimal
	Rows   *uint64 `json:"rows,omitempty"` // of data: lines after the header of CSV, lines of JSON
}

// checkNewDir refuses a directory in which there is something.
func checkNewDir(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return usagef("-o: %v", err)
	case len(entries) > 0:
		return usagef("-o: %s is not empty", dir).withHint("name a new directory")
	}
	return nil
}

// newPackage makes the directory, which must be empty or not there.
func newPackage(dir string) (*exportPackage, error) {
	_, err := os.Stat(dir)
	p := &exportPackage{dir: dir, made: errors.Is(err, fs.ErrNotExist)}
	// Flows are personal data: nobody else is let in.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the package: %w", err)
	}
	return p, checkNewDir(dir)
}

// A packageWriter writes one file of a package and what the manifest says of it.
type packageWriter struct {
	pack *exportPackage
	name string
	file *os.File
	buf  *bufio.Writer
	sum  hash.Hash
	size int64
}

// create begins a file.
func (p *exportPackage) create(name string) (*packageWriter, error) {
	part := filepath.Join(p.dir, name+packagePart)
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write the package: %w", err)
	}
	p.names = append(p.names, part)
	return &packageWriter{pack: p, name: name, file: f, buf: bufio.NewWriterSize(f, 256<<10), sum: sha256.New()}, nil
}

// Write implements io.Writer.
func (w *packageWriter) Write(b []byte) (int, error) {
	w.sum.Write(b)
	w.size += int64(len(b))
	return w.buf.Write(b)
}

// place brings the file to the disk and gives it its name.
func (w *packageWriter) place() error {
	err := w.buf.Flush()
	if err == nil {
		err = w.file.Sync()
	}
	if closeErr := w.file.Close(); err == nil {
		err = closeErr
	}
	name := filepath.Join(w.pack.dir, w.name)
	if err == nil {
		w.pack.names = append(w.pack.names, name)
		err = os.Rename(name+packagePart, name)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", w.name, err)
	}
	return nil
}

// finish completes the file and adds it to the manifest's list. rows is the
// number of rows of a file of data, 0 for others.
func (w *packageWriter) finish(rows uint64) error {
	if err := w.place(); err != nil {
		return err
	}
	f := packageFile{Name: w.name, Size: w.size, SHA256: hex.EncodeToString(w.sum.Sum(nil))}
	if w.name != readmeName {
		f.Rows = &rows
	}
	w.pack.files = append(w.pack.files, f)
	return nil
}

// seal writes the manifest's hash and then the manifest, which makes the
// directory a package, and returns the hash.
func (p *exportPackage) seal(m *manifest) (string, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // filters are full of < and >, for people to read
	enc.SetIndent("", "  ")
	if err := enc.Encode(m); err != nil {
		return "", fmt.Errorf("write the manifest: %w", err)
	}
	digest := sha256.Sum256(text.Bytes())
	sum := hex.EncodeToString(digest[:])
	for _, file := range []struct {
		name string
		text []byte
	}{{manifestSumName, []byte(sum + "  " + manifestName + "\n")}, {manifestName, text.Bytes()}} {
		w, err := p.create(file.name)
		if err != nil {
			return "", err
		}
		if _, err := w.Write(file.text); err != nil {
			return "", fmt.Errorf("write %s: %w", file.name, err)
		}
		if err := w.place(); err != nil {
			return "", err
		}
	}
	return sum, nil
}

// abandon removes what was written, so that nobody takes it for a package and
// the export can be started again, and says what became of it. The manifest goes
// first: without it the rest is no package, if the removal fails or is cut short.
func (p *exportPackage) abandon() string {
	for _, name := range slices.Backward(p.names) {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Sprintf("the export is not finished: what is in %s is no package (%v)", p.dir, err)
		}
	}
	if p.made {
		_ = os.Remove(p.dir) // not if somebody else put something there
	}
	return fmt.Sprintf("the export is not finished: what was written to %s is removed", p.dir)
}
