package command

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/collector"
	"weir/flow"
	"weir/flow/ledger"
)

// strangeHour adds to the hour before testNow's an exporter that has everything
// that most have not.
func strangeHour(t *testing.T, l *local) {
	t.Helper()
	at := testNow.Truncate(time.Hour).Add(-time.Hour)
	row := hourEntry("192.0.2.3", 0, flow.VersionSFlow5, at, 60, 100, 0)
	c := &row.Entry.Counts
	c[ledger.SampleDrops], c[ledger.LostSamples], c[ledger.Reordered], c[ledger.Duplicates] = 12, 3, 4, 5
	c[ledger.SetsWithout], c[ledger.SetsRecovered], c[ledger.SetsDropped] = 9, 7, 2
	c[ledger.OutOfScope], c[ledger.SetAside] = 1200, 1200
	row.Entry.Skew.Note(-1000, 100)
	row.Entry.Skew.Note(90_000, 100)
	row.Entry.Silence = ledger.Span{From: msOf(at), To: msOf(at.Add(2 * time.Minute))}
	row.Entry.Fail("truncated", 3)
	row.Entry.Fail("version", 1)
	putRow(t, l.store, at, row)
	host := ledger.Row{Kind: ledger.KindHost, Run: 99, Host: &ledger.Host{Up: ledger.Span{From: msOf(at), To: msOf(at.Add(time.Hour))}, End: ledger.EndClean,
		Sockets: []ledger.Drop{{Where: "[::]:6343", Count: 3}, {Where: "[::]:2055", Count: 40}},
		Senders: []ledger.Drop{{Where: "203.0.113.9", Count: 30}}, Others: ledger.Drop{Count: 20}}}
	putRow(t, l.store, at, host)
	l.scope = &collector.Scope{Groups: map[string]collector.Treatment{"core": collector.Keep, "organisation": collector.SetAside}}
}

// TestExporterPage asks for all that is known of one exporter, in every form.
func TestExporterPage(t *testing.T) {
	l, dir := ledgerLocal(t, testNow)
	strangeHour(t, l)
	serveIn(t, l, dir)
	out, errs, _ := weir(t, dir, "exporters", "campus-2")
	for _, want := range []string{
		"skew                  1.9s from the end of a flow to the receipt of its record, median; from -1s to 1m30s\n",
		"without template      9 data sets, of which 7 were decoded when it came, and 2 given up\n",
		"out of order          4 datagrams late, 5 came again\n",
		"dropped by the agent  12 samples, by its own count\n",
		"samples missing       3 by their own numbers\n",
		"errors                truncated 3, version 1\n",
		"out of scope          1200 of 2400 records, 1200 in quarantine\n",
		"longest silence       2m00s from 2026-11-22T13:00:00Z\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing from\n%s%s", want, out, errs)
		}
	}
	out, _, _ = weir(t, dir, "exporters", "campus-2", "-o", "csv")
	names, cells, _ := strings.Cut(strings.ReplaceAll(out, "\r", ""), "\n")
	got := map[string]string{}
	values := strings.Split(strings.TrimSpace(cells), ",")
	for i, name := range strings.Split(names, ",") {
		got[name] = values[i]
	}
	for name, want := range map[string]string{"skew_min_ms": "-1000", "skew_ms": "1920", "skew_max_ms": "90000", "sets_recovered": "7", "sample_drops": "12",
		"lost_samples": "3", "out_of_scope": "1200", "set_aside": "1200", "refused": "0", "errors": "truncated=3 version=1", "silence_ms": "120000"} {
		if got[name] != want {
			t.Errorf("csv: %s is %q, want %q", name, got[name], want)
		}
	}
	out, _, _ = weir(t, dir, "exporters", "campus-2", "-o", "json")
	var r exporterReport
	if err := json.Unmarshal([]byte(out), &r); err != nil || *r.SkewMinMS != -1000 || *r.SkewMaxMS != 90_000 || r.SetsRecovered != 7 || r.SampleDrops != 12 || r.Errors["truncated"] != 3 {
		t.Errorf("%v: got %s", err, out)
	}
	if day, err := strconv.ParseFloat(got["records_per_second_day"], 64); err != nil || day != r.Day {
		t.Errorf("csv: %s records a second, json has %v", got["records_per_second_day"], r.Day)
	}
	out, _, _ = weir(t, dir, "coverage", "--last", "2h", "-n", "0")
	for _, want := range []string{
		`(?m)^2026-11-22T13:00:00Z .* all +dropped in the kernel .* 43 datagrams$`,
		`campus-2 +out of scope +1200 +- +50 % of 2400 records, 1200 in quarantine`,
		`campus-2 +dropped by the sFlow agent +12 `,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("%s is missing from\n%s", want, out)
		}
	}
}

