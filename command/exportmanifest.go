package command

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"weir/flow"
	"weir/query"
	"weir/retention/audit"
)

// manifestFormat and manifestVersion say what a manifest is. The version grows
// when a reader of the old one would misread the new one; weir verify refuses a
// newer one.
const (
	manifestFormat  = "weir export"
	manifestVersion = 1
)

// A manifest says what a package is. docs/export.md describes its members.
type manifest struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Weir    string `json:"weir"`
	Kind    string `json:"kind"` // records or statistics

	Made   string    `json:"made"` // when the export began, RFC 3339
	By     audit.Who `json:"by"`
	Case   string    `json:"case,omitempty"`
	Reason string    `json:"reason,omitempty"`

	Asked     manifestQuestion   `json:"asked"`
	Rows      uint64             `json:"rows"`
	Exporters []manifestExporter `json:"exporters"`                 // the most records first
	Others    uint64             `json:"other_exporters,omitempty"` // records of exporters past the bound of the list

	Coverage manifestCoverage `json:"coverage"`
	Sampling query.Sampling   `json:"sampling"`
	Damaged  []string         `json:"damaged,omitempty"` // what the archive could not read, and the package lacks

	Anonymisation *manifestAnon `json:"anonymisation"` // null: nothing is hidden
	Statistics    *foldedGroups `json:"statistics,omitempty"`

	Disclosure *manifestDisclosure `json:"disclosure,omitempty"` // the notice that the package answers

	Columns []exportColumn `json:"columns"`
	Files   []packageFile  `json:"files"`
}

// A manifestQuestion is what was asked for.
type manifestQuestion struct {
	Filter   string `json:"filter,omitempty"`
	Exporter string `json:"exporter,omitempty"`
	Withheld bool   `json:"withheld,omitempty"` // filter and exporter are left out: they can name what is anonymised
	From     string `json:"from,omitempty"`     // of the window; absent: unbounded
	To       string `json:"to,omitempty"`       // exclusive
}

// A manifestExporter is how much of the package one exporter sent.
type manifestExporter struct {
	Exporter string `json:"exporter"`
	Records  uint64 `json:"records,omitempty"` // absent of statistics: it could be the sum of a group that is too small
}

// A manifestCoverage says what the answer lacks.
type manifestCoverage struct {
	Words  []string        `json:"words"` // what was judged, and what is missing
	Whole  bool            `json:"whole"` // nothing is known to be missing
	Detail *query.Coverage `json:"detail,omitempty"`
}

// manifest returns the manifest without its files.
func (e *export) manifest(s query.Summary) *manifest {
	o := e.options
	m := &manifest{
		Format: manifestFormat, Version: manifestVersion, Weir: version, Kind: "records",
		Made: showTime(e.began), By: e.caller.who, Case: e.caller.ticket, Reason: e.caller.reason,
		Asked: manifestQuestion{
			Filter: o.request.Filter, Exporter: o.request.Exporter, From: rfc3339(o.request.From), To: rfc3339(o.request.To),
		},
		Rows: e.rows, Others: e.others, Exporters: []manifestExporter{}, Sampling: e.sampling, Damaged: s.Damaged, Columns: e.table,
		Statistics: e.folded,
	}
	m.By.PID = 0
	if o.sums != nil {
		m.Kind = "statistics"
	}
	coverage := s.Coverage
	if e.hide != nil {
		if e.hide.addrs != nil {
			m.Asked.Withheld = m.Asked.Filter+m.Asked.Exporter != ""
			m.Asked.Filter, m.Asked.Exporter = "", ""
			coverage = e.hide.coverage(coverage)
			m.Damaged = hideParts(s.Damaged, "a part of the archive")
		}
		m.Anonymisation = e.hide.about()
	}
	m.Coverage = coverageOf(coverage)
	if d := o.disclosure; d != nil {
		m.Disclosure = &manifestDisclosure{Reference: d.reference, LegalBasis: d.basis, Statement: plainWords(coverage, e.sampling, e.rows)}
	}
	for addr, n := range e.exporters {
		m.Exporters = append(m.Exporters, manifestExporter{exporterName(addr), n})
	}
	slices.SortFunc(m.Exporters, func(a, b manifestExporter) int {
		return cmp.Or(cmp.Compare(b.Records, a.Records), cmp.Compare(a.Exporter, b.Exporter))
	})
	if o.sums != nil {
		m.withoutCounts()
	}
	return m
}

