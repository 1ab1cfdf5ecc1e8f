package metrics

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.yaml.in/yaml/v3"

	"weir/flow/ledger"
)

// go test ./command/metrics -update writes the table and the example of
// docs/metrics.md again.
var update = flag.Bool("update", false, "rewrite docs/metrics.md")

const (
	docFile    = "../../docs/metrics.md"
	alertsFile = "../../docs/alerts.yml"
)

var testNow = time.Date(2026, 11, 22, 14, 3, 5, 0, time.UTC)

// testSnapshot has a value for every metric.
func testSnapshot() *Snapshot {
	border := Exporter{
		Name: "border-1", Group: "core", Known: true, Expected: true,
		Errors: map[string]uint64{"truncated": 2, "no_template": 1}, LostRecords: 88,
		Templates: 3, Sampling: 1000, SkewMedian: 2350 * time.Millisecond, HasSkew: true, Last: testNow.Add(-400 * time.Millisecond),
	}
	border.Counts = [ledger.CounterCount]uint64{
		ledger.Datagrams: 760_412, ledger.Bytes: 1_003_743_840, ledger.Records: 16_729_064, ledger.Lost: 4, ledger.Gaps: 2, ledger.Reordered: 1,
		ledger.Templates: 1520, ledger.TemplateChanges: 3, ledger.Options: 340, ledger.SetsWithout: 5, ledger.SetsRecovered: 4, ledger.SetsDropped: 1, ledger.BadDatagrams: 3,
	}
	border.Lost[ledger.UnitDatagrams] = 4
	border.Scoped, border.Usual = true, true
	edge := Exporter{Name: "2001:db8::7", Sampling: 1, Last: testNow.Add(-3 * time.Second), Templates: 2, Waiting: 1}
	edge.Counts = [ledger.CounterCount]uint64{ledger.Datagrams: 9120, ledger.Bytes: 12_038_400, ledger.Records: 218_880}
	edge.Lost[ledger.UnitRecords] = 12
	edge.LostRecords = 12
	edge.CounterSamples, edge.Scoped = 310, true
	return &Snapshot{
		Version: "0.1.0", Revision: "58bc361b2bf1", Now: testNow, Started: testNow.Add(-26 * time.Hour),
		Exporters: []Exporter{border, edge, {Name: "campus-2", Group: "organisation", Known: true, Expected: true}},
		Sockets:   []ledger.Drop{{Where: "[::]:2055", Count: 17}, {Where: "[::]:6343"}},
		Forward:   []Forward{{To: "192.0.2.44:2055", Sent: 769_000, Full: 12}},
		Waits:     []ledger.Drop{{Where: "[::]:2055", Count: 3}, {Where: "[::]:6343"}},
		Archive: Archive{
			Open: 1, Sealed: 2159, Blocks: 119_040, Records: 7_776_000_000, Bytes: 124_416_000_000, DiskFree: 410_000_000_000, DiskSize: 1_000_000_000_000,
			DiskLeft: 296 * 24 * time.Hour, Oldest: testNow.Add(-90 * 24 * time.Hour), Newest: testNow.Add(-200 * time.Millisecond),
			Keep: 90 * 24 * time.Hour, NextDrop: testNow.Add(57 * time.Minute), NextEarly: testNow.Add(57 * time.Minute), MaxDisk: 1, Early: 1, Dropped: 26,
			Holds: 2, HeldRecords: 1500, HeldBytes: 24_000, Stays: 3, NextHoldEnd: time.Unix(1_800_000_000, 0),
		},
		Open: 1, Questions: []Question{{Name: "flows", Answered: 31, Failed: 2, Seconds: 12.5, Buckets: []uint64{9, 8, 5, 4, 5, 1, 0, 1, 0, 0, 0}}},
	}
}

