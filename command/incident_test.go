package command

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/bench"
	"weir/flow"
	"weir/testdata"
)

const (
	incidentClient2 = "10.21.4.4" // of another organisation, calls the controller too
	incidentShared  = 445         // port of the client's search for shares
	incidentFirst   = "10.20.12.1"

	// The second half of question 13.
	oldList   = "weir top dst_addr 'src net 10.20.0.0/16' -n 0 -q -o csv --from -8d --to -1d"
	newFilter = "src net 10.20.0.0/16 and not dst ip in @old.txt"
)

// An incident is generated traffic of two days with known events in it.
type incident struct {
	data    string
	beacon  bench.Incident // of the client
	beacon2 bench.Incident // of incidentClient2
	flood   bench.Incident
	before  *flow.Batch // what was exported on 16 November
	day     *flow.Batch // and on 22 November
}

func incidentAddr(t *testing.T, text string) flow.Addr {
	t.Helper()
	a, err := flow.ParseAddr(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// newIncident generates the traffic, imports it and leaves the lists and the
// configuration that the questions name in the working directory.
func newIncident(t *testing.T) *incident {
	t.Helper()
	addr := func(text string) flow.Addr { return incidentAddr(t, text) }
	client, controller, victim := addr(testdata.Client), addr(testdata.C2), addr(testdata.Server)
	at := func(clock string) time.Time {
		tm, err := time.Parse(time.DateTime, "2026-11-22 "+clock)
		if err != nil {
			t.Fatal(err)
		}
		return tm
	}
	const edge, nat = 1, 2
	exporters := func() []bench.Exporter {
		return []bench.Exporter{
			{Name: "core", Addr: netip.MustParseAddr("127.2.0.1"), Format: bench.NetFlow9, Domain: 1, Share: 4, Uplinks: 4},
			{Name: "edge", Addr: netip.MustParseAddr("127.2.0.2"), Format: bench.IPFIX, Domain: 7, Share: 2, Uplinks: 3},
			{Name: "nat", Addr: netip.MustParseAddr("127.2.0.3"), Format: bench.IPFIX, Domain: 3, Share: 1, NAT: true, Uplinks: 1},
		}
	}
	silent := bench.Exporter{Name: "silent", Addr: netip.MustParseAddr("127.2.0.4"), Format: bench.NetFlow9, Domain: 1, Share: 1, Uplinks: 1}

	in := &incident{
		beacon:  bench.Beacon(1, client, controller, testdata.C2Port, at("13:31:00"), time.Minute, 25),
		beacon2: bench.Beacon(2, addr(incidentClient2), controller, testdata.C2Port, at("13:33:00"), 2*time.Minute, 10),
		flood:   bench.Flood(3, victim, at("13:52:10"), 4*time.Minute, 150),
	}
	in.flood.Exporter = edge
	scan := bench.Scan(addr(testdata.Scanner), addr(testdata.Scanned), 22, at("13:32:00"), 300, addr(testdata.Answered))
	translated := bench.Translated(addr(testdata.Hidden), addr(testdata.Public), addr(testdata.Web), 55555, testdata.PublicPort, at("13:50:00"))
	translated.Exporter = nat

	dir := t.TempDir()
	in.data = filepath.Join(dir, "data")
	in.before = in.add(t, filepath.Join(dir, "before.pcap"), bench.Options{
		Seed: 1, Rate: 10, Records: 1500, Start: at("13:30:00").AddDate(0, 0, -6), Exporters: append(exporters(), silent),
		Incidents: []bench.Incident{bench.Beacon(4, client, addr(testdata.Web), 443, at("13:31:00").AddDate(0, 0, -6), 10*time.Second, 5)},
	})
	in.day = in.add(t, filepath.Join(dir, "day.pcap"), bench.Options{
		Seed: 1, Rate: 5, Records: 9600, Start: at("13:30:00"), Exporters: exporters(),
		Incidents: []bench.Incident{
			in.beacon, in.beacon2, in.flood, scan, translated,
			bench.Exfiltration(client, addr(testdata.Drop), at("13:35:30"), 12*time.Minute, 4_300_000_000),
			bench.Scan(client, addr(incidentFirst), incidentShared, at("13:48:00"), 40),
			bench.Beacon(5, client, addr(testdata.Web), 443, at("13:31:00"), time.Minute, 5),
		},
	})

	t.Chdir(dir)
	for name, text := range map[string]string{
		"c2.txt": "# from the advisory\n" + testdata.C2 + "\n203.0.113.99\n",
		"weir.yaml": "networks:\n" +
			"  - {name: uni-a, prefixes: [" + testdata.Ours + "]}\n" +
			"  - {name: uni-b, prefixes: [10.21.0.0/16]}\n" +
			"  - {name: uni-c, prefixes: [10.22.0.0/16]}\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return in
}

// add generates a capture, imports it and returns the records in it.
func (in *incident) add(t *testing.T, file string, o bench.Options) *flow.Batch {
	t.Helper()
	var capture bytes.Buffer
	w, g, b := bench.NewCaptureWriter(&capture), bench.New(o), flow.NewBatch(1<<14)
	for {
		p, ok := g.Next(b)
		if !ok {
			break
		}
		if err := w.Write(p.Time, p.Source(), p.Destination(), p.Payload); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, capture.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs, status := weir(t, in.data, "import", file); status != exitOK {
		t.Fatalf("import: status %d, %s%s", status, out, errs)
	}
	return b
}

// unexpected returns what is on standard error beside the one thing that the
// archive has to say: questions reach back before its captures, and there is
// nothing between them.
func unexpected(errs string) string {
	var rest strings.Builder
	for line := range strings.Lines(errs) {
		if !regexp.MustCompile("^weir: coverage: (the captures|no capture) ").MatchString(line) {
			rest.WriteString(line)
		}
	}
	return rest.String()
}

// ask runs a command as the document has it, and again for an answer that can
// be compared: rows of values by name.
func (in *incident) ask(t *testing.T, line string) (text string, rows []map[string]string) {
	t.Helper()
	args := shellWords(t, line)[1:]
	text, errs, status := weir(t, in.data, args...)
	if status != exitOK || unexpected(errs) != "" {
		t.Fatalf("%s: status %d, %s", line, status, errs)
	}
	if slices.Contains(args, "-o") {
		return text, csvRows(t, text)
	}
	out, errs, status := weir(t, in.data, append(args, "-o", "json")...)
	if status != exitOK || unexpected(errs) != "" {
		t.Fatalf("%s -o json: status %d, %s", line, status, errs)
	}
	for object := range strings.Lines(out) {
		fields := map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(object), &fields); err != nil {
			t.Fatalf("%s: %v in %s", line, err, object)
		}
		row := map[string]string{}
		for name, value := range fields {
			row[name] = strings.Trim(string(value), `"`)
		}
		rows = append(rows, row)
	}
	return text, rows
}

func csvRows(t *testing.T, text string) (rows []map[string]string) {
	t.Helper()
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(lines) == 0 {
		t.Fatalf("%v in %q", err, text)
	}
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, cell := range line {
			row[lines[0][i]] = cell
		}
		rows = append(rows, row)
	}
	return rows
}

// pick returns the given fields of every row, joined by blanks.
func pick(rows []map[string]string, fields ...string) []string {
	var list []string
	for _, row := range rows {
		var words []string
		for _, f := range fields {
			words = append(words, row[f])
		}
		list = append(list, strings.Join(words, " "))
	}
	return list
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// fifteenQuestions returns the commands of docs/query.md in order.
func fifteenQuestions(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile("../docs/query.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(page), "\n## Fifteen questions\n")
	if !ok {
		t.Fatal("docs/query.md has no section of fifteen questions")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for _, part := range []string{"`weir top dst_addr -n 0 --last 1d`", "    " + newFilter + "\n", "`" + oldList + " | cut -d, -f1 > old.txt`"} {
		if !strings.Contains(section, part) {
			t.Errorf("question 13 has not %q", part) // newToNetwork asks it
		}
	}
	number := regexp.MustCompile(`^(\d+)\. `)
	var commands []string
	asked, fence := 0, ""
	for line := range strings.Lines(section) {
		if m := number.FindStringSubmatch(line); m != nil {
			if asked++; m[1] != strconv.Itoa(asked) || len(commands) != asked-1 {
				t.Fatalf("question %s is number %d, after %d commands", m[1], asked, len(commands))
			}
		}
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "```"); ok {
			fence = name
		} else if fence == "sh" {
			commands = append(commands, line)
		}
	}
	if asked != 15 || len(commands) != 15 {
		t.Fatalf("%d questions with %d commands, want 15 with one each", asked, len(commands))
	}
	return commands
}

// TestFifteenQuestions asks what an analyst asks in an incident, by the
// commands of docs/query.md, and compares the answers with what was planted.
func TestFifteenQuestions(t *testing.T) {
	commands := fifteenQuestions(t)
	in := newIncident(t)
	checks := []func(*testing.T, []map[string]string){
		in.controllers, in.around, in.firstAndLast, in.beaconing, in.scanning, in.answered, in.left, in.lateral,
		in.behind, in.entered, in.madeOf, in.startAndStop, in.isNew, in.organisations, in.trust,
	}
	show := []string{
		testdata.C2, testdata.Drop, testdata.C2, "8443", testdata.Scanner, testdata.Answered, testdata.Drop, "445",
		testdata.Hidden, "127.2.0.2", "53", "13:5", testdata.C2, "uni-b", "127.2.0.4",
	}
	for i, check := range checks {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			text, rows := in.ask(t, commands[i])
			if !strings.Contains(text, show[i]) {
				t.Errorf("%s is missing in\n%s", show[i], text)
			}
			check(t, rows)
			if t.Failed() {
				t.Log(commands[i])
			}
		})
	}
	t.Run("13, of a network", in.newToNetwork)
}

func (in *incident) controllers(t *testing.T, rows []map[string]string) {
	n, n2 := len(in.beacon.Flows)/2, len(in.beacon2.Flows)/2
	equal(t, "pairs", sorted(pick(rows, "src_addr", "dst_addr", "flows", "bytes")), sorted([]string{
		fmt.Sprint(testdata.Client, " ", testdata.C2, " ", n, " ", n*620),
		fmt.Sprint(testdata.C2, " ", testdata.Client, " ", n, " ", n*480),
		fmt.Sprint(incidentClient2, " ", testdata.C2, " ", n2, " ", n2*620),
		fmt.Sprint(testdata.C2, " ", incidentClient2, " ", n2, " ", n2*480),
	}))
}

func (in *incident) around(t *testing.T, rows []map[string]string) {
	client := incidentAddr(t, testdata.Client)
	from, to := uint64(instant(t, "2026-11-22T13:40:00Z").UnixMilli()), uint64(instant(t, "2026-11-22T13:45:00Z").UnixMilli())
	var want []string
	edges := 0
	for i := range in.day.Len() {
		start, end := in.day.GetNum(flow.Start, i), in.day.GetNum(flow.End, i)
		src, dst := in.day.GetAddr(flow.SrcAddr, i), in.day.GetAddr(flow.DstAddr, i)
		if (src == client || dst == client) && start < to && end >= from {
			want = append(want, fmt.Sprint(rfc3339(start), " ", src, " ", dst, " ", in.day.GetNum(flow.Bytes, i)))
			if start < from || end >= to {
				edges++
			}
		}
	}
	got := pick(rows, "start", "src_addr", "dst_addr", "bytes")
	if !slices.IsSorted(pick(rows, "start")) {
		t.Error("not in order of start")
	}
	equal(t, "flows", sorted(got), sorted(want))
	if edges < 4 {
		t.Errorf("%d flows reach over the edges of the window, want those of the upload", edges)
	}
}

func (in *incident) firstAndLast(t *testing.T, rows []map[string]string) {
	first, last := ^uint64(0), uint64(0)
	flows := slices.Concat(in.beacon.Flows, in.beacon2.Flows)
	for _, f := range flows {
		first, last = min(first, f.Start), max(last, f.End)
	}
	equal(t, "seen", pick(rows, "addr", "first", "last", "records", "peers"),
		[]string{fmt.Sprint(testdata.C2, " ", rfc3339(first), " ", rfc3339(last), " ", len(flows), " 2")})
}

func (in *incident) beaconing(t *testing.T, rows []map[string]string) {
	var want []string
	for _, f := range in.beacon.Flows {
		if f.DstPort == testdata.C2Port {
			want = append(want, fmt.Sprint(rfc3339(f.Start), " 8443 620 6"))
		}
	}
	equal(t, "calls", pick(rows, "start", "dst_port", "bytes", "packets"), sorted(want))
	for i := 1; i < len(rows); i++ {
		step := instant(t, rows[i]["start"]).Sub(instant(t, rows[i-1]["start"]))
		if step < 54*time.Second || step > 66*time.Second {
			t.Errorf("%v between call %d and the next, want a minute with a tenth of jitter", step, i)
		}
	}
}

func (in *incident) scanning(t *testing.T, rows []map[string]string) {
	if len(rows) == 0 {
		t.Fatal("nobody")
	}
	equal(t, "the busiest", pick(rows[:1], "src_addr", "distinct", "flows"), []string{testdata.Scanner + " 299 299"})
	if !slices.Contains(pick(rows, "src_addr", "distinct"), testdata.Client+" 40") {
		t.Errorf("the client's scan inside is missing in %q", pick(rows, "src_addr", "distinct"))
	}
}

func (in *incident) answered(t *testing.T, rows []map[string]string) {
	equal(t, "hosts", pick(rows, "src_addr", "flows", "packets", "bytes"), []string{testdata.Answered + " 1 20 4800"})
}

func (in *incident) left(t *testing.T, rows []map[string]string) {
	if len(rows) == 0 {
		t.Fatal("nothing")
	}
	equal(t, "the largest", pick(rows[:1], "src_addr", "dst_addr", "bytes", "flows"), []string{testdata.Client + " " + testdata.Drop + " 4300000000 12"})
}

func (in *incident) lateral(t *testing.T, rows []map[string]string) {
	equal(t, "ports", pick(rows, "dst_port", "distinct", "flows"), []string{"445 40 40"})
}

func (in *incident) behind(t *testing.T, rows []map[string]string) {
	equal(t, "flows", pick(rows, "src_addr", "src_port", "dst_addr", "start"),
		[]string{testdata.Hidden + " 55555 " + testdata.Web + " 2026-11-22T13:50:00.000Z"})
}

func (in *incident) entered(t *testing.T, rows []map[string]string) {
	victim := incidentAddr(t, testdata.Server)
	packets := map[string]uint64{}
	for i := range in.day.Len() {
		if in.day.GetAddr(flow.DstAddr, i) == victim && in.day.GetNum(flow.SrcPort, i) == 53 && in.day.GetNum(flow.Proto, i) == 17 {
			packets[fmt.Sprint(in.day.GetAddr(flow.Exporter, i), " ", in.day.GetNum(flow.InIf, i))] += in.day.GetNum(flow.Packets, i)
		}
	}
	var want []string
	for at, n := range packets {
		want = append(want, fmt.Sprint(at, " ", n))
	}
	equal(t, "interfaces", sorted(pick(rows, "exporter", "in_if", "packets")), sorted(want))
	if rows[0]["exporter"] != "127.2.0.2" || len(rows) < 2 {
		t.Errorf("it came in at %q, want several interfaces of 127.2.0.2", pick(rows, "exporter", "in_if"))
	}
}

// floodPackets returns the packets of the flood, its first start and last end.
func (in *incident) floodPackets() (packets, first, last uint64) {
	first = ^uint64(0)
	for _, f := range in.flood.Flows {
		packets += f.Packets
		first, last = min(first, f.Start), max(last, f.End)
	}
	return packets, first, last
}

func (in *incident) madeOf(t *testing.T, rows []map[string]string) {
	packets, _, _ := in.floodPackets()
	if len(rows) == 0 {
		t.Fatal("nothing")
	}
	equal(t, "the largest", pick(rows[:1], "proto", "src_port", "packets", "flows"), []string{fmt.Sprint("17 53 ", packets, " ", len(in.flood.Flows))})
}

func (in *incident) startAndStop(t *testing.T, rows []map[string]string) {
	packets, first, last := in.floodPackets()
	var busy []string
	sum := uint64(0)
	for _, row := range rows {
		n, err := strconv.ParseUint(row["packets"], 10, 64)
		if err != nil {
			t.Fatalf("%v in %v", err, row)
		}
		if sum += n; n > 0 {
			busy = append(busy, row["start"])
		}
	}
	if len(busy) == 0 || sum != packets {
		t.Fatalf("%d packets in %d steps, want %d", sum, len(busy), packets)
	}
	const minute = 60_000
	equal(t, "first and last step", []string{busy[0], busy[len(busy)-1]}, []string{rfc3339(first - first%minute), rfc3339(last - last%minute)})
}

func (in *incident) isNew(t *testing.T, rows []map[string]string) {
	if !slices.IsSorted(pick(rows, "first")) {
		t.Errorf("not the earliest first: %q", pick(rows, "first"))
	}
	client := incidentAddr(t, testdata.Client)
	seen := map[string]uint64{}
	for _, b := range []*flow.Batch{in.before, in.day} {
		for i := range b.Len() {
			peer := b.GetAddr(flow.DstAddr, i)
			if peer == client {
				peer = b.GetAddr(flow.SrcAddr, i)
			} else if b.GetAddr(flow.SrcAddr, i) != client {
				continue
			}
			start, known := b.GetNum(flow.Start, i), seen[peer.String()]
			if known == 0 || start < known {
				seen[peer.String()] = start
			}
		}
	}
	var want []string
	for peer, first := range seen {
		want = append(want, peer+" "+rfc3339(first))
	}
	equal(t, "peers", sorted(pick(rows, "peer", "first")), sorted(want))
	if old := rfc3339(seen[testdata.Web]); !strings.HasPrefix(old, "2026-11-16") || len(rows) == 0 || rows[0]["peer"] != testdata.Web {
		t.Errorf("the web site, known since %s, is not the first of %q", old, pick(rows, "peer"))
	}
}

// newToNetwork writes a list of what was called before, and asks for the rest.
func (in *incident) newToNetwork(t *testing.T) {
	text, _ := in.ask(t, oldList)
	var old []string
	for line := range strings.Lines(text) {
		addr, _, _ := strings.Cut(line, ",") // as cut does
		old = append(old, addr)
	}
	if err := os.WriteFile("old.txt", []byte(strings.Join(old, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	_, rows := in.ask(t, "weir top dst_addr -n 0 --last 1d '"+newFilter+"'")
	called := func(b *flow.Batch) map[string]bool {
		set := map[string]bool{}
		for i := range b.Len() {
			if src := b.GetAddr(flow.SrcAddr, i).String(); strings.HasPrefix(src, "10.20.") {
				set[b.GetAddr(flow.DstAddr, i).String()] = true
			}
		}
		return set
	}
	before, now := called(in.before), called(in.day)
	var want []string
	for dst := range now {
		if !before[dst] {
			want = append(want, dst)
		}
	}
	equal(t, "new", sorted(pick(rows, "dst_addr")), sorted(want))
	if !before[testdata.Web] || !slices.Contains(want, testdata.C2) || !slices.Contains(want, testdata.Drop) {
		t.Error("the traffic has not what it is to have")
	}
}

func (in *incident) organisations(t *testing.T, rows []map[string]string) {
	equal(t, "organisations", sorted(slices.DeleteFunc(pick(rows, "org", "flows"), func(row string) bool { return strings.HasPrefix(row, " ") || strings.HasPrefix(row, "null") })),
		[]string{fmt.Sprint("uni-a ", len(in.beacon.Flows)), fmt.Sprint("uni-b ", len(in.beacon2.Flows))})
}

func (in *incident) trust(t *testing.T, rows []map[string]string) {
	want := map[string]int{}
	for _, b := range []*flow.Batch{in.before, in.day} {
		for i := range b.Len() {
			want[rfc3339(b.GetNum(flow.Start, i))[:len("2026-11-22")]+" "+b.GetAddr(flow.Exporter, i).String()]++
		}
	}
	zeros := 0
	for _, row := range rows {
		if row["flows"] == "0" {
			zeros++
		}
		at := row["start"][:len("2026-11-22")] + " " + row["exporter"]
		if row["flows"] != strconv.Itoa(want[at]) {
			t.Errorf("%s: got %s flows, want %d", at, row["flows"], want[at])
		}
		delete(want, at)
	}
	if len(want) > 0 {
		t.Errorf("not in the answer: %v", want)
	}
	if zeros < 5*4+1 {
		t.Errorf("%d zeros, want those of five days without records and of the exporter that fell silent", zeros)
	}
}
