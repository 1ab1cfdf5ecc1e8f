package command

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/command/mmdb/mmdbtest"
	"weir/flow"
	"weir/store"
)

const namesConfig = `
networks:
  - {name: uni-a, prefixes: [10.0.0.0/8, "2001:db8:a::/48"], owner: University A, contact: noc@a.example}
  - {name: "Uni B, north", prefixes: [10.1.0.0/16, 192.0.2.0/25]}
  - {name: ../etc/passwd, prefix: 192.0.2.128/25}
exporters:
  - {address: 198.51.100.1, name: border-1}
  - {address: 198.51.100.2, name: core 2}
`

// otherConfig names the same addresses otherwise.
const otherConfig = `
networks: [{name: elsewhere, prefix: 0.0.0.0/0}, {name: uni-a, prefix: "::/0"}]
exporters: [{address: 198.51.100.1, name: core 2}]
`

// namedRecords returns flows between addresses of namesConfig and others.
func namedRecords(n int) []flow.Record {
	rng := rand.New(rand.NewPCG(4, 4))
	addr := func() flow.Addr {
		switch rng.IntN(5) {
		case 0:
			return flow.Addr{Hi: 0x2001_0db8_000a_0000 + uint64(rng.IntN(2))<<16, Lo: uint64(rng.IntN(5))}
		case 1:
			return flow.AddrFrom4(0xc0000200 | uint32(rng.IntN(256)))
		case 2:
			return flow.AddrFrom4(0xcb007100 | uint32(rng.IntN(9)))
		}
		return flow.AddrFrom4(0x0a000000 | uint32(rng.IntN(3))<<16 | uint32(rng.IntN(9)))
	}
	list := make([]flow.Record, n)
	for i := range list {
		r := &list[i]
		at := uint64(testNow.UnixMilli()) - uint64(rng.IntN(3_000_000))
		r.SetNum(flow.Received, at)
		r.SetNum(flow.Start, at-500)
		r.SetNum(flow.End, at-100)
		r.SetAddr(flow.Exporter, flow.AddrFrom4(0xc6336401+uint32(rng.IntN(3))))
		r.SetAddr(flow.SrcAddr, addr())
		if i%20 != 0 {
			r.SetAddr(flow.DstAddr, addr())
		}
		r.SetNum(flow.Proto, 6)
		r.SetNum(flow.DstPort, []uint64{443, 40000}[rng.IntN(2)])
		r.SetNum(flow.InIf, uint64(7+rng.IntN(2)))
		r.SetNum(flow.Bytes, uint64(rng.IntN(5000)))
		r.SetNum(flow.Packets, 1+uint64(rng.IntN(9)))
	}
	return list
}

