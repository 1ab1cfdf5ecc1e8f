package command

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/query"
)

// seenOrders are the keys of weir seen --by.
var seenOrders = []string{"addr", "first", "last", "records", "hours", "peers"}

func seenCommand() *command {
	return &command{
		name:  "seen",
		usage: "when and as what addresses were seen",
		args:  "ADDR... | @FILE...",
		about: fmt.Sprintf(`
For each address: the first start and the last end of its flows, in how many hours records of it were received, how
many records, how many distinct peers, and its roles: the ports at which it was a server and those of servers that it
used, most records first. Of the two ports of a flow the lower one is taken for the server's.

@FILE names a list: an address at the start of each line, # begins a comment, @- is standard input. Up to %d
addresses are looked up at once, through the index. Those never seen are counted on standard error and listed
only with --all. A number of peers after a ~ is an estimate.

--hours prints a calendar of each address instead: a row for each day, a column for each hour UTC, darker for more
records on a scale of powers of ten.

`, query.MaxSeenAddrs) + windowHelp,
		flags: append([]cli.Flag{
			dataFlag(), outputFlag(),
			&cli.BoolFlag{Name: "all", Usage: "list addresses that were never seen too"},
			&cli.BoolFlag{Name: "hours", Usage: "the records of each hour"},
			&cli.StringFlag{Name: "by", Usage: "sort by `KEY`: " + strings.Join(seenOrders, ", ") + "; all but addr with the largest or latest first, first with the earliest", DefaultText: "addr"},
			limitFlag("at most `N` addresses; 0 is no limit", "0"),
			quietFlag(), timingFlag(), coverageFlag(),
		}, windowFlags()...),
		examples: []example{
			{"weir seen 203.0.113.9 --last 90d", "did we ever see it, when, as what"},
			{"weir seen @c2.txt --last 90d --by first", "which of a list of addresses, the earliest first"},
			{"weir seen 192.0.2.7 2001:db8::7 --hours --last 14d", "at what times two hosts are active"},
			{"weir seen @c2.txt --all -o csv", "a row for every address of the list"},
		},
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			o, err := seenFlags(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runSeen(ctx, std, o) }, nil
		},
	}
}

// seenOptions are the options of weir seen. The lists are read when it runs.
type seenOptions struct {
	place
	args    []string
	request query.SeenRequest
	format  string
	all     bool
	by      string
	limit   int
}

func seenFlags(c *cli.Context, std *Std) (o seenOptions, err error) {
	if o.place, err = placeOf(c, std); err != nil {
		return o, err
	}
	if o.format, err = outputFormat(c); err != nil {
		return o, err
	}
	if o.args = c.Args().Slice(); len(o.args) == 0 {
		return o, usagef("name addresses, or a file of them after @").withHint("try: weir seen 203.0.113.9 --last 90d")
	}
	for _, arg := range o.args {
		if strings.HasPrefix(arg, "@") {
			continue
		}
		if _, err := address(arg); err != nil {
			return o, err
		}
	}
	if o.by = cmp.Or(c.String("by"), seenOrders[0]); c.IsSet("by") {
		if err := oneOf("--by", o.by, seenOrders); err != nil {
			return o, err
		}
	}
	if o.limit, err = limit(c, 0); err != nil {
		return o, err
	}
	o.all, o.request.Hours = c.Bool("all"), c.Bool("hours")
	if o.request.Hours && o.format == formatTable {
		o.quiet = false // a calendar's first line says whose it is
	}
	o.request.Window, err = window(c, std)
	return o, err
}

// addresses returns the addresses that arguments name, in their usual form.
func addresses(args []string, in io.Reader) ([]string, error) {
	var list []string
	for _, arg := range args {
		name, ok := strings.CutPrefix(arg, "@")
		if !ok {
			a, err := address(arg)
			if err != nil {
				return nil, err
			}
			list = append(list, a)
			continue
		}
		from, err := addressFile(name, in)
		if err != nil {
			return nil, err
		}
		list = append(list, from...)
		if len(list) > query.MaxSeenAddrs {
			return nil, usagef("%s: more than %d addresses", arg, query.MaxSeenAddrs).withHint("cut the list in parts")
		}
	}
	if len(list) == 0 {
		return nil, usagef("%s: no address in it", strings.Join(args, " "))
	}
	return list, nil
}

