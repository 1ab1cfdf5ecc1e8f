package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

func helpCommand() *command {
	return &command{
		name:  "help",
		usage: "explain a command",
		args:  "[COMMAND]",
		words: func(int) []string { return names(commands()) },
		prepare: func(c *cli.Context, _ *Std) (runner, error) {
			defs := commands()
			in := &invocation{}
			for _, word := range c.Args().Slice() {
				if err := in.addWord(defs, word); err != nil {
					return nil, err
				}
			}
			if len(in.args) > 0 {
				return nil, usagef("weir %s has no command %q", in.name(), in.args[0])
			}
			return helpRunner(defs, in.path), nil
		},
	}
}

// helpRunner prints the help of the command at the end of path, or of the
// program.
func helpRunner(defs []*command, path []*command) runner {
	return func(_ context.Context, std *Std) error {
		var b strings.Builder
		if len(path) == 0 {
			writeOverview(&b, defs)
		} else {
			writeHelp(&b, path)
		}
		_, err := io.WriteString(std.Out, b.String())
		return err
	}
}

// writeOverview writes the program's help.
func writeOverview(w io.Writer, defs []*command) {
	fmt.Fprint(w, `weir keeps a network's flow records (NetFlow v5, v9, IPFIX, sFlow v5) and answers questions about them.

Usage: weir COMMAND [FLAGS] [ARGUMENTS]     flags may stand anywhere; -- ends them

Commands:
`)
	for _, d := range defs {
		if !d.hidden {
			fmt.Fprintf(w, "  %-12s %s\n", d.name, d.usage)
		}
	}
	fmt.Fprint(w, `
Start here:
  weir demo                                see it work, in ten seconds, with nothing else
  weir collect                             collect on UDP 2055 (NetFlow, IPFIX) and 6343 (sFlow) into ./weir-data
  weir query 'ip 192.0.2.7' --last 2h      the flows of one host
  weir top dst_port --by bytes --last 1d   what the traffic is
  weir COMMAND --help                      flags and examples of one command

`)
	writeStatuses(w)
}

// writeHelp writes the help of the command at the end of path.
func writeHelp(w io.Writer, path []*command) {
	d := path[len(path)-1]
	name := (&invocation{path: path}).name()
	fmt.Fprintf(w, "weir %s: %s\n\nUsage: weir %s", name, d.usage, name)
	if len(d.flags) > 0 {
		fmt.Fprint(w, " [FLAGS]")
	}
	if d.args != "" {
		fmt.Fprint(w, " ", d.args)
	}
	fmt.Fprintln(w)
	if d.about != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(d.about))
	}
	if len(d.commands) > 0 {
		fmt.Fprint(w, "\nCommands:\n")
		for _, sub := range d.commands {
			fmt.Fprintf(w, "  %-12s %s\n", sub.name, sub.usage)
		}
	}
	if len(d.flags) > 0 {
		fmt.Fprint(w, "\nFlags:\n")
		writeFlags(w, d.flags)
	}
	if len(d.examples) > 0 {
		fmt.Fprint(w, "\nExamples:\n")
		for _, e := range d.examples {
			fmt.Fprintf(w, "  %s\n      %s\n", e.line, e.about)
		}
	}
	fmt.Fprintln(w)
	writeStatuses(w)
}

// writeFlags writes a line for each flag.
func writeFlags(w io.Writer, flags []cli.Flag) {
	var heads, texts []string
	width := 0
	for _, f := range flags {
		head, text := flagHelp(f)
		heads, texts = append(heads, head), append(texts, text)
		width = max(width, len(head))
	}
	for i := range heads {
		text := wrap(texts[i], helpWidth-width-4, "\n"+strings.Repeat(" ", width+4))
		fmt.Fprintf(w, "  %-*s  %s\n", width, heads[i], text)
	}
}

// helpWidth is how wide help is at most, in columns.
const helpWidth = 118

// wrap puts sep in place of a space wherever a line would exceed width.
func wrap(text string, width int, sep string) string {
	var b strings.Builder
	line := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case line+1+len(word) > width:
			b.WriteString(sep)
			line = 0
		default:
			b.WriteByte(' ')
			line++
		}
		b.WriteString(word)
		line += len(word)
	}
	return b.String()
}

// flagHelp returns how a flag is written and what it does.
func flagHelp(f cli.Flag) (head, text string) {
	doc, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return "", ""
	}
	text = doc.GetUsage()
	value := ""
	if before, rest, found := strings.Cut(text, "`"); found {
		if inner, after, closed := strings.Cut(rest, "`"); closed {
			value, text = inner, before+inner+after
		}
	}
	short, long := "    ", ""
	for _, name := range flagNames(f) {
		if len(name) == 1 {
			short = "-" + name + ", "
		} else if long == "" {
			long = "--" + name
		}
	}
	head = short + long
	if value != "" {
		head += " " + value
	}
	if def, ok := f.(interface{ GetDefaultText() string }); ok && takesValue(f) && strings.Trim(def.GetDefaultText(), `"`) != "" {
		text += " (default " + strings.Trim(def.GetDefaultText(), `"`) + ")"
	}
	if m, ok := f.(cli.DocGenerationSliceFlag); ok && m.IsSliceFlag() {
		text += "; may be repeated"
	}
	return head, text
}

// writeStatuses writes the table of exit statuses.
func writeStatuses(w io.Writer) {
	fmt.Fprintln(w, "Exit status:")
	for _, s := range exitStatuses {
		fmt.Fprintf(w, "  %3d  %s\n", s.status, s.about)
	}
}
