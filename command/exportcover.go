package command

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
	"unicode/utf8"
)

// coverName is the cover sheet of a disclosure.
const coverName = "cover.html"

//go:embed exportcover.html
var coverText string

// Bounds of what the cover sheet says, in characters: all of it has room on one
// page. What is longer is cut, and the manifest has it in full. The page cuts off
// what a text of wide letters would still make too long.
const (
	coverLine       = 100 // references, names
	coverBasis      = 320
	coverFilter     = 180
	coverSentence   = 220
	coverSentences  = 7
	coverFiles      = 3
	coverExporters  = 4
	coverInManifest = " … (in full in manifest.json)"
)

// A coverSheet is what cover.html says.
type coverSheet struct {
	Reference, Case, Basis string
	Made, By, Weir         string
	Filter, Exporter       string
	From, To               string
	Columns                string
	Rows, Sources          string
	Statement              []string
	Files                  []packageFile
	MoreFiles              int
	Manifest               string // SHA-256
}

// coverPage returns the cover sheet of a disclosure. It is made of the manifest
// alone.
func coverPage(m *manifest, manifestSum string) ([]byte, error) {
	page, err := template.New("cover").Parse(coverText)
	if err != nil {
		return nil, err
	}
	d := m.Disclosure
	s := coverSheet{
		Reference: cut(d.Reference, coverLine), Case: cut(m.Case, coverLine), Basis: cut(d.LegalBasis, coverBasis),
		Made: m.Made, By: cut(coverWho(m), coverLine), Weir: m.Weir,
		Filter: cut(m.Asked.Filter, coverFilter), Exporter: cut(m.Asked.Exporter, coverLine), From: m.Asked.From, To: m.Asked.To,
		Rows: plural(m.Rows, "record"), Sources: coverSources(m), Manifest: manifestSum,
	}
	if all := len(fieldNames()); len(m.Columns) < all {
		s.Columns = fmt.Sprintf("%d of the columns that there are", len(m.Columns))
	} else {
		s.Columns = "every column that there is"
	}
	for i, sentence := range d.Statement {
		if i == coverSentences-1 && len(d.Statement) > coverSentences {
			s.Statement = append(s.Statement, fmt.Sprintf("%d more statements are in manifest.json.", len(d.Statement)-i))
			break
		}
		s.Statement = append(s.Statement, cut(sentence, coverSentence))
	}
	s.Files = m.Files
	if len(s.Files) > coverFiles {
		s.Files, s.MoreFiles = s.Files[:coverFiles], len(m.Files)-coverFiles
	}
	var out bytes.Buffer
	if err := page.Execute(&out, s); err != nil {
		return nil, fmt.Errorf("write the cover sheet: %w", err)
	}
	return out.Bytes(), nil
}

// coverWho says who made a package.
func coverWho(m *manifest) string {
	if m.By.Login != "" {
		return m.By.Login + " (as " + m.By.User + ")"
	}
	return m.By.User
}

// coverSources says which devices the records are of.
func coverSources(m *manifest) string {
	if len(m.Exporters) == 0 {
		return "none"
	}
	var words []string
	for _, e := range m.Exporters[:min(len(m.Exporters), coverExporters)] {
		name := e.Exporter
		if name == "" {
			name = "unknown"
		}
		words = append(words, fmt.Sprintf("%s (%d)", name, e.Records))
	}
	if more := len(m.Exporters) - len(words); more > 0 || m.Others > 0 {
		words = append(words, "more in manifest.json")
	}
	return strings.Join(words, ", ")
}

// cut returns a text as one line of at most n characters.
func cut(text string, n int) string {
	text = printable(strings.Join(strings.Fields(text), " "))
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-utf8.RuneCountInString(coverInManifest)]) + coverInManifest
}
