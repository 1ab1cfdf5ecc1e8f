package command

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"weir/flow"
	"weir/flow/ledger"
)

// writeInspection writes what was found for people. What exporters sent as text
// is quoted: it goes to a terminal.
func writeInspection(out io.Writer, r *inspection) error {
	w := bufio.NewWriter(out)
	if r.Datagrams == 0 {
		fmt.Fprintln(w, "no datagrams")
	} else {
		fmt.Fprintf(w, "%s of %s, %s to %s\n", plural(r.Datagrams, "datagram"), plural(len(r.Exporters), "exporter"), r.First, r.Last)
	}
	for _, d := range r.Drops {
		fmt.Fprintf(w, "! the kernel dropped %s for %s: what is said of loss is not the network's\n", plural(d.Count, "datagram"), d.Where)
	}
	for i := range r.Exporters {
		r.Exporters[i].write(w)
	}
	return quietPipe(w.Flush())
}

func (e *inspectedExporter) write(w io.Writer) {
	fmt.Fprintf(w, "\nexporter %s: %s, %s bytes, %s\n", e.Exporter, plural(e.Datagrams, "datagram"), humanCount(e.Bytes), plural(e.Records, "record"))
	for _, x := range e.Errors {
		fmt.Fprintf(w, "  ! %s %d: %s\n", x.Reason, x.Count, x.Meaning)
		if x.Example != "" {
			fmt.Fprintf(w, "      as at %s: %s\n", x.At, x.Example)
		}
	}
	if len(e.Interfaces) > 0 {
		fmt.Fprintln(w, "  interfaces by options data")
		for _, i := range e.Interfaces {
			fmt.Fprintf(w, "    %-6d %q %q\n", i.Index, i.Name, i.Description)
		}
	}
	for i := range e.Domains {
		e.Domains[i].write(w)
	}
}

func (d *inspectedDomain) write(w io.Writer) {
	ports := make([]string, len(d.Ports))
	for i, port := range d.Ports {
		ports[i] = strconv.Itoa(int(port))
	}
	fmt.Fprintf(w, "\n  domain %d, %s, from port %s: %s, %s\n", d.Domain, d.Version, strings.Join(ports, " "),
		plural(d.Datagrams, "datagram"), plural(d.Records, "record"))
	if q := d.Sequence; q.Unit != "" {
		fmt.Fprintf(w, "    sequence   counts %s: %d lost in %s, %d reordered, %d twice, %s\n",
			q.Unit, q.Lost, plural(q.Gaps, "gap"), q.Reordered, q.Duplicates, plural(q.Restarts, "restart"))
	}
	fmt.Fprintf(w, "    sampling   %s\n", d.samplingText())
	if s := d.Skew; s != nil {
		fmt.Fprintf(w, "    clock      received after the end of the flow: %s s at least, %s median, %s at most\n",
			signedMillis(s.Min), signedMillis(s.Median), signedMillis(s.Max))
	}
	for _, f := range d.Findings {
		fmt.Fprintf(w, "    ! %s\n", f)
	}
	writeShown(w, "    ", d.records, nil)
	for i := range d.Templates {
		d.Templates[i].write(w)
	}
}

// samplingText says what was said of sampling and under what records came.
func (d *inspectedDomain) samplingText() string {
	var said, came []string
	for _, s := range d.Sampling {
		said = append(said, fmt.Sprintf("%s 1:%d", s.AppliesTo, s.Interval))
	}
	for _, i := range d.Intervals {
		came = append(came, fmt.Sprintf("%s %s", plural(i.Records, "record"), shownInterval(i)))
	}
	switch {
	case said == nil && came == nil:
		return "nothing is known"
	case said == nil:
		return strings.Join(came, ", ")
	case came == nil:
		return strings.Join(said, ", ") + "; no records came"
	}
	return strings.Join(said, ", ") + "; " + strings.Join(came, ", ")
}

func shownInterval(i ledger.Interval) string {
	if i.N == 0 {
		return "without a word of it"
	}
	return fmt.Sprintf("at 1:%d", i.N)
}

func signedMillis(ms int64) string {
	if ms < 0 {
		return "-" + humanMillis(uint64(-ms))
	}
	return humanMillis(uint64(ms))
}

func (t *inspectedTemplate) write(w io.Writer) {
	kind, length := "template", fmt.Sprintf("%d bytes", t.Length)
	if t.Options {
		kind = "options template"
	}
	if t.Varying {
		length += " or more"
	}
	fmt.Fprintf(w, "\n    %s %d: %s of %s\n", kind, t.ID, plural(t.Count, "record"), length)
	table := newTable(prefixed(w, "      "), []tableColumn{{name: "element"}, {name: "name"}, {name: "bytes", right: true}, {name: "kept as"}}, false)
	for i := range t.Fields {
		f := &t.Fields[i]
		name, length := f.Name, strconv.Itoa(f.Length)
		if name == "" {
			name = "-"
		}
		if f.Length < 0 {
			length = "variable"
		}
		_ = table.row([]string{f.label(), name, length, t.keptText(f)}) // w keeps its error until it is flushed
	}
	_ = table.finish()
	if keep := t.unkept(); keep != "" {
		fmt.Fprintf(w, "      to keep what is not: %s\n", wrap("keep: ["+keep+"]", helpWidth-6, "\n        "))
	}
	for _, record := range t.Values {
		var cells []string
		for _, v := range record {
			name := v.Name
			if name == "" {
				name = v.Element
			}
			if v.Scope {
				name = "scope " + name
			}
			cells = append(cells, name+" "+v.Value)
		}
		fmt.Fprintf(w, "      - %s\n", strings.Join(cells, ", "))
	}
	writeShown(w, "      ", t.records, t.kept)
}

// unkept lists what would keep the elements that are not kept.
func (t *inspectedTemplate) unkept() string {
	var list []string
	for i := range t.Fields {
		if keep := t.Fields[i].Keep; keep != "" && !slices.Contains(list, keep) {
			list = append(list, keep)
		}
	}
	return strings.Join(list, ", ")
}

// keptText says what becomes of a field.
func (t *inspectedTemplate) keptText(f *inspectedField) string {
	switch {
	case f.Scope:
		return "scope"
	case t.NoFlow:
		return "not kept"
	case f.Kept != "":
		return f.Kept
	case f.Read:
		return "read"
	}
	return "not kept"
}

// writeShown writes records, a line each with all that they have.
func writeShown(w io.Writer, lead string, records []flow.Record, kept *flow.Kept) {
	columns := append(allColumns(), keptColumns(kept)...)
	for i := range records {
		var cells []string
		for _, c := range columns {
			if c.has(&records[i]) {
				if v := c.human(nil, &records[i]); len(v) > 0 {
					cells = append(cells, c.name+" "+string(v))
				}
			}
		}
		fmt.Fprintf(w, "%s- %s\n", lead, wrap(strings.Join(cells, ", "), helpWidth-len(lead), "\n"+lead+"  "))
	}
}

// prefixed returns a writer that puts lead before what each Write writes, which
// is a line.
func prefixed(w io.Writer, lead string) io.Writer {
	return writeFunc(func(p []byte) (int, error) {
		if _, err := io.WriteString(w, lead); err != nil {
			return 0, err
		}
		return w.Write(p)
	})
}