func gather(t *testing.T, r prometheus.Gatherer) string {
	t.Helper()
	server := newRecorder()
	req, err := http.NewRequest(http.MethodGet, "http://weir"+Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	handlerOf(r, slog.New(slog.DiscardHandler)).ServeHTTP(server, req)
	if server.status != http.StatusOK {
		t.Fatalf("status %d: %s", server.status, &server.body)
	}
	return server.body.String()
}

// A recorder is a response in memory.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newRecorder() *recorder { return &recorder{header: http.Header{}, status: http.StatusOK} }

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

// own returns the lines of a scrape that are ours, not the library's.
func own(scrape string) string {
	var b strings.Builder
	for line := range strings.Lines(scrape) {
		name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
		if strings.HasPrefix(name, "weir_") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestEveryMetricHasAValue(t *testing.T) {
	text := gather(t, newRegistry(testSnapshot))
	for _, m := range append(table(), metric{name: "weir_question_duration_seconds"}) {
		if !strings.Contains(text, "# HELP "+m.name+" ") {
			t.Errorf("%s has no value in the test's snapshot", m.name)
		}
	}
}

func TestNamesKeepTheConventions(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(gather(t, newRegistry(testSnapshot)))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestDocument keeps docs/metrics.md as the code has it.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	rows.WriteString("| metric | labels | |\n|---|---|---|\n")
	for _, m := range append(table(), metric{name: "weir_question_duration_seconds", labels: []string{"question"}, help: "How long questions took, waiting for their turn included; a histogram."}) {
		fmt.Fprintf(&rows, "| `%s` | %s | %s |\n", m.name, strings.Join(m.labels, ", "), m.help)
	}
	var example strings.Builder
	for line := range strings.Lines(own(gather(t, newRegistry(testSnapshot)))) {
		example.WriteString("    " + line)
	}
	want := between(t, between(t, string(text), "metrics", rows.String()), "scrape", example.String())
	if *update {
		if err := os.WriteFile(docFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("%s is not what the code has; go test ./command/metrics -update writes it", docFile)
	}
}

// between puts part between the marks of that name.
func between(t *testing.T, text, name, part string) string {
	t.Helper()
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->\n"
	head, rest, found := strings.Cut(text, begin)
	_, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s lacks the marks of %s", docFile, name)
	}
	return head + begin + "\n" + part + "\n" + end + tail
}

// TestAlerts checks that the rules are rules, and that what they name exists.
func TestAlerts(t *testing.T) {
	text, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert       string
				Expr        string
				For         string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, m := range table() {
		known = append(known, m.name)
	}
	name := regexp.MustCompile(`\bweir_[a-z_]+`)
	rules := 0
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			rules++
			used := name.FindAllString(r.Expr, -1)
			if r.Alert == "" || len(used) == 0 && !strings.Contains(r.Expr, "up{") || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("rule %q lacks something", r.Alert)
			}
			if _, err := time.ParseDuration(r.For); r.For != "" && err != nil {
				t.Errorf("rule %s: for: %v", r.Alert, err)
			}
			if strings.Count(r.Expr, "(") != strings.Count(r.Expr, ")") {
				t.Errorf("rule %s: %s: brackets", r.Alert, r.Expr)
			}
			for _, metric := range used {
				if !slices.Contains(known, metric) {
					t.Errorf("rule %s names %s, which does not exist", r.Alert, metric)
				}
			}
		}
	}
	if rules < 8 {
		t.Errorf("only %d rules were found", rules)
	}
}

