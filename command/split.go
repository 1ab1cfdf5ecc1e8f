package command

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"weir/flow"
	"weir/query"
)

// splitFields are the values of --split-by.
var splitFields = []string{string(query.KindOrg)}

// splitBytes bounds what all files of a split hold back in memory.
const splitBytes = 32 << 20

// splitPart ends the names of files that are not complete.
const splitPart = ".part"

// A split writes the flows of an answer to a file for each organisation. A flow
// between two organisations is in both their files; one without any is in none.
// Files have their names when all of them are complete, and are opened only
// while a buffer is written, so that thousands of them are no trouble.
type split struct {
	dir     string
	format  string
	shape   shape
	table   *query.Labels
	byLabel map[uint32]*splitFile
	names   map[string]bool // of files, lower case
	held    int             // bytes in all buffers
}

// A splitFile is the file of one organisation.
type splitFile struct {
	org    string
	name   string // in the directory
	rows   uint64
	buf    bytes.Buffer
	writer recordWriter
}

// newSplit makes the directory, which must be empty or not there.
func newSplit(dir, format string, s shape) (*split, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// Flows are personal data: nobody else is let in.
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make --dir: %w", err)
		}
	case err != nil:
		return nil, usagef("--dir: %v", err)
	case len(entries) > 0:
		return nil, usagef("--dir: %s is not empty", dir).withHint("name a new directory")
	}
	return &split{
		dir: dir, format: format, shape: s, table: s.namer.table(query.KindOrg),
		byLabel: map[uint32]*splitFile{}, names: map[string]bool{},
	}, nil
}

// record writes a flow to the files of its organisations.
func (s *split) record(r *flow.Record) error {
	var src, dst uint32
	if r.Has(flow.SrcAddr) {
		src = s.table.Find(r.Addr(flow.SrcAddr))
	}
	if r.Has(flow.DstAddr) {
		dst = s.table.Find(r.Addr(flow.DstAddr))
	}
	if src != 0 {
		if err := s.recordOf(src, r); err != nil {
			return err
		}
	}
	if dst != 0 && dst != src {
		return s.recordOf(dst, r)
	}
	return nil
}

func (s *split) recordOf(label uint32, r *flow.Record) error {
	f := s.byLabel[label]
	if f == nil {
		var err error
		if f, err = s.begin(s.table.Name(label)); err != nil {
			return err
		}
		s.byLabel[label] = f
	}
	before := f.buf.Len()
	if err := f.writer.record(r); err != nil {
		return err
	}
	f.rows++
	if s.held += f.buf.Len() - before; s.held >= splitBytes {
		return s.flush()
	}
	return nil
}

// begin begins the file of an organisation.
func (s *split) begin(org string) (*splitFile, error) {
	f := &splitFile{org: org, name: s.fileName(org)}
	var err error
	f.writer, err = newRecordWriter(s.format, &f.buf, s.shape.columns, false, nil)
	if j, ok := f.writer.(*jsonRecords); ok {
		j.extra = s.shape.extra
	}
	s.held += f.buf.Len()
	return f, err
}

// fileName returns a name that any file system takes and no other file of the
// split has, however the organisation is called.
func (s *split) fileName(org string) string {
	const most = 80
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '_'
	}, org)
	safe = strings.TrimLeft(safe[:min(len(safe), most)], ".-")
	if safe == "" {
		safe = "org"
	}
	name := safe + "." + s.format
	for i := 2; s.names[strings.ToLower(name)]; i++ {
		name = safe + "-" + strconv.Itoa(i) + "." + s.format
	}
	s.names[strings.ToLower(name)] = true
	return name
}

// flush writes all buffers to their files.
func (s *split) flush() error {
	for _, f := range s.byLabel {
		if err := s.append(f); err != nil {
			return err
		}
	}
	s.held = 0
	return nil
}

func (s *split) append(f *splitFile) error {
	if f.buf.Len() == 0 {
		return nil
	}
	out, err := os.OpenFile(filepath.Join(s.dir, f.name+splitPart), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write the file of %s: %w", f.org, err)
	}
	_, err = f.buf.WriteTo(out)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write the file of %s: %w", f.org, err)
	}
	return nil
}

// finish completes the files and returns them by organisation.
func (s *split) finish() ([]*splitFile, error) {
	var files []*splitFile
	for _, f := range s.byLabel {
		if err := f.writer.finish(); err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	if err := s.flush(); err != nil {
		return nil, err
	}
	for _, f := range files {
		name := filepath.Join(s.dir, f.name)
		if err := os.Rename(name+splitPart, name); err != nil {
			return nil, fmt.Errorf("complete the file of %s: %w", f.org, err)
		}
	}
	slices.SortFunc(files, func(a, b *splitFile) int { return strings.Compare(a.org, b.org) })
	return files, nil
}

// runSplit writes the flows that match to files and says which.
func runSplit(ctx context.Context, std *Std, b backend, o queryOptions) error {
	named, err := shapeOf(ctx, o.naming, b, o.format, o.columns, o.names)
	if err != nil {
		return err
	}
	if named.namer == nil || !named.namer.has(query.KindOrg) {
		if named.namer, err = newNamer(ctx, o.naming, b, []query.LabelKind{query.KindOrg}, false); err != nil {
			return err
		}
		if !named.namer.has(query.KindOrg) {
			return nothingNamed(query.KindOrg)
		}
	}
	s, err := newSplit(o.dirOut, o.format, named)
	if err != nil {
		return err
	}
	request := o.request
	if request.Filter = s.table.Filter(); o.request.Filter != "" {
		request.Filter = "(" + o.request.Filter + "\n) and (" + s.table.Filter() + ")"
	}
	if request.Fields != nil {
		request.Fields = append(slices.Clone(request.Fields), flow.SrcAddr.String(), flow.DstAddr.String())
	}
	wait := startProgress(std)
	defer wait.end()
	summary, err := b.Flows(wait.watched(ctx), request, s.record)
	var files []*splitFile
	if err == nil {
		files, err = s.finish()
	}
	wait.end()
	if err != nil {
		return fmt.Errorf("%w; %s is not complete", err, o.dirOut)
	}
	if err := writeSplit(std, files, named.namer.organisations()); err != nil {
		return quietPipe(err)
	}
	noteFolded(std, summary)
	if o.timing {
		noteTiming(std, summary)
	}
	return conclude(std, ending{o.request.Window, formatTable, o.covered}, summary)
}

// writeSplit says which files there are, of how many flows, and whose they are.
func writeSplit(std *Std, files []*splitFile, orgs []query.Organisation) error {
	out := bufio.NewWriter(std.Out)
	t := newTable(out, []tableColumn{{name: "file"}, {name: "flows", right: true}, {name: "org"}, {name: "owner"}, {name: "contact"}}, std.color())
	for _, f := range files {
		cells := []string{f.name, strconv.FormatUint(f.rows, 10), f.org, "", ""}
		if i := slices.IndexFunc(orgs, func(o query.Organisation) bool { return o.Name == f.org }); i >= 0 {
			cells[3], cells[4] = printable(orgs[i].Owner), printable(orgs[i].Contact)
		}
		if err := t.row(cells); err != nil {
			return err
		}
	}
	if err := t.finish(); err != nil {
		return err
	}
	return out.Flush()
}
