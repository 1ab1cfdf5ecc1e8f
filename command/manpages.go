package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/packaging"
)

func manPagesCommand() *command {
	return &command{
		name:   "man-pages",
		usage:  "write the manual pages, for who packages weir",
		args:   "DIR",
		hidden: true,
		about:  "Writes weir(1), a page for each command, and weir.yaml(5) into man1 and man5 in the directory DIR.",
		examples: []example{
			{"weir man-pages /usr/local/share/man", "beside a binary that was built by hand"},
		},
		words: func(int) []string { return []string{completeFiles} },
		prepare: func(c *cli.Context, _ *Std) (runner, error) {
			if c.NArg() != 1 {
				return nil, usagef("name the directory for the pages")
			}
			dir := c.Args().First()
			return func(context.Context, *Std) error { return writeManPages(dir) }, nil
		},
	}
}

// writeManPages writes every page into the directory of its section.
func writeManPages(dir string) error {
	for name, page := range manPages() {
		section := filepath.Join(dir, "man"+strings.TrimPrefix(filepath.Ext(name), "."))
		if err := os.MkdirAll(section, 0o755); err != nil {
			return fmt.Errorf("write the manual: %w", err)
		}
		if err := os.WriteFile(filepath.Join(section, name), []byte(page), 0o644); err != nil {
			return fmt.Errorf("write the manual: %w", err)
		}
	}
	return nil
}

// manPages returns the pages by file name. They are made of what help is made of.
func manPages() map[string]string {
	pages := map[string]string{}
	defs := commands()
	pages["weir.1"] = manProgram(defs)
	for _, d := range defs {
		if !d.hidden {
			pages["weir-"+d.name+".1"] = manCommand(d)
		}
	}
	pages["weir.yaml.5"] = manConfiguration(packaging.Configuration)
	return pages
}

// A manPage is the text of a page, in the macros of man(7).
type manPage struct{ strings.Builder }

// newManPage begins a page. It has no date: it is that of the version.
func newManPage(name, section, about string) *manPage {
	p := &manPage{}
	fmt.Fprintf(p, ".\\\" Made by weir man-pages.\n.TH %s %s \"\" \"weir %s\" \"weir\"\n", strings.ToUpper(name), section, version)
	p.heading("NAME")
	fmt.Fprintf(p, "%s \\- %s\n", manText(name), manText(about))
	return p
}

func (p *manPage) heading(text string) { fmt.Fprintf(p, ".SH %s\n", text) }

// term writes what is explained, in bold, and the explanation.
func (p *manPage) term(term, text string) {
	fmt.Fprintf(p, ".TP\n\\fB%s\\fR\n%s\n", manText(term), manLine(text))
}

// example writes lines as they are typed.
func (p *manPage) example(lines ...string) {
	p.WriteString(".PP\n.RS 4\n.nf\n")
	for _, line := range lines {
		fmt.Fprintln(p, manLine(line))
	}
	p.WriteString(".fi\n.RE\n")
}

// manFullLine is from where on a line of help is one that had no room for more.
const manFullLine = 90

// paragraphs writes text as help has it: paragraphs, lists with their own line
// breaks, and indented lines that are examples.
func (p *manPage) paragraphs(text string) {
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		lines := strings.Split(strings.Trim(block, "\n"), "\n")
		if indented(lines) {
			p.example(unindent(lines)...)
			continue
		}
		p.WriteString(".PP\n")
		for i, line := range lines {
			// A line that is indented is an item, unless it goes on from a full one.
			if strings.HasPrefix(line, " ") && (i == 0 || len(lines[i-1]) < manFullLine) {
				p.WriteString(".br\n")
			}
			fmt.Fprintln(p, manLine(strings.TrimSpace(line)))
		}
	}
}

// indented reports whether every line begins with blanks.
func indented(lines []string) bool {
	for _, line := range lines {
		if !strings.HasPrefix(line, "  ") {
			return false
		}
	}
	return true
}