// withoutCounts takes out of a manifest of statistics the numbers that, less what
// the groups say, would be those of a group that is too small.
func (m *manifest) withoutCounts() {
	for i := range m.Exporters {
		m.Exporters[i].Records = 0
	}
	m.Others, m.Sampling.Sampled, m.Sampling.Unknown = 0, 0, 0
	if m.Coverage.Detail == nil {
		return
	}
	c := *m.Coverage.Detail
	c.Records, c.Lost, c.NotStored, c.Purged, c.OutOfScope, c.SetAside, c.Refused, c.BadTimes = 0, 0, 0, 0, 0, 0, 0, 0
	c.WorstLoss, c.Clocks, c.Intervals = nil, nil, nil
	m.Coverage.Detail = &c
}

// exporterName writes an exporter's address, "" where records have none.
func exporterName(a flow.Addr) string {
	if a == (flow.Addr{}) {
		return ""
	}
	return string(flow.AppendAddr(nil, a))
}

// coverageOf says in words what a coverage says in numbers.
func coverageOf(c *query.Coverage) manifestCoverage {
	if c == nil {
		return manifestCoverage{Words: []string{"nothing is known of how complete this is"}}
	}
	return manifestCoverage{Words: append([]string{c.Judged()}, c.Lines()...), Whole: c.Whole(), Detail: c}
}

// writeReadme writes what a recipient without weir needs to know.
func writeReadme(w io.Writer, m *manifest) error {
	data := m.Files
	var b strings.Builder
	fmt.Fprintf(&b, "Network flow %s, exported by weir %s at %s", m.Kind, m.Weir, m.Made)
	if m.Case != "" {
		fmt.Fprintf(&b, " for case %s", printable(m.Case))
	}
	b.WriteString(".\n\n")
	for _, f := range data {
		fmt.Fprintf(&b, "  %-20s  %d rows\n", f.Name, *f.Rows)
	}
	fmt.Fprintf(&b, "  %-20s  what was asked for, by whom, what the columns mean,\n  %-20s  how complete it is, size and SHA-256 of every file\n", manifestName, "")
	if m.Disclosure != nil {
		fmt.Fprintf(&b, "  %-20s  one page to print and to sign\n", coverName)
	}
	fmt.Fprintf(&b, "  %-20s  the SHA-256 of each file\n\n", sumsName)
	b.WriteString("CSV is RFC 4180 with a header. JSON is one object a line, absent fields left out. Parquet has its schema in it, zstd in\n" +
		"its pages, and nulls for absent fields. Times are UTC.\n")
	b.WriteString("Bytes and packets of records are as the exporter reported them: not multiplied by the sampling interval.\n\n")
	b.WriteString("How complete it is:\n")
	for _, line := range m.Coverage.Words {
		fmt.Fprintf(&b, "  %s\n", printable(line))
	}
	if m.Anonymisation != nil {
		b.WriteString("\nAnonymised:\n")
		for _, line := range m.Anonymisation.words() {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	if d := m.Disclosure; d != nil {
		fmt.Fprintf(&b, "\nIt answers the notice %s. In plain words:\n", printable(d.Reference))
		for _, line := range d.Statement {
			fmt.Fprintf(&b, "  %s\n", printable(line))
		}
	}
	fmt.Fprintf(&b, "\nTo verify: weir verify DIR does all of it. Without weir, in this directory:\n\n  sha256sum -c %s\n", sumsName)
	b.WriteString("\nHashes show that nothing changed since they were made. Whoever can change the files can make new\n" +
		"hashes: compare that of the manifest with the one that the sender gives you by another way.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// roundText writes the span that times are rounded to.
func roundText(ms uint64) string { return formatDuration(time.Duration(ms) * time.Millisecond) }