// namedArchive makes an archive of records, in which an exporter has named an
// interface in words that a terminal should not see, and returns its directory.
func namedArchive(t *testing.T, records []flow.Record) string {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	s, err := store.Open(data, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := flow.NewBatch(len(records))
	for i := range records {
		b.AppendRecord(&records[i])
	}
	if err := s.Append(b); err != nil {
		t.Fatal(err)
	}
	saved := `{"version":1,"interfaces":[{"index":7,"name":"xe-0/0/7"},{"index":8,"name":"a\u001b[31mb"}]}`
	if err := s.PutState("collector/exporter/198.51.100.1", []byte(saved)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return data
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serveNamed answers questions on the archive in data as a collector with that
// configuration does, until the test ends.
func serveNamed(t *testing.T, data, text string, files ...string) {
	t.Helper()
	c, err := parseConfig("weir.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	n, err := newNaming(c, files)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(data, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	serveIn(t, &local{store: s, now: func() time.Time { return testNow }, names: n.names}, data)
}

// namedQuestions are asked with every way of knowing names.
var namedQuestions = [][]string{
	{"query", "org uni-a", "--fields", "src_addr,src_org,dst_addr,dst_org,bytes", "-o", "csv"},
	{"query", `src_org != "uni b, north" and src_org in [uni-a "../etc/passwd"]`, "-o", "json", "--fields", "src_org,dst_org,bytes,dst_asname"},
	{"query", "exporter border-1", "--fields", "exporter,dst_port,proto,in_if,src_country", "--names", "-o", "csv"},
	{"query", "--exporter", "core 2", "--names", "-o", "json", "--fields", "received,exporter,in_if,proto,src_org"},
	{"query", "src country CH and dst org uni-a", "--fields", "src_addr,src_country,dst_asname"},
	{"top", "org", "-o", "json"},
	{"top", "src_org,dst_org", "--distinct", "src_country", "-o", "csv", "-n", "0"},
	{"top", "country,proto", "not geo [CH, de]", "-o", "csv"},
	{"top", "dst_asname", "--by", "flows"},
	{"top", "src_asn,dst_asn", "asn in [64496 64497]", "--by", "flows", "-o", "json"},
	{"top", "exporter,in_if,dst_port", "--names", "-o", "json", "-n", "0"},
	{"series", "--group", "src_org", "--step", "10m", "-o", "csv"},
	{"peers", "10.0.0.1", "org '../etc/passwd' or exporter border-1", "-o", "csv"},
	{"peers", "10.0.0.1", "--names"},
	{"stats", "--names", "-o", "csv"},
	{"stats", "asname 'Example, Net' and not org in [uni-a]", "-o", "csv"},
}

// TestNamesBothWays checks that an answer does not depend on who knows the
// names, and that the question's own go before the collector's.
func TestNamesBothWays(t *testing.T) {
	records := namedRecords(3000)
	file := writeFile(t, "weir.yaml", namesConfig)
	geo := mmdbtest.Write(t, "10.0.0.0/9", mmdbtest.Country("CH"), "10.1.0.0/16", mmdbtest.Country("DE"), "2001:db8::/32", mmdbtest.Country("CH"))
	as := mmdbtest.Write(t, "192.0.2.0/24", mmdbtest.AS(64496, "Example, Net"), "10.2.0.0/16", mmdbtest.AS(64497, "bad\x1bname"))
	flags := []string{"--config", file, "--mmdb", geo, "--mmdb", as}

	alone := namedArchive(t, records)
	collector := namedArchive(t, records)
	serveNamed(t, collector, namesConfig, geo, as)
	nameless := namedArchive(t, records)
	serveNamed(t, nameless, "")
	other := namedArchive(t, records)
	serveNamed(t, other, otherConfig, mmdbtest.Write(t, "0.0.0.0/1", mmdbtest.Country("FR"), "0.0.0.0/2", mmdbtest.AS(1, "Example, Net")))
	for _, args := range namedQuestions {
		want, errs, status := weir(t, alone, append(slices.Clone(args), flags...)...)
		if status != exitOK || strings.Count(want, "\n") < 2 {
			t.Errorf("%q: status %d, %q, %q", args, status, want, errs)
			continue
		}
		if strings.ContainsAny(want, "\x1b") {
			t.Errorf("%q prints an escape", args)
		}
		for _, ask := range []struct {
			who  string
			data string
			args []string
		}{{"the collector", collector, args}, {"the question, beside a collector", nameless, append(slices.Clone(args), flags...)},
			{"the question, not the collector", other, append(slices.Clone(args), flags...)}} {
			if got, errs, status := weir(t, ask.data, ask.args...); got != want || status != exitOK {
				t.Errorf("%q, names of %s: status %d %s: %s", args, ask.who, status, errs, firstDifference(got, want))
			}
		}
	}
}

func TestNamesInAnswers(t *testing.T) {
	data := namedArchive(t, namedRecords(500))
	file := writeFile(t, "weir.yaml", "data: "+data+"\n"+namesConfig)
	out, errs, status := weir(t, "", "query", "--config", file, "exporter border-1 and dst port https", "-n", "1", "--names",
		"--fields", "exporter,proto,dst_port,in_if", "-o", "csv")
	if status != exitOK || !strings.HasPrefix(out, "exporter,proto,dst_port,in_if\r\nborder-1,tcp,https,") {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
	out, _, _ = weir(t, "", "query", "--config", file, "in if 7 and exporter border-1 and src ip 192.0.2.128/25", "-n", "1", "--names", "-o", "json")
	for _, want := range []string{`"exporter":"border-1"`, `"in_if":"xe-0/0/7"`, `"proto":"tcp"`, `"src_org":"../etc/passwd"`} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is not in %s", want, out)
		}
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"top", "dst_org"}, "networks in the configuration"},
		{[]string{"query", "org uni-a"}, "networks in the configuration"},
		{[]string{"query", "--fields", "src_country"}, "--mmdb FILE"},
		{[]string{"query", "--mmdb", file}, "--mmdb: open " + file},
		{[]string{"query", "--config", file + ".not"}, "read the configuration"},
		{[]string{"series", "--group", "org", "--config", file}, "field"},
		{[]string{"query", "-o", "line", "--names"}, "--names goes with"},
	} {
		if _, errs, status := weir(t, data, tt.args...); status != exitUsage || !strings.Contains(errs, tt.want) {
			t.Errorf("%q: status %d, %s, want %q", tt.args, status, errs, tt.want)
		}
	}
}

func TestSplitByOrg(t *testing.T) {
	records := namedRecords(2000)
	data := namedArchive(t, records)
	file := writeFile(t, "weir.yaml", namesConfig)
	dir := filepath.Join(t.TempDir(), "new", "out")
	args := []string{"query", "proto tcp", "--split-by", "org", "--dir", dir, "-o", "csv", "--config", file, "--fields", "src_addr,dst_addr,bytes"}
	out, errs, status := weir(t, data, args...)
	if status != exitOK {
		t.Fatalf("status %d: %s", status, errs)
	}
	c, err := parseConfig("weir.yaml", []byte(namesConfig))
	if err != nil {
		t.Fatal(err)
	}
	table := c.names().Labels["org"]
	want := map[string]map[string]int{"uni-a": {}, "Uni B, north": {}, "../etc/passwd": {}}
	for i := range records {
		r := &records[i]
		dst := ""
		orgs := map[string]bool{table.NameOf(r.Addr(flow.SrcAddr)): true}
		if r.Has(flow.DstAddr) {
			dst = r.Addr(flow.DstAddr).String()
			orgs[table.NameOf(r.Addr(flow.DstAddr))] = true
		}
		for org := range orgs {
			if org != "" {
				want[org][fmt.Sprintf("%v,%s,%d", r.Addr(flow.SrcAddr), dst, r.Num(flow.Bytes))]++
			}
		}
	}
	for org, name := range map[string]string{"uni-a": "uni-a.csv", "Uni B, north": "Uni_B__north.csv", "../etc/passwd": "_etc_passwd.csv"} {
		got := readSplit(t, filepath.Join(dir, name))
		n := 0
		for _, times := range want[org] {
			n += times
		}
		if len(got) != n {
			t.Errorf("%s has %d flows, want %d", name, len(got), n)
		}
		for _, row := range got {
			if want[org][row]--; want[org][row] < 0 {
				t.Errorf("%s has %s, which is not of %s", name, row, org)
			}
		}
		if !strings.Contains(out, fmt.Sprintf("%d  %s", n, org)) {
			t.Errorf("no line about %d flows of %s in\n%s", n, org, out)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 3 {
		t.Errorf("the directory has %v", entries)
	}
	if info, err := os.Stat(filepath.Join(dir, "uni-a.csv")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if !strings.Contains(out, "University A  noc@a.example") {
		t.Errorf("no contact in\n%s", out)
	}
	if _, errs, status := weir(t, data, args...); status != exitUsage || !strings.Contains(errs, "is not empty") {
		t.Errorf("into the same directory: status %d, %s", status, errs)
	}
}

// readSplit returns the rows of a file.
func readSplit(t *testing.T, name string) []string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer f.Close()
	rows, err := csv.NewReader(bufio.NewReader(f)).ReadAll()
	if err != nil || len(rows) == 0 {
		t.Errorf("read %s: %d rows, %v", name, len(rows), err)
		return nil
	}
	var list []string
	for _, row := range rows[1:] {
		list = append(list, strings.Join(row, ","))
	}
	return list
}

func TestSplitRefuses(t *testing.T) {
	data := namedArchive(t, namedRecords(10))
	file := writeFile(t, "weir.yaml", namesConfig)
	dir := filepath.Join(t.TempDir(), "out")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--split-by", "org", "-o", "csv"}, "--dir DIR"},
		{[]string{"--split-by", "org", "--dir", dir}, "-o csv or -o json"},
		{[]string{"--split-by", "org", "--dir", dir, "-o", "csv", "--count"}, "--count prints a number"},
		{[]string{"--split-by", "proto", "--dir", dir, "-o", "csv"}, `no "proto"`},
		{[]string{"--dir", dir, "-o", "csv"}, "--split-by"},
		{[]string{"--split-by", "org", "--dir", file, "-o", "csv", "--config", file}, "--dir: "},
		{[]string{"--split-by", "org", "--dir", dir, "-o", "csv"}, "networks:"},
	} {
		_, errs, status := weir(t, data, append([]string{"query"}, tt.args...)...)
		if status != exitUsage || !strings.Contains(errs, tt.want) {
			t.Errorf("%q: status %d, %s, want %q", tt.args, status, errs, tt.want)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("a refused split made its directory: %v", err)
	}
}

func TestSplitFileNames(t *testing.T) {
	s := &split{format: "csv", names: map[string]bool{}}
	for _, tt := range []struct{ org, want string }{
		{"uni", "uni.csv"}, {"UNI", "UNI-2.csv"}, {"..", "org.csv"}, {"--", "org-2.csv"}, {"a/b", "a_b.csv"}, {"a b", "a_b-2.csv"},
		{"Zürich", "Z_rich.csv"}, {strings.Repeat("x", 200), strings.Repeat("x", 80) + ".csv"}, {".hidden", "hidden.csv"},
	} {
		if got := s.fileName(tt.org); got != tt.want || !fs.ValidPath(got) {
			t.Errorf("file of %q is %q, want %q", tt.org, got, tt.want)
		}
	}
}
