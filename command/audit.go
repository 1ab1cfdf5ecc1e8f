package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/query"
	"weir/retention/audit"
)

const (
	pathAudit       = "/audit"
	pathAuditVerify = "/audit/verify"
)

// defaultAuditLines is how many entries are listed when nothing else is said.
const defaultAuditLines = 50

func auditCommand() *command {
	return &command{
		name:  "audit",
		usage: "say who looked at what, and who changed what",
		args:  "[verify]",
		about: `
Every look at records (query, tail, top, series, seen, peers, stats, explain, export) and every act (collect, import, backup,
drops, repairs, keys of exports) leaves an entry before anything is given out or changed: who, when, with which filter and
window, what for (--case, --reason), and afterwards how many rows were given out. Lists the newest last. Entries are kept
three years unless the collector's configuration says otherwise, and can demand a case or a reason.`,
		flags: append([]cli.Flag{dataFlag(), outputFlag(), limitFlag("list the newest `N` entries, 0 for all", strconv.Itoa(defaultAuditLines)),
			&cli.StringFlag{Name: "user", Usage: "only what `USER` did, by name, number or login"},
			&cli.StringFlag{Name: "command", Usage: "only entries of this `COMMAND`: query, top, import, …"},
			&cli.StringFlag{Name: "for-case", Usage: "only entries under the case `REF`"}},
			auditWindowFlags()...),
		examples: []example{
			{"weir audit --last 7d", "who asked what in a week"},
			{"weir audit --for-case IR-2026-017 -n 0 -o csv", "all that was done under a case"},
			{"weir audit verify", "prove that no entry was changed, removed or moved"},
		},
		commands: []*command{auditVerifyCommand()},
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			o, err := auditFlags(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runAudit(ctx, std, o) }, noArgs(c)
		},
	}
}

func auditWindowFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "last", Usage: "entries of the last `SPAN` of time: 2h, 7d"},
		&cli.StringFlag{Name: "from", Usage: "entries from this `TIME` on"},
		&cli.StringFlag{Name: "to", Usage: "entries before this `TIME`"},
	}
}

func auditVerifyCommand() *command {
	return &command{
		name:  "verify",
		usage: "prove that the audit log is as it was written",
		about: `
Each entry carries the hash of the one before: an entry that was changed, removed or moved is named. That entries were
cut off the end cannot be seen from the log alone: note the head's hash elsewhere now and then, and give it with --head.
The exit status is 0 if the chain is whole, and 4 if it is not.`,
		flags: []cli.Flag{dataFlag(), outputFlag(),
			&cli.StringFlag{Name: "head", Usage: "a `HASH` that an earlier weir audit verify printed, which must still be in the chain"}},
		examples: []example{
			{"weir audit verify", "prints the head's hash"},
			{"weir audit verify --head 5f2c…", "and that nothing before it was taken away"},
		},
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			dir, format, err := archiveAndFormat(c, std)
			if err != nil {
				return nil, err
			}
			head := strings.ToLower(strings.TrimSpace(c.String("head")))
			return func(ctx context.Context, std *Std) error { return runAuditVerify(ctx, std, dir, format, head) }, noArgs(c)
		},
	}
}

// auditOptions are the options of weir audit.
type auditOptions struct {
	dir     string
	format  string
	request auditRequest
}

func auditFlags(c *cli.Context, std *Std) (o auditOptions, err error) {
	if o.dir, err = dataDir(c, std); err != nil {
		return o, err
	}
	if o.format, err = outputFormat(c); err != nil {
		return o, err
	}
	o.request = auditRequest{User: c.String("user"), Command: c.String("command"), Case: c.String("for-case")}
	if o.request.Limit, err = limit(c, defaultAuditLines); err != nil {
		return o, err
	}
	o.request.Window, err = windowOptions{c.String("last"), c.String("from"), c.String("to")}.window(std.Now())
	return o, err
}

// An auditRequest asks for entries.
type auditRequest struct {
	query.Window
	User    string `json:"user,omitempty"`
	Command string `json:"command,omitempty"`
	Case    string `json:"case,omitempty"`
	Limit   int    `json:"limit"` // the newest, 0: all
}

// An auditLine is an entry with what came of it.
type auditLine struct {
	audit.Entry
	Ended bool   `json:"ended"` // what was asked or done has ended; how, say rows and failed
	Hash  string `json:"hash"`
}

// wants reports whether the request is for e.
func (r *auditRequest) wants(e *audit.Entry) bool {
	at := epochMS(e.Time)
	return at >= r.From && (r.To == 0 || at < r.To) &&
		(r.User == "" || r.User == e.Who.User || r.User == e.Who.Login || r.User == strconv.Itoa(e.Who.UID)) &&
		(r.Command == "" || r.Command == e.Command) && (r.Case == "" || r.Case == e.Case)
}

// AuditEntries implements backend.
func (l *local) AuditEntries(ctx context.Context, req auditRequest) ([]auditLine, error) {
	var lines []auditLine
	at := map[uint64]int{} // index in lines, by number
	err := audit.New(l.store, l.now).Entries(0, func(e audit.Entry, hash string) error {
		if e.Kind == audit.KindAnswer {
			if i, ok := at[e.Of]; ok {
				lines[i].Ended, lines[i].Rows, lines[i].Failed = true, e.Rows, e.Failed
			}
			return ctx.Err()
		}
		if req.wants(&e) {
			at[e.Number] = len(lines)
			lines = append(lines, auditLine{Entry: e, Ended: e.Kind == audit.KindTrim || e.Kind == audit.KindNote, Hash: hash})
			if req.Limit > 0 && len(lines) >= 2*req.Limit {
				lines = slices.Clone(lines[len(lines)-req.Limit:])
				at = places(lines)
			}
		}
		return ctx.Err()
	})
	if req.Limit > 0 && len(lines) > req.Limit {
		lines = lines[len(lines)-req.Limit:]
	}
	return lines, err
}

