package command

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/flow"
	"weir/query"
)

// defaultPeers is how many rows weir peers prints, tablePorts how many ports a
// row of its table has.
const (
	defaultPeers = 20
	tablePorts   = 3
)

func peersCommand() *command {
	return &command{
		name:  "peers",
		usage: "who an address talked to, both directions joined",
		args:  "ADDR [FILTER]",
		about: `
Joins the flows from and to ADDR by the address at the other end: bytes and packets out (sent by ADDR) and in, flows,
the first start and the last end, and the ports. Of the two ports of a flow the lower one counts, which is nearly
always the server's; one of ADDR itself is marked "own". A record that counts both directions (RFC 5103) is divided.
Sampled records are multiplied by their interval, with the margin that the truth is within, 95 times in 100 (±); --raw
sums what was exported. FILTER is as for weir query and narrows the flows.

` + windowHelp,
		flags: slices.Concat([]cli.Flag{
			dataFlag(), outputFlag(),
			&cli.StringFlag{Name: "by", Usage: "sort by `KEY`: " + strings.Join(query.PeerOrders, ", "), DefaultText: "bytes"},
			limitFlag("at most `N` peers; 0 is no limit", strconv.Itoa(defaultPeers)),
			namesFlag(), exporterFlag(), filterFileFlag(), quietFlag(), timingFlag(), coverageFlag(),
		}, sumFlags(), namingFlags(), windowFlags()),
		examples: []example{
			{"weir peers 192.0.2.7 --last 1d", "who this host exchanged most with"},
			{"weir peers 192.0.2.7 'port 443' --by last -n 5 --last 90d", "its latest peers on one port"},
			{"weir peers 2001:db8::7 -n 0 -o csv --last 7d", "all of them, for a spreadsheet"},
		},
		words: filterAndFields,
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			o, err := peersFlags(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runPeers(ctx, std, o) }, nil
		},
	}
}

// peersOptions are the options of weir peers.
type peersOptions struct {
	place
	request query.PeersRequest
	format  string
	names   bool
}

func peersFlags(c *cli.Context, std *Std) (o peersOptions, err error) {
	if o.place, err = placeOf(c, std); err != nil {
		return o, err
	}
	if o.format, err = outputFormat(c); err != nil {
		return o, err
	}
	if c.NArg() == 0 {
		return o, usagef("name the address whose peers are asked for").withHint("try: weir peers 192.0.2.7 --last 1d")
	}
	if o.request.Addr, err = address(c.Args().First()); err != nil {
		return o, err
	}
	if o.request.By = cmp.Or(c.String("by"), "bytes"); c.IsSet("by") {
		if err := oneOf("--by", o.request.By, query.PeerOrders); err != nil {
			return o, err
		}
	}
	if o.request.Limit, err = limit(c, defaultPeers); err != nil {
		return o, err
	}
	if o.request.Window, err = window(c, std); err != nil {
		return o, err
	}
	o.request.Raw, o.request.Dedup = c.Bool("raw"), c.Bool("dedup")
	if o.request.Exporter, err = exporterText(c); err != nil {
		return o, err
	}
	o.names = c.Bool("names")
	o.request.Filter, err = filterText(c, std, 1)
	return o, err
}

// address returns the usual form of a single address.
func address(text string) (string, error) {
	a, err := flow.ParseAddr(strings.TrimSpace(text))
	switch {
	case err == nil:
		return a.String(), nil
	case strings.Contains(text, "/"):
		return "", usagef("%q is a network, not an address", text).withHint("for networks: weir top addr 'net %s'", text)
	}
	return "", usagef("%q is not an IPv4 or IPv6 address", text)
}

func runPeers(ctx context.Context, std *Std, o peersOptions) error {
	return question(ctx, std, o.place, o.request.Window, o.format,
		func(ctx context.Context, b backend) (*query.PeersResult, query.Summary, error) {
			return b.Peers(ctx, o.request)
		},
		func(out *streamWriter, r *query.PeersResult, s query.Summary) error {
			if err := writePeers(out, o.format, r, o.names, std.color()); err != nil {
				return err
			}
			if len(r.Peers) < r.Count {
				fmt.Fprintf(std.Err, "weir: %d of %d peers; -n 0 prints all\n", len(r.Peers), r.Count)
			}
			noteSums(std, s, o.request.Raw)
			return nil
		})
}

