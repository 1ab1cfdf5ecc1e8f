package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// corpusDir holds datagrams of real exporters, each case with the records that
// independent decoders agreed on. They are other projects' and stay outside of
// the repository; WEIR_CORPUS names another place.
const corpusDir = "../shared/corpus"

func corpus() string {
	if dir := os.Getenv("WEIR_CORPUS"); dir != "" {
		return dir
	}
	return corpusDir
}

// A corpusCase is one exporter of the corpus.
type corpusCase struct {
	Name       string `json:"name"`
	Exporter   string `json:"exporter"`
	AllowExtra bool   `json:"allow_extra"`

	want []corpusRow
}

// A corpusRow is an expected record.
type corpusRow struct {
	row
	disputed []string // keys on which decoders disagree
	optional bool     // a collector may rightly differ
}

// TestCorpusOverUDP sends all of the corpus, each case from its own address, to
// one weir collect process and compares what weir query prints: the whole path,
// JSON keys included. (Package collector compares the same without the path.)
func TestCorpusOverUDP(t *testing.T) {
	dir := corpus()
	paths, err := filepath.Glob(filepath.Join(dir, "*", "case.json"))
	if err != nil || len(paths) == 0 {
		t.Skipf("left out: no corpus of real datagrams at %s", dir)
	}
	cases := map[string]*corpusCase{} // by exporter
	w := &weir{t: t, binary: buildWeir(t), dir: filepath.Join(t.TempDir(), "data")}
	c := w.collect()
	records := 0
	for _, path := range paths {
		one := readCase(t, filepath.Dir(path))
		cases[one.Exporter] = one
		records += len(one.want)
		capture, err := os.ReadFile(filepath.Join(filepath.Dir(path), "packets.pcap"))
		if err != nil {
			t.Fatal(err)
		}
		sendFromPorts(t, c.addr(t), readCapture(t, capture))
	}
	w.queryUntil(records)
	time.Sleep(time.Second) // the last records may be on their way
	got := map[string][]row{}
	for _, r := range w.query() {
		got[r["exporter"]] = append(got[r["exporter"]], r)
	}
	c.stop()
	for exporter, one := range cases {
		t.Run(one.Name, func(t *testing.T) { one.compare(t, got[exporter]) })
	}
	t.Logf("%d cases, %d records", len(cases), records)
}

