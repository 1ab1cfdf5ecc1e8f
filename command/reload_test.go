package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"weir/backup"
	"weir/collector"
	"weir/flow"
	"weir/retention/audit"
)

// A testDaemon is a collector in the test's process, with all that weir collect
// has of the world.
type testDaemon struct {
	addrs   []net.Addr
	hangups chan os.Signal
	gone    bool // the terminal is closed
	cancel  context.CancelFunc
	ended   chan error
	err     error
}

// collectFor runs weir collect with options; what it logs goes to errs; env are
// lines of NAME=VALUE.
func collectFor(t *testing.T, o collectOptions, errs io.Writer, env ...string) *testDaemon {
	t.Helper()
	d := &testDaemon{hangups: make(chan os.Signal, 1), ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	ready := make(chan []net.Addr, 1)
	o.ready = func(addrs []net.Addr) { ready <- addrs }
	std := &Std{In: strings.NewReader(""), Out: io.Discard, Err: errs, Now: time.Now,
		Getenv: func(name string) string {
			for _, one := range env {
				if value, ok := strings.CutPrefix(one, name+"="); ok {
					return value
				}
			}
			return ""
		},
		Hangups: func() (<-chan os.Signal, func()) { return d.hangups, func() {} }, Gone: func() bool { return d.gone }}
	go func() { d.ended <- runCollect(ctx, std, o) }()
	select {
	case d.addrs = <-ready:
	case err := <-d.ended:
		t.Fatal(err)
	}
	t.Cleanup(func() { d.stop(t) })
	return d
}

// stop ends it, once.
func (d *testDaemon) stop(t *testing.T) {
	t.Helper()
	d.cancel()
	if d.ended == nil {
		return
	}
	d.err = <-d.ended
	d.ended = nil
	if d.err != nil {
		t.Errorf("collector: %v", d.err)
	}
}

// A testFile is a configuration file, with the flags of a command line.
type testFile struct {
	t    *testing.T
	name string
	args []string
}

func (f *testFile) write(text string) {
	f.t.Helper()
	if err := os.WriteFile(f.name, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// options returns what weir collect --config with the flags would run with.
func (f *testFile) options() collectOptions {
	f.t.Helper()
	in, err := parseArgs(commands(), append([]string{"collect", "--config", f.name}, f.args...))
	if err != nil {
		f.t.Fatal(err)
	}
	std, _, _ := testStd()
	var o collectOptions
	collect := collectCommand()
	catch := *collect
	catch.prepare = func(c *cli.Context, std *Std) (runner, error) {
		o, err = collectFlags(c, std)
		return func(context.Context, *Std) error { return nil }, err
	}
	in.path[0] = &catch
	if _, err := prepareCommand(in, std); err != nil {
		f.t.Fatal(err)
	}
	return o
}

// reloads sends SIGHUP and waits for a line of the log with the text.
func (d *testDaemon) reloads(t *testing.T, log *lockedBuffer, want string) {
	t.Helper()
	before := len(log.String())
	d.hangups <- syscall.SIGHUP
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if strings.Contains(log.String()[before:], want) {
			return
		}
	}
	t.Fatalf("%q was not logged:\n%s", want, log.String()[before:])
}

// TestReloadLosesNothing floods a collector at a rate that the kernel never
// drops, and changes its configuration dozens of times meanwhile: exporters,
// scope, listening addresses, metrics, forwarding. What is stored is what was
// sent, record for record.
func TestReloadLosesNothing(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	f := &testFile{t: t, name: filepath.Join(t.TempDir(), "weir.yaml")}
	sink, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	base := fmt.Sprintf("data: %s\n", data)
	f.write(base + "listen: ['netflow://127.0.0.1:0']\n")
	var log lockedBuffer
	d := collectFor(t, f.options(), &log)
	ended, done, sent := make(chan struct{}), make(chan struct{}), new(atomic.Int64)
	go func() {
		defer close(done)
		conn, err := net.Dial("udp", d.addrs[0].String())
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		tick := time.NewTicker(2 * time.Millisecond) // small receive buffers hold a second of it
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
			}
			if _, err := conn.Write(netflow5(3)); err != nil {
				t.Errorf("datagram %d: %v", sent.Load(), err)
				return
			}
			sent.Add(1)
		}
	}()
	for round := range 40 {
		before := sent.Load()
		await(t, "datagrams are sent", func() bool { return sent.Load() > before+2 })
		text := base + "listen: ['netflow://127.0.0.1:0'"
		if round%2 == 0 {
			text += ", 'sflow://127.0.0.1:0', 'ipfix+tcp://127.0.0.1:0'"
		}
		text += fmt.Sprintf("]\nretention: %dd\n", 30+round)
		text += fmt.Sprintf("exporters:\n  - {name: e%d, address: 127.0.0.1, sampling: %d}\n", round, round+1)
		text += fmt.Sprintf("networks: [{name: n%d, prefix: 10.0.0.0/8}]\n", round)
		switch round % 4 {
		case 1:
			text += "scope: {default: keep}\nmetrics: 127.0.0.1:0\n"
		case 2:
			text += "forward: " + sink.LocalAddr().String() + "\n"
		case 3:
			text += "exporters: twice\n" // a mistake: all stays as it was
		}
		f.write(text)
		want := "configuration read again"
		if round%4 == 3 {
			want = "the old one stays in force"
		}
		d.reloads(t, &log, want)
	}
	close(ended)
	<-done
	// A machine that lets the readers wait makes the kernel drop some, which is said.
	var stored string
	waitStatus(t, data, func(r *statusReport) bool {
		stored, _, _ = weir(t, data, "query", "--count")
		return stored == fmt.Sprintln(3*(uint64(sent.Load())-r.Kernel))
	})
	d.stop(t)
	if out, errs, _ := weir(t, data, "query", "--count"); out != stored {
		t.Errorf("%s records without the collector, %s with it; %s", strings.TrimSpace(out), stored, errs)
	}
}