// addressFile reads a list of addresses; - is in.
func addressFile(name string, in io.Reader) ([]string, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, usagef("read the addresses: %v", err)
		}
		defer f.Close()
		in = f
	}
	var list []string
	scanner := bufio.NewScanner(in)
	for number := 1; scanner.Scan(); number++ {
		line, _, _ := strings.Cut(strings.TrimPrefix(scanner.Text(), "\ufeff"), "#")
		words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' || r == ';' || r == '\r' })
		if len(words) == 0 {
			continue
		}
		a, err := address(words[0])
		if err != nil {
			return nil, usagef("%s, line %d: %v", name, number, err)
		}
		if list = append(list, a); len(list) > query.MaxSeenAddrs {
			break
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, usagef("read the addresses: %s: %v", name, err)
	}
	return list, nil
}

func runSeen(ctx context.Context, std *Std, o seenOptions) (err error) {
	if o.request.Addrs, err = addresses(o.args, std.In); err != nil {
		return err
	}
	return question(ctx, std, o.place, o.request.Window, o.format,
		func(ctx context.Context, b backend) (*query.SeenResult, query.Summary, error) {
			return b.Seen(ctx, o.request)
		},
		func(out *streamWriter, r *query.SeenResult, s query.Summary) error {
			asked, seen := len(r.Addrs), arrangeSeen(r, o)
			if err := writeSeen(out, o, r, std); err != nil {
				return err
			}
			if asked > 1 || asked > seen {
				fmt.Fprintf(std.Err, "weir: %d of %d addresses were seen%s\n", seen, asked, unseenWorth(seen, asked, s.Coverage))
			}
			return nil
		})
}

// unseenWorth says what it is worth that some addresses were not seen, while
// others were. Where none was, the end of the answer says it.
func unseenWorth(seen, asked int, c *query.Coverage) string {
	if seen == 0 || seen == asked {
		return ""
	}
	worth := emptyWorth(c)
	switch {
	case worth != "":
	case c == nil || c.Ledgers == 0:
		worth = "how complete the window is, is not known"
	default:
		worth = "the window is not known to be complete, see coverage"
	}
	return "; of the others: " + worth
}

// arrangeSeen puts the entries in the order asked for, without those that are
// not to be listed, and returns how many were seen.
func arrangeSeen(r *query.SeenResult, o seenOptions) (seen int) {
	for _, e := range r.Addrs {
		if e.Records > 0 {
			seen++
		}
	}
	if !o.all {
		r.Addrs = slices.DeleteFunc(r.Addrs, func(e query.SeenEntry) bool { return e.Records == 0 })
	}
	rank := func(e query.SeenEntry) uint64 {
		switch o.by {
		case "first":
			return ^e.First
		case "last":
			return e.Last
		case "records":
			return e.Records
		case "hours":
			return uint64(e.Active)
		case "peers":
			return e.Peers
		}
		return 0
	}
	slices.SortStableFunc(r.Addrs, func(a, b query.SeenEntry) int {
		switch {
		case a.Records == 0 || b.Records == 0: // never seen: last
			return cmp.Compare(min(b.Records, 1), min(a.Records, 1))
		default:
			return cmp.Compare(rank(b), rank(a))
		}
	})
	if o.limit > 0 && len(r.Addrs) > o.limit {
		r.Addrs = r.Addrs[:o.limit]
	}
	return seen
}

// writeSeen writes the entries in a format.
func writeSeen(out *streamWriter, o seenOptions, r *query.SeenResult, std *Std) error {
	switch {
	case o.format == formatJSON:
		for _, e := range r.Addrs {
			if _, err := out.Write(append(seenJSON(e), '\n')); err != nil {
				return err
			}
		}
		return nil
	case o.format == formatCSV && o.request.Hours:
		return seenHoursCSV(out, r)
	case o.format == formatCSV:
		return seenCSV(out, r)
	case o.request.Hours:
		for i, e := range r.Addrs {
			if i > 0 {
				if _, err := io.WriteString(out, "\n"); err != nil {
					return err
				}
			}
			if err := writeCalendar(out, e, hasUnicode(std.Getenv)); err != nil {
				return err
			}
		}
		return nil
	}
	return seenTable(out, r, std.color())
}

