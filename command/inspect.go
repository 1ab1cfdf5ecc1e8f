package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"weir/collector"
	"weir/flow"
)

// inspectName is the command that shows what exporters send.
const inspectName = "inspect"

// defaultInspected is how many records are shown of each template.
const defaultInspected = 3

// maxInspected bounds them, because they are held in memory until the end.
const maxInspected = 1000

func inspectCommand() *command {
	return &command{
		name:  inspectName,
		usage: "show what exporters send: templates, options, sampling, and what is wrong",
		args:  "FILE...",
		about: `
Decodes export datagrams and stores nothing. For each exporter, observation domain and version it shows the templates
with names and lengths of their elements and what weir keeps of them, options data, sampling, a few records of each
template, what sequence numbers tell, and what is wrong, with an example. FILE is a capture (pcap or pcapng, also
compressed by gzip); - is standard input. With --live it listens itself, until Ctrl-C or for the time of --for: on a
port of its own, or on the usual ones while no collector runs.

In the column "kept as" is the field of the flow record; "read" is an element that tells times, sampling, headers or
names and has no field of its own; "not kept" is passed over, unless keep: of the collector's configuration names it: then
it is a column. With --config FILE, keep: of that file counts. Names are those of IANA's registry as of ` + collector.RegistryDate + `, and
some of Cisco's; an element that has none here is shown by its number, enterprise/number where it is not IANA's.`,
		flags: []cli.Flag{
			&cli.BoolFlag{Name: "live", Usage: "listen for datagrams instead of reading FILE"},
			&cli.StringSliceFlag{Name: "listen", Usage: "with --live, listen on `URL`: netflow://HOST:PORT or sflow://HOST:PORT (default " + strings.Join(defaultListen(), ", ") + ")"},
			&cli.StringFlag{Name: "for", Usage: "with --live, listen for a `SPAN` of time: 30s, 5m", DefaultText: "until Ctrl-C"},
			&cli.StringFlag{Name: "exporter", Usage: "only what comes from `ADDR`"},
			&cli.StringFlag{Name: "config", Usage: "keep the elements under keep: of `FILE` (YAML)"},
			limitFlag("show `N` records of each template; 0 is none", strconv.Itoa(defaultInspected)),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FORMAT` of the answer: table or json (one object)", DefaultText: formatTable},
		},
		examples: []example{
			{"weir inspect exports.pcap", "a capture made by: tcpdump -i any -w exports.pcap udp port 2055"},
			{"weir inspect --live --listen netflow://:9995 --for 2m", "what a new router sends to a port of its own"},
			{"weir inspect exports.pcap --exporter 198.51.100.1 -n 0", "the templates of one exporter"},
			{"weir inspect exports.pcap --config weir.yaml", "what keep: of a configuration would get"},
			{"weir inspect exports.pcap -o json", "for a program"},
		},
		words: func(int) []string { return []string{completeFiles} },
		prepare: func(c *cli.Context, _ *Std) (runner, error) {
			o, err := inspectFlags(c)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runInspect(ctx, std, o) }, nil
		},
	}
}

// inspectOptions are the options of weir inspect; files or listen is set.
type inspectOptions struct {
	files    []string
	listen   []collector.Listen
	span     time.Duration // of listening; 0: until interrupted
	exporter netip.Addr    // the zero Addr: all
	shown    int           // records of each template
	format   string
	kept     *flow.Kept // elements of keep:; nil: none
}

func inspectFlags(c *cli.Context) (o inspectOptions, err error) {
	o.files = c.Args().Slice()
	switch live := c.Bool("live"); {
	case live && len(o.files) > 0:
		return o, usagef("either files or --live, not both")
	case !live && len(o.files) == 0:
		return o, usagef("name the capture files to inspect").withHint("- is standard input; --live listens")
	case !live && (c.IsSet("listen") || c.IsSet("for")):
		return o, usagef("--listen and --for go with --live")
	case live:
		if err := o.liveFlags(c); err != nil {
			return o, err
		}
	}
	if c.IsSet("exporter") {
		if o.exporter, err = netip.ParseAddr(c.String("exporter")); err != nil {
			return o, usagef("--exporter: %q is no address", c.String("exporter")).withHint("names are those of an archive; write the address")
		}
		o.exporter = o.exporter.Unmap()
	}
	if o.shown, err = limit(c, defaultInspected); err != nil {
		return o, err
	}
	if c.IsSet("config") {
		file, err := readConfig(c.String("config"))
		if err != nil {
			return o, err
		}
		list, err := assignSlots(nil, file.Kept, slotTimes{})
		if err != nil {
			return o, err
		}
		o.kept = flow.NewKept(list)
	}
	if o.shown > maxInspected {
		return o, usagef("--limit: at most %d records of each template", maxInspected).withHint("weir import and weir query show all")
	}
	if o.format = c.String("output"); o.format == "" {
		o.format = formatTable
	}
	return o, oneOf("--output", o.format, []string{formatTable, formatJSON})
}

func (o *inspectOptions) liveFlags(c *cli.Context) (err error) {
	urls := defaultListen()
	if c.IsSet("listen") {
		urls = c.StringSlice("listen")
	}
	if o.listen, err = parseListen(urls); err != nil {
		return err
	}
	if !c.IsSet("for") {
		return nil
	}
	if o.span, err = parseDuration(c.String("for")); err != nil {
		return prefixUsage("--for", err)
	}
	if o.span <= 0 {
		return usagef("--for: it must be longer than nothing").withHint("try: --for 30s")
	}
	return nil
}

// runInspect reads what there is and writes what was found, also when it was
// interrupted.
func runInspect(ctx context.Context, std *Std, o inspectOptions) error {
	limitMemory(std.Getenv, systemMemory())
	in := newInspector(o)
	var readErr error
	if len(o.listen) > 0 {
		readErr = in.listen(ctx, std, o)
	} else {
		readErr = in.read(ctx, std, o.files)
	}
	if in.datagrams == 0 && readErr != nil {
		return readErr
	}
	report, err := in.report()
	if err != nil {
		return errors.Join(readErr, err)
	}
	if o.format == formatJSON {
		_, err = std.Out.Write(append(marshal(report), '\n'))
	} else {
		err = writeInspection(std.Out, report)
	}
	if err != nil {
		return err
	}
	return readErr
}

// read takes in the captures.
func (in *inspector) read(ctx context.Context, std *Std, names []string) error {
	files := &fileCaptures{ctx: ctx, names: names, in: std.In}
	if err := files.check(); err != nil {
		return err
	}
	var failed []error
	for {
		name, r, err := files.Next()
		if name == "" && errors.Is(err, io.EOF) {
			return errors.Join(failed...)
		}
		if err == nil {
			err = collector.ReadCapture(r, func(d collector.Datagram) error {
				if ctx.Err() != nil {
					return errInterrupted
				}
				in.take(d.Time, d.Src, d.Payload)
				return nil
			})
		}
		if ctx.Err() != nil {
			return context.Canceled
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", name, err))
		}
	}
}

// listen takes in what comes, until the time is over or the user has seen
// enough: that is how it ends, and no failure.
func (in *inspector) listen(ctx context.Context, std *Std, o inspectOptions) error {
	if err := checkPorts(o.listen); err != nil {
		return err
	}
	r, err := collector.NewReceiver(collector.ReceiverOptions{Listen: o.listen, Logger: slog.New(slog.NewTextHandler(std.Err, nil))})
	if err != nil {
		return listenError(err)
	}
	for i, addr := range r.Addrs() {
		fmt.Fprintf(std.Err, "listening on %s\n", listenText(o.listen[i].Scheme, addr))
	}
	until := "Ctrl-C shows what came"
	if o.span > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.span)
		defer cancel()
		until = fmt.Sprintf("for %s; Ctrl-C shows at once what came", formatDuration(o.span))
	}
	fmt.Fprintln(std.Err, until)
	var mu sync.Mutex // one goroutine for each address
	err = r.Run(ctx, func(received time.Time, src netip.AddrPort, payload []byte) {
		mu.Lock()
		defer mu.Unlock()
		in.take(received, src, payload)
	})
	for _, d := range r.KernelDrops() {
		if d.Count > 0 {
			in.drops = append(in.drops, d)
		}
	}
	return err
}

// reasonMeanings say in words what the reasons of errors mean.
var reasonMeanings = map[collector.Reason]string{
	collector.ReasonVersion:          "no version that weir knows: something else sends to this port",
	collector.ReasonTruncated:        "the datagram ends before what it announces",
	collector.ReasonCount:            "the header announces more records than there are",
	collector.ReasonSetLength:        "the length of a set is impossible",
	collector.ReasonSetID:            "a set id that the protocol reserves",
	collector.ReasonTrailing:         "bytes follow after the end of the message",
	collector.ReasonTemplate:         "a template that cannot describe a record",
	collector.ReasonTemplateLimit:    "more templates than are kept of one exporter",
	collector.ReasonTemplateConflict: "two streams of the exporter use one template id for different layouts",
	collector.ReasonNoTemplate:       "data sets whose template never came: shorten the template timeout, or listen for longer",
	collector.ReasonRecord:           "a record runs over the end of its set: template and data disagree",
	collector.ReasonOptions:          "options data that cannot be read",
	collector.ReasonTime:             "a time before 1970 or after 9999, left out",
	collector.ReasonValue:            "a value wider than its field, left out",
	collector.ReasonNoFlow:           "records that describe no flow, not kept",
	collector.ReasonSample:           "an sFlow sample that cannot be read",
	collector.ReasonSampleFormat:     "an sFlow sample or record of an unknown format, passed over",
	collector.ReasonExporterLimit:    "more exporters than are remembered",
	collector.ReasonCut:              "texts of kept elements longer than is kept, of which the beginning is",
}

// meaningOf returns what a reason means, or its name.
func meaningOf(reason string) string {
	all := collector.Reasons()
	at := slices.IndexFunc(all, func(r collector.Reason) bool { return r.String() == reason })
	if at < 0 || reasonMeanings[all[at]] == "" {
		return reason
	}
	return reasonMeanings[all[at]]
}
