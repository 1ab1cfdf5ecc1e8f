package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

func holdCommand() *command {
	return &command{
		name:  holdName,
		usage: "keep what a case needs past its day",
		about: `
A hold keeps records of a window for a case until its own end, while everything else goes when retention says. With a
filter, the matching records are taken out of their hours on the day on which these are dropped; without one, the hours
stay whole. What is past retention is seen only by questions with --case REF: weir query --case REF without filter or
window shows what is held, with one of them asks the archive and what is held together.

A hold ends at --until, or by weir hold release: what it keeps is deleted then, bytes included. For its last fourteen
days the log, weir status and weir hold list say so. weir purge stops at what is held until it is told which of the two
wins. Every act is in weir audit.`,
		examples: []example{
			{"weir hold add --case IR-17 --from 2026-11-01 --to 2026-11-22 --filter 'ip 192.0.2.7' --until 3y", "one host's records"},
			{"weir hold list", "what must stay, and for how long"},
			{"weir query --case IR-17", "what is held, and what will be"},
			{"weir hold release --case IR-17 --yes", "the case is closed"},
		},
		commands: []*command{holdAdd(), holdList(), holdShow(), holdQuery(), holdExtend(), holdRelease()},
	}
}

// openHolding opens the archive for a command about holds.
func openHolding(ctx context.Context, dir string, mode openMode, std *Std) (holding, error) {
	b, err := openBackend(ctx, dir, mode, std)
	if err != nil {
		return nil, err
	}
	return b.(holding), nil // all backends but those of tests are
}

func holdAdd() *command {
	return &command{
		name:  "add",
		usage: "hold records, or whole hours, for a case",
		args:  "[FILTER]",
		about: `
Give the case, the whole window and the end. With a filter (or --exporter), only the records that match are held, with
the ledger of their hours, which says what is missing from them; names in it mean what they mean today. Without, whole
hours of receipt stay: those in the window and those with flows of it. A window may reach into the future. What
retention has dropped already cannot be held.

A case has one hold. --add adds another filter or window to it; all end together.

` + windowHelp,
		flags: slices.Concat([]cli.Flag{dataFlag(), outputFlag()}, namingFlags(), []cli.Flag{
			&cli.StringFlag{Name: "from", Usage: "start of the window, a `TIME`"},
			&cli.StringFlag{Name: "to", Usage: "end of the window, a `TIME`"},
			&cli.StringFlag{Name: "until", Usage: "when the hold ends, a `DATE` (its last moment) or a span from now: 2029-11-26, 3y, 156w"},
			&cli.StringFlag{Name: "filter", Usage: "hold only records that match `FILTER`"},
			exporterFlag(), filterFileFlag(),
			&cli.BoolFlag{Name: "add", Usage: "add to the hold that the case has"},
			timeoutFlag(),
		}),
		examples: []example{
			{"weir hold add --case IR-17 --from 2026-11-01 --to 2026-11-22 --filter 'ip 192.0.2.7' --until 2029-11-26", "one host's records"},
			{"weir hold add --case IR-18 --from '2026-11-21 22:00' --to '2026-11-22 04:00' --until 3y", "a night as it was, whole"},
			{"weir hold add --case IR-17 --add --from 2026-11-01 --to 2026-11-22 --filter 'net 198.51.100.0/24'", "and what else turned up"},
		},
		words: filterAndFields,
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			dir, format, req, err := holdAddFlags(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runHoldAdd(ctx, std, dir, format, req) }, nil
		},
	}
}

// holdAddFlags refuses what is not whole before anything is opened.
func holdAddFlags(c *cli.Context, std *Std) (dir, format string, req holdRequest, err error) {
	if dir, format, err = archiveAndFormat(c, std); err != nil {
		return dir, format, req, err
	}
	if err = checkHoldCase(strings.TrimSpace(c.String("case"))); err != nil {
		return dir, format, req, err
	}
	if !c.IsSet("from") || !c.IsSet("to") {
		return dir, format, req, usagef("the window is not whole").withHint("give --from and --to")
	}
	if req.Window, err = window(c, std); err != nil {
		return dir, format, req, err
	}
	req.More = c.Bool("add")
	switch {
	case c.IsSet("until"):
		until, err := parseUntil(c.String("until"), std.Now())
		if err != nil {
			return dir, format, req, prefixUsage("--until", err)
		}
		req.Until = epochMS(until)
	case !req.More:
		return dir, format, req, usagef("the hold has no end").withHint("add --until 2029-11-26, or a span such as --until 3y")
	}
	if req.Exporter, err = exporterText(c); err != nil {
		return dir, format, req, err
	}
	if req.Typed, req.Filter, err = holdFilter(c, std); err != nil {
		return dir, format, req, err
	}
	for _, flag := range []string{"exporter", "filter", "file"} {
		if c.IsSet(flag) && req.Exporter == "" && strings.TrimSpace(req.Filter) == "" {
			return dir, format, req, usagef("--%s is empty", flag).withHint("leave it out to hold whole hours")
		}
	}
	return dir, format, req, nil
}

