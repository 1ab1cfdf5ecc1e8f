package command

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/command/parquet"
)

// Bounds of what a package may make weir verify hold: it comes from a stranger.
const (
	maxManifest = 32 << 20 // bytes
	maxFiles    = 1000     // in the manifest
	maxFindings = 1000
)

func verifyCommand() *command {
	return &command{
		name:  "verify",
		usage: "check a package that weir export wrote, anywhere",
		args:  "DIR",
		about: `
Checks that every file of the package is there, with the size, the SHA-256 and the number of rows that the manifest says,
that there is no other file, and that SHA256SUMS and the cover sheet of a disclosure fit the manifest. It needs no
archive. Exit status 0 means that the package is sound, 4 that it is not: each finding is a line.

Whoever can change a package can also make new hashes. --manifest compares with the hash that weir export printed, which the
sender gives by another way.`,
		flags: []cli.Flag{outputFlag(),
			&cli.StringFlag{Name: "manifest", Aliases: []string{"manifest-sha256"}, Usage: "the manifest must have this SHA-256, a `HASH` of 64 hexadecimal digits"}},
		examples: []example{
			{"weir verify ir-17", "what was received"},
			{"weir verify ir-17 --manifest 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "and that it is what was sent"},
		},
		prepare: func(c *cli.Context, _ *Std) (runner, error) {
			format, err := outputFormat(c)
			if err != nil {
				return nil, err
			}
			want := strings.ToLower(strings.TrimSpace(c.String("manifest")))
			if b, err := hex.DecodeString(want); c.IsSet("manifest") && (err != nil || len(b) != sha256.Size) {
				return nil, usagef("--manifest: %q is not a SHA-256", want).withHint("it has %d hexadecimal digits", 2*sha256.Size)
			}
			if c.NArg() != 1 {
				return nil, usagef("name the directory of one package")
			}
			dir := c.Args().First()
			return func(ctx context.Context, std *Std) error { return runVerify(ctx, std, dir, format, want) }, nil
		},
	}
}

// A packageProof is what is found of a package.
type packageProof struct {
	Dir      string   `json:"dir"`
	Sound    bool     `json:"sound"`
	Manifest string   `json:"manifest,omitempty"` // its SHA-256
	Made     string   `json:"made,omitempty"`
	Case     string   `json:"case,omitempty"`
	Files    int      `json:"files"` // that were read
	Rows     uint64   `json:"rows"`  // in them
	Findings []string `json:"findings"`
}

func (p *packageProof) find(format string, args ...any) {
	if len(p.Findings) < maxFindings {
		p.Findings = append(p.Findings, printable(fmt.Sprintf(format, args...)))
	}
}

// runVerify checks a package and says what it finds.
func runVerify(ctx context.Context, std *Std, dir, format, want string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return usagef("%v", err).withHint("name the directory of a package")
	}
	if !info.IsDir() {
		return usagef("%s is not a directory", dir).withHint("name the directory of a package")
	}
	p, err := verifyPackage(ctx, dir, want)
	if err != nil {
		return err
	}
	text := func(w io.Writer) error { return packageProofText(w, p) }
	err = forms{p, findingsCSV(p.Findings), text}.write(std.Out, format)
	if err != nil || p.Sound {
		return err
	}
	return &incompleteError{"the package is not as it was written"}
}

func packageProofText(w io.Writer, p *packageProof) error {
	for _, f := range p.Findings {
		if _, err := fmt.Fprintln(w, f); err != nil {
			return err
		}
	}
	verdict := "the package is sound"
	if !p.Sound {
		verdict = plural(len(p.Findings), "finding")
	}
	_, err := fmt.Fprintf(w, "%s, %s: %s\n", plural(p.Files, "file"), plural(p.Rows, "row"), verdict)
	if err == nil && p.Manifest != "" {
		_, err = fmt.Fprintf(w, "manifest SHA-256 %s\n", p.Manifest)
	}
	return err
}

// verifyPackage checks a package.
func verifyPackage(ctx context.Context, dir, want string) (*packageProof, error) {
	p := &packageProof{Dir: dir, Findings: []string{}}
	known := map[string]bool{manifestName: true, sumsName: true}
	if m := p.manifest(dir, want); m != nil {
		p.Made, p.Case = m.Made, m.Case
		if err := p.contents(ctx, dir, m, known); err != nil {
			return nil, err
		}
		p.sums(dir, m, p.cover(dir, m, known))
	}
	if err := p.strangers(dir, known); err != nil {
		return nil, err
	}
	p.Sound = len(p.Findings) == 0
	return p, nil
}

// manifest reads the manifest and checks its hash; nil if it says nothing.
func (p *packageProof) manifest(dir, want string) *manifest {
	text, err := readSmall(filepath.Join(dir, manifestName))
	if err != nil {
		p.find("%s: %v; without it this is no package, or an export that was interrupted", manifestName, cause(err))
		return nil
	}
	digest := sha256.Sum256(text)
	p.Manifest = hex.EncodeToString(digest[:])
	if want != "" && p.Manifest != want {
		p.find("%s: SHA-256 is %s, not %s as given", manifestName, p.Manifest, want)
	}
	m := new(manifest)
	dec := json.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(m); err != nil {
		p.find("%s: %v", manifestName, err)
		return nil
	}
	switch {
	case m.Format != manifestFormat:
		p.find("%s: it is not of a weir export", manifestName)
		return nil
	case m.Version < 1 || m.Version > manifestVersion:
		p.find("%s: version %d; this weir knows up to %d", manifestName, m.Version, manifestVersion)
		return nil
	case len(m.Files) > maxFiles:
		p.find("%s: it lists %d files, more than the %d of any export", manifestName, len(m.Files), maxFiles)
		return nil
	}
	return m
}

