package collector

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"weir/flow"
)

// corpusDir is where the real datagrams are, beside the repository. They are
// other projects' and not ours to copy.
const corpusDir = "../../shared/corpus"

// TestCorpus decodes real datagrams of many exporters and compares every field
// of every record with what independent decoders agreed on.
func TestCorpus(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join(corpusDir, "*", "case.json"))
	if err != nil || len(cases) == 0 {
		t.Skipf("left out: no corpus of real datagrams at %s", corpusDir)
	}
	for _, path := range cases {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) { runCorpusCase(t, dir) })
	}
}

type corpusCase struct {
	Malformed   string `json:"malformed"`
	MustReject  bool   `json:"must_reject"`
	AllowExtra  bool   `json:"allow_extra"`
	Options     uint64 `json:"options_records"`
	Datagrams   uint64 `json:"datagrams"`
	OptionalAll int    `json:"optional_records"`
}

type corpusRecord struct {
	values   map[string]string // present, not zero
	disputed []string
	optional bool
	line     string
}

func runCorpusCase(t *testing.T, dir string) {
	var c corpusCase
	readJSON(t, filepath.Join(dir, "case.json"), &c)
	want := readExpected(t, filepath.Join(dir, "expected.jsonl"))
	d := NewDecoder(DecoderOptions{})
	b := flow.NewBatch(0)
	failed := decodeCapture(t, d, b, filepath.Join(dir, "packets.pcap"))
	if (c.MustReject || c.Malformed != "") && failed == 0 {
		t.Errorf("case is malformed (%s), but no datagram was refused", c.Malformed)
	}
	if c.Malformed == "" && failed > 0 {
		t.Errorf("%d datagrams of a sound case were refused", failed)
	}
	st := d.Stats().Total
	if st.OptionsRecords != c.Options {
		t.Errorf("got %d options records, want %d", st.OptionsRecords, c.Options)
	}
	if st.Datagrams != c.Datagrams {
		t.Errorf("got %d datagrams, want %d", st.Datagrams, c.Datagrams)
	}
	got := make([]corpusRecord, b.Len())
	for row := range got {
		got[row] = corpusRecordOf(b, row)
	}
	compareCorpus(t, got, want, c.AllowExtra)
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// decodeCapture decodes a capture into b and returns how many datagrams had an
// error.
func decodeCapture(t *testing.T, d *Decoder, b *flow.Batch, path string) int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	failed := 0
	err = ReadCapture(f, func(g Datagram) error {
		if err := d.Decode(b, uint64(g.Time.UnixMilli()), g.Src, g.Payload); err != nil {
			t.Logf("datagram from %s: %v", g.Src, err)
			failed++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return failed
}

func readExpected(t *testing.T, path string) []corpusRecord {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []corpusRecord
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var raw map[string]json.RawMessage
		if err := json.Unmarshal(lines.Bytes(), &raw); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		r := corpusRecord{values: map[string]string{}, line: lines.Text()}
		for key, value := range raw {
			switch key {
			case "extra":
			case "disputed":
				_ = json.Unmarshal(value, &r.disputed)
			case "optional":
				_ = json.Unmarshal(value, &r.optional)
			default:
				r.put(key, strings.Trim(string(value), `"`))
			}
		}
		all = append(all, r)
	}
	return all
}

// put stores a value unless it means the same as absent.
func (r *corpusRecord) put(key, value string) {
	switch value {
	case "0", "0.0.0.0", "::", "00:00:00:00:00:00", "":
		return
	}
	if key == "sampling_rate" && value == "1" {
		return
	}
	r.values[key] = value
}

// corpusFields are the keys of the corpus and the fields they are.
var corpusFields = map[string]flow.Field{
	"src": flow.SrcAddr, "dst": flow.DstAddr, "sport": flow.SrcPort, "dport": flow.DstPort, "proto": flow.Proto,
	"bytes": flow.Bytes, "packets": flow.Packets, "tcp_flags": flow.TCPFlags, "tos": flow.TOS,
	"in_if": flow.InIf, "out_if": flow.OutIf, "src_as": flow.SrcAS, "dst_as": flow.DstAS, "next_hop": flow.NextHop,
	"start_ms": flow.Start, "end_ms": flow.End, "vlan": flow.SrcVLAN, "src_mac": flow.SrcMAC, "dst_mac": flow.DstMAC,
	"nat_src": flow.NATSrcAddr, "nat_dst": flow.NATDstAddr, "nat_sport": flow.NATSrcPort, "nat_dport": flow.NATDstPort,
	"icmp_type": flow.ICMPType, "icmp_code": flow.ICMPCode, "sampling_rate": flow.SamplingInterval,
	"direction": flow.Direction,
}

func corpusRecordOf(b *flow.Batch, row int) corpusRecord {
	var rec flow.Record
	b.Record(row, &rec)
	r := corpusRecord{values: map[string]string{}, line: string(rec.AppendJSON(nil))}
	for key, f := range corpusFields {
		if !rec.Has(f) {
			continue
		}
		if f.Kind() == flow.KindTime {
			r.put(key, fmt.Sprint(rec.Num(f)))
		} else {
			r.put(key, string(rec.AppendValue(nil, f)))
		}
	}
	version := rec.Num(flow.Version)
	if version == flow.VersionSFlow5 {
		r.put("version", "sflow")
		return r // the corpus has no domain of sFlow and v5
	}
	r.put("version", fmt.Sprint(version))
	if version >= flow.VersionNF9 {
		r.put("obs_domain", fmt.Sprint(rec.Num(flow.Domain)))
	}
	return r
}

// differs lists the keys in which two records differ, disputed ones left out.
func (r *corpusRecord) differs(o *corpusRecord) []string {
	var keys []string
	for key := range r.values {
		if o.values[key] != r.values[key] && !slices.Contains(r.disputed, key) {
			keys = append(keys, key)
		}
	}
	for key := range o.values {
		if _, both := r.values[key]; !both && !slices.Contains(r.disputed, key) {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	return keys
}

// compareCorpus pairs records: equal ones first, then the rest by fewest
// differences, for the message.
func compareCorpus(t *testing.T, got, want []corpusRecord, allowExtra bool) {
	t.Helper()
	used := make([]bool, len(got))
	var missing []corpusRecord
	for _, w := range want {
		found := -1
		for i := range got {
			if !used[i] && len(w.differs(&got[i])) == 0 {
				found = i
				break
			}
		}
		if found < 0 {
			missing = append(missing, w)
			continue
		}
		used[found] = true
	}
	shown := 0
	for _, w := range missing {
		if w.optional {
			continue
		}
		if shown++; shown > 3 {
			continue
		}
		best, keys := -1, []string(nil)
		for i := range got {
			if diff := w.differs(&got[i]); !used[i] && (best < 0 || len(diff) < len(keys)) {
				best, keys = i, diff
			}
		}
		if best < 0 {
			t.Errorf("missing record\nwant %s", w.line)
			continue
		}
		t.Errorf("differs in %v\ngot  %s\nwant %s", keys, got[best].line, w.line)
	}
	extra := 0
	for i := range got {
		if !used[i] {
			extra++
			if extra <= 3 && len(missing) == 0 && !allowExtra {
				t.Logf("extra: %s", got[i].line)
			}
		}
	}
	if shown > 0 || extra > 0 && !allowExtra {
		t.Errorf("of %d wanted records %d are missing; %d of %d are not wanted", len(want), len(missing), extra, len(got))
	}
}
