package command

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/bench"
	"weir/flow"
	"weir/query"
)

// keptConfig keeps one element of each kind of slot, and one that nobody knows.
const keptConfig = `
keep:
  - applicationId
  - element: ciscoPEN/12235
    name: http_host
    type: string
  - collectorIPv4Address
  - 9/1000
`

// keptDatagram is an IPFIX message of three flows with what keptConfig keeps.
func keptDatagram() []byte {
	be := binary.BigEndian
	field := func(b []byte, id, length int, pen uint32) []byte {
		if pen != 0 {
			id |= 0x8000
		}
		b = be.AppendUint16(be.AppendUint16(b, uint16(id)), uint16(length))
		if pen != 0 {
			b = be.AppendUint32(b, pen)
		}
		return b
	}
	template := []byte{1, 0, 0, 7} // 256, seven fields
	template = field(template, 8, 4, 0)
	template = field(template, 12, 4, 0)
	template = field(template, 1, 4, 0)
	template = field(template, 95, 4, 0)
	template = field(template, 12235, 0xffff, 9)
	template = field(template, 211, 4, 0)
	template = field(template, 1000, 2, 9)
	var data []byte
	for i, host := range []string{"www.example.com", "Mail.example.net", ""} {
		data = be.AppendUint32(data, 0xc0000201)
		data = be.AppendUint32(data, 0xc6336401+uint32(i))
		data = be.AppendUint32(data, uint32(1000*(i+1)))
		data = be.AppendUint32(data, 0x0d000050+uint32(i/2))
		data = append(append(data, byte(len(host))), host...)
		data = be.AppendUint32(data, 0x0a000001)
		data = be.AppendUint16(data, uint16(i))
	}
	set := func(id int, body []byte) []byte {
		return append(be.AppendUint16(be.AppendUint16(nil, uint16(id)), uint16(len(body)+4)), body...)
	}
	sets := append(set(2, template), set(256, data)...)
	message := be.AppendUint16([]byte{0, 10}, uint16(len(sets)+16))
	message = be.AppendUint32(message, uint32(testNow.Unix()))
	return append(append(message, 0, 0, 0, 1, 0, 0, 0, 0), sets...)
}

// keptFiles writes a capture of keptDatagram and a configuration.
func keptFiles(t *testing.T, config string) (capture, file string) {
	t.Helper()
	dir := t.TempDir()
	var pcap bytes.Buffer
	w := bench.NewCaptureWriter(&pcap)
	from, to := netip.MustParseAddrPort("192.0.2.250:2055"), netip.MustParseAddrPort("127.0.0.1:2055")
	if err := w.Write(uint64(testNow.UnixMilli()), from, to, keptDatagram()); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	capture, file = filepath.Join(dir, "kept.pcap"), filepath.Join(dir, "weir.yaml")
	for name, text := range map[string][]byte{capture: pcap.Bytes(), file: []byte(config)} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return capture, file
}

// keptAnswers are questions about keptDatagram and their answers.
var keptAnswers = []struct{ args, want string }{
	{"query -o csv --fields dst_addr,application_id,http_host,collector_ipv4_address,cisco_1000",
		"dst_addr,application_id,http_host,collector_ipv4_address,cisco_1000\n198.51.100.1,0x0d000050,www.example.com,10.0.0.1,0\n" +
			"198.51.100.2,0x0d000050,Mail.example.net,10.0.0.1,1\n198.51.100.3,0x0d000051,,10.0.0.1,2\n"},
	{"query -o json --fields http_host,applicationId,cisco_1000 -n 1", `{"http_host":"www.example.com","application_id":"0x0d000050","cisco_1000":0}` + "\n"},
	{"query -o csv --fields 95,ciscoPEN/12235,9/1000 -n 1", "application_id,http_host,cisco_1000\n0x0d000050,www.example.com,0\n"},
	{"query --count ciscoPEN/12235 contains EXAMPLE and not 9/1000 = 1", "1\n"},
	{"top cisco/1000 -o json -n 1", `{"cisco_1000":2,`},
	{"series --group 9/1000 -o json -n 1 --step 1h", `{"start":"2026-11-22T14:00:00.000Z","step_ms":3600000,"cisco_1000":2,`},
	{"query --count application_id 0x0d000050", "2\n"},
	{"query --count applicationId > 0x0d000050", "1\n"},
	{"query --count http_host contains EXAMPLE", "2\n"},
	{"query --count http_host in [www.example.com other]", "1\n"},
	{"query --count not http_host www.example.com", "2\n"},
	{"query --count collector_ipv4_address 10.0.0.0/8 and cisco_1000 >= 1", "2\n"},
	{"top http_host -o csv --by bytes", "http_host,"},
	{"top application_id --distinct http_host --by distinct -o json -n 1", `{"application_id":"0x0d000050",`},
	{"top cisco_1000 -o json -n 1", `{"cisco_1000":2,`},
	{"top collector_ipv4_address/8 -o json", `{"collector_ipv4_address/8":"10.0.0.0/8",`},
	{"series --group http_host -o json -n 1 --step 1h", `{"start":"2026-11-22T14:00:00.000Z","step_ms":3600000,"http_host":`},
	{"series --group cisco_1000 -o json -n 1 --step 1h", `{"start":"2026-11-22T14:00:00.000Z","step_ms":3600000,"cisco_1000":2,`},
	{"query -n 1 -o fmt:%da_%application_id_%http_host", "Dst IP Addr"},
	{"explain collector_ipv4_address 10.0.0.1", "filter:   collector_ipv4_address = 10.0.0.1\n"},
}

