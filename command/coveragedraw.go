package command

import (
	"fmt"

	"weir/query"
)

// Measures of a grid as a picture, in pixels.
const (
	gridLeft     = 232 // room for names
	gridRowTall  = 20
	gridTop      = 92
	gridLegend   = 22 // a line of the legend
	gridBottom   = 48
	gridMostRows = 400 // lines; what is beyond is said
)

// A coverageChart is a grid as a picture.
type coverageChart struct {
	grid   *query.Grid
	rows   []gridRow
	hidden int // lines beyond gridMostRows
	marks  []coverageMark
}

// coveragePicture returns the grid as a picture.
func coveragePicture(g *query.Grid) *coverageChart {
	p := &coverageChart{grid: g, rows: gridRows(g)}
	if n := len(p.rows); n > gridMostRows {
		p.rows, p.hidden = p.rows[:gridMostRows], n-gridMostRows
	}
	seen := map[rune]bool{}
	for _, r := range p.rows {
		for _, m := range r.marks {
			seen[m.char] = true
		}
	}
	for _, m := range legend() {
		if seen[m.char] {
			p.marks = append(p.marks, m)
		}
	}
	return p
}

func (p *coverageChart) heading() string { return "coverage" }

// legendLines returns how many lines the legend takes.
func (p *coverageChart) legendLines() int {
	return (len(p.marks) + legendColumns - 1) / legendColumns
}

func (p *coverageChart) top() int { return gridTop + p.legendLines()*gridLegend }

func (p *coverageChart) size() (width, height int) {
	return chartWidth, p.top() + len(p.rows)*gridRowTall + gridBottom
}

// draw draws title, legend, days and lines. A step that is wrong for a part of
// its time only is a low box.
func (p *coverageChart) draw(c canvas) {
	width, height := p.size()
	c.box(0, 0, float64(width), float64(height), paperColor)
	c.text(24, 28, anchorStart, "coverage: hours of receipt by exporter", inkColor)
	note := fmt.Sprintf("%s to %s, UTC; a step is %s", showMS(uint64(p.grid.From)), showMS(uint64(p.grid.To)), plural(p.grid.Step, "hour"))
	if p.hidden > 0 {
		note += fmt.Sprintf("; %d exporters more are not shown", p.hidden)
	}
	c.text(24, 52, anchorStart, note, quietColor)
	p.drawLegend(c)
	p.drawDays(c)
	for i := range p.rows {
		p.drawRow(c, i)
	}
}

func (p *coverageChart) drawLegend(c canvas) {
	column := float64(chartWidth-48) / legendColumns
	for i, m := range p.marks {
		x, y := 24+float64(i%legendColumns)*column, float64(78+i/legendColumns*gridLegend)
		c.box(x, y-11, 12, 12, m.color)
		c.text(x+18, y, anchorStart, fitText(m.about, 21), inkColor)
	}
}

// at returns the x of the start of a step.
func (p *coverageChart) at(step int) float64 {
	return gridLeft + float64(chartWidth-gridLeft-chartRight)*float64(step)/float64(max(len(p.grid.Hosts), 1))
}

// drawDays draws a line at the start of each day, or week, and the dates of as
// many as there is room for.
func (p *coverageChart) drawDays(c canvas) {
	bottom := float64(p.top() + len(p.rows)*gridRowTall)
	free := 0.0
	for _, g := range gridGroups(p.grid) {
		x := p.at(g.from)
		c.line(x, float64(p.top()-4), x, bottom+5, gridColor)
		if x >= free {
			c.text(x, bottom+22, anchorStart, g.at.Format("01-02"), inkColor)
			free = x + 72
		}
	}
}

func (p *coverageChart) drawRow(c canvas, i int) {
	r, y := p.rows[i], float64(p.top()+i*gridRowTall)
	c.text(gridLeft-8, y+15, anchorEnd, fitText(r.name, 18), inkColor)
	for from := 0; from < len(r.marks); {
		to := from + 1
		for to < len(r.marks) && r.marks[to] == r.marks[from] && r.isSmall(to) == r.isSmall(from) {
			to++
		}
		x, top, tall := p.at(from), y+2, float64(gridRowTall-4)
		if r.isSmall(from) {
			c.box(x, top, p.at(to)-x, tall, markFine.color)
			top, tall = top+tall/2, tall/2
		}
		c.box(x, top, p.at(to)-x, tall, r.marks[from].color)
		from = to
	}
}