// TestExportersAreBounded floods the labels with strangers: known exporters keep
// theirs, nothing is lost from the sums, and who has a label keeps it.
func TestExportersAreBounded(t *testing.T) {
	list := func(from, n int) (list []Exporter) {
		for i := range n {
			e := Exporter{Name: fmt.Sprintf("198.51.%d.%d", (from+i)/256, (from+i)%256)}
			e.Counts[ledger.Records] = 1
			list = append(list, e)
		}
		known := Exporter{Name: "zz-core", Known: true}
		known.Counts[ledger.Records] = 1
		return append(list, known, known) // two addresses
	}
	var l labels
	forgotten := Exporter{}
	forgotten.Counts[ledger.Records] = 7
	first, _ := l.bound(list(20000, 900), &forgotten)
	own, other := l.bound(list(15000, 5900), &forgotten)
	if len(own) != MaxExporters || other.Counts[ledger.Records] != 5901-MaxExporters+7 {
		t.Errorf("%d labels and %d records in the others", len(own), other.Counts[ledger.Records])
	}
	has := map[string]uint64{}
	for _, e := range own {
		has[e.Name] = e.Counts[ledger.Records]
	}
	for _, e := range first {
		if has[e.Name] == 0 {
			t.Errorf("%s lost its label", e.Name)
		}
	}
	if has["zz-core"] != 2 {
		t.Errorf("the known exporter has %d records, want those of both addresses", has["zz-core"])
	}
	text := gather(t, newRegistry(func() *Snapshot { return &Snapshot{Exporters: list(0, 5900)} }))
	if n := strings.Count(text, "\nweir_records_total{"); n != MaxExporters+1 {
		t.Errorf("%d series of one metric", n)
	}
}

// TestCountersDoNotFall takes back what looked lost, and then forgets the
// exporter.
func TestCountersDoNotFall(t *testing.T) {
	at := Exporter{Name: "a"}
	r := newRegistry(func() *Snapshot { return &Snapshot{Exporters: []Exporter{at}} })
	for _, step := range []struct {
		datagrams, lost uint64
		want            string
	}{
		{100, 5, "5"}, {200, 3, "5"}, {300, 8, "8"}, {10, 1, "1"}, {20, 0, "1"},
	} {
		at.Counts[ledger.Datagrams], at.Counts[ledger.Gaps] = step.datagrams, step.lost
		at.Lost[ledger.UnitFlows], at.LostRecords = step.lost, step.lost
		text := gather(t, r)
		for _, name := range []string{`weir_lost_total{exporter="a",unit="flows"} `, `weir_lost_records_total{exporter="a"} `, `weir_sequence_gaps_total{exporter="a"} `} {
			if !strings.Contains(text, "\n"+name+step.want+"\n") {
				t.Errorf("%+v: want %s%s", step, name, step.want)
			}
		}
	}
}

func TestServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, testSnapshot, slog.New(slog.DiscardHandler)) }()
	get := func(path string) (int, string) {
		t.Helper()
		resp, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if status, body := get(Path); status != http.StatusOK || !strings.Contains(body, `weir_records_total{exporter="border-1"} 1.6729064e+07`) || !strings.Contains(body, "go_goroutines") {
		t.Errorf("status %d:\n%s", status, body)
	}
	if status, _ := get("/"); status != http.StatusNotFound {
		t.Errorf("/: status %d", status)
	}
	var idle []net.Conn
	for range maxConnections + 5 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		idle = append(idle, c)
	}
	last := idle[len(idle)-1]
	if err := last.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := last.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("a connection beyond the bound: %v, want it closed", err)
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the server did not stop")
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
}

// TestServeWaits ends the server while a snapshot is being taken.
func TestServeWaits(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	taking, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	take := func() *Snapshot {
		close(taking)
		<-release
		return testSnapshot()
	}
	go func() { done <- Serve(ctx, l, take, slog.New(slog.DiscardHandler)) }()
	go func() {
		if resp, err := http.Get("http://" + l.Addr().String() + Path); err == nil {
			resp.Body.Close()
		}
	}()
	<-taking
	cancel()
	select {
	case err := <-done:
		t.Errorf("ended while a snapshot was being taken: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	g := &gate{take: take}
	g.close()
	if s := g.snapshot(); !s.Started.IsZero() { // take would panic
		t.Error("a closed gate takes snapshots")
	}
	gather(t, newRegistry(g.snapshot)) // an empty snapshot can be told
}