// unindent takes away the blanks that all lines begin with.
func unindent(lines []string) []string {
	least := len(lines[0])
	for _, line := range lines {
		least = min(least, len(line)-len(strings.TrimLeft(line, " ")))
	}
	var out []string
	for _, line := range lines {
		out = append(out, line[least:])
	}
	return out
}

// manText escapes what roff would take for something else.
func manText(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
}

// manLine escapes a line, whose first sign might make it a request.
func manLine(line string) string {
	text := manText(line)
	if strings.HasPrefix(text, ".") || text == "" {
		text = `\&` + text
	}
	return text
}

// manProgram is weir(1).
func manProgram(defs []*command) string {
	p := newManPage("weir", "1", "flow archive: collect, keep and ask flow records")
	p.heading("SYNOPSIS")
	p.WriteString("\\fBweir\\fR \\fICOMMAND\\fR [\\fIFLAGS\\fR] [\\fIARGUMENTS\\fR]\n")
	p.heading("DESCRIPTION")
	p.paragraphs(`weir collects a network's flow records (NetFlow v5 and v9, IPFIX, sFlow v5), keeps them in a data directory, and answers
questions about them while it collects. A command asks the collector that runs on the directory, or opens the directory
itself if none runs.

Flags may stand before or after arguments; after -- nothing is a flag. Answers go to standard output and everything else
to standard error.`)
	p.heading("COMMANDS")
	for _, d := range defs {
		if !d.hidden {
			p.term("weir-"+d.name+"(1)", d.usage)
		}
	}
	p.heading("EXAMPLES")
	p.example("weir demo", "weir collect --config /etc/weir/weir.yaml", "weir query 'ip 192.0.2.7' --last 2h", "weir top dst_port --by bytes --last 1d")
	p.statuses()
	p.heading("ENVIRONMENT")
	p.term("WEIR_DATA", "the data directory, where --data is not given")
	p.term("GOMEMLIMIT", "the memory that the process aims at, where half of the machine's is not right")
	p.term("NO_COLOR", "no colours on a terminal")
	p.heading("FILES")
	p.term("/etc/weir/weir.yaml", "the configuration of the service, weir.yaml(5)")
	p.term("/var/lib/weir", "the archive of the service")
	p.term("weir.sock", "in the data directory: where the collector is asked")
	p.seeAlso("weir.yaml(5)", "nfdump(1)", "systemctl(1)")
	return p.String()
}

func (p *manPage) statuses() {
	p.heading("EXIT STATUS")
	for _, s := range exitStatuses {
		p.term(fmt.Sprint(s.status), s.about)
	}
}

func (p *manPage) seeAlso(pages ...string) {
	p.heading("SEE ALSO")
	for i, page := range pages {
		name, section, _ := strings.Cut(page, "(")
		end := ",\n"
		if i == len(pages)-1 {
			end = "\n"
		}
		fmt.Fprintf(p, "\\fB%s\\fR(%s%s", manText(name), section, end)
	}
	p.WriteString(".PP\nThe documents in /usr/share/doc/weir, of which operations.md is for who runs it and query.md for who asks.\n")
}

// manCommand is the page of a command.
func manCommand(d *command) string {
	p := newManPage("weir-"+d.name, "1", d.usage)
	p.heading("SYNOPSIS")
	p.synopsis("weir "+d.name, d)
	for _, sub := range d.commands {
		p.WriteString(".br\n")
		p.synopsis("weir "+d.name+" "+sub.name, sub)
	}
	p.heading("DESCRIPTION")
	if d.about == "" {
		p.paragraphs(strings.ToUpper(d.usage[:1]) + d.usage[1:] + ".")
	}
	p.paragraphs(d.about)
	p.options(d)
	p.examples(d)
	if len(d.commands) > 0 {
		p.heading("COMMANDS")
	}
	for _, sub := range d.commands {
		fmt.Fprintf(p, ".SS weir %s %s\n", manText(d.name), manText(sub.name))
		p.paragraphs(strings.ToUpper(sub.usage[:1]) + sub.usage[1:] + ".")
		p.paragraphs(sub.about)
		p.flags(sub)
		p.lines(sub)
	}
	p.statuses()
	p.seeAlso("weir(1)", "weir.yaml(5)")
	return p.String()
}

