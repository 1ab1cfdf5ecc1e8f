package command

import "io"

// forms are those of --output in which an answer that is one value is written.
type forms struct {
	value any                   // of JSON
	csv   func(io.Writer) error // with its head
	text  func(io.Writer) error // for people
}

// write writes the form that was asked for.
func (f forms) write(out io.Writer, format string) error {
	switch format {
	case formatJSON:
		_, err := out.Write(append(marshal(f.value), '\n'))
		return err
	case formatCSV:
		return f.csv(out)
	}
	return f.text(out)
}

// findingsCSV returns what writes findings, one a row.
func findingsCSV(findings []string) func(io.Writer) error {
	rows := [][]string{{"finding"}}
	for _, finding := range findings {
		rows = append(rows, []string{finding})
	}
	return func(out io.Writer) error { return newCSV(out).WriteAll(rows) }
}