func readCase(t *testing.T, dir string) *corpusCase {
	t.Helper()
	one := &corpusCase{}
	text, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err == nil {
		err = json.Unmarshal(text, one)
	}
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	expected, err := os.ReadFile(filepath.Join(dir, "expected.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(expected) {
		one.want = append(one.want, readCorpusRow(t, line))
	}
	return one
}

// corpusNames are the corpus' keys and ours.
var corpusNames = map[string]string{
	"src": "src_addr", "dst": "dst_addr", "sport": "src_port", "dport": "dst_port", "proto": "proto",
	"bytes": "bytes", "packets": "packets", "tcp_flags": "tcp_flags", "tos": "tos", "in_if": "in_if", "out_if": "out_if",
	"src_as": "src_as", "dst_as": "dst_as", "next_hop": "next_hop", "vlan": "src_vlan", "src_mac": "src_mac", "dst_mac": "dst_mac",
	"nat_src": "nat_src_addr", "nat_dst": "nat_dst_addr", "nat_sport": "nat_src_port", "nat_dport": "nat_dst_port",
	"icmp_type": "icmp_type", "icmp_code": "icmp_code", "sampling_rate": "sampling_interval", "direction": "direction",
	"obs_domain": "domain", "version": "version", "start_ms": "start", "end_ms": "end",
}

// corpusKeys are the keys of ours that the corpus knows.
var corpusKeys = slices.Sorted(maps.Values(corpusNames))

func readCorpusRow(t *testing.T, line []byte) corpusRow {
	t.Helper()
	var values map[string]json.RawMessage
	if err := json.Unmarshal(line, &values); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	r := corpusRow{row: row{}}
	for key, raw := range values {
		value := strings.Trim(string(raw), `"`)
		switch key {
		case "disputed":
			_ = json.Unmarshal(raw, &r.disputed)
			for i := range r.disputed {
				r.disputed[i] = corpusNames[r.disputed[i]]
			}
			continue
		case "optional":
			_ = json.Unmarshal(raw, &r.optional)
			continue
		case "version":
			value = map[string]string{"5": "netflow5", "7": "netflow7", "9": "netflow9", "10": "ipfix", "sflow": "sflow5"}[value]
		case "start_ms", "end_ms":
			value = utc(atoi(t, value))
		case "sampling_rate":
			if value == "1" {
				continue
			}
		}
		r.put(corpusNames[key], value)
	}
	return r
}

// plain leaves in a record of ours what the corpus knows, in its conventions.
func plain(r row) row {
	p := row{}
	for _, key := range corpusNames {
		p.put(key, r[key])
	}
	if p["sampling_interval"] == "1" {
		delete(p, "sampling_interval")
	}
	if v := r["version"]; v != "netflow9" && v != "ipfix" {
		delete(p, "domain") // the corpus has none for these
	}
	return p
}

// differs lists the keys in which a record is not as wanted.
func (w *corpusRow) differs(got row) []string {
	var keys []string
	for _, key := range corpusNames {
		if got[key] != w.row[key] && !slices.Contains(w.disputed, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// compare pairs wanted records with records of ours: those that agree in every
// key first, then those with keys in dispute.
func (one *corpusCase) compare(t *testing.T, got []row) {
	used := make([]bool, len(got))
	same := map[string][]int{} // records by their text
	for i := range got {
		got[i] = plain(got[i])
		text := got[i].text(corpusKeys)
		same[text] = append(same[text], i)
	}
	var rest []corpusRow
	for _, w := range one.want {
		text := w.text(corpusKeys)
		if list := same[text]; len(list) > 0 {
			used[list[0]], same[text] = true, list[1:]
		} else {
			rest = append(rest, w)
		}
	}
	missing := 0
	for _, w := range rest {
		if i := w.find(got, used); i >= 0 {
			used[i] = true
		} else if !w.optional {
			if missing++; missing <= 2 {
				t.Errorf("no record is as wanted: %v%s", w.row, nearest(&w, got, used))
			}
		}
	}
	extra := 0
	for i := range used {
		if !used[i] {
			extra++
		}
	}
	if missing > 0 || extra > 0 && !one.AllowExtra {
		t.Errorf("%d records, %d wanted: %d missing, %d not wanted", len(got), len(one.want), missing, extra)
	}
}

// find returns an unused record that differs in disputed keys only, or -1.
func (w *corpusRow) find(got []row, used []bool) int {
	for i := range got {
		if !used[i] && len(w.differs(got[i])) == 0 {
			return i
		}
	}
	return -1
}

// nearest says how the most similar record differs.
func nearest(w *corpusRow, got []row, used []bool) string {
	best := ""
	least := len(corpusNames) + 1
	for i := range got {
		if keys := w.differs(got[i]); !used[i] && len(keys) < least {
			least, best = len(keys), fmt.Sprintf("\nthe nearest differs in %v: %v", keys, got[i])
		}
	}
	return best
}

// sendFromPorts sends datagrams from the addresses and ports of a capture.
func sendFromPorts(t *testing.T, to netip.AddrPort, datagrams []datagram) {
	t.Helper()
	conns := map[netip.AddrPort]*net.UDPConn{}
	for i, g := range datagrams {
		conn := conns[g.src]
		if conn == nil {
			var err error
			conn, err = net.DialUDP("udp4", net.UDPAddrFromAddrPort(g.src), net.UDPAddrFromAddrPort(to))
			if err != nil {
				t.Fatalf("send from %v: %v", g.src, err)
			}
			defer conn.Close()
			conns[g.src] = conn
		}
		if _, err := conn.Write(g.payload); err != nil {
			t.Fatalf("send from %v: %v", g.src, err)
		}
		if i%8 == 7 {
			time.Sleep(time.Millisecond)
		}
	}
}