func checkKept(t *testing.T, data string) {
	t.Helper()
	for _, c := range keptAnswers {
		out, errs, status := weir(t, data, strings.Fields(c.args)...)
		out = strings.ReplaceAll(out, "\r", "")
		whole := strings.HasSuffix(c.want, "\n") && !strings.HasPrefix(c.args, "explain")
		if status != exitOK || whole && out != c.want || !strings.Contains(out, strings.TrimSuffix(c.want, "\n")) {
			t.Errorf("%s: status %d, got\n%s%swant\n%s", c.args, status, out, errs, c.want)
		}
	}
	if out, _, _ := weir(t, data, "query", "-o", "json", "-n", "1"); !strings.Contains(out, `"application_id":"0x0d000050","collector_ipv4_address"`) && !strings.Contains(out, `"http_host":"www.example.com"`) {
		t.Errorf("a flow in JSON: %s", out)
	}
}

// An empty text that is grouped by is a value of its own: it is shown neither as
// absent nor as the number by which groups are told apart.
func TestEmptyTextOfGroup(t *testing.T) {
	empty, absent := query.Value{Present: true, Num: 7, Named: true, Bits: -1}, query.Value{Num: 7, Bits: -1}
	for _, c := range []struct {
		value       query.Value
		json, table string
	}{{empty, `""`, ""}, {absent, "null", "-"}} {
		sent := query.TopRow{Key: []query.Value{c.value}}
		row, ok := parseWireRow(appendWireRow(nil, &sent))
		if !ok || len(row.Key) != 1 {
			t.Fatalf("%+v came as %+v", sent, row)
		}
		if got := row.Key[0]; string(marshal(got)) != c.json || humanKey(got) != c.table || got.String() != "" {
			t.Errorf("%+v: json %s, table %q, csv %q", got, marshal(got), humanKey(got), got.String())
		}
	}
	for want, g := range map[[2]string]query.SeriesGroup{{`""`, `""`}: {}, {"null", "no http_host"}: {Absent: true}} {
		if got := [2]string{string(groupJSON("http_host", g)), groupName("http_host", g)}; got != want {
			t.Errorf("%+v: got %q, want %q", g, got, want)
		}
	}
}

// TestKept keeps elements by an import and by a collector, and asks with and
// without one.
func TestKept(t *testing.T) {
	capture, file := keptFiles(t, keptConfig)
	data := filepath.Join(t.TempDir(), "data")
	if _, errs, status := weir(t, data, "import", capture, "--config", file); status != exitOK {
		t.Fatalf("import: status %d, %s", status, errs)
	}
	t.Run("alone", func(t *testing.T) { checkKept(t, data) })

	received := filepath.Join(t.TempDir(), "data")
	c := collectConfigured(t, received, keptConfig, testNow)
	c.send(t, "127.0.0.1", keptDatagram())
	waitAnswer(t, received, "3\n", "query", "--count")
	t.Run("beside a collector", func(t *testing.T) { checkKept(t, received) })
	c.stop()
	t.Run("after it", func(t *testing.T) { checkKept(t, received) })
	if _, errs, status := weir(t, received, "purge", "http_host contains mail", "--all-time", "--case", "C-1", "--yes"); status != exitOK {
		t.Errorf("purge: status %d, %s", status, errs)
	}
	if out, _, _ := weir(t, received, "audit", "--command", "purge"); !strings.Contains(out, "records by http_host (filter with SHA-256") {
		t.Errorf("the audit log of a purge by a kept element:\n%s", out)
	}
	if text, err := os.ReadFile(filepath.Join(received, "WEIR")); err != nil || string(text) != "weir format 2\n" {
		t.Errorf("the archive says %q, %v", text, err)
	}
}

