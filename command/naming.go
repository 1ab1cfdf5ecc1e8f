package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/urfave/cli/v2"

	"weir/collector"
	"weir/command/mmdb"
	"weir/flow"
	"weir/query"
)

// A naming is what this process knows names from: the file of --config and the
// files of --mmdb. What it does not know, the collector may: its names count for
// every kind of name that this process has none of.
type naming struct {
	config *config
	names  *query.Names
	files  []*mmdb.File
}

// namingFlags are the flags that say where names come from.
func namingFlags() []cli.Flag {
	return []cli.Flag{
		configFlag("take networks, exporters, mmdb and data from `FILE` (YAML), not from the collector's configuration"),
		&cli.StringSliceFlag{Name: "mmdb", Usage: "take countries and names of AS from MaxMind-format `FILE`"},
	}
}

func configFlag(usage string) cli.Flag { return &cli.StringFlag{Name: "config", Usage: usage} }

func namesFlag() cli.Flag {
	return &cli.BoolFlag{Name: "names", Usage: "write the names of protocols, ports, exporters and interfaces in place of their numbers"}
}

const namingKey = "naming"

// namingOf returns what the command line says of names. Files are read once for
// each command line: what they are read into is kept with it.
func namingOf(c *cli.Context) (*naming, error) {
	if n, ok := c.App.Metadata[namingKey].(*naming); ok {
		return n, nil
	}
	file := newConfig()
	if c.IsSet("config") {
		var err error
		if file, err = readConfig(c.String("config")); err != nil {
			return nil, err
		}
	}
	files := c.StringSlice("mmdb")
	if len(files) == 0 {
		files = file.MMDB
	}
	n, err := newNaming(file, files)
	if err == nil {
		c.App.Metadata[namingKey] = n
	}
	return n, err
}

// newNaming opens the files. They stay open as long as the process lives.
func newNaming(file *config, files []string) (*naming, error) {
	n := &naming{config: file, names: file.names()}
	if n.names == nil {
		n.names = &query.Names{}
	}
	for _, name := range files {
		f, err := mmdb.Open(name)
		if err != nil {
			return nil, usagef("--mmdb: %v", err)
		}
		n.files = append(n.files, f)
	}
	n.names.Load = n.load
	return n, nil
}

// file returns the first file that knows a kind of names, nil if none does.
func (n *naming) file(kind query.LabelKind) (*mmdb.File, mmdb.Kind) {
	var what mmdb.Kind
	switch kind {
	case query.KindCountry:
		what = mmdb.Country
	case query.KindASName:
		what = mmdb.ASName
	case query.KindASN:
		what = mmdb.ASN
	default:
		return nil, 0
	}
	for _, f := range n.files {
		if f.Knows(what) {
			return f, what
		}
	}
	return nil, 0
}

// load makes the table of a kind from a file.
func (n *naming) load(kind query.LabelKind) (*query.Labels, error) {
	f, what := n.file(kind)
	if f == nil {
		return nil, nil
	}
	var list []query.LabelledPrefix
	err := f.All(what, func(p flow.Prefix, text string) {
		list = append(list, query.LabelledPrefix{Prefix: p, Name: printable(text)})
	})
	if err != nil {
		return nil, err
	}
	return query.NewLabels(list), nil
}

// printable returns text of a stranger's without what would move a terminal's
// cursor or break a line.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

// tables returns the tables that a question about the given fields carries: of
// the kinds that this process knows.
func (n *naming) tables(fields ...string) (query.LabelTables, error) {
	tables := query.LabelTables{}
	for _, name := range fields {
		f, ok := query.ParseLabelField(name)
		if !ok {
			continue
		}
		l, err := n.names.Table(f.Kind)
		if err != nil {
			return nil, err
		}
		if l != nil {
			tables[f.Kind] = l
		}
	}
	return tables, nil
}

// exporter returns what a question says of the exporter in text: addresses, or
// the name if only the collector may know it.
func (n *naming) exporter(text string) string {
	if n.names.Exporters != nil {
		if list, ok := n.names.Exporters.Addresses(text); ok {
			return list
		}
	}
	switch {
	case strings.ContainsAny(text, " '"):
		return `"` + text + `"`
	}
	return text
}

// exporterText returns the value of --exporter.
func exporterText(c *cli.Context) (string, error) {
	n, err := namingOf(c)
	if err != nil {
		return "", err
	}
	return n.exporter(c.String("exporter")), nil
}

