package command

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"

	"weir/query"
	"weir/retention/audit"
)

// pathExported is where the daemon takes down what an export has written.
const pathExported = "/exported"

// An exportNote is what the audit log says of a package that is about to be whole.
type exportNote struct {
	Filter   string       `json:"filter,omitempty"`
	Window   query.Window `json:"window,omitzero"`
	Exporter string       `json:"exporter,omitempty"`
	Rows     uint64       `json:"rows"`
	SHA256   string       `json:"sha256"` // of the manifest
}

// An exportNoter is a backend that notes what an export has written.
type exportNoter interface {
	NoteExport(ctx context.Context, n exportNote) error
}

// NoteExport implements exportNoter. Anybody may note who may ask: the entry is
// under the name that the kernel says.
func (a *audited) NoteExport(ctx context.Context, n exportNote) error {
	if sum, err := hex.DecodeString(n.SHA256); err != nil || len(sum) != len(noManifestSum)/2 {
		return usagef("%q is not a SHA-256", n.SHA256)
	}
	e, err := a.entry(ctx, audit.KindNote)
	if err != nil {
		return err
	}
	about(ctx, &e, subject{n.Filter, n.Window, n.Exporter, "written"})
	e.Rows, e.Detail = n.Rows, e.Detail+"; manifest SHA-256 "+n.SHA256
	_, err = a.log.Add(e)
	return err
}

// NoteExport implements exportNoter.
func (r *remote) NoteExport(ctx context.Context, n exportNote) error {
	return r.ask(ctx, pathExported, n, nil, nil)
}

// handleExported adds the route of notes.
func handleExported(mux *http.ServeMux, s *server) {
	if b, ok := s.backend.(exportNoter); ok {
		handle(mux, s, pathExported, func(ctx context.Context, n exportNote) (any, error) { return nil, b.NoteExport(ctx, n) })
	}
}

// note notes the package before its manifest gets its name.
func (e *export) note(ctx context.Context, sum string) error {
	r := e.options.request
	return e.backend.(exportNoter).NoteExport(ctx, exportNote{Filter: r.Filter, Window: r.Window, Exporter: r.Exporter, Rows: e.rows, SHA256: sum})
}

// noted returns a context with which the audit log says of what is read for the
// export where it goes and in which shape; never a key.
func (o *exportOptions) noted(ctx context.Context) context.Context {
	what := o.format
	if o.sums != nil {
		what = fmt.Sprintf("statistics by %s of groups of at least %d hosts", strings.Join(o.sums, ","), o.hosts)
	}
	words := []string{fmt.Sprintf("to %s as %s", absolute(o.out), what)}
	if o.columns != nil {
		var names []string
		for _, c := range o.columns {
			names = append(names, c.name)
		}
		words = append(words, "only "+strings.Join(names, ","))
	}
	words = append(words, o.anon.words()...)
	if d := o.disclosure; d != nil {
		words = append(words, "disclosure "+d.reference)
	}
	c := callerOf(ctx)
	c.detail = strings.Join(words, "; ")
	return withCaller(ctx, c)
}

// words says in the audit log what is hidden.
func (o *anonOptions) words() (words []string) {
	switch {
	case o.method == anonTruncate:
		words = append(words, fmt.Sprintf("anonymised truncate/%d,/%d, side %s", o.cut.V4, o.cut.V6, o.side))
	case o.method != "" && o.key != nil:
		words = append(words, fmt.Sprintf("anonymised %s with a key that was given, side %s", o.method, o.side))
	case o.method != "":
		words = append(words, fmt.Sprintf("anonymised %s with the key of the case, side %s", o.method, o.side))
	}
	if o.round > 0 {
		words = append(words, "times rounded down to "+roundText(o.round))
	}
	return words
}

// absolute returns a directory's full name, so that the audit log does not depend
// on where a command was run.
func absolute(dir string) string {
	if full, err := filepath.Abs(dir); err == nil {
		return full
	}
	return dir
}