// TestKeptChanges starts collectors with other elements on one archive: what was
// kept can be asked for as long as it is there.
func TestKeptChanges(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	collect := func(config string, rows int) {
		t.Helper()
		c := collectConfigured(t, data, config, testNow)
		c.send(t, "127.0.0.1", keptDatagram())
		waitAnswer(t, data, fmt.Sprintln(rows), "query", "--count")
		c.stop()
	}
	count := func(want string, filter ...string) {
		t.Helper()
		if out, errs, status := weir(t, data, append([]string{"query", "--count"}, filter...)...); out != want || status != exitOK {
			t.Errorf("%q: status %d, %s%s, want %s", filter, status, out, errs, want)
		}
	}
	collect("", 3)
	if text, _ := os.ReadFile(filepath.Join(data, "WEIR")); string(text) != "weir format 1\n" {
		t.Errorf("without keep: the archive says %q", text)
	}
	if _, errs, status := weir(t, data, "query", "application_id 5"); status != exitUsage || !strings.Contains(errs, "application_id is not kept in this archive: add applicationId to keep:") {
		t.Errorf("status %d, %s", status, errs)
	}
	if _, errs, status := weir(t, data, "top", "cisco_12235"); status != exitUsage || !strings.Contains(errs, "add 9/12235 to keep:") {
		t.Errorf("status %d, %s", status, errs)
	}
	collect("keep: [applicationId, cisco/12235]", 6)
	count("2\n", "application_id 0x0d000050")
	count("2\n", "application_http_host contains 'example'")
	collect("keep: [{element: cisco/12235, name: web_host, type: string}]", 9) // another type: another column
	count("2\n", "application_id 0x0d000050")
	count("1\n", "web_host www.example.com")
	count("1\n", "cisco_12235 contains 'www'")
	collect("", 12)
	count("1\n", "web_host www.example.com")
	count("2\n", "application_id 0x0d000050")
	collect("keep: [applicationId]", 15) // its slot is the same
	count("4\n", "application_id 0x0d000050")
}

// TestKeptExport is of packages, whose anonymised form has no texts.
func TestKeptExport(t *testing.T) {
	capture, file := keptFiles(t, keptConfig)
	data := filepath.Join(t.TempDir(), "data")
	if _, errs, status := weir(t, data, "import", capture, "--config", file); status != exitOK {
		t.Fatalf("import: status %d, %s", status, errs)
	}
	export := func(args ...string) string {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "package")
		if _, errs, status := weir(t, data, append([]string{"export", "any", "-o", dir}, args...)...); status != exitOK {
			t.Fatalf("export %q: status %d, %s", args, status, errs)
		}
		if out, errs, status := weir(t, data, "verify", dir); status != exitOK {
			t.Errorf("verify: status %d, %s%s", status, out, errs)
		}
		text, err := os.ReadFile(filepath.Join(dir, "records.csv"))
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := os.ReadFile(filepath.Join(dir, manifestName))
		if err != nil {
			t.Fatal(err)
		}
		return string(text) + string(manifest)
	}
	whole := export()
	for _, want := range []string{"www.example.com", ",0x0d000050,", ",10.0.0.1,", "information element 9/12235 (applicationHTTPHost)"} {
		if !strings.Contains(whole, want) {
			t.Errorf("an export has no %q", want)
		}
	}
	hidden := export("--anonymise", "truncate/8,/8")
	for _, bad := range []string{"www.example.com", "0x0d000050", "10.0.0.1", "http_host"} {
		if strings.Contains(hidden, bad) {
			t.Errorf("an anonymised export has %q", bad)
		}
	}
	if !strings.Contains(hidden, "10.0.0.0") {
		t.Error("an anonymised export has no addresses of the kept element")
	}
	_, errs, status := weir(t, data, "export", "any", "-o", filepath.Join(t.TempDir(), "p"), "--fields", "src_addr,http_host", "--anonymise", "truncate/8,/8")
	if status != exitUsage || !strings.Contains(errs, "http_host is a text") {
		t.Errorf("status %d, %s", status, errs)
	}
}

// TestKeptPurge deletes by a kept text, and what is deleted is gone.
func TestKeptPurge(t *testing.T) {
	capture, file := keptFiles(t, keptConfig)
	data := filepath.Join(t.TempDir(), "data")
	if _, errs, status := weir(t, data, "import", capture, "--config", file); status != exitOK {
		t.Fatalf("import: status %d, %s", status, errs)
	}
	if out, errs, status := weir(t, data, "purge", "http_host", "mail.example.net", "--all-time", "--yes", "--case", "P-1"); status != exitOK {
		t.Fatalf("purge: status %d, %s%s", status, out, errs)
	}
	if out, _, _ := weir(t, data, "query", "-o", "csv", "--fields", "http_host"); strings.ReplaceAll(out, "\r", "") != "http_host\nwww.example.com\n\"\"\n" {
		t.Errorf("left are %s", out)
	}
	if out, errs, status := weir(t, data, "check"); status != exitOK {
		t.Errorf("check: status %d, %s%s", status, out, errs)
	}
}

