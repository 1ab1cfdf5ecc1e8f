package command

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

func exportersCommand() *command {
	return &command{
		name:  "exporters",
		usage: "who exports: rates, loss, sampling, clocks, and who is silent",
		args:  "[NAME|ADDR]",
		about: `
A row for each exporter that was heard in the last day and for each that is expected (as the configuration says), with
its rate now and over the day, the loss that its sequence numbers tell, the sampling interval, and how far the receipt of
its records is from the end of the flows (skew). One that is expected and was not heard for 15 minutes is marked. With
the name or an address of one, all that is known of it, the names of its interfaces included.

Without a collector the archive tells: the day is the last one that it has, and there is no rate of now. --history lists
dated events: first seen, templates and sampling changed, restarts, addresses changed. In json an exporter is one object,
with --interfaces and --history as lists in it.`,
		flags: []cli.Flag{
			dataFlag(), outputFlag(), timeoutFlag(),
			&cli.BoolFlag{Name: "history", Usage: "the dated history of exporters instead"},
			&cli.BoolFlag{Name: "interfaces", Usage: "the names of their interfaces instead"},
		},
		examples: []example{
			{"weir exporters", "all of them"},
			{"weir exporters 192.0.2.1", "all that is known of one, by name or address"},
			{"weir exporters --history", "what changed, and when"},
			{"weir exporters --interfaces -o csv", "what the numbers of interfaces mean"},
		},
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			o, err := exportersFlags(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runExporters(ctx, std, o) }, nil
		},
	}
}

// exportersOptions are the options of weir exporters.
type exportersOptions struct {
	dir                 string
	format              string
	one                 string // a name or an address; "": all
	history, interfaces bool
}

func exportersFlags(c *cli.Context, std *Std) (o exportersOptions, err error) {
	if o.dir, err = dataDir(c, std); err != nil {
		return o, err
	}
	if o.format, err = outputFormat(c); err != nil {
		return o, err
	}
	o.history, o.interfaces = c.Bool("history"), c.Bool("interfaces")
	if o.history && o.interfaces && o.format != formatJSON {
		return o, usagef("--history and --interfaces are two tables").withHint("give one of them, or -o json")
	}
	if c.NArg() > 1 {
		return o, usagef("weir exporters takes one name or address, got %q too", c.Args().Get(1))
	}
	o.one = c.Args().First()
	return o, nil
}

func runExporters(ctx context.Context, std *Std, o exportersOptions) error {
	b, err := openBackend(ctx, o.dir, modeRead, std)
	if err != nil {
		return err
	}
	defer b.Close()
	list, err := b.Exporters(ctx, exportersRequest{Details: o.one != "" || o.history || o.interfaces})
	if err != nil {
		return err
	}
	if err := list.only(o.one); err != nil {
		return err
	}
	if len(list.Exporters) == 0 {
		fmt.Fprintln(std.Err, "weir: nobody was heard in the last day, and nobody is expected")
	}
	out := newStream(std.Out, nil)
	defer out.Close()
	err = writeExporters(out, std, o, list)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return quietPipe(err)
	}
	if len(list.Damaged) > 0 {
		return &incompleteError{"the answer leaves out what is damaged: " + strings.Join(list.Damaged, "; ")}
	}
	return nil
}

// only keeps the exporter of a name or an address.
func (l *exporterList) only(one string) error {
	if one == "" {
		return nil
	}
	var labels []string
	addr, notAddr := netip.ParseAddr(one)
	for _, r := range l.Exporters {
		if strings.EqualFold(r.Name, one) || notAddr == nil && r.has(addr.Unmap()) {
			l.Exporters = []exporterReport{r}
			return nil
		}
		labels = append(labels, r.label())
	}
	e := usagef("no exporter %q was heard in the last day, and none of that name is expected", one)
	if near := nearest(one, labels); near != "" {
		return e.withHint("did you mean %q?", near)
	}
	return e.withHint("weir exporters lists them")
}

// has reports whether an address is one of the exporter's.
func (r *exporterReport) has(a netip.Addr) bool {
	if slices.Contains(r.Addresses, a.String()) {
		return true
	}
	return slices.ContainsFunc(r.Sources, func(source string) bool {
		p, err := parseNetip(source)
		return err == nil && p.Contains(a)
	})
}
