package command

import (
	"strings"

	"github.com/urfave/cli/v2"
)

func quietFlag() cli.Flag {
	return &cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no head line over the columns of a table, csv or layout"}
}

// headLines returns how many lines of an answer in a format come before its
// rows, of formats that are no layout.
func headLines(format string) int {
	if format == formatTable || format == formatCSV {
		return 1
	}
	return 0
}

// headLines returns the same for a layout: one, and as many more as its own line
// ends make.
func (l *layout) headLines() int {
	n := 1
	for _, p := range l.parts {
		if p.value == nil {
			n += strings.Count(p.text, "\n")
		}
	}
	return n
}