// cover checks the cover sheet of a disclosure, and returns its hash.
func (p *packageProof) cover(dir string, m *manifest, known map[string]bool) string {
	if m.Disclosure == nil {
		return ""
	}
	known[coverName] = true
	page, err := readSmall(filepath.Join(dir, coverName))
	if err != nil {
		p.find("%s: %v", coverName, cause(err))
		return ""
	}
	p.Files++
	if got := coverSum(page, p.Manifest); got != m.Disclosure.Cover {
		p.find("%s: it is not the cover sheet of this manifest", coverName)
	}
	digest := sha256.Sum256(page)
	return hex.EncodeToString(digest[:])
}

// sums checks SHA256SUMS, all of which follows from the manifest.
func (p *packageProof) sums(dir string, m *manifest, cover string) {
	text, err := readSmall(filepath.Join(dir, sumsName))
	if err != nil {
		p.find("%s: %v", sumsName, cause(err))
		return
	}
	if !bytes.Equal(text, m.sums(p.Manifest, cover)) {
		p.find("%s: it does not say what the manifest and its SHA-256, %s, say", sumsName, p.Manifest)
	}
}

// cause returns an error without the path in front.
func cause(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// readSmall reads a regular file of bounded size.
func readSmall(name string) ([]byte, error) {
	f, _, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err == nil && len(text) > maxManifest {
		err = fmt.Errorf("it is over %d MiB", maxManifest>>20)
	}
	return text, err
}

// openRegular opens a file that is one: a link could lead out of the package,
// and a pipe would never end.
func openRegular(name string) (*os.File, os.FileInfo, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(name)
	return f, info, err
}

// contents checks the files that the manifest lists, and notes their names.
func (p *packageProof) contents(ctx context.Context, dir string, m *manifest, known map[string]bool) error {
	var rows uint64
	data := 0
	for _, f := range m.Files {
		switch {
		case f.Name == "" || f.Name != filepath.Base(f.Name) || strings.ContainsAny(f.Name, `/\`) || f.Name == "." || f.Name == "..":
			p.find("%s: %q is not the name of a file of the package", manifestName, f.Name)
			continue
		case known[f.Name]:
			p.find("%s: it lists %s twice", manifestName, f.Name)
			continue
		}
		known[f.Name] = true
		if f.Rows != nil {
			rows, data = rows+*f.Rows, data+1
		}
		if err := p.file(ctx, dir, f); err != nil {
			return err
		}
	}
	switch {
	case data == 0:
		p.find("%s: it lists no data", manifestName)
	case rows != m.Rows:
		p.find("%s: %d rows in all, but %d in its files", manifestName, m.Rows, rows)
	}
	return nil
}

// file checks one file.
func (p *packageProof) file(ctx context.Context, dir string, want packageFile) error {
	f, info, err := openRegular(filepath.Join(dir, want.Name))
	if err != nil {
		p.find("%s: %v", want.Name, cause(err))
		return nil
	}
	defer f.Close()
	p.Files++
	if info.Size() != want.Size {
		p.find("%s: %d bytes, the manifest says %d", want.Name, info.Size(), want.Size)
	}
	sum, rows := sha256.New(), &rowCount{csv: filepath.Ext(want.Name) == ".csv"}
	if _, err := io.Copy(io.MultiWriter(sum, rows), &contextReader{ctx, f}); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.find("%s: %v", want.Name, cause(err))
		return nil
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want.SHA256 {
		p.find("%s: SHA-256 is %s, the manifest says %s", want.Name, got, want.SHA256)
	}
	if want.Rows == nil {
		return nil
	}
	got, err := rows.rows(), error(nil)
	if filepath.Ext(want.Name) == ".parquet" {
		if got, err = parquet.Rows(f, info.Size()); err != nil {
			p.find("%s: %v", want.Name, cause(err))
			return nil
		}
	}
	if p.Rows += got; got != *want.Rows {
		p.find("%s: %d rows, the manifest says %d", want.Name, got, *want.Rows)
	}
	return nil
}

// A contextReader reads until its context is done.
type contextReader struct {
	ctx context.Context
	in  io.Reader
}

// Read implements io.Reader.
func (r *contextReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.in.Read(b)
}

// A rowCount counts the rows of what is written to it: lines, of CSV those that
// do not end within quotes, without the header.
type rowCount struct {
	csv    bool
	quoted bool
	lines  uint64
}

// Write implements io.Writer.
func (c *rowCount) Write(b []byte) (int, error) {
	if !c.csv {
		c.lines += uint64(bytes.Count(b, []byte{'\n'}))
		return len(b), nil
	}
	for _, char := range b {
		switch {
		case char == '"':
			c.quoted = !c.quoted
		case char == '\n' && !c.quoted:
			c.lines++
		}
	}
	return len(b), nil
}

func (c *rowCount) rows() uint64 {
	if c.csv && c.lines > 0 {
		return c.lines - 1
	}
	return c.lines
}

// strangers finds what is in the directory and not in the manifest.
func (p *packageProof) strangers(dir string, known map[string]bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read %s: %w", dir, cause(err))
	}
	names := slices.DeleteFunc(entries, func(e os.DirEntry) bool { return known[e.Name()] })
	for _, e := range names {
		if strings.HasSuffix(e.Name(), packagePart) {
			p.find("%s: what an interrupted export left", e.Name())
			continue
		}
		p.find("%s: not in the manifest", e.Name())
	}
	return nil
}
