package command

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"weir/query"
)

// A holdLine is a hold as programs read it.
type holdLine struct {
	Case         string      `json:"case"`
	From         string      `json:"from"` // of the first scope's window to the end of the last one's
	To           string      `json:"to"`
	Filter       string      `json:"filter"` // "" where whole hours are held
	Until        string      `json:"until"`
	EndsSoon     bool        `json:"ends_soon"`
	Hours        int         `json:"hours"` // of which records were taken out
	Records      int64       `json:"records"`
	Bytes        int64       `json:"bytes"`
	WholeHours   int         `json:"whole_hours"` // of the archive, that stay whole
	WholeRecords int64       `json:"whole_records"`
	Added        string      `json:"added"`
	By           string      `json:"by"`
	Reason       string      `json:"reason"`
	Scopes       []scopeLine `json:"scopes"`
}

// A scopeLine is one scope of a hold.
type scopeLine struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Filter string `json:"filter"`
	Typed  string `json:"typed,omitempty"`
	Added  string `json:"added"`
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
}

func (r *holdReport) line(std *Std) holdLine {
	w := r.window()
	l := holdLine{
		Case: r.Case, From: showMS(w.From), To: showMS(w.To), Filter: r.filter(), Until: showMS(r.Until), EndsSoon: r.soon(std.Now()),
		Hours: r.Hours, Records: r.Records, Bytes: r.Bytes, WholeHours: r.WholeHours, WholeRecords: r.WholeRecords,
		Added: showMS(r.Added), By: r.By, Reason: r.Reason,
	}
	for _, s := range r.Scopes {
		l.Scopes = append(l.Scopes, scopeLine{showMS(s.Window.From), showMS(s.Window.To), s.Filter, s.Typed, showMS(s.Added), s.By, s.Reason})
	}
	return l
}

var holdColumns = []tableColumn{{name: "case"}, {name: "from"}, {name: "to"}, {name: "until"}, {name: "hours", right: true}, {name: "records", right: true},
	{name: "bytes", right: true}, {name: "whole_hours", right: true}, {name: "filter"}}

// writeHolds writes holds, one a row.
func writeHolds(std *Std, format string, list []holdReport) error {
	out := newStream(std.Out, nil)
	defer out.Close()
	var err error
	if format == formatJSON {
		for i := range list {
			if _, err = out.Write(append(marshal(list[i].line(std)), '\n')); err != nil {
				break
			}
		}
	} else {
		err = writeRows(out, format, std.color(), holdColumns, holdCells(std, format, list))
	}
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	return quietPipe(err)
}

func holdCells(std *Std, format string, list []holdReport) [][]string {
	cells := make([][]string, len(list))
	for i := range list {
		l := list[i].line(std)
		records, bytes, until, filter := strconv.FormatInt(l.Records, 10), strconv.FormatInt(l.Bytes, 10), l.Until, oneLine(l.Filter)
		if format != formatCSV {
			records, bytes, filter = humanCount(uint64(l.Records)), humanCount(uint64(l.Bytes)), shortText(oneLine(list[i].filterText()))
			if l.EndsSoon {
				until += " !"
			}
		}
		cells[i] = []string{l.Case, l.From, l.To, until, strconv.Itoa(l.Hours), records, bytes, strconv.Itoa(l.WholeHours), filter}
	}
	return cells
}

// A holdDetail is a hold with all that is known of it, as programs read it.
type holdDetail struct {
	holdLine
	Waiting uint64        `json:"records_in_archive"` // that will be taken out
	Rows    []heldAtLine  `json:"by_hour"`
	Damaged []string      `json:"damaged"`
	Audit   []holdTrailed `json:"audit"`
}

// A heldAtLine is what was taken out of one hour of one exporter.
type heldAtLine struct {
	Hour     string `json:"hour"`
	Exporter string `json:"exporter"`
	Name     string `json:"name"`
	Records  uint64 `json:"records"`
}