// TestReload changes everything that can be changed and looks for what follows.
func TestReload(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	f := &testFile{t: t, name: filepath.Join(t.TempDir(), "weir.yaml")}
	f.write("data: " + data + "\nlisten: ['netflow://127.0.0.1:0']\n")
	var log lockedBuffer
	d := collectFor(t, f.options(), &log)
	first := strings.ReplaceAll(`data: DATA
listen: ['netflow://127.0.0.1:0', 'netflow://[::1]:0']
retention: 30d
metrics: 127.0.0.1:0
networks: [{name: uni, prefix: 10.0.0.0/8}]
exporters: {only: known, list: [{name: lo, address: 127.0.0.1, group: core, sampling: 7}]}
scope: {groups: {core: quarantine}}
audit: {require: [case], keep: 30d}
log: {level: error}
`, "DATA", data)
	f.write(first)
	out, errs, status := weir(t, data, "reload", "-o", "json")
	want := fmt.Sprintf(`{"file":%q,"changed":["listen","retention","metrics","networks","exporters","scope","audit","log.level"],"needs_restart":[]}`+"\n", f.name)
	if out != want || status != exitOK {
		t.Fatalf("status %d, %s\n got %s\nwant %s", status, errs, out, want)
	}
	conn := &testCollector{netflow: udpAddr(d.addrs[0])}
	conn.send(t, netflow5(2)) // 10.0.0.1 and 10.0.0.2: ours
	foreign := netflow5(1)
	copy(foreign[24:], []byte{192, 0, 2, 9})
	conn.send(t, foreign)
	waitCount(t, data, "2\n", "query", "exporter lo and sampling_interval 7 and src org uni", "--count", "--case", "C-1")
	waitCount(t, data, "1\n", "quarantine", "query", "--count", "--case", "C-1")
	if _, errs, status := weir(t, data, "query"); status != exitUsage || !strings.Contains(errs, "--case") {
		t.Errorf("without a case: status %d, %s", status, errs)
	}
	var r statusReport
	text, _, _ := weir(t, data, "status", "-o", "json")
	if err := json.Unmarshal([]byte(text), &r); err != nil || r.Kept.Keep != 30*day {
		t.Errorf("%v: kept for %v", err, r.Kept.Keep)
	}
	if resp, err := http.Get(r.Metrics); err != nil {
		t.Errorf("metrics: %v", err)
	} else {
		resp.Body.Close()
	}

	f.write(strings.Replace(first, "192.0.2", "", 1) + "nonsense: 1\n")
	_, errs, status = weir(t, data, "reload")
	if status != exitUsage || !strings.Contains(errs, f.name+":10: unknown key") {
		t.Errorf("a mistake: status %d, %s", status, errs)
	}
	waitCount(t, data, "2\n", "query", "exporter lo", "--count", "--case", "C-1")

	busy, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	f.write("data: " + data + "\nlisten: ['netflow://" + busy.LocalAddr().String() + "']\nretention: 1d\n")
	_, errs, status = weir(t, data, "reload")
	if status != exitFailure || !strings.Contains(errs, "another program listens there") {
		t.Errorf("a port in use: status %d, %s", status, errs)
	}
	if text, _, _ := weir(t, data, "retention", "-o", "json"); !strings.Contains(text, `"keep":2592000000000000`) {
		t.Errorf("the retention changed all the same: %s", text)
	}

	f.write("data: elsewhere\nlog: {format: json}\nlisten: ['netflow://127.0.0.1:0']\n")
	out, _, status = weir(t, data, "reload")
	if want := f.name + " is in force; changed: listen, retention, metrics, networks, exporters, scope, audit, log.level; needs a restart: data, log.format\n"; out != want || status != exitOK {
		t.Errorf("status %d\n got %swant %s", status, out, want)
	}
	if resp, err := http.Get(r.Metrics); err == nil {
		resp.Body.Close()
		t.Error("metrics are still answered")
	}
	waitCount(t, data, "2\n", "query", "--count")
	d.stop(t)
	checkReloadLog(t, data, f.name)
}

