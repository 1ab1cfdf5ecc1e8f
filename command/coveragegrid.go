package command

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"weir/query"
)

// A gridRow is one line of a grid: a mark for each step.
type gridRow struct {
	name  string
	marks []coverageMark
	small []bool // the mark is that of less than half of the step; nil: none is
}

func (r *gridRow) isSmall(i int) bool { return r.small != nil && r.small[i] }

// gridRows returns the lines of a grid, the collector first.
func gridRows(g *query.Grid) []gridRow {
	host := gridRow{name: "collector"}
	for i := range g.Hosts {
		mark, part := hostMark(&g.Hosts[i], g.Step)
		host.marks, host.small = append(host.marks, mark), append(host.small, part)
	}
	rows := []gridRow{host}
	for i := range g.Exporters {
		e := &g.Exporters[i]
		row := gridRow{name: exporterLabel(e.Name, e.Addr)}
		for j := range e.Cells {
			row.marks = append(row.marks, cellMark(&e.Cells[j]))
		}
		rows = append(rows, row)
	}
	return rows
}

// exporterLabel is what people call an exporter.
func exporterLabel(name, addr string) string {
	if name != "" {
		return printable(name)
	}
	return addr
}

// A gridGroup is a run of steps that stand together, with a blank before the
// next: a day, or, where a step is a day, a week.
type gridGroup struct {
	at       time.Time
	from, to int // steps
}

func (g gridGroup) width() int { return g.to - g.from }

// gridGroups divides the steps of a grid.
func gridGroups(g *query.Grid) []gridGroup {
	var groups []gridGroup
	for i := range g.Hosts {
		at := time.UnixMilli(int64(g.Hosts[i].At)).UTC()
		begins := at.Hour() < g.Step
		if g.Step >= 24 {
			begins = at.Weekday() == time.Monday
		}
		if len(groups) == 0 || begins {
			groups = append(groups, gridGroup{at: at, from: i})
		}
		groups[len(groups)-1].to = i + 1
	}
	return groups
}

// maxLabel bounds the names in a grid, in characters.
const maxLabel = 24

// coverageGrid writes the grid in bands that fit so many columns.
func coverageGrid(out io.Writer, g *query.Grid, columns int, unicode, color bool) error {
	rows := gridRows(g)
	left := len("2026-11 UTC")
	for _, r := range rows {
		left = max(left, min(utf8.RuneCountInString(r.name), maxLabel))
	}
	p := gridPrinter{left: left, unicode: unicode, color: color}
	groups := gridGroups(g)
	for len(groups) > 0 {
		n := fitting(groups, columns-left-2)
		p.band(groups[:n], rows, g.Step)
		groups = groups[n:]
	}
	p.legend(rows, g.Step, columns)
	_, err := io.WriteString(out, p.b.String())
	return err
}

// fitting returns how many groups fit a line, at least one.
func fitting(groups []gridGroup, columns int) int {
	used := 0
	for i, g := range groups {
		if used += g.width() + 1; used-1 > columns && i > 0 {
			return i
		}
	}
	return len(groups)
}

// A gridPrinter writes a grid as text.
type gridPrinter struct {
	b              strings.Builder
	left           int // width of the names
	unicode, color bool
}

// band writes some groups of all lines, under their dates.
func (p *gridPrinter) band(groups []gridGroup, rows []gridRow, step int) {
	var days, hours strings.Builder
	for _, g := range groups {
		fmt.Fprintf(&days, "%-*s ", g.width(), dayLabel(g.at, g.width()))
		fmt.Fprintf(&hours, "%-*s ", g.width(), hourRuler(g, step))
	}
	month := "2006-01 UTC"
	if strings.TrimSpace(days.String()) == "" {
		month = "2006-01-02"
	}
	p.line(groups[0].at.Format(month), days.String())
	if strings.TrimSpace(hours.String()) != "" {
		p.line("", hours.String())
	}
	for _, r := range rows {
		text := padRight(fitText(r.name, maxLabel), p.left) + "  "
		for i, g := range groups {
			if i > 0 {
				text += " "
			}
			text += p.marks(r, g.from, g.to)
		}
		p.b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	p.b.WriteByte('\n')
}

func (p *gridPrinter) line(name, text string) {
	p.b.WriteString(strings.TrimRight(fmt.Sprintf("%-*s  %s", p.left, name, text), " ") + "\n")
}

func padRight(text string, width int) string {
	return text + strings.Repeat(" ", max(width-utf8.RuneCountInString(text), 0))
}

// dayLabel writes a date in so many characters, nothing if it does not fit.
func dayLabel(at time.Time, width int) string {
	for _, layout := range []string{"2006-01-02 Mon", "2006-01-02", "01-02", "02"} {
		if len(layout) <= width {
			return at.Format(layout)
		}
	}
	return ""
}

// hourRuler writes the hours under a date where steps are narrow enough.
func hourRuler(g gridGroup, step int) string {
	if step > 2 {
		return ""
	}
	ruler := []byte(strings.Repeat(" ", g.width()))
	for i := range ruler {
		if hour := g.at.Hour() + i*step; hour%6 == 0 && i+2 <= len(ruler) {
			copy(ruler[i:], fmt.Sprintf("%02d", hour))
		}
	}
	return string(ruler)
}

// marks returns some steps of a line, with a change of colour only where it
// changes.
func (p *gridPrinter) marks(r gridRow, from, to int) string {
	var b strings.Builder
	ansi := ""
	for i := from; i < to; i++ {
		if next := r.marks[i].ansi; p.color && next != ansi {
			b.WriteString("\x1b[" + cmp.Or(next, "0") + "m")
			ansi = next
		}
		b.WriteRune(p.char(r.marks[i], r.isSmall(i)))
	}
	if ansi != "" {
		b.WriteString("\x1b[0m")
	}
	return b.String()
}

func (p *gridPrinter) char(m coverageMark, small bool) rune {
	char := m.char
	if !p.unicode {
		char = rune(m.ascii)
	}
	if small {
		return unicode.ToLower(char)
	}
	return char
}

// legend explains the marks that occur.
func (p *gridPrinter) legend(rows []gridRow, step, columns int) {
	seen, small := map[rune]bool{}, false
	for _, r := range rows {
		for i, m := range r.marks {
			seen[m.char] = true
			small = small || r.isSmall(i)
		}
	}
	var parts []string
	for _, m := range legend() {
		if seen[m.char] {
			parts = append(parts, string(p.char(m, false))+" "+m.about)
		}
	}
	if small {
		parts = append(parts, "a small letter is less than half of the time")
	}
	if step > 1 {
		parts = append(parts, fmt.Sprintf("a character is %s", plural(step, "hour")))
	}
	line := ""
	for _, part := range parts {
		if line != "" && utf8.RuneCountInString(line)+3+utf8.RuneCountInString(part) > columns {
			p.b.WriteString(line + "\n")
			line = ""
		}
		if line != "" {
			line += "   "
		}
		line += part
	}
	if line != "" {
		p.b.WriteString(line + "\n")
	}
}