// A holdTrailed is an entry of the audit log about the case.
type holdTrailed struct {
	Number  uint64 `json:"number"`
	Time    string `json:"time"`
	Kind    string `json:"kind"`
	User    string `json:"user"`
	Command string `json:"command"`
	Detail  string `json:"detail"`
	Failed  string `json:"failed,omitempty"`
}

// writeHold writes all that is known of a hold. As csv it is what was taken out,
// by hour and exporter.
func writeHold(std *Std, format string, r *holdReport, trail []auditLine) error {
	d := holdDetail{holdLine: r.line(std), Waiting: r.Waiting, Rows: []heldAtLine{}, Damaged: append([]string{}, r.Damaged...), Audit: []holdTrailed{}}
	for _, row := range r.Rows {
		d.Rows = append(d.Rows, heldAtLine{row.Hour, row.Exporter, row.Name, row.Records})
	}
	for _, e := range trail {
		d.Audit = append(d.Audit, holdTrailed{e.Number, showTime(e.Time), string(e.Kind), e.Who.User, e.Command, e.Detail, e.Failed})
	}
	return forms{
		value: d,
		csv: func(w io.Writer) error {
			return newCSV(w).WriteAll(append([][]string{{"hour", "exporter", "name", "records"}}, d.rows()...))
		},
		text: func(w io.Writer) error { return d.text(w, std, r) },
	}.write(std.Out, format)
}

func (d *holdDetail) rows() (cells [][]string) {
	for _, row := range d.Rows {
		cells = append(cells, []string{row.Hour, row.Exporter, row.Name, strconv.FormatUint(row.Records, 10)})
	}
	return cells
}

// text writes the detail for people.
func (d *holdDetail) text(w io.Writer, std *Std, r *holdReport) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-9s %s\n", name, oneLine(fmt.Sprintf(format, args...))) // people have typed some of it
	}
	line("case", "%s", d.Case)
	until := d.Until + " (" + humanSpan(r.lapses().Sub(std.Now())) + ")"
	if d.EndsSoon {
		until += "; what is kept goes then: weir hold extend moves it"
	}
	line("until", "%s", until)
	line("made", "%s by %s%s", d.Added, d.By, map[bool]string{true: ": " + d.Reason}[d.Reason != ""])
	for i, s := range d.Scopes {
		what := s.Filter
		if what == "" {
			what = "whole hours"
		}
		line(map[bool]string{true: "holds"}[i == 0], "%s, from %s to %s", what, s.From, s.To)
		if typed := strings.Join(strings.Fields(s.Typed), " "); typed != "" && typed != s.Filter {
			line("", "given as %s", typed)
		}
	}
	line("kept", "%s of %s, %sB", query.Things(uint64(d.Records), "record"), plural(d.Hours, "hour"), humanCount(uint64(d.Bytes)))
	line("waiting", "%s in the archive, taken out when their hour is dropped", query.Things(d.Waiting, "record"))
	if d.WholeHours > 0 {
		line("whole", "%s in the archive, %s", plural(d.WholeHours, "hour"), query.Things(uint64(d.WholeRecords), "record"))
	}
	for i, damage := range d.Damaged {
		line(map[bool]string{true: "damaged"}[i == 0], "%s", damage)
	}
	for i, e := range d.Audit {
		line(map[bool]string{true: "audit"}[i == 0], "%s", strings.TrimSpace(fmt.Sprintf("%d %s %s %s: %s", e.Number, e.Time, e.User, e.Command, e.Detail)))
	}
	if _, err := io.WriteString(w, b.String()); err != nil || len(d.Rows) == 0 {
		return err
	}
	out := newStream(w, nil)
	err := writeRows(out, formatTable, std.color(), []tableColumn{{name: "hour"}, {name: "exporter"}, {name: "name"}, {name: "records", right: true}}, d.rows())
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	return err
}
