package command

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"weir/flow"
	"weir/query"
)

// exportFormats are the values of --format.
var exportFormats = []string{formatCSV, formatJSON, formatParquet}

func exportCommand() *command {
	return &command{
		name:  "export",
		usage: "write a package of flows that leaves the house: records, manifest, hashes",
		args:  "[FILTER]",
		about: `
Writes the flows that match into the directory of -o, which must be new or empty: the records as CSV, as JSON (one object a
line) or as Parquet, a manifest that says what they are, what was asked for by whom, and how complete the answer is, and
the SHA-256 of every file. weir verify checks such a package anywhere. Without a manifest a package is not whole.
docs/export.md describes the files.

--anonymise crypto-pan gives every address another one and keeps prefixes: two addresses of a network are still of one
network. Its key is that of the --case, made at first use and kept in the archive (weir anon-keys), or that of --key-file.
--anonymise truncate/24,/56 keeps the first bits, 24 of IPv4 and 56 of IPv6. Both replace MAC addresses, exporters and
interfaces as well, and keep the filter out of the manifest. Ports, AS numbers, VLANs and volumes stay, and can give a
host away.

--statistics writes no records but their sums by fields, of groups of at least --min-hosts source addresses.

--disclosure is for a lawful notice: the records as they are, of an exact scope (a filter, --from and --to), with the
--legal-basis, a statement in plain words of how complete they are, and cover.html, one page to print and to sign.

` + windowHelp,
		flags: slices.Concat([]cli.Flag{dataFlag(),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the package to `DIR`, which is new or empty"},
			&cli.StringFlag{Name: "format", Usage: "`FORMAT` of the records: csv, json (one object a line) or parquet", DefaultText: formatCSV},
			&cli.StringFlag{Name: "fields", Usage: "only these `FIELDS`, separated by commas"},
			&cli.StringFlag{Name: "anonymise", Usage: "replace addresses by `METHOD`: crypto-pan, or truncate/24,/56"},
			&cli.StringFlag{Name: "side", Usage: "anonymise the addresses of `SIDE`: ours (those under networks:), theirs or both", DefaultText: sideBoth},
			&cli.StringFlag{Name: "key-file", Usage: "take the key of crypto-pan from `FILE`: 64 hexadecimal digits"},
			&cli.StringFlag{Name: "round", Usage: "round times down to a multiple of `SPAN`: 1m"},
			&cli.StringFlag{Name: "statistics", Usage: "sums by `FIELD[,FIELD]` in place of records"},
			&cli.StringFlag{Name: "min-hosts", Usage: "sum groups of fewer than `K` source addresses into one, called other", DefaultText: fmt.Sprint(defaultMinHosts)},
			exporterFlag(), filterFileFlag(), timingFlag(),
		}, disclosureFlags(), namingFlags(), windowFlags()),
		examples: []example{
			{"weir export 'ip 192.0.2.7' --last 2d -o ir-17 --case IR-17", "all flows of a host, for another team"},
			{"weir export 'net 192.0.2.0/24' --last 1d -o lab --anonymise crypto-pan --side ours --round 1m --case RES-4", "for a researcher: who our hosts are is hidden"},
			{"weir export --from 2026-11-22 --to 2026-11-22 -o day --anonymise truncate/24,/56 --format json", "a day, networks in place of hosts"},
			{"weir export 'proto udp and port 53' --last 7d -o dns --format parquet --fields start,src_addr,dst_addr,bytes", "for pandas or DuckDB"},
			{"weir export 'ip 192.0.2.7' --from 2026-11-01 --to 2026-11-03 -o n12 --disclosure '4 Js 12/26' --legal-basis 'order of …'", "for a lawful notice"},
			{"weir export --last 7d -o week --statistics proto,dst_port --min-hosts 10", "sums only, no group of fewer than ten hosts"},
		},
		words: filterAndFields,
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			o, err := exportFlags(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runExport(ctx, std, o) }, nil
		},
	}
}

// exportOptions are the options of weir export.
type exportOptions struct {
	dir     string
	out     string // the package's directory
	request query.FlowsRequest
	format  string
	columns []column // nil: every field
	anon    anonOptions
	sums    []string // fields of --statistics; nil: records
	hosts   int      // least number of a group

	disclosure *disclosure // nil: the package answers no notice
	timing     bool
	naming     *naming
}

