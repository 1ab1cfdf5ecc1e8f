package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/index"
	"weir/query"
	"weir/retention/audit"
)

const pathCheck = "/check"

func checkCommand() *command {
	return &command{
		name:  "check",
		usage: "verify all that the archive holds",
		about: `
Reads every column of every block and compares it with its header, makes every index again from the records and
compares the two, compares what each ledger counts with the records that are there, and walks the chain of the audit log;
of what holds keep as well. It takes about a second for each million records, and goes on beside a collector. What is
damaged costs its own part only, and every answer that lacks it says so; the rest stays good.

--repair makes an index again that does not agree with its records, and takes out of an hour what is damaged: blocks of
records that still read stay, the ledger notes how many records of which exporter are lost, and files that do not read
are kept in the directory damaged. To have those records back, take their hour from a backup before.

The exit status is 0 if everything is sound, or could be made again; 4 if something is not, or if records had to be
given up, which the next check no longer says.`,
		flags: []cli.Flag{dataFlag(), outputFlag(),
			&cli.BoolFlag{Name: "repair", Usage: "make again what is derived from the records, and take out what is damaged"}},
		examples: []example{
			{"weir check", "all of ./weir-data, also while it collects"},
			{"weir check --repair", "and make wrong indexes again, and take out what is damaged"},
			{"weir check --data /backups/weir -o json", "a copy, for a program"},
		},
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			dir, format, err := archiveAndFormat(c, std)
			if err != nil {
				return nil, err
			}
			repair := c.Bool("repair")
			return func(ctx context.Context, std *Std) error { return runCheck(ctx, std, dir, format, repair) }, noArgs(c)
		},
	}
}

// runCheck verifies the archive and writes what it found.
func runCheck(ctx context.Context, std *Std, dir, format string, repair bool) error {
	mode := modeRead
	if repair {
		mode = modeWrite
	}
	b, err := openBackend(ctx, dir, mode, std)
	if err != nil {
		return err
	}
	defer b.Close()
	wait := startProgress(std)
	defer wait.end()
	found, err := b.Check(wait.watched(ctx), repair)
	wait.end()
	if err != nil {
		return err
	}
	err = forms{
		value: found,
		csv:   func(w io.Writer) error { return checkCSV(w, found) },
		text:  func(w io.Writer) error { return checkText(w, found) },
	}.write(std.Out, format)
	if err != nil || found.Sound() {
		return err
	}
	return &incompleteError{checkVerdict(found)}
}

func checkVerdict(r *index.Report) string {
	var words []string
	if n := len(r.Damaged); n > 0 {
		words = append(words, plural(n, "damaged part")+"; take their hours from a backup, or take them out with weir check --repair")
	}
	if n := len(r.Unbalanced); n > 0 {
		words = append(words, plural(n, "ledger")+" and the records beside it do not agree")
	}
	if n := len(r.Isolated); n > 0 {
		words = append(words, "records were given up in "+plural(n, "hour"))
	}
	if n := len(r.Stale) - len(r.Repaired); n > 0 {
		words = append(words, fmt.Sprintf("%d of what is derived from the records does not agree with them; weir check --repair makes it again", n))
	}
	return "the archive is not sound: " + strings.Join(words, "; ")
}

// checkFindings are the lists of a report, in the order in which they are shown.
func checkFindings(r *index.Report) []struct {
	kind string
	list []string
} {
	return []struct {
		kind string
		list []string
	}{{"damaged", r.Damaged}, {"stale", r.Stale}, {"unbalanced", r.Unbalanced}, {"repaired", r.Repaired}, {"isolated", r.Isolated}, {"note", r.Notes}}
}

func checkText(w io.Writer, r *index.Report) error {
	for _, f := range checkFindings(r) {
		for _, line := range f.list {
			if _, err := fmt.Fprintf(w, "%-11s %s\n", f.kind+":", line); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(w, "verified %s, %s, %s, their ledgers and the audit log; indexes of %s and %s made again and compared\n",
		plural(r.Buckets, "hour"), plural(r.Blocks, "block"), plural(r.Rows, "record"),
		plural(r.Terms, "block"), plural(r.Days, "day"))
	return err
}

func checkCSV(out io.Writer, r *index.Report) error {
	rows := [][]string{{"finding", "what"}}
	for _, f := range checkFindings(r) {
		for _, line := range f.list {
			rows = append(rows, []string{f.kind, line})
		}
	}
	return newCSV(out).WriteAll(rows)
}

// A checkRequest is the question of weir check as it crosses the socket.
type checkRequest struct {
	Repair bool `json:"repair"`
}

// Check implements backend.
func (l *local) Check(ctx context.Context, repair bool) (*index.Report, error) {
	o := index.VerifyOptions{Progress: checkProgress(ctx), Now: l.now}
	if repair {
		o.Repair = l.someSealer()
	}
	report, err := index.Verify(ctx, l.store, o)
	if err != nil {
		return nil, err
	}
	l.checkAudit(report)
	return report, l.checkHeld(ctx, report, repair)
}

// checkAudit walks the chain of the audit log.
func (l *local) checkAudit(report *index.Report) {
	proof, err := audit.New(l.store, l.now).Verify("")
	if err != nil {
		report.Damaged = append(report.Damaged, err.Error())
		return
	}
	report.Audit = proof.Entries
	for _, f := range proof.Findings {
		report.Damaged = append(report.Damaged, "audit log: "+f)
	}
}

// checkHeld verifies what is held, too. The ledger that came along with held
// records counts all records of its hour.
func (l *local) checkHeld(ctx context.Context, all *index.Report, repair bool) error {
	if l.holds == nil {
		return nil
	}
	return l.holds.eachStore(func(s *heldStore) error {
		o := index.VerifyOptions{Progress: checkProgress(ctx), Excerpt: true}
		if repair {
			o.Repair = s.sealer(l.now)
		}
		found, err := index.Verify(ctx, s.Store, o)
		if err != nil {
			return err
		}
		lack, err := s.damage(query.Window{})
		found.Damaged = append(found.Damaged, lack...)
		all.Join("hold "+s.ref+": ", found)
		return err
	})
}

// checkProgress reports how far a verification is as questions do.
func checkProgress(ctx context.Context) func(done, total, rows int) {
	report := query.ProgressOf(ctx)
	if report == nil {
		return nil
	}
	return func(done, total, rows int) {
		report(query.Progress{Buckets: done, Total: total, Rows: uint64(rows), Matched: uint64(rows)})
	}
}

// Check implements backend.
func (r *remote) Check(ctx context.Context, repair bool) (*index.Report, error) {
	report := new(index.Report)
	return report, r.ask(ctx, pathCheck, checkRequest{repair}, report, nil)
}