// holdFilter returns the filter as it was given, and as the archive takes it.
func holdFilter(c *cli.Context, std *Std) (typed, filter string, err error) {
	if typed, err = rawFilter(c, std, 0); err != nil {
		return "", "", err
	}
	if named := strings.TrimSpace(c.String("filter")); named != "" && typed != "" {
		typed = "(" + named + "\n) and (" + typed + ")"
	} else if named != "" {
		typed = named
	}
	f, err := parseFilter(c, typed)
	if err != nil {
		return "", "", err
	}
	return typed, f.Resolved(), nil
}

func runHoldAdd(ctx context.Context, std *Std, dir, format string, req holdRequest) error {
	b, err := openHolding(ctx, dir, modeWrite, std)
	if err != nil {
		return err
	}
	defer b.Close()
	r, err := b.AddHold(ctx, req)
	if err != nil {
		return err
	}
	for _, note := range r.Notes {
		fmt.Fprintf(std.Err, "weir: %s\n", note)
	}
	return writeHolds(std, format, []holdReport{*r})
}

func holdList() *command {
	return &command{
		name:  "list",
		usage: "list the holds",
		about: `
One row for each case: what is held, until when, and what was taken out of hours that have gone. ! marks holds that end
within fourteen days.`,
		flags: []cli.Flag{dataFlag(), outputFlag()},
		examples: []example{
			{"weir hold list", "what must stay, and for how long"},
			{"weir hold list -o csv", "for a spreadsheet"},
		},
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			dir, format, err := archiveAndFormat(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runHoldList(ctx, std, dir, format) }, noArgs(c)
		},
	}
}

func runHoldList(ctx context.Context, std *Std, dir, format string) error {
	b, err := openHolding(ctx, dir, modeRead, std)
	if err != nil {
		return err
	}
	defer b.Close()
	list, err := b.Holds(ctx, false)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		fmt.Fprintln(std.Err, "weir: nothing is held; weir hold add makes a hold")
	}
	for i := range list {
		if r := &list[i]; r.soon(std.Now()) {
			fmt.Fprintf(std.Err, "weir: %s\n", r.lapseText(std.Now()))
		}
	}
	return writeHolds(std, format, list)
}

// holdCase lets the case of a hold be an argument as well as a flag.
func holdCase(c *cli.Context, arg bool) (string, error) {
	ref := strings.TrimSpace(c.String("case"))
	if arg && c.NArg() > 0 {
		given := strings.TrimSpace(c.Args().First())
		if c.NArg() > 1 || ref != "" && given != ref {
			return "", usagef("name one case")
		}
		ref = given
	}
	return ref, checkHoldCase(ref)
}

// holdFlags reads what a command about one hold has: its case may be an argument.
func holdFlags(c *cli.Context, std *Std) (dir, format, ref string, err error) {
	if dir, format, err = archiveAndFormat(c, std); err != nil {
		return dir, format, ref, err
	}
	ref, err = holdCase(c, true)
	return dir, format, ref, err
}

// forCase runs a command on behalf of a case.
func forCase(ref string, run runner) runner {
	return func(ctx context.Context, std *Std) error { return run(withCase(ctx, ref), std) }
}

func holdShow() *command {
	return &command{
		name:  "show",
		usage: "show what is held for a case",
		args:  "[REF]",
		about: `
Its scopes, its end, what was taken out so far by hour and exporter, what of the archive will be, and what the audit log
has about the case. It counts records, which takes time where they are many.`,
		flags: []cli.Flag{dataFlag(), outputFlag(), timeoutFlag()},
		examples: []example{
			{"weir hold show --case IR-17", "all that is known of it"},
			{"weir hold show IR-17 -o csv", "what was taken out, by hour and exporter"},
		},
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			dir, format, ref, err := holdFlags(c, std)
			if err != nil {
				return nil, err
			}
			return forCase(ref, func(ctx context.Context, std *Std) error { return runHoldShow(ctx, std, dir, format) }), nil
		},
	}
}

// holdAudit is how many entries of the audit log weir hold show has.
const holdAudit = 20

func runHoldShow(ctx context.Context, std *Std, dir, format string) error {
	b, err := openHolding(ctx, dir, modeRead, std)
	if err != nil {
		return err
	}
	defer b.Close()
	wait := startProgress(std)
	defer wait.end()
	r, err := b.Hold(wait.watched(ctx), true)
	wait.end()
	if err != nil {
		return err
	}
	trail, err := b.AuditEntries(ctx, auditRequest{Case: r.Case, Limit: holdAudit})
	if err != nil {
		return err
	}
	if err := writeHold(std, format, r, trail); err != nil {
		return err
	}
	if len(r.Damaged) > 0 {
		return &incompleteError{"damaged, and not held: " + strings.Join(r.Damaged, "; ")}
	}
	return nil
}

