package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/flow"
	"weir/query"
)

func queryCommand() *command {
	return &command{
		name:  "query",
		usage: "print the flows that match a filter",
		args:  "[FILTER]",
		about: `
FILTER is nfdump's filter language with additions, in one argument or several: [src|dst] ip A, net A/N, port N,
proto tcp, bytes > 1M, and, or, not, ( ), lists in [ ]. See docs/query.md. Without one, every flow matches.

Flows come in the order of their receipt and appear as they are found. In tables counts are rounded (1.23M is
1,230,000) and durations are in seconds; json and csv hold every field exactly, absent ones left out or empty.
Bytes and packets are as exported: not multiplied by the sampling interval, which has a field of its own.

Organisations (org), countries and AS are fields too: src_org, dst_org, src_country, src_asname, src_asn and so on. They
come from the collector's configuration, or from --config and --mmdb. --split-by org writes a file for each organisation.

` + windowHelp + `

Fields: ` + fieldList(fieldNames()),
		flags: slices.Concat([]cli.Flag{dataFlag()}, recordFlags(), []cli.Flag{
			limitFlag("at most `N` flows; 0 is no limit", "0"),
			&cli.StringFlag{Name: "order", Usage: "sort by `FIELD`: " + strings.Join(orders, ", ") + "; -FIELD or FIELD:desc for the largest first", DefaultText: "received"},
			&cli.StringFlag{Name: "split-by", Usage: "write a file for each organisation, of the flows of its own hosts, into --dir: `FIELD` is org"},
			&cli.StringFlag{Name: "dir", Usage: "write the files of --split-by to `DIR`, which is new or empty"},
			&cli.BoolFlag{Name: "count", Usage: "print only how many flows match, whatever --limit says"},
			dedupFlag(), exporterFlag(), filterFileFlag(), timingFlag(), coverageFlag(),
		}, windowFlags()),
		examples: []example{
			{"weir query 'ip 192.0.2.7' --last 2h", "what one host did in the last two hours"},
			{"weir query --from '2026-11-22 13:58' --to '2026-11-22 14:08' src ip 192.0.2.7", "what it sent around 14:03"},
			{"weir query 'proto udp and dst port 53 and not dst ip 192.0.2.53' --last 1d -o csv", "who asks other resolvers, for a spreadsheet"},
			{"weir query 'net 2001:db8::/32' --last 7d --order -bytes -n 20", "the twenty largest flows of a network"},
			{"weir query 'ip 203.0.113.9' --last 90d --count --coverage", "did it talk to us, and what is that answer worth"},
			{"weir query 'port in [ 22 3389 ]' --fields start,src_addr,dst_addr,bytes -o json", "chosen fields, one JSON object a line"},
			{"weir query 'ip 192.0.2.7' --last 1h --wide", "with interfaces, AS, next hop, NAT and the like"},
			{"weir query 'flags S and dst port 445' --last 1d --split-by org --dir alarms -o csv", "a file for each organisation that is concerned"},
			{"weir query 'as 786' --last 1h -o 'fmt:%ts %sap -> %dap %byt'", "a layout of nfdump's tokens"},
		},
		words: filterAndFields,
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			o, err := queryFlags(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runQuery(ctx, std, o) }, nil
		},
	}
}

// queryOptions are the options of weir query.
type queryOptions struct {
	dir     string
	request query.FlowsRequest
	recordOptions
	count   bool
	timing  bool
	covered bool   // say what the answer lacks in any case
	splitBy string // "" or one of splitFields
	dirOut  string // of the files of splitBy
}

func queryFlags(c *cli.Context, std *Std) (o queryOptions, err error) {
	if o.dir, err = dataDir(c, std); err != nil {
		return o, err
	}
	if o.recordOptions, err = recordOptionsOf(c); err != nil {
		return o, err
	}
	if o.request.Limit, err = limit(c, 0); err != nil {
		return o, err
	}
	if o.request.Order, err = order(c); err != nil {
		return o, err
	}
	if o.request.Exporter, err = exporterText(c); err != nil {
		return o, err
	}
	if o.request.Window, err = window(c, std); err != nil {
		return o, err
	}
	if o.request.Filter, err = filterText(c, std, 0); err != nil {
		return o, err
	}
	o.request.Dedup = c.Bool("dedup")
	o.count, o.timing, o.covered = c.Bool("count"), c.Bool("timing"), c.Bool("coverage")
	if o.request.Fields = neededFields(o.format, o.columns); o.names && o.request.Fields != nil {
		o.request.Fields = append(o.request.Fields, flow.Exporter.String()) // which names interfaces
	}
	return o, o.split(c)
}

