package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// A table is written as Markdown that reads well as it is.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// write writes the table with its first column to the left and the others to
// the right.
func (t *table) write(w io.Writer) error {
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	var text strings.Builder
	line := func(cells []string) {
		for i, width := range widths {
			cell := ""
			if i < len(cells) {
				cell = cells[i]
			}
			pad := strings.Repeat(" ", width-utf8.RuneCountInString(cell))
			if i == 0 {
				text.WriteString("| " + cell + pad)
			} else {
				text.WriteString(" | " + pad + cell)
			}
		}
		text.WriteString(" |\n")
	}
	line(t.head)
	for i, width := range widths {
		if i == 0 {
			text.WriteString("|" + strings.Repeat("-", width+2))
		} else {
			text.WriteString("|" + strings.Repeat("-", width+1) + ":")
		}
	}
	text.WriteString("|\n")
	for _, row := range t.rows {
		line(row)
	}
	_, err := io.WriteString(w, text.String()+"\n")
	return err
}

// ms writes a time in milliseconds, to three digits below a second; a dash for
// one that is not known.
func ms(d time.Duration) string {
	v := d.Seconds() * 1000
	switch {
	case d == 0:
		return "-"
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func mib(bytes int64) string { return fmt.Sprint((bytes + 1<<19) >> 20) }

// ratio writes a ratio to three digits.
func ratio(r float64) string {
	switch {
	case r == 0:
		return "-"
	case r < 0.01:
		return fmt.Sprintf("%.5f", r)
	case r < 1:
		return fmt.Sprintf("%.3f", r)
	}
	return fmt.Sprintf("%.2f", r)
}

// ratios returns the medians of the ratios of pairs, wall and processor time;
// zero for what is not known.
func ratios(ours, theirs []usage) (wall, cpu float64) {
	var walls, cpus []float64
	for i := range min(len(ours), len(theirs)) {
		if theirs[i].wall > 0 {
			walls = append(walls, float64(ours[i].wall)/float64(theirs[i].wall))
		}
		if theirs[i].cpu > 0 {
			cpus = append(cpus, float64(ours[i].cpu)/float64(theirs[i].cpu))
		}
	}
	if len(walls) > 0 {
		wall = median(walls)
	}
	if len(cpus) > 0 {
		cpu = median(cpus)
	}
	return wall, cpu
}