func (p *manPage) synopsis(name string, d *command) {
	fmt.Fprintf(p, "\\fB%s\\fR", manText(name))
	if len(d.flags) > 0 {
		p.WriteString(" [\\fIFLAGS\\fR]")
	}
	if d.args != "" {
		p.WriteString(" " + manText(d.args))
	}
	p.WriteString("\n")
}

func (p *manPage) options(d *command) {
	if len(d.flags) > 0 {
		p.heading("OPTIONS")
		p.flags(d)
	}
}

func (p *manPage) flags(d *command) {
	for _, f := range d.flags {
		head, text := flagHelp(f)
		p.term(strings.TrimSpace(head), text)
	}
}

func (p *manPage) examples(d *command) {
	if len(d.examples) > 0 {
		p.heading("EXAMPLES")
		p.lines(d)
	}
}

func (p *manPage) lines(d *command) {
	for _, e := range d.examples {
		fmt.Fprintf(p, ".PP\n%s:\n", manLine(strings.ToUpper(e.about[:1])+e.about[1:]))
		p.example(e.line)
	}
}

// manConfiguration is weir.yaml(5), made of the default configuration: there, a
// line of prose begins with "# ", and a key that is commented out with "#" alone.
func manConfiguration(text string) string {
	p := newManPage("weir.yaml", "5", "configuration of the weir collector")
	p.heading("SYNOPSIS")
	p.WriteString("/etc/weir/weir.yaml\n")
	p.heading("DESCRIPTION")
	p.paragraphs(`The file is YAML. Every key may be left out; a flag of weir collect with the same name goes before it. An unknown key, one
that is given twice and a value of the wrong kind are refused with their line. weir query and the other commands take
networks, exporters, mmdb and data from such a file with --config.

The collector reads the file at its start, and again when it gets the signal SIGHUP or weir-reload(1) is run. Keys that
need a restart say so.`)
	p.heading("KEYS")
	for _, block := range configurationBlocks(text) {
		p.WriteString(".TP\n")
		fmt.Fprintf(p, "\\fB%s\\fR\n", manText(block.key))
		for _, line := range block.prose {
			fmt.Fprintln(p, manLine(line))
		}
		p.WriteString(".RS\n")
		p.example(block.yaml...)
		p.WriteString(".RE\n")
	}
	p.seeAlso("weir-collect(1)", "weir-reload(1)")
	return p.String()
}

// A configurationBlock is a key of the default configuration with what is said
// of it.
type configurationBlock struct {
	key   string
	prose []string
	yaml  []string
}

// configurationBlocks takes the default configuration apart.
func configurationBlocks(text string) (blocks []configurationBlock) {
	for part := range strings.SplitSeq(text, "\n\n") {
		var b configurationBlock
		for line := range strings.Lines(part) {
			line = strings.TrimSuffix(line, "\n")
			if prose, ok := proseOf(line); ok {
				b.prose = append(b.prose, prose)
			} else if line = strings.TrimPrefix(line, "#"); line != "" {
				b.yaml = append(b.yaml, line)
			}
		}
		if len(b.yaml) > 0 { // else it is about the file
			b.key, _, _ = strings.Cut(b.yaml[0], ":")
			blocks = append(blocks, b)
		}
	}
	return blocks
}

// proseOf returns the prose of a line of the default configuration, if it is
// that.
func proseOf(line string) (string, bool) {
	prose, ok := strings.CutPrefix(line, "# ")
	return prose, ok && !strings.HasPrefix(prose, " ")
}

// uncommented returns the default configuration with every key in force.
func uncommented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if _, prose := proseOf(line); !prose {
			io.WriteString(&b, strings.TrimPrefix(line, "#"))
		}
	}
	return b.String()
}