// holdQuery is weir query of the records of a hold.
func holdQuery() *command {
	q := queryCommand()
	q.usage = "print the flows that are held for a case"
	q.about = `
The same as weir query, of the records that the hold of --case is about, those still in the archive and those that were
taken out of it; a filter and a window narrow that down. See weir query --help for the filter and the fields.

` + windowHelp
	q.examples = []example{
		{"weir hold query --case IR-17", "all of them"},
		{"weir hold query --case IR-17 'dst port 443' -o csv", "some of them"},
	}
	q.prepare = func(c *cli.Context, std *Std) (runner, error) {
		o, err := queryFlags(c, std)
		if err != nil {
			return nil, err
		}
		ref, err := holdCase(c, false)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, std *Std) error { return runHoldQuery(ctx, std, o, ref) }, nil
	}
	return q
}

func runHoldQuery(ctx context.Context, std *Std, o queryOptions, ref string) error {
	b, err := openHolding(ctx, o.dir, modeRead, std)
	if err != nil {
		return err
	}
	defer b.Close()
	one, err := b.Hold(ctx, false)
	if err != nil {
		return err
	}
	w, some := heldWindow(o.request.Window, one.window())
	if !some {
		of := one.window()
		return usagef("the window has nothing of the hold of case %s, which is from %s to %s", ref, showMS(of.From), showMS(of.To))
	}
	o.request.Window = w
	switch held, asked := one.filter(), strings.TrimSpace(o.request.Filter); {
	case asked == "" || asked == "any":
		o.request.Filter = held
	case held != "":
		o.request.Filter = "(" + held + ") and (" + o.request.Filter + "\n)"
	}
	return answerQuery(ctx, std, b, o)
}

func holdExtend() *command {
	return &command{
		name:  "extend",
		usage: "move the end of a hold",
		about: "The new end is later than the one that the hold has; weir hold release ends a hold early.",
		flags: []cli.Flag{dataFlag(), outputFlag(),
			&cli.StringFlag{Name: "until", Usage: "when the hold ends, a `DATE` (its last moment) or a span from now: 2029-11-26, 3y, 156w"}},
		examples: []example{{"weir hold extend --case IR-17 --until 2030-05-31", "the case is not over"}},
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			dir, format, err := archiveAndFormat(c, std)
			if err != nil {
				return nil, err
			}
			if _, err := holdCase(c, false); err != nil {
				return nil, err
			}
			if !c.IsSet("until") {
				return nil, usagef("nothing says when the hold ends").withHint("add --until DATE")
			}
			until, err := parseUntil(c.String("until"), std.Now())
			if err != nil {
				return nil, prefixUsage("--until", err)
			}
			return func(ctx context.Context, std *Std) error {
				b, err := openHolding(ctx, dir, modeWrite, std)
				if err != nil {
					return err
				}
				defer b.Close()
				r, err := b.ExtendHold(ctx, epochMS(until))
				if err != nil {
					return err
				}
				return writeHolds(std, format, []holdReport{*r})
			}, noArgs(c)
		},
	}
}

func holdRelease() *command {
	return &command{
		name:  "release",
		usage: "end a hold, and delete what it keeps",
		args:  "[REF]",
		about: `
Says what would go, and deletes it once --yes is given or, on a terminal, the case reference is typed: the records that
were taken out, at once, and with the next look of the collector the hours past retention that stayed whole. Records
that are not past retention stay as long as all others. Backups that were made earlier still hold what is deleted.`,
		flags: []cli.Flag{dataFlag(), outputFlag(), &cli.BoolFlag{Name: "yes", Usage: "release, without being asked"}},
		examples: []example{
			{"weir hold release --case IR-17", "what would go"},
			{"weir hold release --case IR-17 --yes", "the case is closed"},
		},
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			dir, format, ref, err := holdFlags(c, std)
			if err != nil {
				return nil, err
			}
			yes := c.Bool("yes")
			return forCase(ref, func(ctx context.Context, std *Std) error { return runHoldRelease(ctx, std, dir, format, ref, yes) }), nil
		},
	}
}

func runHoldRelease(ctx context.Context, std *Std, dir, format, ref string, yes bool) error {
	b, err := openHolding(ctx, dir, modeWrite, std)
	if err != nil {
		return err
	}
	defer b.Close()
	r, err := b.Hold(ctx, false)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.Err, "weir: %s would go that were taken out of %s; hours that stay whole for it: %d; backups made earlier keep theirs\n",
		plural(r.Records, "record"), plural(r.Hours, "hour"), r.WholeHours)
	if !yes {
		if err := writeHolds(std, format, []holdReport{*r}); err != nil {
			return err
		}
		if !std.ErrTerminal {
			fmt.Fprintln(std.Err, "weir: nothing was released; --yes releases")
			return nil
		}
		if err := confirmCase(std, ref, "what it keeps", "released"); err != nil {
			return err
		}
	}
	gone, err := b.ReleaseHold(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.Err, "weir: released the hold of case %s: deleted %s; hours that stayed whole for it and are past retention go: %d at most\n",
		ref, plural(gone.Records, "record"), gone.WholeHours)
	if yes {
		return writeHolds(std, format, []holdReport{*gone})
	}
	return nil
}