// A namesRequest asks a backend for names.
type namesRequest struct {
	Kinds      []query.LabelKind `json:"kinds,omitempty"`
	Interfaces bool              `json:"interfaces,omitempty"`
}

// pathNames is where the daemon answers a namesRequest.
const pathNames = "/names"

// Names implements backend.
func (l *local) Names(_ context.Context, req namesRequest) (*query.Names, error) {
	out := &query.Names{Labels: query.LabelTables{}}
	if l.names != nil {
		out.Organisations, out.Exporters = l.names.Organisations, l.names.Exporters
	}
	for _, kind := range req.Kinds {
		table, err := l.names.Table(kind)
		if err != nil {
			return nil, err
		}
		if table != nil {
			out.Labels[kind] = table
		}
	}
	if !req.Interfaces {
		return out, nil
	}
	named, err := collector.Interfaces(l.store)
	if err != nil {
		return nil, fmt.Errorf("read the names of interfaces: %w", err)
	}
	for addr, list := range named {
		for _, i := range list {
			if i.Name != "" {
				out.Interfaces = append(out.Interfaces, query.InterfaceName{Exporter: flow.AddrFromNetip(addr), Index: uint64(i.Index), Name: printable(i.Name)})
			}
		}
	}
	return out, nil
}

// Names implements backend.
func (r *remote) Names(ctx context.Context, req namesRequest) (*query.Names, error) {
	names := new(query.Names)
	return names, r.ask(ctx, pathNames, req, names, nil)
}

// A namer finds names for what an answer shows: this process's where it has any
// of the kind, else the collector's.
type namer struct {
	naming *naming
	theirs *query.Names
	found  map[query.LabelKind]map[flow.Addr]string // what files said lately

	exporters  *query.Labels
	interfaces map[query.InterfaceName]string // by exporter and index
}

// maxFound bounds what a namer remembers of a file.
const maxFound = 1 << 17

// newNamer returns what names kinds and, with all, exporters and interfaces.
func newNamer(ctx context.Context, n *naming, b backend, kinds []query.LabelKind, all bool) (*namer, error) {
	m := &namer{naming: n, theirs: &query.Names{}, found: map[query.LabelKind]map[flow.Addr]string{},
		exporters: &query.Labels{}, interfaces: map[query.InterfaceName]string{}}
	var missing []query.LabelKind
	for _, kind := range kinds {
		m.found[kind] = map[flow.Addr]string{}
		if f, _ := n.file(kind); f == nil && n.names.Labels[kind] == nil && !slices.Contains(missing, kind) {
			missing = append(missing, kind)
		}
	}
	if len(missing) > 0 || all {
		var err error
		if m.theirs, err = b.Names(ctx, namesRequest{missing, all}); err != nil {
			return nil, err
		}
	}
	switch {
	case n.names.Exporters != nil:
		m.exporters = n.names.Exporters
	case m.theirs.Exporters != nil:
		m.exporters = m.theirs.Exporters
	}
	for _, i := range m.theirs.Interfaces {
		m.interfaces[query.InterfaceName{Exporter: i.Exporter, Index: i.Index}] = i.Name
	}
	return m, nil
}

// has reports whether a kind has any names at all.
func (m *namer) has(kind query.LabelKind) bool {
	f, _ := m.naming.file(kind)
	return f != nil || m.naming.names.Labels[kind] != nil || m.theirs.Labels[kind] != nil
}

// organisations returns what is known of organisations.
func (m *namer) organisations() []query.Organisation {
	if m.naming.names.Labels[query.KindOrg] != nil {
		return m.naming.names.Organisations
	}
	return m.theirs.Organisations
}

// table returns the table of a kind, nil if there is none.
func (m *namer) table(kind query.LabelKind) *query.Labels {
	if l := m.naming.names.Labels[kind]; l != nil {
		return l
	}
	return m.theirs.Labels[kind]
}

// label returns the name of an address, "" if it has none. A file that is
// damaged where the address would be has no name for it.
func (m *namer) label(kind query.LabelKind, a flow.Addr) string {
	if l := m.table(kind); l != nil {
		return l.NameOf(a)
	}
	f, what := m.naming.file(kind)
	if f == nil {
		return ""
	}
	seen := m.found[kind]
	if name, ok := seen[a]; ok {
		return name
	}
	name, err := f.Find(what, a)
	if err != nil {
		name = ""
	}
	if len(seen) >= maxFound {
		clear(seen)
	}
	seen[a] = printable(name)
	return seen[a]
}
