package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/flow"
	"weir/query"
)

// defaultData is the data directory when nothing says otherwise.
const defaultData = "./weir-data"

// outputFormats are the values of --output.
var outputFormats = []string{formatTable, formatJSON, formatCSV}

const (
	formatTable = "table"
	formatJSON  = "json"
	formatCSV   = "csv"
)

func dataFlag() cli.Flag {
	return &cli.StringFlag{Name: "data", Usage: "the archive is in `DIR`; also WEIR_DATA in the environment", DefaultText: defaultData}
}

func outputFlag() cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FORMAT` of the answer: table, json (one object a line) or csv", DefaultText: formatTable}
}

func limitFlag(about, def string) cli.Flag {
	return &cli.StringFlag{Name: "limit", Aliases: []string{"n"}, Usage: about, DefaultText: def}
}

// windowFlags are what all questions about a span of time have.
func windowFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "last", Usage: "the last `SPAN` of time: 30m, 2h, 7d"},
		&cli.StringFlag{Name: "from", Usage: "start of the window, a `TIME`"},
		&cli.StringFlag{Name: "to", Usage: "end of the window, a `TIME`"},
		timeoutFlag(),
	}
}

func exporterFlag() cli.Flag {
	return &cli.StringFlag{Name: "exporter", Usage: "only what `ADDR` exported, an address or prefix"}
}

func timingFlag() cli.Flag {
	return &cli.BoolFlag{Name: "timing", Usage: "say what was pruned and read, and how long it took"}
}

func filterFileFlag() cli.Flag {
	return &cli.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "read the filter from `FILE` (- is standard input)"}
}

// dataDir returns the data directory that flag, configuration, environment or
// default name.
func dataDir(c *cli.Context, std *Std) (string, error) {
	n, err := namingOf(c)
	if err != nil {
		return "", err
	}
	return dataDirOf(c, std, n.config)
}

// dataDirOf is dataDir with another configuration than that of --config.
func dataDirOf(c *cli.Context, std *Std, file *config) (string, error) {
	if !c.IsSet("data") {
		if file.Data != "" {
			return file.Data, nil
		}
		if dir := std.Getenv("WEIR_DATA"); dir != "" {
			return dir, nil
		}
		return defaultData, nil
	}
	if c.String("data") == "" {
		return "", usagef("--data is empty").withHint("name the archive's directory")
	}
	return c.String("data"), nil
}

// outputFormat returns the checked value of --output.
func outputFormat(c *cli.Context) (string, error) {
	format := c.String("output")
	if format == "" {
		return formatTable, nil
	}
	return format, oneOf("--output", format, outputFormats)
}

// archiveAndFormat returns the data directory and the checked value of --output:
// all that many commands about an archive ask of their flags.
func archiveAndFormat(c *cli.Context, std *Std) (dir, format string, err error) {
	if dir, err = dataDir(c, std); err != nil {
		return "", "", err
	}
	format, err = outputFormat(c)
	return dir, format, err
}

// oneOf checks that a flag's value is one of those it takes.
func oneOf(flag, value string, values []string) error {
	if slices.Contains(values, value) {
		return nil
	}
	e := usagef("%s: no %q", flag, value)
	if near := nearest(value, values); near != "" {
		return e.withHint("did you mean %q?", near)
	}
	return e.withHint("it is one of %s", strings.Join(values, ", "))
}

// limit returns the checked value of --limit, def if it was not given; 0 is no
// limit.
func limit(c *cli.Context, def int) (int, error) { return count(c, "limit", def) }

// count returns the value of a flag that takes a whole number from 0 on.
func count(c *cli.Context, flag string, def int) (int, error) {
	if !c.IsSet(flag) {
		return def, nil
	}
	n, err := strconv.ParseUint(c.String(flag), 10, 31)
	if err != nil {
		return 0, usagef("--%s: %q is not a whole number", flag, c.String(flag))
	}
	return int(n), nil
}

// window returns the window of the window flags.
func window(c *cli.Context, std *Std) (query.Window, error) {
	for _, name := range []string{"last", "from", "to"} {
		if c.IsSet(name) && c.String(name) == "" {
			return query.Window{}, usagef("--%s is empty", name)
		}
	}
	o := windowOptions{last: c.String("last"), from: c.String("from"), to: c.String("to")}
	return o.window(std.Now())
}

// maxFilterFile bounds the text of a filter, in bytes.
const maxFilterFile = 16 << 20

// filterText returns the filter that the arguments from first on spell, or that
// of the file -f names; with both, both must hold.
func filterText(c *cli.Context, std *Std, first int) (string, error) {
	text, err := rawFilter(c, std, first)
	if err != nil {
		return "", err
	}
	f, err := parseFilter(c, text)
	if err != nil {
		return "", err
	}
	return f.Resolved(), nil
}

// parseFilter parses a filter before anything is opened. The files that it
// names are this process's: the daemon gets the filter with their content, and
// with the addresses of what this process has names for.
func parseFilter(c *cli.Context, text string) (*query.Filter, error) {
	n, err := namingOf(c)
	if err != nil {
		return nil, err
	}
	o := filterOptions(n)
	o.Include = func(name string) (io.ReadCloser, error) { return os.Open(name) }
	f, err := query.Parse(text, o)
	var syntax *query.SyntaxError
	if errors.As(err, &syntax) {
		if kept, _ := keptIn(c); len(kept.All()) > 0 {
			o.Kept = kept
			f, err = query.Parse(text, o)
		}
	}
	if err != nil && !errors.As(err, &syntax) {
		return nil, usagef("filter: %v", err)
	}
	return f, err
}

// rawFilter returns the filter as it was given.
func rawFilter(c *cli.Context, std *Std, first int) (string, error) {
	words := c.Args().Slice()
	typed := strings.TrimSpace(strings.Join(words[min(first, len(words)):], " "))
	if !c.IsSet("file") {
		return typed, nil
	}
	text, err := readText(c.String("file"), std.In)
	if err != nil {
		return "", usagef("read the filter: %v", err)
	}
	text = strings.TrimSpace(text)
	switch {
	case typed == "":
		return text, nil
	case text == "":
		return typed, nil
	}
	return "(" + text + "\n) and (" + typed + ")", nil
}

// readText reads a bounded text file; - is in.
func readText(name string, in io.Reader) (string, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFilterFile+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxFilterFile {
		return "", fmt.Errorf("%s is over %d MB", name, maxFilterFile>>20)
	}
	return string(text), nil
}

// orders are the keys of --order.
var orders = []string{"received", "start", "end", "bytes", "packets", "duration"}

// orderWords are the values that completion offers for --order.
func orderWords() []string {
	list := append([]string{}, orders...)
	for _, key := range orders {
		list = append(list, "-"+key)
	}
	return list
}

// order returns the checked value of --order.
func order(c *cli.Context) (string, error) {
	if !c.IsSet("order") {
		return "", nil
	}
	text := c.String("order")
	if _, err := query.ParseOrder(text); err != nil {
		return "", usagef("--order: %v", err)
	}
	return text, nil
}

// fieldList is the names of fields as help lists them.
func fieldList(names []string) string {
	const width = 110
	var b strings.Builder
	line := len("Fields: ")
	for i, name := range names {
		switch {
		case line+1+len(name) > width:
			b.WriteString("\n        ")
			line = 8
		case i > 0:
			b.WriteByte(' ')
			line++
		}
		b.WriteString(name)
		line += len(name)
	}
	return b.String()
}

// fieldNames returns the names of the record's fields as answers show them: the
// MPLS label stack is one.
func fieldNames() []string {
	list := make([]string, 0, len(flow.JSONFields))
	for _, f := range flow.JSONFields {
		list = append(list, columnName(f))
	}
	return list
}

// groupFieldNames returns the names of the fields that flows are grouped by: each
// label of the MPLS stack has its own.
func groupFieldNames() []string {
	var list []string
	for _, f := range flow.JSONFields {
		last := f
		if f == flow.MPLSLabel1 {
			last = flow.MPLSLabel10
		}
		for ; f <= last; f++ {
			list = append(list, f.String())
		}
	}
	return list
}

// columnName is the name of field f as a column: the first MPLS label stands
// for the stack.
func columnName(f flow.Field) string {
	if f == flow.MPLSLabel1 {
		return "mpls_labels"
	}
	return f.String()
}