// split reads the options of an answer in several files.
func (o *queryOptions) split(c *cli.Context) error {
	o.splitBy, o.dirOut = c.String("split-by"), c.String("dir")
	switch {
	case o.splitBy == "" && !c.IsSet("split-by") && !c.IsSet("dir"):
		return nil
	case o.splitBy == "":
		return usagef("--dir is where --split-by writes its files").withHint("try: --split-by org --dir out -o csv")
	case o.dirOut == "":
		return usagef("--split-by writes files").withHint("name a directory for them with --dir DIR")
	case o.count:
		return usagef("--count prints a number, and --split-by writes files").withHint("give one of them")
	case o.format != formatCSV && o.format != formatJSON:
		return usagef("--split-by writes csv or json").withHint("add -o csv or -o json")
	case o.quiet:
		return usagef("--quiet is for an answer on standard output: a file of --split-by names its columns")
	}
	return oneOf("--split-by", o.splitBy, splitFields)
}

// runQuery prints the flows that match.
func runQuery(ctx context.Context, std *Std, o queryOptions) error {
	b, err := openBackend(ctx, o.dir, modeRead, std)
	if err != nil {
		return err
	}
	defer b.Close()
	return answerQuery(ctx, std, b, o)
}

// answerQuery prints the flows of an archive that match.
func answerQuery(ctx context.Context, std *Std, b backend, o queryOptions) error {
	if o.splitBy != "" {
		return runSplit(ctx, std, b, o)
	}
	if o.count {
		return runCount(ctx, std, b, o)
	}
	wait := startProgress(std)
	defer wait.end()
	out := newStream(wait.guard(std.Out, std.OutTerminal), nil)
	defer out.Close()
	w, err := o.writer(ctx, b, out, std.color(), false)
	if err != nil {
		return err
	}
	summary, err := b.Flows(wait.watched(ctx), o.request, w.record)
	if finishErr := w.finish(); err == nil {
		err = finishErr
	}
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	wait.end()
	if err != nil {
		return quietPipe(err)
	}
	noteFolded(std, summary)
	if o.timing {
		noteTiming(std, summary)
	}
	return conclude(std, ending{o.request.Window, o.format, o.covered}, summary)
}

// runCount prints how many flows match.
func runCount(ctx context.Context, std *Std, b backend, o queryOptions) error {
	wait := startProgress(std)
	defer wait.end()
	result, summary, err := b.Top(wait.watched(ctx), query.TopRequest{
		Filter: o.request.Filter, Window: o.request.Window, Exporter: o.request.Exporter, By: "flows",
		Dedup: o.request.Dedup, CountOnly: o.format != formatJSON && o.format != formatCSV,
	})
	wait.end()
	if err != nil {
		return err
	}
	if err := writeCount(std, o.format, o.quiet, result, summary); err != nil {
		return err
	}
	noteFolded(std, summary)
	if o.timing {
		noteTiming(std, summary)
	}
	summary.Sampling = query.Sampling{} // what is printed is not multiplied
	return conclude(std, ending{o.request.Window, o.format, o.covered}, summary)
}

func writeCount(std *Std, format string, quiet bool, result *query.TopResult, s query.Summary) error {
	var err error
	switch t := result.Total; format {
	case formatJSON:
		_, err = fmt.Fprintf(std.Out, `{"records":%d,"flows":%d,"packets":%d,"bytes":%d,"folded":%d}`+"\n", t.Records, t.Flows, t.Packets, t.Bytes, s.Folded)
	case formatCSV:
		head := "records,flows,packets,bytes,folded\r\n"
		if quiet {
			head = ""
		}
		_, err = fmt.Fprintf(std.Out, head+"%d,%d,%d,%d,%d\r\n", t.Records, t.Flows, t.Packets, t.Bytes, s.Folded)
	default:
		_, err = fmt.Fprintf(std.Out, "%d\n", t.Records)
	}
	return err
}