func exportFlags(c *cli.Context, std *Std) (o exportOptions, err error) {
	if o.dir, err = dataDir(c, std); err != nil {
		return o, err
	}
	if o.out = c.String("output"); o.out == "" {
		return o, usagef("weir export writes a directory").withHint("name a new one with -o DIR")
	}
	if o.format = formatCSV; c.IsSet("format") {
		o.format = c.String("format")
	}
	if err = oneOf("--format", o.format, exportFormats); err != nil {
		return o, err
	}
	if c.IsSet("fields") {
		if o.columns, err = parseColumns(c, o.format, c.String("fields")); err != nil {
			return o, err
		}
	}
	if o.anon, err = anonFlags(c, o.columns); err != nil {
		return o, err
	}
	if o.naming, err = namingOf(c); err != nil {
		return o, err
	}
	o.timing = c.Bool("timing")
	if err = o.question(c, std); err != nil {
		return o, err
	}
	if o.disclosure, err = disclosureOf(c, std, &o.request); err != nil {
		return o, err
	}
	return o, o.statistics(c)
}

// question reads what is to be exported.
func (o *exportOptions) question(c *cli.Context, std *Std) (err error) {
	if o.request.Exporter, err = exporterText(c); err != nil {
		return err
	}
	if o.request.Window, err = window(c, std); err != nil {
		return err
	}
	if o.request.Filter, err = filterText(c, std, 0); err != nil {
		return err
	}
	if r := o.request; r.Filter == "" && r.Exporter == "" && r.Window == (query.Window{}) {
		return usagef("say what to export").withHint("give a filter, a window (--last, --from, --to) or an exporter; the filter any means every flow")
	}
	if o.request.Fields = neededFields(o.format, o.columns); o.request.Fields != nil {
		// What the manifest counts.
		o.request.Fields = append(o.request.Fields, flow.Exporter.String(), flow.SamplingInterval.String())
	}
	return nil
}

// statistics reads the options of sums in place of records.
func (o *exportOptions) statistics(c *cli.Context) (err error) {
	if !c.IsSet("statistics") {
		if c.IsSet("min-hosts") {
			return usagef("--min-hosts goes with --statistics")
		}
		return nil
	}
	for _, flag := range []string{"fields", "anonymise", "round", "format"} {
		if c.IsSet(flag) {
			return usagef("--statistics writes sums as CSV: it does not go with --%s", flag).
				withHint("address fields may have prefix lengths: src_addr/24/48")
		}
	}
	if o.hosts, err = count(c, "min-hosts", defaultMinHosts); err != nil {
		return err
	}
	if o.hosts < 1 {
		return usagef("--min-hosts: a group has at least 1 host")
	}
	o.sums, err = groupFields(c, c.String("statistics"))
	return err
}

// runExport writes a package.
func runExport(ctx context.Context, std *Std, o exportOptions) error {
	if _, err := checkNewDir(o.out); err != nil {
		return err
	}
	b, err := openBackend(ctx, o.dir, modeRead, std)
	if err != nil {
		return err
	}
	defer b.Close()
	// Nearly all memory is blocks that are read ahead, at once garbage: half as
	// much of it costs a tenth of the time.
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	if err := refusePast(ctx, b, o.request.Window); err != nil {
		return err
	}
	ctx = o.noted(ctx)
	hide, err := o.anon.open(ctx, std, o.naming, b)
	if err != nil {
		return err
	}
	if err := o.addKept(ctx, b); err != nil {
		return err
	}
	named := shape{columns: o.columns}
	if o.columns != nil {
		if named, err = shapeOf(ctx, o.naming, b, o.format, o.columns, false); err != nil {
			return err
		}
	}
	p, err := newPackage(o.out, std.Err)
	if err != nil {
		return err
	}
	e := &export{options: o, backend: b, pack: p, hide: hide, began: std.Now(), caller: callerOf(ctx)}
	wait := startProgress(std)
	defer wait.end()
	var summary query.Summary
	if o.sums == nil {
		summary, err = e.records(wait.watched(ctx), named.columns)
	} else {
		summary, err = e.statistics(wait.watched(ctx))
	}
	sum := ""
	if err == nil {
		sum, err = e.finish(ctx, summary)
	}
	wait.end()
	if err != nil {
		// Beside err, of which little is shown where Ctrl-C ends a command.
		fmt.Fprintf(std.Err, "weir: %s\n", p.abandon())
		return err
	}
	if err := e.report(std, sum); err != nil {
		return quietPipe(err)
	}
	if o.timing {
		noteTiming(std, summary)
	}
	return conclude(std, ending{o.request.Window, formatTable, true}, summary)
}

// addKept adds the kept elements to an export of all fields. Anonymised, it has no
// texts of theirs: they name hosts and people.
func (o *exportOptions) addKept(ctx context.Context, b backend) error {
	if o.sums != nil {
		return nil
	}
	kept, err := keptOf(ctx, b)
	if err != nil || o.columns != nil || len(kept.All()) == 0 {
		return err
	}
	o.columns = allColumns()
	for _, c := range keptColumns(kept) {
		if o.anon.method == "" || !c.field.IsText() {
			o.columns = append(o.columns, c)
		}
	}
	return nil
}