// seenJSON writes an entry as one object.
func seenJSON(e query.SeenEntry) []byte {
	dst := fmt.Appendf(nil, `{"addr":"%s","records":%d`, e.Addr, e.Records)
	if e.Records > 0 {
		dst = fmt.Appendf(dst, `,"first":"%s","last":"%s"`, rfc3339(e.First), rfc3339(e.Last))
	} else {
		dst = append(dst, `,"first":null,"last":null`...)
	}
	dst = fmt.Appendf(dst, `,"hours_active":%d,"as_source":%d,"as_destination":%d,"peers":%d,"peers_estimated":%v,"server":%s,"client":%s,"more_ports":%v`,
		e.Active, e.AsSource, e.AsDestination, e.Peers, e.PeersEstimated, jsonSeenPorts(e.Server), jsonSeenPorts(e.Client), e.MorePorts)
	if e.Hours != nil {
		dst = append(dst, `,"hours":[`...)
		for i, h := range e.Hours {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = fmt.Appendf(dst, `{"start":"%s","records":%d}`, rfc3339(h.Start), h.Records)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func jsonSeenPorts(ports []query.SeenPort) []byte {
	dst := []byte{'['}
	for i, p := range ports {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = fmt.Appendf(dst, `{"proto":%d,"port":%d,"records":%d}`, p.Proto, p.Port, p.Records)
	}
	return append(dst, ']')
}

// seenPortList writes the first so many ports of a role.
func seenPortList(ports []query.SeenPort, most int) string {
	var words []string
	for _, p := range ports[:min(len(ports), most)] {
		words = append(words, portName(p.Proto, p.Port))
	}
	if len(ports) > most {
		words = append(words, "...")
	}
	return strings.Join(words, ", ")
}

func seenCSV(out *streamWriter, r *query.SeenResult) error {
	w := newCSV(out)
	if err := w.Write([]string{"addr", "first", "last", "hours_active", "records", "as_source", "as_destination", "peers", "peers_estimated", "server", "client"}); err != nil {
		return err
	}
	for _, e := range r.Addrs {
		cells := []string{e.Addr, "", ""}
		if e.Records > 0 {
			cells[1], cells[2] = rfc3339(e.First), rfc3339(e.Last)
		}
		for _, n := range []uint64{uint64(e.Active), e.Records, e.AsSource, e.AsDestination, e.Peers} {
			cells = append(cells, strconv.FormatUint(n, 10))
		}
		cells = append(cells, strconv.FormatBool(e.PeersEstimated), seenPortList(e.Server, len(e.Server)), seenPortList(e.Client, len(e.Client)))
		if err := w.Write(cells); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

func seenHoursCSV(out *streamWriter, r *query.SeenResult) error {
	w := newCSV(out)
	if err := w.Write([]string{"addr", "hour", "records"}); err != nil {
		return err
	}
	for _, e := range r.Addrs {
		if e.Records == 0 { // listed with --all
			if err := w.Write([]string{e.Addr, "", "0"}); err != nil {
				return err
			}
		}
		for _, h := range e.Hours {
			if err := w.Write([]string{e.Addr, rfc3339(h.Start), strconv.FormatUint(h.Records, 10)}); err != nil {
				return err
			}
		}
	}
	w.Flush()
	return w.Error()
}

func seenTable(out *streamWriter, r *query.SeenResult, color bool) error {
	columns := []tableColumn{{name: "addr"}, {name: "first"}, {name: "last"}}
	for _, name := range []string{"hours", "records", "sent", "received", "peers"} {
		columns = append(columns, tableColumn{name: name, right: true})
	}
	t := newTable(out, append(columns, tableColumn{name: "server at"}, tableColumn{name: "client of"}), color)
	for _, e := range r.Addrs {
		cells := []string{e.Addr, "never", ""}
		if e.Records > 0 {
			cells[1], cells[2] = humanTime(e.First), humanTime(e.Last)
		}
		for _, n := range []uint64{uint64(e.Active), e.Records, e.AsSource, e.AsDestination} {
			cells = append(cells, humanCount(n))
		}
		peers := humanCount(e.Peers)
		if e.PeersEstimated {
			peers = "~" + peers
		}
		cells = append(cells, peers, seenPortList(e.Server, tablePorts), seenPortList(e.Client, tablePorts))
		if err := t.row(cells); err != nil {
			return err
		}
	}
	return t.finish()
}