func waitCount(t *testing.T, data, want string, args ...string) {
	t.Helper()
	out, errs := "", ""
	for end := time.Now().Add(patience); out != want && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		out, errs, _ = weir(t, data, args...)
	}
	if out != want {
		t.Errorf("%q: got %q, want %q; %s", args, out, want, errs)
	}
}

// checkReloadLog checks that the audit log has each reload before it was done,
// and what came of it.
func checkReloadLog(t *testing.T, data, file string) {
	t.Helper()
	out, errs, status := weir(t, data, "audit", "-o", "json", "--command", "reload")
	if status != exitOK {
		out, errs, status = weir(t, data, "audit", "-o", "json")
	}
	acts, notes, failed := 0, 0, 0
	for line := range strings.Lines(out) {
		var e struct{ Kind, Command, Detail, Failed string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if e.Command != "reload" {
			continue
		}
		switch {
		case e.Kind == audit.KindNote && strings.HasPrefix(e.Detail, "takes "+file+" in; changed: ") && strings.Contains(e.Detail, "SHA-256 "):
			notes++
		case e.Failed != "":
			failed++
			acts++
		default:
			acts++
		}
	}
	if acts != 4 || notes != 3 || failed != 2 || status != exitOK {
		t.Errorf("status %d, %d acts, %d of them failed, %d notes; want 4, 2 and 3: %s\n%s", status, acts, failed, notes, errs, out)
	}
}

// TestReloadWithout checks SIGHUP where there is no file: it goes on, or ends in
// order if it is the terminal that is closed.
func TestReloadWithout(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	var log lockedBuffer
	d := collectFor(t, collectOptions{dir: data, listen: []collector.Listen{{Scheme: "netflow", Addr: "127.0.0.1:0"}}}, &log)
	d.reloads(t, &log, "there is nothing to reload")
	if _, errs, status := weir(t, data, "reload"); status != exitFailure || !strings.Contains(errs, "nothing to reload") {
		t.Errorf("status %d, %s", status, errs)
	}
	d.gone = true
	d.reloads(t, &log, "the terminal is closed")
	if err := <-d.ended; err != nil {
		t.Error(err)
	}
	d.ended = nil
	if !strings.Contains(log.String(), "msg=stopped") {
		t.Errorf("it did not stop in order: %s", log.String())
	}
	if _, errs, status := weir(t, data, "reload"); status != exitFailure || !strings.Contains(errs, "no collector runs on") {
		t.Errorf("status %d, %s", status, errs)
	}
}

// TestReconfigured checks that the archive of another configuration has all that
// the first one has but what the configuration says.
func TestReconfigured(t *testing.T) {
	l := newTestLocal(t)
	next := l.reconfigured(&collectOptions{config: config{Known: knownExporters(t)}}, nil)
	from, to := reflect.ValueOf(l).Elem(), reflect.ValueOf(next).Elem()
	own := map[string]bool{"names": true, "known": true, "scope": true, "networks": true, "aside": true, "before": true,
		"wanted":  true, // of an import without a collector
		"purging": true, "backing": true, "copied": true, "runs": true, "keys": true, "begin": true, "ledgers": true}
	for i := range from.NumField() {
		name := from.Type().Field(i).Name
		if own[name] {
			continue
		}
		if a, b := fmt.Sprintf("%#v", from.Field(i)), fmt.Sprintf("%#v", to.Field(i)); from.Field(i).IsZero() {
			t.Errorf("this test has no value for %s", name)
		} else if from.Field(i).Kind() == reflect.Pointer && from.Field(i).Pointer() != to.Field(i).Pointer() || a != b {
			t.Errorf("%s is not taken over", name)
		}
	}
	if next.before != l || next.first() != l || next.kept() != l.kept() {
		t.Error("turns are not taken together")
	}
	if k := next.known.Find(flow.AddrFromNetip(next.known[0].Sources[0].Addr())); k == nil {
		t.Error("the exporters are not those of the configuration")
	}
}

// newTestLocal returns an archive that has everything that a collector's has.
func newTestLocal(t *testing.T) *local {
	t.Helper()
	l, _ := statusLocal(t)
	l.tails = newTails(l.store)
	l.sealer = l.someSealer()
	l.fixed = &backup.Fixed{Source: l.source()}
	var err error
	if l.holds, err = newHolds(t.Context(), l.store, nil, l.now, slog.New(slog.DiscardHandler), nil); err != nil {
		t.Fatal(err)
	}
	l.elements = flow.NewKept(nil)
	return l
}

// TestReloadIsForTheOwner checks that who may ask may not reload.
func TestReloadIsForTheOwner(t *testing.T) {
	l, _ := statusLocal(t)
	reloads := 0
	l.daemon.reload = func(context.Context) (*reloadReport, error) { reloads++; return &reloadReport{}, nil }
	for _, tt := range []struct {
		uid  int
		want int
	}{{os.Geteuid(), 1}, {0, 2}, {4711, 2}, {-1, 2}} {
		ctx := withCaller(t.Context(), caller{who: audit.Who{UID: tt.uid, User: "ana"}, command: "reload"})
		_, err := newAudited(l).Reload(ctx)
		if reloads != tt.want || (err == nil) != (tt.uid == os.Geteuid() || tt.uid == 0) {
			t.Errorf("user %d: %d reloads, %v", tt.uid, reloads, err)
		}
	}
}

// TestMetricsMove moves the metrics to an address that covers the old one, to one
// that cannot be had, and to none.
func TestMetricsMove(t *testing.T) {
	l, _ := statusLocal(t)
	door, err := openMetrics("127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- door.run(ctx, l.snapshot) }()
	answers := func(url string) bool {
		resp, err := (&http.Client{Timeout: 5 * time.Second}).Get(url)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	first := door.url()
	_, port, _ := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(first, "http://"), "/metrics"))
	if err := door.move("0.0.0.0:" + port); err != nil || !answers(first) {
		t.Errorf("to all addresses: %v", err)
	}
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	if err := door.move(busy.Addr().String()); err == nil || !answers(first) {
		t.Errorf("to a port in use: %v", err)
	}
	if err := door.move(""); err != nil || answers(first) || door.url() != "" {
		t.Errorf("to none: %v", err)
	}
	if err := door.move("127.0.0.1:" + port); err != nil || !answers(first) {
		t.Errorf("back: %v", err)
	}
	cancel()
	if err := <-done; err != nil || answers(first) {
		t.Errorf("at the end: %v", err)
	}
}
