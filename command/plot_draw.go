package command

import (
	"fmt"
	"strings"
)

// Size of a picture and of the room around the curves, in pixels.
const (
	chartWidth  = 1200
	chartHeight = 600
	chartLeft   = 110
	chartRight  = 24
	chartTop    = 76
	legendLine  = 22
	chartBottom = 64
)

// A picture is what can be drawn: a plot, or a grid of coverage.
type picture interface {
	heading() string // what it shows, in a line
	size() (width, height int)
	draw(c canvas)
}

// A canvas is what a picture is drawn on. Coordinates are pixels from the upper
// left.
type canvas interface {
	// line draws a thin straight line, horizontal or vertical.
	line(x0, y0, x1, y1 float64, color rgb)
	// band fills between two step curves: from xs[i] to xs[i+1] it reaches from
	// high[i] down to low[i].
	band(xs, high, low []float64, color rgb)
	// curve draws a step curve: from xs[i] to xs[i+1] it is at ys[i].
	curve(xs, ys []float64, color rgb)
	// text writes one line; y is its base line.
	text(x, y float64, anchor textAnchor, text string, color rgb)
	// box fills a rectangle.
	box(x, y, width, height float64, color rgb)
}

// A textAnchor says which part of a text stands at its x.
type textAnchor uint8

const (
	anchorStart textAnchor = iota
	anchorMiddle
	anchorEnd
)

// An rgb is a colour.
type rgb struct{ r, g, b uint8 }

func (c rgb) String() string { return fmt.Sprintf("#%02x%02x%02x", c.r, c.g, c.b) }

var (
	inkColor   = rgb{0x22, 0x22, 0x22}
	quietColor = rgb{0x66, 0x66, 0x66}
	gridColor  = rgb{0xdd, 0xdd, 0xdd}
	paperColor = rgb{0xff, 0xff, 0xff}
	otherColor = rgb{0xaa, 0xaa, 0xaa}
)

// seriesColors can be told apart by people with any colour vision (Okabe and
// Ito, 2008).
var seriesColors = []rgb{
	{0x00, 0x72, 0xb2}, {0xe6, 0x9f, 0x00}, {0x00, 0x9e, 0x73}, {0xcc, 0x79, 0xa7},
	{0x56, 0xb4, 0xe9}, {0xd5, 0x5e, 0x00}, {0xf0, 0xe4, 0x42},
}

// seriesColor returns the colour of series i of p.
func (p *plot) seriesColor(i int) rgb {
	if p.series[i].name == otherName {
		return otherColor
	}
	return seriesColors[i%len(seriesColors)]
}

// A chart places a plot on a canvas.
type chart struct {
	*plot
	canvas        canvas
	x, y          float64 // upper left of the curves
	width, height float64 // of the curves
	top           float64 // value at the upper edge
}

// legendColumns is how many entries stand in a line of the legend.
const legendColumns = 4

func (p *plot) heading() string { return p.title }

func (p *plot) size() (width, height int) { return chartWidth, chartHeight }

// draw draws p: title, legend, grid, axes with units, and the series as layers
// of a stack or as curves.
func (p *plot) draw(c canvas) {
	lines := 0
	if len(p.series) > 1 {
		lines = (len(p.series) + legendColumns - 1) / legendColumns
	}
	d := chart{plot: p, canvas: c, x: chartLeft, y: chartTop + float64(lines*legendLine),
		width: chartWidth - chartLeft - chartRight, top: niceCeil(p.top())}
	d.height = chartHeight - chartBottom - d.y
	c.box(0, 0, chartWidth, chartHeight, paperColor)
	d.drawTitle(lines)
	d.drawGrid()
	if p.steps() == 0 {
		c.text(d.x+d.width/2, d.y+d.height/2, anchorMiddle, "nothing matches", quietColor)
	} else {
		d.drawSeries()
	}
	c.line(d.x, d.y, d.x, d.y+d.height, inkColor)
	c.line(d.x, d.y+d.height, d.x+d.width, d.y+d.height, inkColor)
}

func (d *chart) drawTitle(legendLines int) {
	d.canvas.text(chartLeft, 28, anchorStart, fitText(d.title, 88), inkColor)
	d.canvas.text(chartLeft, 52, anchorStart, fitText(d.note, 88), quietColor)
	if legendLines == 0 {
		return
	}
	column := d.width / legendColumns
	for i, s := range d.series {
		x := d.x + float64(i%legendColumns)*column
		y := chartTop + float64(i/legendColumns*legendLine) - 2
		d.canvas.box(x, y-10, 12, 12, d.seriesColor(i))
		d.canvas.text(x+18, y, anchorStart, fitText(s.name, 20), inkColor)
	}
}

// drawGrid draws the lines behind the curves and the labels of both axes.
func (d *chart) drawGrid() {
	const rows = 4
	for i := range rows + 1 {
		y := d.y + d.height*float64(i)/rows
		if i < rows {
			d.canvas.line(d.x, y, d.x+d.width, y, gridColor)
		}
		d.canvas.text(d.x-8, y+5, anchorEnd, axisNumber(d.top*float64(rows-i)/rows), inkColor)
	}
	d.canvas.text(8, d.y-22, anchorStart, d.unit, quietColor)
	for _, t := range timeTicks(d.from, d.end(), 9) {
		x := d.at(t.ms)
		d.canvas.line(x, d.y, x, d.y+d.height+5, gridColor)
		d.canvas.text(x, d.y+d.height+22, anchorMiddle, t.label, inkColor)
	}
	span := fmt.Sprintf("%s to %s, steps of %s", showMS(d.from), showMS(d.end()), stepName(d.step))
	d.canvas.text(d.x+d.width, chartHeight-14, anchorEnd, span, quietColor)
}

// at returns the x of a time.
func (d *chart) at(ms uint64) float64 {
	return d.x + d.width*float64(ms-d.from)/float64(max(d.end()-d.from, 1))
}

// height of a value above the lower edge, as y.
func (d *chart) level(v float64) float64 { return d.y + d.height*(1-v/d.top) }

func (d *chart) drawSeries() {
	n := d.steps()
	xs := make([]float64, n+1)
	for i := range xs {
		xs[i] = d.at(d.from + uint64(i)*d.step)
	}
	base := make([]float64, n) // what lies below, as a value
	for i, s := range d.series {
		low, high := make([]float64, n), make([]float64, n)
		for j, v := range s.values {
			low[j], high[j] = d.level(base[j]), d.level(base[j]+v)
			if d.stacked {
				base[j] += v
			}
		}
		if d.stacked || len(d.series) == 1 {
			d.canvas.band(xs, high, low, d.seriesColor(i))
		} else {
			d.canvas.curve(xs, high, d.seriesColor(i))
		}
	}
}

// otherName is the name of the series of all values without one.
const otherName = "other"

// plainText returns text with everything but printable ASCII replaced: what the
// bitmap font has.
func plainText(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
}
