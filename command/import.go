package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v2"

	"weir/flow"
)

func importCommand() *command {
	return &command{
		name:  "import",
		usage: "store the export datagrams of capture files",
		args:  "FILE...",
		about: `
FILE is a capture (pcap or pcapng, also compressed by gzip) of NetFlow, IPFIX or sFlow datagrams on their way to a
collector; - is standard input. The receipt times are the capture's, and the files are read in the order given by one
decoder, so that a template in one serves the next. A collector that runs on the archive does the work; Ctrl-C stops
it and keeps what was stored so far, a crash all but the last ten seconds of it. Importing a file twice stores its
records twice.

Information elements that the archive keeps beside the fields of a flow are those of its last collector, or those under
keep: of --config FILE, which the archive keeps from then on. A collector that runs keeps what its own configuration says.`,
		flags: []cli.Flag{dataFlag(), outputFlag(),
			&cli.StringFlag{Name: "config", Usage: "take keep, exporters and data from `FILE` (YAML)"}},
		examples: []example{
			{"weir import exports.pcap", "a capture made by: tcpdump -i any -w exports.pcap udp port 2055"},
			{"weir import /captures/2026-11-22/*.pcap.gz --data /srv/weir", "a day of rotated captures"},
			{"weir import exports.pcap --config weir.yaml", "with the elements that keep: names as columns"},
			{"ssh router-tap cat exports.pcap | weir import -", "from standard input"},
		},
		words: func(int) []string { return []string{completeFiles} },
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			o := importOptions{files: c.Args().Slice()}
			var err error
			if o.dir, err = dataDir(c, std); err != nil {
				return nil, err
			}
			if o.format, err = outputFormat(c); err != nil {
				return nil, err
			}
			n, err := namingOf(c)
			if err != nil {
				return nil, err
			}
			if n.config.KeepSaid {
				o.wanted = append([]flow.KeptElement{}, n.config.Kept...) // not nil
			}
			if len(o.files) == 0 {
				return nil, usagef("name the capture files to import").withHint("- is standard input")
			}
			return func(ctx context.Context, std *Std) error { return runImport(ctx, std, o) }, nil
		},
	}
}

// importOptions are the options of weir import.
type importOptions struct {
	dir    string
	format string
	files  []string
	wanted []flow.KeptElement // under keep: of --config; nil: it says nothing
}

// An importResult says what became of captures.
type importResult struct {
	Files     int               `json:"files"`
	Datagrams uint64            `json:"datagrams"`
	Records   uint64            `json:"records"`
	Hours     []string          `json:"hours"` // those that got records, ascending
	Errors    map[string]uint64 `json:"errors"`
	Failed    []string          `json:"failed"`         // files that could not be read to their end, and why
	Stopped   bool              `json:"stopped"`        // interrupted; what is counted here is stored
	Old       int               `json:"old"`            // hours that are past the retention already
	Keep      string            `json:"keep,omitempty"` // the retention that Old means
}

// runImport stores the captures and says what became of them.
func runImport(ctx context.Context, std *Std, o importOptions) error {
	files := &fileCaptures{ctx: ctx, names: o.files, in: std.In}
	if err := files.check(); err != nil {
		return err
	}
	limitMemory(std.Getenv, systemMemory())
	b, err := openBackend(ctx, o.dir, modeCreate, std)
	if err != nil {
		return err
	}
	defer b.Close()
	if here, ours := b.(*audited); ours {
		here.wanted = o.wanted
	} else if o.wanted != nil {
		fmt.Fprintln(std.Err, "weir: a collector runs on the archive: its own configuration says which elements are kept, not keep: of --config")
	}
	finish := importProgress(std, files)
	result, err := b.Import(ctx, files)
	finish()
	if err != nil {
		return err
	}
	result.Stopped = result.Stopped || ctx.Err() != nil
	if err := writeImport(std, o.format, result); err != nil {
		return err
	}
	return importError(result)
}

// importProgress shows how much of the files was read, on a terminal. finish
// takes it away.
func importProgress(std *Std, files *fileCaptures) (finish func()) {
	if !std.ErrTerminal {
		return func() {}
	}
	size := files.size()
	bar := progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(std.Err), progressbar.OptionShowBytes(true), progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetDescription("importing"))
	read := int64(0)
	files.read = func(n int) {
		read += int64(n)
		if size > 0 && read >= size { // a full bar says it is done, but hours are still to be sealed
			bar.Describe("storing and sealing")
			n = 0
		}
		_ = bar.Add(n) // it is only a picture
	}
	return func() { _ = bar.Clear() }
}

// importError returns what the exit status must tell.
func importError(r *importResult) error {
	switch {
	case r.Stopped:
		return context.Canceled
	case len(r.Failed) > 0:
		return errors.New(strings.Join(r.Failed, "; "))
	}
	return nil
}

func writeImport(std *Std, format string, r *importResult) error {
	switch format {
	case formatJSON:
		_, err := std.Out.Write(append(marshal(r), '\n'))
		return err
	case formatCSV:
		w := newCSV(std.Out)
		return w.WriteAll([][]string{
			{"files", "datagrams", "records", "hours", "first_hour", "last_hour", "errors"},
			{fmt.Sprint(r.Files), fmt.Sprint(r.Datagrams), fmt.Sprint(r.Records), fmt.Sprint(len(r.Hours)),
				firstOf(r.Hours), lastOf(r.Hours), fmt.Sprint(r.errorCount())},
		})
	}
	return r.writeText(std.Out, std.Err)
}

func (r *importResult) writeText(out, note io.Writer) error {
	verb := "imported"
	if r.Stopped {
		verb = "interrupted; kept"
	}
	line := fmt.Sprintf("%s %s of %s in %s", verb, plural(r.Records, "record"), plural(r.Datagrams, "datagram"), plural(r.Files, "file"))
	switch len(r.Hours) {
	case 0:
	case 1:
		line += "; hour " + firstOf(r.Hours)
	default:
		line += fmt.Sprintf("; %d hours, %s to %s", len(r.Hours), firstOf(r.Hours), lastOf(r.Hours))
	}
	if _, err := fmt.Fprintln(out, line); err != nil {
		return err
	}
	if n := r.errorCount(); n > 0 {
		fmt.Fprintf(note, "weir: %s in the datagrams: %s\n", plural(n, "error"), countList(r.Errors))
	}
	if r.Old > 0 {
		fmt.Fprintf(note, "weir: %s past the retention of %s: weir collect will drop what is that old, unless its --retention is longer\n", plural(r.Old, "hour"), r.Keep)
	}
	if r.Records == 0 && len(r.Failed) == 0 && !r.Stopped {
		fmt.Fprintln(note, "weir: no flow record was found; the capture must hold UDP datagrams of NetFlow, IPFIX or sFlow, templates included")
	}
	return nil
}

func (r *importResult) errorCount() uint64 {
	var n uint64
	for _, count := range r.Errors {
		n += count
	}
	return n
}

// countList writes counts by name, the largest first.
func countList(counts map[string]uint64) string {
	names := make([]string, 0, len(counts))
	for name, n := range counts {
		if n > 0 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if counts[a] != counts[b] {
			if counts[a] > counts[b] {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = fmt.Sprintf("%s %d", name, counts[name])
	}
	return strings.Join(parts, ", ")
}

func firstOf(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

func lastOf(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1]
}