// writePeers writes the peers in a format.
func writePeers(out *streamWriter, format string, r *query.PeersResult, names, color bool) error {
	switch format {
	case formatJSON:
		for _, p := range r.Peers {
			m := peerMargins(p)
			if _, err := fmt.Fprintf(out, `{"addr":"%s","peer":"%s","flows":%d,"bytes_out":%d,"bytes_in":%d,"packets_out":%d,"packets_in":%d,"exported_bytes_out":%d,"exported_bytes_in":%d,"bytes_out_margin":%s,"bytes_in_margin":%s,"packets_out_margin":%s,"packets_in_margin":%s,"estimated":%v,"first":"%s","last":"%s","ports":%s,"more_ports":%v}`+"\n",
				r.Addr, p.Addr, p.Flows, p.BytesOut, p.BytesIn, p.PacketsOut, p.PacketsIn, p.Raw.BytesOut, p.Raw.BytesIn,
				jsonMargin(m[0]), jsonMargin(m[1]), jsonMargin(m[2]), jsonMargin(m[3]), p.IsEstimate(), rfc3339(p.First), rfc3339(p.Last),
				jsonPorts(p.Ports), p.MorePorts); err != nil {
				return err
			}
		}
		return nil
	case formatCSV:
		return peersCSV(out, r, names)
	}
	return peersTable(out, r, names, color)
}

// peerMargins returns the margins of bytes out, bytes in, packets out and
// packets in.
func peerMargins(p query.Peer) [4]float64 {
	bytesOut, packetsOut := p.VarianceOut.Margins()
	bytesIn, packetsIn := p.VarianceIn.Margins()
	return [4]float64{bytesOut, bytesIn, packetsOut, packetsIn}
}

// jsonPorts writes ports as a list.
func jsonPorts(ports []query.PeerPort) []byte {
	dst := []byte{'['}
	for i, p := range ports {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = fmt.Appendf(dst, `{"proto":%d,"port":%d,"own":%v,"flows":%d}`, p.Proto, p.Port, p.Mine, p.Flows)
	}
	return append(dst, ']')
}

func peersCSV(out *streamWriter, r *query.PeersResult, names bool) error {
	w := newCSV(out)
	if err := w.Write([]string{"addr", "peer", "flows", "bytes_out", "bytes_in", "packets_out", "packets_in", "exported_bytes_out", "exported_bytes_in", "first", "last", "ports",
		"bytes_out_margin", "bytes_in_margin", "packets_out_margin", "packets_in_margin"}); err != nil {
		return err
	}
	for _, p := range r.Peers {
		cells := []string{r.Addr, p.Addr}
		for _, n := range []uint64{p.Flows, p.BytesOut, p.BytesIn, p.PacketsOut, p.PacketsIn, p.Raw.BytesOut, p.Raw.BytesIn} {
			cells = append(cells, strconv.FormatUint(n, 10))
		}
		cells = append(cells, rfc3339(p.First), rfc3339(p.Last), portList(p.Ports, p.MorePorts, len(p.Ports), names))
		for _, m := range peerMargins(p) {
			cells = append(cells, csvMargin(m))
		}
		if err := w.Write(cells); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// portList writes the first so many ports, with names those of services; an
// ellipsis stands for the rest.
func portList(ports []query.PeerPort, more bool, most int, names bool) string {
	var words []string
	for i, p := range ports {
		if i == most {
			more = true
			break
		}
		word := portName(p.Proto, p.Port)
		if service := query.ServiceName(uint64(p.Port)); names && service != "" {
			word = protoName(uint64(p.Proto)) + "/" + service
		}
		if p.Mine {
			word = "own " + word
		}
		words = append(words, word)
	}
	if more {
		words = append(words, "...")
	}
	return strings.Join(words, ", ")
}

func peersTable(out *streamWriter, r *query.PeersResult, names, color bool) error {
	columns := []tableColumn{{name: "peer"}}
	margins := peerMargins(r.Total) != [4]float64{}
	for _, name := range []string{"bytes out", "bytes in", "packets out", "packets in"} {
		columns = append(columns, tableColumn{name: name, right: true})
		if margins {
			columns = append(columns, tableColumn{name: marginHead, right: true})
		}
	}
	columns = append(columns, tableColumn{name: "flows", right: true})
	t := newTable(out, append(columns, tableColumn{name: "first"}, tableColumn{name: "last"}, tableColumn{name: "ports"}), color)
	row := func(name string, p query.Peer) error {
		cells := []string{name}
		margin := peerMargins(p)
		for i, n := range []uint64{p.BytesOut, p.BytesIn, p.PacketsOut, p.PacketsIn} {
			cells = append(cells, humanCount(n))
			if margins {
				cells = append(cells, humanMargin(margin[i], n))
			}
		}
		return t.row(append(cells, humanCount(p.Flows), humanTime(p.First), humanTime(p.Last), portList(p.Ports, p.MorePorts, tablePorts, names)))
	}
	for _, p := range r.Peers {
		if err := row(p.Addr, p); err != nil {
			return err
		}
	}
	if r.Count > 1 {
		if err := row(fmt.Sprintf("all %d", r.Count), r.Total); err != nil {
			return err
		}
	}
	return t.finish()
}