// refusePast refuses a window of which nothing can be left: the package would say
// that nothing was there.
func refusePast(ctx context.Context, b backend, w query.Window) error {
	if w.To == 0 {
		return nil
	}
	r, err := b.Retention(ctx)
	if err != nil {
		return err
	}
	if r.Status.Keep == 0 || w.To > epochMS(r.Status.Now.Add(-r.Status.Keep)) {
		return nil
	}
	buckets, err := b.Buckets(ctx)
	if err != nil || query.ExtentOf(buckets, w).InWindow {
		return err
	}
	return usagef("the window is past retention: it ends at %s, records are kept for %s, and none is left of it", showMS(w.To), keepText(r.Status.Keep)).
		withHint("weir buckets lists what there is")
}

// An export is a package being written.
type export struct {
	options exportOptions
	backend backend
	pack    *exportPackage
	hide    *anonymiser // nil: nothing is hidden
	began   time.Time
	caller  caller

	rows      uint64
	exporters map[flow.Addr]uint64 // records, as the package calls them
	others    uint64               // records of exporters past maxExporters
	sampling  query.Sampling
	folded    *foldedGroups // of statistics
	table     []exportColumn
}

// maxExporters bounds the exporters that a manifest names: senders can be
// forged.
const maxExporters = 1 << 16

// records writes the flows that match.
func (e *export) records(ctx context.Context, columns []column) (query.Summary, error) {
	name := map[string]string{formatCSV: "records.csv", formatJSON: "records.ndjson", formatParquet: "records.parquet"}
	file, err := e.pack.create(name[e.options.format])
	if err != nil {
		return query.Summary{}, err
	}
	w, err := newRecordWriter(e.options.format, file, columns, false, nil)
	if err != nil {
		return query.Summary{}, err
	}
	e.exporters = map[flow.Addr]uint64{}
	if e.table = schemaOf(columns, e.options.format); columns == nil {
		e.table = schemaOf(allColumns(), e.options.format)
	}
	summary, err := e.backend.Flows(ctx, e.options.request, func(r *flow.Record) error {
		if e.hide != nil {
			e.hide.record(r)
		}
		e.count(r)
		return w.record(r)
	})
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		return summary, err
	}
	return summary, file.finish(e.rows)
}

// count counts a record as it is in the package.
func (e *export) count(r *flow.Record) {
	e.rows++
	from := r.Addr(flow.Exporter)
	if n, known := e.exporters[from]; known || len(e.exporters) < maxExporters {
		e.exporters[from] = n + 1
	} else {
		e.others++
	}
	switch n := r.Num(flow.SamplingInterval); {
	case n == 0:
		e.sampling.Unknown++
	case n > 1:
		e.sampling.Sampled++
		e.interval(n)
	}
}

// interval notes a sampling interval, as query.Sampling has them.
func (e *export) interval(n uint64) {
	s := &e.sampling
	at, found := slices.BinarySearch(s.Intervals, n)
	if found {
		return
	}
	s.Intervals = slices.Insert(s.Intervals, at, n)
	if len(s.Intervals) > query.MaxIntervals {
		s.Intervals, s.More = s.Intervals[:query.MaxIntervals], true
	}
}

// finish writes what goes with the data and returns the manifest's hash.
func (e *export) finish(ctx context.Context, s query.Summary) (string, error) {
	m := e.manifest(s)
	m.Files = e.pack.files // what the readme lists
	readme, err := e.pack.create(readmeName)
	if err == nil {
		err = writeReadme(readme, m)
	}
	if err == nil {
		err = readme.finish(0)
	}
	if err != nil {
		return "", err
	}
	m.Files = e.pack.files
	return e.pack.seal(m, func(sum string) error { return e.note(ctx, sum) })
}

// report says what was written.
func (e *export) report(std *Std, sum string) error {
	what := "records"
	if e.options.sums != nil {
		what = "groups"
	}
	var size int64
	for _, f := range e.pack.files {
		size += f.Size
	}
	lines := []string{fmt.Sprintf("%s: %d %s, %s bytes", e.options.out, e.rows, what, humanCount(uint64(size)))}
	if e.hide != nil {
		lines = append(lines, "anonymised: "+strings.Join(e.hide.about().words(), "; "))
	}
	lines = append(lines, "manifest SHA-256 "+sum)
	_, err := fmt.Fprintln(std.Out, strings.Join(lines, "\n"))
	return err
}
