package command

import (
	"weir/query"
)

// A coverageMark is how a grid shows one step of one exporter: with a character,
// so that colour is not needed, and more ink the more is lost.
type coverageMark struct {
	char  rune
	ascii byte
	ansi  string // of the terminal; "": its own colour
	color rgb    // of pictures
	about string
}

// The marks.
var (
	markFine   = coverageMark{'·', '.', "32", rgb{0x9a, 0xd1, 0xb3}, "complete"}
	markNone   = coverageMark{' ', ' ', "", rgb{0xf4, 0xf4, 0xf4}, "nothing was expected"}
	markImport = coverageMark{'i', 'i', "32", rgb{0x9a, 0xd1, 0xb3}, "imported"}
	markOther  = coverageMark{'?', '?', "31", rgb{0x22, 0x22, 0x22}, "something else"}

	// lossMarks are the classes of loss, each up to a share of the records.
	lossMarks = []struct {
		upTo float64
		mark coverageMark
	}{
		{0.01, coverageMark{'░', '-', "33", rgb{0xf0, 0xe4, 0x42}, "loss under 1 %"}},
		{0.10, coverageMark{'▒', '=', "33", rgb{0xe6, 0x9f, 0x00}, "loss under 10 %"}},
		{0.50, coverageMark{'▓', '*', "31", rgb{0xd5, 0x5e, 0x00}, "loss under 50 %"}},
		{2, coverageMark{'█', '#', "31", rgb{0x9c, 0x2f, 0x00}, "loss above that"}},
	}

	// reasonMarks are the letters of the other reasons, in the order of the legend.
	reasonMarks = []struct {
		reason query.Reason
		mark   coverageMark
	}{
		{query.ReasonKernel, coverageMark{'K', 'K', "31", rgb{0x8c, 0x2d, 0x8c}, string(query.ReasonKernel)}},
		{query.ReasonBehind, coverageMark{'Q', 'Q', "31", rgb{0xb0, 0x60, 0xb0}, string(query.ReasonBehind)}},
		{query.ReasonSilent, coverageMark{'S', 'S', "35", rgb{0xcc, 0x79, 0xa7}, string(query.ReasonSilent)}},
		{query.ReasonAgent, coverageMark{'A', 'A', "33", rgb{0xc9, 0x94, 0x2e}, string(query.ReasonAgent)}},
		{query.ReasonTemplate, coverageMark{'T', 'T', "36", rgb{0x56, 0xb4, 0xe9}, string(query.ReasonTemplate)}},
		{query.ReasonClock, coverageMark{'O', 'O', "36", rgb{0x00, 0x72, 0xb2}, string(query.ReasonClock)}},
		{query.ReasonStopped, coverageMark{'D', 'D', "31", rgb{0x55, 0x55, 0x55}, string(query.ReasonStopped)}},
		{query.ReasonCrashed, coverageMark{'C', 'C', "31", rgb{0x33, 0x33, 0x33}, string(query.ReasonCrashed)}},
		{query.ReasonAsleep, coverageMark{'Z', 'Z', "31", rgb{0x66, 0x66, 0x66}, string(query.ReasonAsleep)}},
		{query.ReasonNotStarted, coverageMark{'N', 'N', "31", rgb{0x77, 0x77, 0x77}, string(query.ReasonNotStarted)}},
		{query.ReasonClockSet, coverageMark{'J', 'J', "36", rgb{0x3a, 0x8f, 0xa8}, string(query.ReasonClockSet)}},
		{query.ReasonNoCapture, coverageMark{'M', 'M', "", rgb{0xaa, 0xaa, 0xaa}, string(query.ReasonNoCapture)}},
		{query.ReasonUnstored, coverageMark{'U', 'U', "31", rgb{0x9c, 0x2f, 0x00}, string(query.ReasonUnstored)}},
		{query.ReasonDamaged, coverageMark{'X', 'X', "31", rgb{0x22, 0x22, 0x22}, string(query.ReasonDamaged)}},
		{query.ReasonPurged, coverageMark{'P', 'P', "34", rgb{0x7a, 0x6a, 0xd0}, string(query.ReasonPurged)}},
		{query.ReasonRetention, coverageMark{'R', 'R', "34", rgb{0xb8, 0xb0, 0xe0}, string(query.ReasonRetention)}},
		{query.ReasonForeign, coverageMark{'E', 'E', "34", rgb{0x66, 0xc2, 0xa5}, string(query.ReasonForeign)}},
		{query.ReasonScope, coverageMark{'F', 'F', "34", rgb{0x00, 0x9e, 0x73}, string(query.ReasonScope)}},
	}
)

// coverageLegendHelp is the legend as help has it; a test keeps it complete.
const coverageLegendHelp = `blank where nothing was expected, more ink the more was lost on the way, and else a letter: K
dropped in the kernel, Q likewise as the collector did not keep up, S exporter silent, A dropped by the sFlow agent, T
template missing, O clock off, D collector stopped, C crashed, Z asleep, J host clock set forward, N not started, M no
capture imported, U not stored, X damaged, P purged, R past retention, E out of scope (kept or set aside), F out of scope
and refused.`

// legend returns all marks in their order.
func legend() []coverageMark {
	list := []coverageMark{markFine, markImport}
	for _, l := range lossMarks {
		list = append(list, l.mark)
	}
	for _, r := range reasonMarks {
		list = append(list, r.mark)
	}
	return append(list, markOther)
}

// cellMark returns the mark of a cell.
func cellMark(c *query.Cell) coverageMark {
	switch c.State {
	case query.StateNone:
		return markNone
	case query.StateFine:
		return markFine
	case query.ReasonLost:
		for _, l := range lossMarks {
			if c.Loss() < l.upTo {
				return l.mark
			}
		}
	}
	return reasonMark(c.State)
}

func reasonMark(reason query.Reason) coverageMark {
	for _, r := range reasonMarks {
		if r.reason == reason {
			return r.mark
		}
	}
	return markOther
}

// hostMark returns the mark of the collector in one step of so many hours: when
// it was not there, else what it lost. part says that it was for less than half
// of the step.
func hostMark(h *query.HostDigest, step int) (mark coverageMark, part bool) {
	half := uint64(step) * 3600e3 / 2
	if reason, down := longestGap(h.Down); down > 0 && reason != query.ReasonNoCapture {
		return reasonMark(reason), down < half
	} else if down > 0 && len(h.Up) == 0 {
		return reasonMark(reason), false
	}
	unstored := uint64(0)
	for _, s := range h.Unstored {
		unstored += s.Length()
	}
	switch {
	case unstored > 0 || h.NotStored > 0:
		return reasonMark(query.ReasonUnstored), unstored < half
	case h.Behind > h.Kernel-h.Behind:
		return reasonMark(query.ReasonBehind), false
	case h.Kernel > 0:
		return reasonMark(query.ReasonKernel), false
	case h.Purged > 0:
		return reasonMark(query.ReasonPurged), true
	case h.Ledgers == 0 && len(h.Up) == 0:
		return markNone, false
	case h.Imported:
		return markImport, false
	}
	return markFine, false
}

// longestGap returns the reason of the longest gap, and how long all of them are
// together, in ms.
func longestGap(gaps []query.Gap) (reason query.Reason, all uint64) {
	longest := uint64(0)
	for _, g := range gaps {
		n := uint64(max(g.To, g.From) - g.From)
		if all += n; n > longest {
			longest, reason = n, g.Reason
		}
	}
	return reason, all
}
