package command

import (
	"math"
	"strconv"
	"time"
)

// A plot is values over time, drawn on a terminal (plot_text.go) or as a
// picture (plot_draw.go). All times are UTC and say so.
type plot struct {
	title   string // what was asked
	note    string // what the reader must know of the numbers; may be empty
	unit    string // of the values, such as "bit/s"
	from    uint64 // ms since the epoch, start of the first step
	step    uint64 // ms
	stacked bool   // the series are parts of a whole
	series  []plotSeries
}

// A plotSeries is one line, or one layer of a stack: a value for each step.
type plotSeries struct {
	name   string
	values []float64
}

// steps returns the number of steps.
func (p *plot) steps() int {
	if len(p.series) == 0 {
		return 0
	}
	return len(p.series[0].values)
}

// end returns the end of the last step, in ms.
func (p *plot) end() uint64 { return p.from + p.step*uint64(p.steps()) }

// top returns the largest value drawn.
func (p *plot) top() float64 {
	top := 0.0
	for i := range p.steps() {
		sum := 0.0
		for _, s := range p.series {
			top = max(top, s.values[i])
			sum += s.values[i]
		}
		if p.stacked {
			top = max(top, sum)
		}
	}
	return top
}

// niceCeil returns the smallest of 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a
// power of ten that is not below v: where an axis ends.
func niceCeil(v float64) float64 {
	if v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8} {
		if m*power >= v*(1-1e-12) {
			return m * power
		}
	}
	return 10 * power
}

// axisNumber writes a value beside an axis: up to four digits and a decimal
// unit.
func axisNumber(v float64) string {
	const units = "kMGTPE"
	u := -1
	for math.Abs(v) >= 1000 && u < len(units)-1 {
		v, u = v/1000, u+1
	}
	text := strconv.FormatFloat(v, 'g', 4, 64)
	if u >= 0 {
		text += " " + units[u:u+1]
	}
	return text
}

// A timeTick is a labelled time on an axis.
type timeTick struct {
	ms    uint64
	label string
}

// tickSpans are the distances between ticks, in ms.
var tickSpans = []uint64{
	1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 2 * 60e3, 5 * 60e3, 10 * 60e3, 15 * 60e3, 30 * 60e3,
	3600e3, 2 * 3600e3, 3 * 3600e3, 6 * 3600e3, 12 * 3600e3,
	24 * 3600e3, 2 * 24 * 3600e3, 4 * 24 * 3600e3, 7 * 24 * 3600e3, 14 * 24 * 3600e3, 28 * 24 * 3600e3, 91 * 24 * 3600e3, 364 * 24 * 3600e3,
}

// timeTicks returns at most so many ticks of the time from from to end, which
// stand at full minutes, hours or days UTC. Where they are less than a day
// apart, the first of each day is labelled with its date.
func timeTicks(from, end uint64, most int) []timeTick {
	if end <= from || most < 1 {
		return nil
	}
	span := tickSpans[len(tickSpans)-1]
	for _, s := range tickSpans {
		if (end-from)/s < uint64(most) {
			span = s
			break
		}
	}
	var ticks []timeTick
	day := ""
	for ms := (from + span - 1) / span * span; ms < end && len(ticks) < most; ms += span {
		t := time.UnixMilli(int64(ms)).UTC()
		label := t.Format(tickFormat(span))
		if today := t.Format("01-02"); span < 24*3600e3 && today != day {
			label, day = today+" "+label, today
		}
		ticks = append(ticks, timeTick{ms, label})
	}
	return ticks
}

func tickFormat(span uint64) string {
	switch {
	case span < 60e3:
		return "15:04:05"
	case span < 24*3600e3:
		return "15:04"
	case span < 91*24*3600e3:
		return "01-02"
	}
	return "2006-01-02"
}

// stepName writes the length of a step: "5m".
func stepName(ms uint64) string {
	if ms < 1000 || ms%1000 != 0 {
		return strconv.FormatUint(ms, 10) + "ms"
	}
	return formatDuration(time.Duration(ms) * time.Millisecond)
}
