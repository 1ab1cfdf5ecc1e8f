package command

import (
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// Size of a plot on a terminal, in characters.
const (
	plotColumns  = 80 // where the terminal does not say
	plotRows     = 12 // height of a plot of one series
	panelRows    = 4  // height of each where there are several
	minPlotWidth = 20
)

// writePlot draws p for a terminal of so many columns: one filled curve for each
// series, below each other with one scale, as colours would not tell them apart
// everywhere. With unicode the curves are braille characters, two columns and
// four rows of dots each; else they are number signs.
func writePlot(out io.Writer, p *plot, columns int, unicode bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", p.title)
	if p.note != "" {
		fmt.Fprintf(&b, "%s\n", p.note)
	}
	rows := plotRows
	if len(p.series) > 1 {
		rows = panelRows
	}
	top := 0.0
	for _, s := range p.series {
		for _, v := range s.values {
			top = max(top, v)
		}
	}
	top = niceCeil(top)
	left := max(len(axisNumber(top)), len(axisNumber(top/2)), 5)
	width := max(columns-left-3, minPlotWidth)
	for _, s := range p.series {
		if len(p.series) > 1 {
			fmt.Fprintf(&b, "%*s   %s  %s\n", left, "", s.name, seriesPeak(s, p.unit))
		}
		writePanel(&b, s.values, top, left, width, rows, unicode)
	}
	writeTimeAxis(&b, p, left, width)
	_, err := io.WriteString(out, b.String())
	return err
}

// seriesPeak says how high a curve goes.
func seriesPeak(s plotSeries, unit string) string {
	peak := 0.0
	for _, v := range s.values {
		peak = max(peak, v)
	}
	return fmt.Sprintf("(peak %s %s)", axisNumber(peak), unit)
}

// writePanel draws one curve with its value axis.
func writePanel(b *strings.Builder, values []float64, top float64, left, width, rows int, unicode bool) {
	lines := asciiCurve(values, top, width, rows)
	axis := "|"
	if unicode {
		lines, axis = brailleCurve(values, top, width, rows), "┤"
	}
	for i, line := range lines {
		label := ""
		switch i {
		case 0:
			label = axisNumber(top)
		case rows / 2:
			label = axisNumber(top * float64(rows-i) / float64(rows))
		}
		fmt.Fprintf(b, "%*s %s%s\n", left, label, axis, strings.TrimRight(line, " \u2800"))
	}
}

// writeTimeAxis draws the line of times under the last curve.
func writeTimeAxis(b *strings.Builder, p *plot, left, width int) {
	ruler := []rune(strings.Repeat("-", width))
	labels := []byte(strings.Repeat(" ", width+16))
	free := 0
	for _, t := range timeTicks(p.from, p.end(), max(width/14, 2)) {
		at := int(float64(t.ms-p.from) / float64(p.end()-p.from) * float64(width))
		if at >= width || at < free {
			continue
		}
		ruler[at] = '+'
		copy(labels[at:], t.label)
		free = at + len(t.label) + 2
	}
	fmt.Fprintf(b, "%*s +%s\n", left, "0", string(ruler))
	fmt.Fprintf(b, "%*s  %s\n", left, "", strings.TrimRight(string(labels), " "))
	fmt.Fprintf(b, "%*s  UTC, %s in steps of %s\n", left, "", p.unit, stepName(p.step))
}

// sample returns n values that stand for all of values: the largest of those
// that fall on one place, so that no peak is lost.
func sample(values []float64, n int) []float64 {
	out := make([]float64, n)
	if len(values) == 0 {
		return out
	}
	for i := range out {
		lo := i * len(values) / n
		hi := max((i+1)*len(values)/n, lo+1)
		for _, v := range values[lo:hi] {
			out[i] = max(out[i], v)
		}
	}
	return out
}

// brailleDots are the bits of a braille character (U+2800 on) from the bottom
// dot up, left column then right.
var brailleDots = [2][4]rune{{0x40, 0x04, 0x02, 0x01}, {0x80, 0x20, 0x10, 0x08}}

// brailleCurve returns the lines of a filled curve, from the top.
func brailleCurve(values []float64, top float64, width, rows int) []string {
	grid := make([][]rune, rows)
	for i := range grid {
		grid[i] = []rune(strings.Repeat("\u2800", width))
	}
	for x, v := range sample(values, 2*width) {
		for y := range dotsHigh(v, top, 4*rows) {
			grid[rows-1-y/4][x/2] |= brailleDots[x%2][y%4]
		}
	}
	lines := make([]string, rows)
	for i := range grid {
		lines[i] = string(grid[i])
	}
	return lines
}

// asciiCurve is brailleCurve in number signs, with a colon for half of one.
func asciiCurve(values []float64, top float64, width, rows int) []string {
	lines := make([]string, rows)
	heights := sample(values, width)
	for i := range lines {
		line := make([]byte, width)
		for x, v := range heights {
			switch h := dotsHigh(v, top, 2*rows) - 2*(rows-1-i); {
			case h >= 2:
				line[x] = '#'
			case h == 1:
				line[x] = ':'
			default:
				line[x] = ' '
			}
		}
		lines[i] = string(line)
	}
	return lines
}

// dotsHigh returns how many of so many dots v is high. What is not nothing is
// at least one.
func dotsHigh(v, top float64, dots int) int {
	if v <= 0 || top <= 0 {
		return 0
	}
	return min(max(int(math.Round(v/top*float64(dots))), 1), dots)
}

// hasUnicode reports whether a terminal with these locale settings shows
// characters beyond ASCII. Without any setting it is taken to.
func hasUnicode(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(getenv(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return true
}

// fitText cuts text to a number of characters, for titles. It marks the cut.
func fitText(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:max(most-3, 0)]) + "..."
}