// TestKeptInspect says what is kept and what would be.
func TestKeptInspect(t *testing.T) {
	capture, file := keptFiles(t, "keep: [applicationId]")
	out, _, _ := weir(t, "", "inspect", capture, "-o", "json", "--config", file)
	var r inspection
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var got []string
	for _, f := range r.Exporters[0].Domains[0].Templates[0].Fields {
		got = append(got, f.Kept+"/"+f.Keep)
	}
	want := []string{"src_addr/", "dst_addr/", "bytes/", "application_id/", "/9/12235", "/collectorIPv4Address", "/9/1000"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if out, _, _ := weir(t, "", "inspect", capture); !strings.Contains(out, "keep: [applicationId, 9/12235, collectorIPv4Address, 9/1000]") {
		t.Errorf("got %s", out)
	}
}

// TestAssignSlots is of slots over several configurations.
func TestAssignSlots(t *testing.T) {
	element := func(number uint16, kind flow.ElementType) flow.KeptElement {
		return flow.KeptElement{Number: number, Name: fmt.Sprint("e", number), Alias: fmt.Sprint("element_", number), Type: kind}
	}
	show := func(list []flow.KeptElement) string {
		var words []string
		for _, e := range list {
			words = append(words, fmt.Sprintf("%d:%s@%d", e.Field, e.Name, e.Until))
		}
		return strings.Join(words, " ")
	}
	var list []flow.KeptElement
	for _, step := range []struct {
		what   string
		wanted []flow.KeptElement
		at     slotTimes
		want   string
	}{
		{"two numbers and a text", []flow.KeptElement{element(1, "unsigned8"), element(2, "unsigned8"), element(3, "string")}, slotTimes{100, ^uint64(0), 0}, "76:e1@0 77:e2@0 110:e3@0"},
		{"the first goes", []flow.KeptElement{element(2, "unsigned8"), element(3, "string")}, slotTimes{200, 50, 150}, "76:e1@200 77:e2@0 110:e3@0"},
		{"records of the future", []flow.KeptElement{element(3, "string")}, slotTimes{300, 50, 900}, "76:e1@200 77:e2@900 110:e3@0"},
		{"another comes, and no slot is free", []flow.KeptElement{element(3, "string"), element(4, "unsigned8")}, slotTimes{300, 200, 900}, "76:e1@200 77:e2@900 78:e4@0 110:e3@0"},
		{"the first hours are gone", []flow.KeptElement{element(3, "octetArray"), element(4, "unsigned8"), element(5, "unsigned8")}, slotTimes{1000, 201, 950}, "76:e5@0 77:e2@900 78:e4@0 110:element_3@1000 111:e3@0"},
		{"the second comes again", []flow.KeptElement{element(2, "unsigned8")}, slotTimes{1100, 201, 950}, "76:e5@1100 77:e2@0 78:e4@1100 110:element_3@1000 111:e3@1100"},
		{"all is gone", nil, slotTimes{2000, ^uint64(0), 0}, ""},
	} {
		next, err := assignSlots(list, step.wanted, step.at)
		if err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if list = next; show(list) != step.want {
			t.Errorf("%s: %s, want %s", step.what, show(list), step.want)
		}
	}
	var many []flow.KeptElement
	for i := range 7 {
		many = append(many, element(uint16(100+i), "ipv4Address"))
	}
	if _, err := assignSlots(nil, many[:6], slotTimes{}); err != nil {
		t.Errorf("six addresses: %v", err)
	}
	held, _ := assignSlots(nil, many[:6], slotTimes{now: 5})
	if _, err := assignSlots(held, many[1:], slotTimes{10, 1, 2}); err == nil || !strings.Contains(err.Error(), "no room for e106") || !strings.Contains(err.Error(), "e100") {
		t.Errorf("a seventh: %v", err)
	}
}

func TestElementAlias(t *testing.T) {
	for text, want := range map[string]string{
		"95": "element_95", "9/12235": "cisco_12235", "ciscoPEN/12235": "cisco_12235", "yaf/14": "cert_14", "CERTpen/14": "cert_14", "54321/7": "pen54321_7",
		"": "", "applicationId": "", "src_addr/24": "", "10.0.0.0/8": "", "nobody/5": "", "0": "", "9/0": "", "9/70000": "", "/5": "", "cisco/": "",
	} {
		if got := elementAlias(text); got != want {
			t.Errorf("elementAlias(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestReadKeep is of what keep: may say.
func TestReadKeep(t *testing.T) {
	c, err := parseConfig("weir.yaml", []byte("keep: [applicationid, 96, ciscoPEN/12235, reverse/136, 30000, ipVersion, 40001, {element: 54321/1, name: Fun, type: IPv6Address}]"))
	if err == nil {
		t.Fatalf("40001 is nat_src_addr, and was taken: %v", c.Kept)
	}
	c, err = parseConfig("weir.yaml", []byte("keep: [applicationid, 96, ciscoPEN/12235, reverse/136, 30000, ipVersion, 40000, {element: 54321/1, name: Fun, type: IPv6Address}]"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range c.Kept {
		got = append(got, fmt.Sprintf("%d/%d %s %s", e.Enterprise, e.Number, e.Name, e.Type))
	}
	want := []string{"0/95 application_id octetArray", "0/96 application_name string", "9/12235 cisco_12235 octetArray",
		"29305/136 reverse_flow_end_reason unsigned8", "0/30000 element_30000 ", "0/60 ip_version unsigned8", "9/7232 cisco_7232 string", "54321/1 fun ipv6Address"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for text, want := range map[string]string{
		"keep:\n- applicationIdd":                                "weir.yaml:2: keep: \"applicationIdd\" is no information element of IANA's registry as of 2020-03-09; did you mean applicationId?",
		"keep:\n- applicationId\n- 95":                           "weir.yaml:3: keep: 95 is element 95, which is kept already, by line 2",
		"keep: [sourceTransportPort]":                            "weir.yaml:1: keep: sourceTransportPort is the field src_port already; leave it out of keep:",
		"keep:\n- {element: ciscoo/1}":                           "weir.yaml:2: keep: ciscoo/1: weir knows no enterprise \"ciscoo\"; did you mean cisco/1? A private enterprise number will do too",
		"keep: [{name: x}]":                                      "weir.yaml:1: keep: the entry names no element; write element: cisco/12235",
		"keep: [{element: 95, name: bytes}]":                     "weir.yaml:1: keep: name: weir has a bytes already; give the column another name",
		"keep: [{element: 95, name: 5x}]":                        "weir.yaml:1: keep: name: \"5x\" is no name for a column; begin with a letter; letters, digits and _ may follow, 64 at most",
		"keep: [{element: 95, type: strin}]":                     "weir.yaml:1: keep: \"strin\" is no type; did you mean string?",
		"keep: [{element: 95, name: a}, {element: 96, name: a}]": "weir.yaml:1: keep: 96 would have the name a, which line 1 has; give it another with name:",
		"keep: [40000000]":                                       "weir.yaml:1: keep: 40000000: elements have numbers from 1 to 32767",
		"keep: [44, 45, 130, 131, 140, 211, 403]":                "weir.yaml:1: keep: 7 elements of addresses and more are named, and there is room for 6; leave some out",
	} {
		if _, err := parseConfig("weir.yaml", []byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q: got %v\nwant %s", text, err, want)
		}
	}
	if c, err := parseConfig("weir.yaml", []byte("keep:")); err != nil || len(c.Kept) > 0 {
		t.Errorf("an empty keep: %v, %v", c, err)
	}
}

// TestReserved sees to it that no element's column is called what weir calls
// something else.
func TestReserved(t *testing.T) {
	for name, want := range map[string]bool{"bytes": true, "src_org": true, "duration": true, "port": true, "and": true, "step_ms": true, "step_start": true, "total_flows": true, "exported_bytes": true,
		"bytes_share": true, "total_packets_margin": true, "total_bps": true, "total_packets_seen": false, "share_bytes": false, "application_id": false, "http_host": false} {
		if _, err := columnOfElement(&flow.KeptElement{}, name); (err != nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReloadKeep is of another keep: while a collector runs, which is in force
// only after a restart, and said to be missing until then.
func TestReloadKeep(t *testing.T) {
	var o collectOptions
	for range 2 {
		var next collectOptions
		next.config.Kept = []flow.KeptElement{{Number: 95, Name: "application_id"}}
		var report reloadReport
		o.compare(&next, &report)
		if !slices.Equal(report.Restart, []string{"keep"}) || len(report.Changed) > 0 || next.config.Kept != nil {
			t.Errorf("%+v, %v", report, next.config.Kept)
		}
		o = next
	}
}
