package command

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"weir/flow"
	"weir/query"
	"weir/retention/audit"
	"weir/store"
)

// newAuditedArchive returns an archive of a few records whose clock stands.
func newAuditedArchive(t *testing.T) *audited {
	t.Helper()
	s, err := store.Open(t.TempDir(), store.Options{FlushEvery: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	b := flow.NewBatch(3)
	b.Grow(3)
	for row := range 3 {
		b.SetNum(flow.Received, row, epochMS(testNow))
		b.SetNum(flow.Bytes, row, 100)
		b.SetAddr(flow.SrcAddr, row, flow.AddrFrom4(0xc0000200+uint32(row)))
	}
	if err := s.Append(b); err != nil {
		t.Fatal(err)
	}
	return newAudited(&local{store: s, now: func() time.Time { return testNow }})
}

func lines(t *testing.T, a *audited, req auditRequest) []auditLine {
	t.Helper()
	list, err := a.AuditEntries(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestEveryLookIsNoted asks each question, beside a daemon, and looks for its entry.
func TestEveryLookIsNoted(t *testing.T) {
	a := newAuditedArchive(t)
	r, _ := serve(t, a)
	ctx := withCaller(t.Context(), caller{who: audit.Who{Login: "somebody"}, command: "as typed", ticket: "IR-1 \"ü\"", reason: "to see"})
	window := query.Window{From: 1000, To: epochMS(testNow) + 1000}
	asks := []struct {
		name string
		ask  func() error
		want auditLine
	}{
		{"flows", func() error {
			_, err := r.Flows(ctx, query.FlowsRequest{Filter: "net 192.0.2.0/31", Window: window, Exporter: "192.0.2.9"}, func(*flow.Record) error { return nil })
			return err
		}, auditLine{Entry: audit.Entry{Kind: audit.KindAsk, Filter: "net 192.0.2.0/31", From: "1970-01-01T00:00:01.000Z", Detail: "exporter 192.0.2.9"}}},
		{"top", func() error {
			_, _, err := r.Top(ctx, query.TopRequest{Fields: []string{"src_addr"}})
			return err
		}, auditLine{Entry: audit.Entry{Kind: audit.KindAsk, Rows: 3, Detail: "by src_addr"}}},
		{"series", func() error { _, _, err := r.Series(ctx, query.SeriesRequest{Filter: "any"}); return err },
			auditLine{Entry: audit.Entry{Kind: audit.KindAsk, Filter: "any"}}},
		{"seen", func() error {
			_, _, err := r.Seen(ctx, query.SeenRequest{Addrs: []string{"192.0.2.1"}})
			return err
		}, auditLine{Entry: audit.Entry{Kind: audit.KindAsk, Detail: "192.0.2.1"}}},
		{"peers", func() error { _, _, err := r.Peers(ctx, query.PeersRequest{Addr: "192.0.2.1"}); return err },
			auditLine{Entry: audit.Entry{Kind: audit.KindAsk, Detail: "of 192.0.2.1"}}},
		{"stats", func() error { _, _, err := r.Stats(ctx, query.StatsRequest{}); return err }, auditLine{Entry: audit.Entry{Kind: audit.KindAsk}}},
		{"explain", func() error { _, err := r.Explain(ctx, query.ExplainRequest{Filter: "port 1"}); return err },
			auditLine{Entry: audit.Entry{Kind: audit.KindAsk, Filter: "port 1"}}},
		{"backup", func() error {
			_, err := r.Backup(ctx, backupRequest{Dest: filepath.Join(t.TempDir(), "copy")})
			return err
		}, auditLine{Entry: audit.Entry{Kind: audit.KindAct}}},
		{"confirm", func() error { _, err := r.ConfirmRetention(ctx); return err },
			auditLine{Entry: audit.Entry{Kind: audit.KindAct, Detail: "the clock is right"}}},
		{"repair", func() error { _, err := r.Check(ctx, true); return err }, auditLine{Entry: audit.Entry{Kind: audit.KindAct, Detail: "repair"}}},
	}
	for i, ask := range asks {
		if err := ask.ask(); err != nil {
			t.Fatalf("%s: %v", ask.name, err)
		}
		list := lines(t, a, auditRequest{})
		if len(list) != i+1 {
			t.Fatalf("%s: %d entries, want %d", ask.name, len(list), i+1)
		}
		got, want := list[i], ask.want
		if got.Kind != want.Kind || got.Filter != want.Filter || want.From != "" && got.From != want.From || want.Rows != 0 && got.Rows != want.Rows ||
			want.Detail != "" && got.Detail != want.Detail || !got.Ended || got.Failed != "" || got.Case != "IR-1 \"ü\"" || got.Reason != "to see" ||
			got.Command != "as typed" || got.Who.UID != os.Getuid() || got.Who.PID != os.Getpid() || !got.Time.Equal(testNow.Truncate(time.Millisecond)) {
			text, _ := json.Marshal(got)
			t.Errorf("%s: got %s", ask.name, text)
		}
	}
	if proof, err := r.VerifyAudit(ctx, ""); err != nil || !proof.Whole() || proof.Last != 2*uint64(len(asks)) {
		t.Errorf("proof: %+v, %v", proof, err)
	}
	if list, err := r.AuditEntries(ctx, auditRequest{Command: "as typed", Case: "IR-1 \"ü\"", Limit: 2}); err != nil || len(list) != 2 {
		t.Errorf("the newest two: %d, %v", len(list), err)
	}
	if list := lines(t, a, auditRequest{Case: "IR-2"}); len(list) != 0 {
		t.Errorf("another case: %d entries", len(list))
	}
}

// TestNoEntryNoLook closes the log: nothing is read.
func TestNoEntryNoLook(t *testing.T) {
	a := newAuditedArchive(t)
	a.log = audit.New(deafStore{}, a.now)
	given := 0
	_, err := a.Flows(t.Context(), query.FlowsRequest{}, func(*flow.Record) error { given++; return nil })
	if err == nil || given != 0 || !strings.Contains(err.Error(), "nothing was read or changed") {
		t.Errorf("%d records and %v", given, err)
	}
}

// A deafStore takes no entries.
type deafStore struct{}

func (deafStore) AppendAudit(func(uint64, []byte) ([]byte, error)) (func() error, error) {
	return nil, os.ErrPermission
}
func (deafStore) ScanAudit(uint64, func(uint64, []byte) error) error { return nil }
func (deafStore) LastAudit() (uint64, []byte, error)                 { return 0, nil, nil }
func (deafStore) TrimAudit(uint64) error                             { return nil }

// TestNothingBeforeTheEntryIsOnDisk asks an archive whose disk takes the entry
// late, and not at all: the answer is worked on, and nothing of it given out.
func TestNothingBeforeTheEntryIsOnDisk(t *testing.T) {
	a := newAuditedArchive(t)
	given := 0
	flows := func() error {
		_, err := a.Flows(t.Context(), query.FlowsRequest{}, func(*flow.Record) error { given++; return nil })
		return err
	}
	a.log = audit.New(lateStore{a.store, func() error {
		if given != 0 {
			t.Errorf("%d records were given out before", given)
		}
		return nil
	}}, a.now)
	if err := flows(); err != nil || given == 0 {
		t.Errorf("late: %d records and %v", given, err)
	}
	given = 0
	a.log = audit.New(lateStore{a.store, func() error { return os.ErrPermission }}, a.now)
	if err := flows(); !errors.Is(err, os.ErrPermission) || given != 0 || !strings.Contains(err.Error(), "nothing was read or changed") {
		t.Errorf("not at all: %d records and %v", given, err)
	}
	if _, _, err := a.Top(t.Context(), query.TopRequest{By: "bytes"}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("sums: %v", err)
	}
}

// A lateStore takes entries, but says by itself when they are on disk.
type lateStore struct {
	audit.Store
	durable func() error
}

func (s lateStore) AppendAudit(next func(uint64, []byte) ([]byte, error)) (func() error, error) {
	_, err := s.Store.AppendAudit(next)
	return s.durable, err
}

// TestAuditDemands asks with and without what the policy demands.
func TestAuditDemands(t *testing.T) {
	a := newAuditedArchive(t)
	if err := a.store.PutState(auditPolicyKey, marshal(auditPolicy{Require: []string{"case", "reason"}})); err != nil {
		t.Fatal(err)
	}
	ask := func(c caller) error {
		_, _, err := a.Stats(withCaller(t.Context(), c), query.StatsRequest{})
		return err
	}
	for _, c := range []caller{{}, {ticket: "C"}, {reason: "R"}} {
		if err := ask(c); exitStatus(err) != exitUsage || !strings.Contains(err.Error(), "for the audit log") {
			t.Errorf("%+v: got %v", c, err)
		}
	}
	if n := len(lines(t, a, auditRequest{})); n != 0 {
		t.Errorf("%d entries of questions that were refused", n)
	}
	if err := ask(caller{ticket: "C", reason: "R"}); err != nil {
		t.Errorf("with both: %v", err)
	}
}

// TestOthersChangeNothing lets somebody else of the socket's group ask.
func TestOthersChangeNothing(t *testing.T) {
	a := newAuditedArchive(t)
	ctx := withCaller(t.Context(), caller{who: audit.Who{UID: 54321, User: "ana"}, command: "backup"})
	dir := filepath.Join(t.TempDir(), "copy")
	if _, err := a.Backup(ctx, backupRequest{Dest: dir}); err == nil || !strings.Contains(err.Error(), "user ana may ask and not change") {
		t.Errorf("backup: got %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the copy was made")
	}
	if _, _, err := a.Stats(ctx, query.StatsRequest{}); err != nil {
		t.Errorf("stats: %v", err)
	}
	file := filepath.Join(t.TempDir(), "WEIR")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.local.Backup(ctx, backupRequest{Dest: file}); err == nil {
		t.Error("a file was taken for a directory")
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the file in the way is gone: %v", err)
	}
}

// TestFailuresAreNoted says in the log why a question got no answer.
func TestFailuresAreNoted(t *testing.T) {
	a := newAuditedArchive(t)
	if _, err := a.Flows(t.Context(), query.FlowsRequest{Filter: "prot tcp"}, nil); err == nil {
		t.Fatal("a wrong filter was taken")
	}
	list := lines(t, a, auditRequest{})
	if len(list) != 1 || list[0].Failed == "" || strings.Contains(list[0].Failed, "\n") || list[0].Filter != "prot tcp" {
		t.Errorf("got %+v", list)
	}
}

// TestTypedTextsArePrintable lists what somebody typed to confuse who reads it.
func TestTypedTextsArePrintable(t *testing.T) {
	data := importHeld(t)
	typed := "né\x1b[2J\nkept forever"
	must(t, data, append([]string{"hold", "add", "--case", "X", "--until", "1y", "--reason", typed, "--filter", heldHost + " # \x1b[2J\nor any"}, heldDay...)...)
	for _, args := range [][]string{{"audit"}, {"audit", "-o", "csv"}, {"hold", "show", "X"}, {"hold", "list", "-o", "csv"}} {
		out := must(t, data, args...)
		if i := strings.IndexFunc(out, func(r rune) bool { return r != '\n' && r != '\r' && !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%q: %q is not to be printed", args, out[i:i+1])
		}
		if args[0] == "audit" && !strings.Contains(out, "né?[2J kept forever") {
			t.Errorf("%q: got\n%s", args, out)
		}
	}
	if out := must(t, data, "audit", "-o", "json"); !strings.Contains(out, `né\u001b[2J\nkept forever`) {
		t.Errorf("json has not what was typed:\n%s", out)
	}
}