// places returns where the lines of a list are, by their numbers.
func places(lines []auditLine) map[uint64]int {
	at := make(map[uint64]int, len(lines))
	for i := range lines {
		at[lines[i].Number] = i
	}
	return at
}

// VerifyAudit implements backend.
func (l *local) VerifyAudit(_ context.Context, head string) (*audit.Proof, error) {
	return audit.New(l.store, l.now).Verify(head)
}

// AuditEntries implements backend.
func (r *remote) AuditEntries(ctx context.Context, req auditRequest) (lines []auditLine, err error) {
	err = r.ask(ctx, pathAudit, req, &lines, nil)
	return lines, err
}

// VerifyAudit implements backend.
func (r *remote) VerifyAudit(ctx context.Context, head string) (*audit.Proof, error) {
	proof := new(audit.Proof)
	return proof, r.ask(ctx, pathAuditVerify, head, proof, nil)
}

// runAudit lists entries.
func runAudit(ctx context.Context, std *Std, o auditOptions) error {
	b, err := openBackend(ctx, o.dir, modeRead, std)
	if err != nil {
		return err
	}
	defer b.Close()
	lines, err := b.AuditEntries(ctx, o.request)
	if err != nil {
		return err
	}
	out := newStream(std.Out, nil)
	defer out.Close()
	switch o.format {
	case formatJSON:
		for _, line := range lines {
			if _, err := out.Write(append(marshal(line), '\n')); err != nil {
				return err
			}
		}
	case formatCSV:
		err = auditCSV(out, lines)
	default:
		err = auditTable(out, lines, std.color())
	}
	if err != nil {
		return err
	}
	return out.Close()
}

// auditColumns are the columns of the list as CSV.
var auditColumns = []string{"number", "time", "kind", "user", "uid", "login", "command", "filter", "from", "to", "detail", "rows", "failed", "case", "reason", "ended", "hash"}

// auditCSV writes entries as rows. What others have typed is on one line and
// moves no terminal's cursor; json has it as it was.
func auditCSV(out io.Writer, lines []auditLine) error {
	w := newCSV(out)
	if err := w.Write(auditColumns); err != nil {
		return err
	}
	for _, l := range lines {
		err := w.Write([]string{
			strconv.FormatUint(l.Number, 10), showTime(l.Time), l.Kind, oneLine(l.Who.User), strconv.Itoa(l.Who.UID), oneLine(l.Who.Login), oneLine(l.Command), oneLine(l.Filter),
			l.From, l.To, oneLine(l.Detail), strconv.FormatUint(l.Rows, 10), oneLine(l.Failed), oneLine(l.Case), oneLine(l.Reason), strconv.FormatBool(l.Ended), l.Hash,
		})
		if err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

func auditTable(out *streamWriter, lines []auditLine, color bool) error {
	t := newTable(out, []tableColumn{{name: "time"}, {name: "user"}, {name: "command"}, {name: "rows", right: true}, {name: "case"}, {name: "what"}}, color)
	for _, l := range lines {
		user := l.Who.User
		if l.Who.Login != "" {
			user = l.Who.Login + " as " + user
		}
		rows := humanCount(l.Rows)
		switch {
		case l.Failed != "":
			rows = "failed"
		case !l.Ended:
			rows = "?"
		}
		if err := t.row([]string{showTime(l.Time), oneLine(user), oneLine(l.Command), rows, oneLine(l.Case), oneLine(auditWhat(l))}); err != nil {
			return err
		}
	}
	return t.finish()
}

// oneLine returns what can be printed of a text that may have several lines.
func oneLine(text string) string { return printable(strings.ReplaceAll(text, "\n", " ")) }

// auditWhat says in words what an entry is about.
func auditWhat(l auditLine) string {
	var words []string
	if l.Filter != "" {
		words = append(words, l.Filter)
	}
	switch {
	case l.From != "" && l.To != "":
		words = append(words, l.From+" to "+l.To)
	case l.From != "":
		words = append(words, "since "+l.From)
	case l.To != "":
		words = append(words, "until "+l.To)
	}
	for _, word := range []string{l.Detail, l.Failed, l.Reason} {
		if word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, "; ")
}

// runAuditVerify proves the chain.
func runAuditVerify(ctx context.Context, std *Std, dir, format, head string) error {
	b, err := openBackend(ctx, dir, modeRead, std)
	if err != nil {
		return err
	}
	defer b.Close()
	proof, err := b.VerifyAudit(ctx, head)
	if err != nil {
		return err
	}
	text := func(w io.Writer) error { return auditProofText(w, proof) }
	err = forms{proof, findingsCSV(proof.Findings), text}.write(std.Out, format)
	if err != nil || proof.Whole() {
		return err
	}
	return &incompleteError{"the audit log is not as it was written"}
}

func auditProofText(w io.Writer, p *audit.Proof) error {
	for _, f := range p.Findings {
		if _, err := fmt.Fprintln(w, f); err != nil {
			return err
		}
	}
	if p.Last == 0 {
		_, err := fmt.Fprintln(w, "the audit log is empty")
		return err
	}
	verdict := "the chain is whole"
	if !p.Whole() {
		verdict = plural(len(p.Findings), "finding")
	}
	_, err := fmt.Fprintf(w, "entries %d to %d: %s\nhead %s\n", p.First, p.Last, verdict, p.Head)
	return err
}
