package command

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/collector"
	"weir/flow"
	"weir/retention"
)

// statusLocal is the archive of ledgerLocal with records, as a collector has it
// that has run for an hour.
func statusLocal(t *testing.T) (*local, string) {
	t.Helper()
	l, dir := ledgerLocal(t, testNow)
	b := flow.NewBatch(100)
	r := testRecord()
	for i := range 100 {
		r.SetNum(flow.Received, msOf(testNow)-uint64(i)*60e3)
		b.AppendRecord(r)
	}
	if err := l.store.Append(b); err != nil {
		t.Fatal(err)
	}
	var err error
	if l.keeper, err = retention.New(retention.Options{Store: l.store, State: l.store, Keep: 90 * day, Now: l.now, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	c, err := collector.New(collector.Options{Listen: []collector.Listen{{Scheme: "netflow", Addr: "127.0.0.1:0"}}, Sink: l.store, Now: l.now, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	l.daemon = &daemon{started: testNow.Add(-time.Hour), collector: c, rates: newMeter(c.Stats), counts: newQuestionCounts(), metrics: &metricsDoor{listener: fakeListener{}}}
	return l, dir
}

func TestStatus(t *testing.T) {
	l, dir := statusLocal(t)
	serveIn(t, l, dir)
	out, errs, status := weir(t, dir, "status")
	if status != exitOK || errs != "" {
		t.Fatalf("status %d: %s", status, errs)
	}
	for _, want := range []string{
		`(?m)^attention   1 of 2 expected exporters silent: campus-2$`,
		`(?m)^collector   up since 2026-11-22T13:03:05Z \(1h00m\), process \d+$`,
		`(?m)^metrics     http://127\.0\.0\.1:9110/metrics$`,
		`(?m)^exporters   2 heard lately, 2 in the day; silent of 2 expected: campus-2$`,
		`(?m)^lost        0 % of the records, in this hour and the one before$`,
		`(?m)^archive     100 records in 3 hours; the newest of 2026-11-22T14:03:05Z, the oldest of 2026-11-22T12:24:05Z$`,
		`(?m)^disk        \d.*B used, 500GB free of 1\.00TB`,
		`(?m)^kept        90d; hour 2026-11-22T12 is dropped next, at 2027-02-20T13:00:00Z$`,
		`(?m)^questions   0 open; 0 answers and 0 failed since the start$`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("%s is missing from\n%s", want, out)
		}
	}
	if _, errs, status = weir(t, dir, "status", "--check"); status != exitFailure || errs != "weir: 1 of 2 expected exporters silent: campus-2\n" {
		t.Errorf("--check: status %d, %s", status, errs)
	}
	l.known = l.known[:1]
	out, errs, status = weir(t, dir, "status", "--check", "-o", "json")
	var r statusReport
	if err := json.Unmarshal([]byte(out), &r); err != nil || status != exitOK || !r.Healthy || len(r.Problems) != 0 || r.Newest != 1795356185000 || r.PID != os.Getpid() {
		t.Errorf("%v, status %d, %s: %s", err, status, errs, out)
	}
}

// TestStatusWithoutCollector says the same of the archive, and that nobody
// collects.
func TestStatusWithoutCollector(t *testing.T) {
	dir := t.TempDir()
	ledgerArchive(t, dir, knownExporters(t))
	out, errs, status := weir(t, dir, "status", "--check")
	// There may be more to say of the disk of the test.
	if status != exitFailure || !strings.HasPrefix(errs, "weir: no collector runs") {
		t.Errorf("status %d: %s", status, errs)
	}
	for _, want := range []string{"attention   no collector runs", "\ncollector   not running\n", "archive     no records\n",
		"exporters   2 heard lately, 2 in the day; silent of 2 expected: campus-2 (at 2026-11-22T14:00:00Z)\n",
		"kept        90d; nothing is dropped while no collector runs\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing from\n%s", want, out)
		}
	}
	if _, _, status := weir(t, filepath.Join(dir, "nothing"), "status"); status != exitStore {
		t.Errorf("without an archive: status %d", status)
	}
}

// TestProblems makes one report bad in every way, one after the other.
func TestProblems(t *testing.T) {
	since, days := testNow.Add(-time.Hour), 2.0
	good := func() *statusReport {
		return &statusReport{Collecting: true, Since: &since, Now: testNow, Newest: 1795356185000, Disk: diskReport{Free: 500, Size: 1000}}
	}
	if list := good().problems(); len(list) != 0 {
		t.Errorf("a good one has problems: %q", list)
	}
	for want, spoil := range map[string]func(r *statusReport){
		"no collector runs":                      func(r *statusReport) { r.Collecting = false },
		"2 of 3 expected exporters silent: a, b": func(r *statusReport) { r.Exporters = exporterSummary{Expected: 3, Silent: []string{"a", "b"}} },
		"no record for 1h00m":                    func(r *statusReport) { r.Newest = 0 },
		"5.0 % of the records of this hour and the one before were lost":                                    func(r *statusReport) { r.Loss = 0.05 },
		"the kernel dropped 1 datagram in this hour and the one before":                                     func(r *statusReport) { r.Kernel = 1 },
		"the kernel dropped 12.0k datagrams in this hour and the one before: the collector did not keep up": func(r *statusReport) { r.Kernel, r.Behind = 12000, 9000 },
		"7 records of this hour and the one before could not be stored":                                     func(r *statusReport) { r.NotStored = 7 },
		"the disk is full in 2d00h":          func(r *statusReport) { r.Disk.Days = &days },
		"only 49B of the disk are free":      func(r *statusReport) { r.Disk.Free = 49 },
		"retention is held: the clock":       func(r *statusReport) { r.Kept.Held, r.Kept.Reason = true, "the clock" },
		"2 parts of the archive are damaged": func(r *statusReport) { r.Damage = []string{"x", "y"} },
	} {
		r := good()
		spoil(r)
		if got := r.problems(); !slices.Equal(got, []string{want}) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestDiskText(t *testing.T) {
	days := 12.5
	for _, tt := range []struct {
		d    diskReport
		want string
	}{
		{diskReport{Used: 2e9}, "2.00GB used"},
		{diskReport{Used: 2e9, Size: 1e12, Free: 5e11}, "2.00GB used, 500GB free of 1.00TB"},
		{diskReport{Used: 2e9, Size: 1e12, Free: 5e11, PerDay: 4e10, Days: &days}, "2.00GB used, 500GB free of 1.00TB; 40.0GB a day: full in 12d12h"},
		{diskReport{Used: 2e9, Size: 1e12, Free: 5e11, PerDay: 1e9, Settled: true}, "2.00GB used, 500GB free of 1.00TB; 1.00GB a day: retention frees as much as comes in"},
		{diskReport{Used: 2e9, Size: 1e12, Free: 5e11, PerDay: 1e9, Growth: 8e10}, "2.00GB used, 500GB free of 1.00TB; 1.00GB a day: it grows by 80.0GB until retention frees as much as comes in"},
	} {
		if got := tt.d.text(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestParseMetricsAddr(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", ""}, {"127.0.0.1:9110", "127.0.0.1:9110"}, {"9110", "127.0.0.1:9110"}, {":9110", "127.0.0.1:9110"}, {"localhost:9110", "127.0.0.1:9110"},
		{"[::1]:9110", "[::1]:9110"}, {"0.0.0.0:9110", "0.0.0.0:9110"}, {"[::]:0", "[::]:0"},
	} {
		if got, err := parseMetricsAddr(tt.text); err != nil || got != tt.want {
			t.Errorf("%q: got %q, %v, want %q", tt.text, got, err, tt.want)
		}
	}
	for _, text := range []string{"x", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:+1", "::1:9110:", "collector.example.net:9110", "[fe80::1", "127.0.0.1:"} {
		if got, err := parseMetricsAddr(text); err == nil || exitStatus(err) != exitUsage {
			t.Errorf("%q: got %q, %v, want a usage error", text, got, err)
		}
	}
}

// TestMetricsOfACollector scrapes a collector that was sent something, and asks
// whether it warns of a port that everybody reaches.
func TestMetricsOfACollector(t *testing.T) {
	l, _ := statusLocal(t)
	b, decoder := flow.NewBatch(10), l.daemon.collector.Decoder()
	if err := decoder.Decode(b, msOf(testNow), netip.MustParseAddrPort("198.51.100.1:4001"), netflow5(3)); err != nil {
		t.Fatal(err)
	}
	for _, sequence := range []uint32{3, 36} { // 30 are lost
		d := netflow5(3)
		binary.BigEndian.PutUint32(d[16:], sequence)
		if err := decoder.Decode(b, msOf(testNow), netip.MustParseAddrPort("198.51.100.1:4001"), d); err != nil {
			t.Fatal(err)
		}
	}
	_ = decoder.Decode(b, msOf(testNow), netip.MustParseAddrPort("203.0.113.9:4001"), []byte("nonsense"))
	var said strings.Builder
	door, err := openMetrics("127.0.0.1:0", slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- door.run(t.Context(), l.snapshot) }()
	resp, err := http.Get(door.url())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`weir_records_total{exporter="border-1"} 9`, `weir_exporter_up{exporter="border-1"} 1`, `weir_exporter_up{exporter="campus-2"} 0`,
		`weir_decode_errors_total{reason="version"} 1`, `weir_exporters{known="true"} 1`, `weir_exporters{known="false"} 1`,
		`weir_exporter_sampling_interval{exporter="border-1"} 1000`, `weir_exporter_skew_median_seconds{exporter="border-1"} 2`,
		`weir_lost_total{exporter="border-1",unit="flows"} 30`, `weir_lost_records_total{exporter="border-1"} 30`, `weir_sequence_gaps_total{exporter="border-1"} 1`,
		`weir_archive_records 100`, `weir_retention_seconds 7.776e+06`, `weir_questions_open 0`,
	} {
		if !strings.Contains(string(text), "\n"+want+"\n") {
			t.Errorf("%s is missing from\n%s", want, text)
		}
	}
	if said.Len() > 0 {
		t.Errorf("the loopback was warned of: %s", &said)
	}
	open, err := listenMetrics("0.0.0.0:0", slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	open.Close()
	if !strings.Contains(said.String(), "no password") {
		t.Errorf("no warning of a port that all reach: %q", &said)
	}
	if _, err := listenMetrics(strings.TrimSuffix(strings.TrimPrefix(door.url(), "http://"), "/metrics"), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a taken port was opened")
	}
}

// TestCollectWithMetrics runs a whole collector: its port is where status says,
// and is closed when it ends.
func TestCollectWithMetrics(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready, ended := make(chan struct{}), make(chan error, 1)
	o := collectOptions{dir: dir, listen: []collector.Listen{{Scheme: "netflow", Addr: "127.0.0.1:0"}}, metrics: "127.0.0.1:0",
		config: config{Known: knownExporters(t)}, ready: func([]net.Addr) { close(ready) }}
	std, _, errs := testStd()
	go func() { ended <- runCollect(ctx, std, o) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	out, _, status := weir(t, dir, "status", "-o", "json")
	var r statusReport
	if err := json.Unmarshal([]byte(out), &r); err != nil || status != exitOK || !r.Collecting {
		t.Fatalf("%v, status %d: %s", err, status, out)
	}
	resp, err := http.Get(r.Metrics)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || !strings.Contains(string(text), `weir_exporter_silence_seconds{exporter="campus-2"}`) {
		t.Errorf("%v: got\n%s", err, text)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(errs.String(), "metrics on "+r.Metrics+"\n") {
		t.Errorf("%q does not say where the metrics are", errs)
	}
	if resp, err := http.Get(r.Metrics); err == nil {
		resp.Body.Close()
		t.Error("the port is still open")
	}
}

// A fakeListener is where metrics would be scraped.
type fakeListener struct{ net.Listener }

func (fakeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9110} }
