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

	"weir/flow"
)

// The files of a package beside its data.
const (
	manifestName = "manifest.json"
	sumsName     = "SHA256SUMS" // of all the others, as sha256sum -c takes it
	readmeName   = "README.txt"
)

// packagePart ends the names of files that are not complete.
const packagePart = ".part"

// An exportPackage is a directory being filled. Its manifest comes last, under
// its name only once it is whole: a directory without one is no package.
type exportPackage struct {
	dir   string
	made  bool // the directory was not there before
	lock  *os.File
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

// seal writes what has the manifest's hash in it and then the manifest, which
// makes the directory a package, and returns the hash. note is called with it
// before the manifest gets its name.
func (p *exportPackage) seal(m *manifest, note func(sum string) error) (string, error) {
	if m.Disclosure != nil {
		page, err := coverPage(m, noManifestSum)
		if err != nil {
			return "", err
		}
		m.Disclosure.Cover = coverSum(page, noManifestSum)
	}
	text, err := m.text()
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256(text)
	sum := hex.EncodeToString(digest[:])
	cover := ""
	if m.Disclosure != nil {
		page, err := coverPage(m, sum)
		if err != nil {
			return "", err
		}
		digest := sha256.Sum256(page)
		cover = hex.EncodeToString(digest[:])
		if err := p.write(coverName, page); err != nil {
			return "", err
		}
	}
	if err := p.write(sumsName, m.sums(sum, cover)); err != nil {
		return "", err
	}
	if err := note(sum); err != nil {
		return "", fmt.Errorf("note the package in the audit log: %w", err)
	}
	// Until it has its name, manifest.json.part is the mark that the package is
	// not whole.
	w, err := p.create(manifestName)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(text); err != nil {
		return "", fmt.Errorf("write the manifest: %w", err)
	}
	if err := p.unlock(); err != nil {
		return "", fmt.Errorf("write the manifest: %w", err)
	}
	return sum, w.place()
}

// write writes a file that the manifest does not list.
func (p *exportPackage) write(name string, text []byte) error {
	w, err := p.create(name)
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return w.place()
}

// text returns the manifest as it is in its file.
func (m *manifest) text() ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // filters are full of < and >, for people to read
	enc.SetIndent("", "  ")
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("write the manifest: %w", err)
	}
	return flow.PrintableJSON(text.Bytes()), nil
}

// sums returns what SHA256SUMS says, given the hashes of the manifest and of the
// cover sheet, "" if there is none.
func (m *manifest) sums(manifestSum, cover string) []byte {
	var text []byte
	for _, f := range m.Files {
		text = append(text, f.SHA256+"  "+f.Name+"\n"...)
	}
	if cover != "" {
		text = append(text, cover+"  "+coverName+"\n"...)
	}
	return append(text, manifestSum+"  "+manifestName+"\n"...)
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
	if err := p.unlock(); err != nil {
		return fmt.Sprintf("the export is not finished: what is in %s is no package (%v)", p.dir, err)
	}
	if p.made {
		_ = os.Remove(p.dir) // not if somebody else put something there
	}
	return fmt.Sprintf("the export is not finished: what was written to %s is removed", p.dir)
}