// TestHistoryOfTheForgotten asks about exporters that were not heard in the day
// and are in no configuration.
func TestHistoryOfTheForgotten(t *testing.T) {
	l, dir := ledgerLocal(t, testNow)
	if err := l.store.PutState("collector/history/203.0.113.77", []byte(`{"version":1,"events":[{"at":1790000000000,"what":"first seen","domain":0}]}`)); err != nil {
		t.Fatal(err)
	}
	serveIn(t, l, dir)
	if out, errs, _ := weir(t, dir, "exporters", "--history"); !strings.Contains(out, "203.0.113.77  203.0.113.77  first seen") {
		t.Errorf("%s is missing from\n%s%s", "203.0.113.77", out, errs)
	}
	if out, errs, status := weir(t, dir, "exporters", "203.0.113.77"); status != exitOK || !strings.Contains(out, "first seen\n") || !strings.Contains(out, "status                quiet") {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
	if out, _, _ := weir(t, dir, "exporters"); strings.Contains(out, "203.0.113.77") {
		t.Errorf("the list of the day has one of another day:\n%s", out)
	}
}

// TestStatusOfStrangers looks at a collector that hears what it should not.
func TestStatusOfStrangers(t *testing.T) {
	l, dir := statusLocal(t)
	strangeHour(t, l)
	r, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	foreign := []foreignReport{{"campus-2", "organisation", 1200, 2400, 1200, 0}}
	if !slices.Equal(r.Foreign, foreign) || r.OutOfScope != 1200 || r.Refused != 50 || !slices.Equal(r.Senders, []ledger.Drop{{Where: "203.0.113.9", Count: 30}}) {
		t.Errorf("got %s", marshal(r))
	}
	serveIn(t, l, dir)
	out, _, _ := weir(t, dir, "status")
	for _, want := range []string{
		"attention   an exporter sends records of which no address is in networks: campus-2: 1200 of 2400 (set aside)\n",
		"scope       1200 records with no address in networks; most of campus-2: 1200 of 2400 (set aside), in this hour and the one before\n",
		"refused     50 datagrams of 203.0.113.9 (30), others (20), in this hour and the one before\n",
		", 43 datagrams in the kernel at [::]:2055 (40), [::]:6343 (3), in this hour and the one before\n",
		"; how long it lasts is not known: ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing from\n%s", want, out)
		}
	}
	if r.Disk.Days != nil || r.Disk.Why == "" {
		t.Errorf("the disk is %s, want a reason", marshal(r.Disk))
	}
	l.scope.Groups["organisation"] = collector.Keep
	if r, err = l.Status(t.Context()); err != nil || len(r.Foreign) != 0 || r.OutOfScope != 1200 {
		t.Errorf("%v: of a group that is meant to: got %v", err, r.Foreign)
	}
}

// TestStatusAwaits looks at a collector that has just started: who is expected
// and not heard yet is said so at once, and is a finding after a while.
func TestStatusAwaits(t *testing.T) {
	l, dir := statusLocal(t)
	l.daemon.started = testNow.Add(-3 * time.Minute)
	serveIn(t, l, dir)
	out, errs, status := weir(t, dir, "status", "--check")
	if want := "; 1 of 2 expected; not heard since the collector began, 3m00s ago: campus-2\n"; status != exitOK || !strings.Contains(out, want) {
		t.Errorf("status %d, %s: %q is missing from\n%s", status, errs, want, out)
	}
	if out, _, _ := weir(t, dir, "exporters", "campus-2"); !strings.Contains(out, "status                not heard since the collector began, 3m00s ago\n") {
		t.Errorf("got\n%s", out)
	}
	l.daemon.started = testNow.Add(-16 * time.Minute)
	if _, errs, status = weir(t, dir, "status", "--check"); status != exitFailure || errs != "weir: 1 of 2 expected exporters silent: campus-2\n" {
		t.Errorf("after a while: status %d, %s", status, errs)
	}
}

// TestScopeIsWrittenDown checks that commands without a collector know who is
// meant to have records that are not ours.
func TestScopeIsWrittenDown(t *testing.T) {
	l, _ := ledgerLocal(t, testNow)
	if s, err := readScope(l.store); err != nil || s != nil {
		t.Errorf("nothing is written: got %+v, %v", s, err)
	}
	want := &collector.Scope{Default: collector.Refuse, Groups: map[string]collector.Treatment{"core": collector.Keep}, Implied: true}
	if err := writeScope(l.store, want); err != nil {
		t.Fatal(err)
	}
	s, err := readScope(l.store)
	if err != nil || s.Default != want.Default || !s.Implied || !s.Usual("core") || s.Usual("") || s.Usual("other") {
		t.Errorf("got %+v, %v, want %+v", s, err, want)
	}
	if err := writeScope(l.store, nil); err != nil {
		t.Fatal(err)
	}
	if s, err := readScope(l.store); err != nil || s != nil {
		t.Errorf("there is none any more: got %+v, %v", s, err)
	}
}

// TestScopeOfNetworksAlone lets two exporters send what is not ours to a
// collector that only knows networks: it is kept and counted, and found.
func TestScopeOfNetworksAlone(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	c := collectConfigured(t, data, "networks: [{name: ours, prefix: 10.0.0.1/32}]\nexporters: [{name: uni-a-gw, address: 127.0.0.3, group: organisation}]\n", testNow.Add(-time.Minute))
	c.send(t, "127.0.0.3", netflow5(30))
	c.send(t, "127.0.0.2", netflow5(1)) // ours
	waitAnswer(t, data, "31\n", "query", "--count")
	c.clock.Store(testNow.UnixMilli())
	waitStatus(t, data, func(r *statusReport) bool {
		return r.OutOfScope == 29 && slices.Equal(r.Foreign, []foreignReport{{"uni-a-gw", "organisation", 29, 30, 0, 0}}) && !r.Healthy
	})
	if log := c.log.String(); strings.Count(log, "no address is in networks") != 1 || !strings.Contains(log, "hint=") {
		t.Errorf("the log is\n%s", log)
	}
	for want, args := range map[string][]string{
		"out of scope          29 of 30 records\n": {"exporters", "uni-a-gw"},
		"  -  97 % of 30 records\n":                {"coverage"},
		"\"out_of_scope\":29,":                     {"exporters", "uni-a-gw", "-o", "json"},
	} {
		if out, errs, _ := weir(t, data, args...); !strings.Contains(out, want) {
			t.Errorf("%q: %q is missing from\n%s%s", args, want, out, errs)
		}
	}
	c.stop()
	if out, errs, _ := weir(t, data, "coverage"); !strings.Contains(out, "  -  97 % of 30 records\n") {
		t.Errorf("without the collector: got\n%s%s", out, errs)
	}
}
