package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/bench"
	"weir/testdata/peer"
)

// TestPeerTshark compares the decoder's records with those of Wireshark's
// dissectors, for every capture in testdata and for generated traffic.
func TestPeerTshark(t *testing.T) {
	peer.Need(t, "tshark")
	paths, err := filepath.Glob("testdata/*.pcap")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures in testdata (%v)", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".pcap"), func(t *testing.T) {
			capture, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			compareTshark(t, path, decodeRows(t, readCapture(t, capture)))
		})
	}
	t.Run("generated", func(t *testing.T) {
		datagrams, want := generated(t, bench.Options{Seed: 21, Records: 3000})
		compareTshark(t, writeCapture(t, datagrams), want)
	})
}

// tsharkKeys are the fields that tshark shows and the test compares.
var tsharkKeys = []string{
	"exporter", "version", "domain", "src_addr", "dst_addr", "src_port", "dst_port", "proto", "tcp_flags", "tos",
	"bytes", "packets", "in_if", "out_if", "src_as", "dst_as", "src_mask", "dst_mask", "next_hop", "start", "end",
	"icmp_type", "icmp_code", "flow_end_reason", "src_mac", "dst_mac", "src_vlan", "dst_vlan",
	"nat_src_addr", "nat_dst_addr", "nat_src_port", "nat_dst_port", "reverse_bytes", "reverse_packets", "ttl",
}

func compareTshark(t *testing.T, path string, got []row) {
	t.Helper()
	sameRows(t, "decoder and tshark", got, tsharkRows(t, path), tsharkKeys)
}

// tsharkRows returns the flow records of a capture as tshark dissects them.
func tsharkRows(t *testing.T, path string) []row {
	t.Helper()
	out := runTool(t, "tshark", "-n", "-r", path, "-d", fmt.Sprintf("udp.port==%d,cflow", bench.PortNetFlow), "-T", "json")
	root, err := parseTree(out)
	if err != nil {
		t.Fatalf("tshark's JSON: %v", err)
	}
	var rows []row
	for _, frame := range root.children {
		layers := frame.find("_source").find("layers")
		exporter := layers.find("ip").find("ip.src").value
		if cflow := layers.find("cflow"); cflow != nil {
			rows = append(rows, cflowRows(t, exporter, cflow)...)
		}
		if sflow := layers.find("sflow"); sflow != nil {
			rows = append(rows, sflowRows(exporter, sflow)...)
		}
	}
	return rows
}

// cflowKeys are tshark's names of plain fields.
var cflowKeys = map[string]string{
	"cflow.srcaddr": "src_addr", "cflow.srcaddrv6": "src_addr", "cflow.dstaddr": "dst_addr", "cflow.dstaddrv6": "dst_addr",
	"cflow.nexthop": "next_hop", "cflow.nexthopv6": "next_hop",
	"cflow.srcport": "src_port", "cflow.dstport": "dst_port", "cflow.protocol": "proto",
	"cflow.tcpflags": "tcp_flags", "cflow.tcpflags16": "tcp_flags", "cflow.tos": "tos",
	"cflow.octets": "bytes", "cflow.octets64": "bytes", "cflow.packets": "packets", "cflow.packets64": "packets",
	"cflow.inputint": "in_if", "cflow.outputint": "out_if", "cflow.srcas": "src_as", "cflow.dstas": "dst_as",
	"cflow.srcmask": "src_mask", "cflow.dstmask": "dst_mask", "cflow.srcmaskv6": "src_mask", "cflow.dstmaskv6": "dst_mask",
	"cflow.srcnetmask": "src_mask", "cflow.dstnetmask": "dst_mask",
	"cflow.flow_end_reason": "flow_end_reason", "cflow.srcmac": "src_mac", "cflow.dstmac": "dst_mac",
	"cflow.vlanid": "src_vlan", "cflow.post_vlanid": "dst_vlan",
	"cflow.icmp_ipv6_type": "icmp_type", "cflow.icmp_ipv6_code": "icmp_code",
	"cflow.icmp_type_v6": "icmp_type", "cflow.icmp_code_v6": "icmp_code",
	"cflow.post_natsource_ipv4_address": "nat_src_addr", "cflow.post_natdestination_ipv4_address": "nat_dst_addr",
	"cflow.post_naptsource_transport_port": "nat_src_port", "cflow.post_naptdestination_transport_port": "nat_dst_port",
}

var reverseKeys = map[string]string{"bytes": "reverse_bytes", "packets": "reverse_packets"}

// cflowRows returns the records of one NetFlow or IPFIX datagram.
func cflowRows(t *testing.T, exporter string, cflow *tree) []row {
	t.Helper()
	base := row{}
	base.put("exporter", exporter)
	boot := uint64(0) // ms since 1970, of v5 and v9
	if up := cflow.find("cflow.sysuptime"); up != nil {
		stamp := cflow.find("cflow.timestamp_tree")
		now := atoi(t, stamp.find("cflow.unix_secs").value) * 1000
		if nsecs := stamp.find("cflow.unix_nsecs"); nsecs != nil {
			now += atoi(t, nsecs.value) / 1e6
		}
		boot = now - millis(t, up.value)
	}
	switch cflow.find("cflow.version").value {
	case "5":
		base.put("version", "netflow5")
		domain := atoi(t, cflow.find("cflow.engine_type").value)<<8 | atoi(t, cflow.find("cflow.engine_id").value)
		base.put("domain", fmt.Sprint(domain))
	case "9":
		base.put("version", "netflow9")
		base.put("domain", cflow.find("cflow.source_id").value)
	case "10":
		base.put("version", "ipfix")
		base.put("domain", cflow.find("cflow.od_id").value)
	}
	var rows []row
	cflow.walk(func(n *tree) bool {
		if !strings.HasPrefix(n.key, "Flow ") && !strings.HasPrefix(n.key, "pdu ") {
			return !strings.Contains(n.key, "Template")
		}
		if n.find("cflow.octets") == nil && n.find("cflow.octets64") == nil {
			return false // options data
		}
		rows = append(rows, cflowRow(t, base, n, boot))
		return false
	})
	return rows
}

func cflowRow(t *testing.T, base row, n *tree, boot uint64) row {
	t.Helper()
	r := row{}
	maps.Copy(r, base)
	seen := map[string]bool{}
	n.walk(func(f *tree) bool {
		if key := cflowKeys[f.key]; key != "" {
			value := f.value
			if strings.HasPrefix(value, "0x") {
				value = fmt.Sprint(atoi(t, value))
			}
			// What belongs to the other direction (RFC 5103) has the same name
			// and comes second; weir keeps its counters.
			if seen[f.key] {
				key = reverseKeys[key]
			}
			seen[f.key] = true
			r.put(key, value)
			return true
		}
		switch f.key {
		case "cflow.timestart":
			r.put("start", utc(boot+millis(t, f.value)))
		case "cflow.timeend":
			r.put("end", utc(boot+millis(t, f.value)))
		case "cflow.abstimestart":
			if strings.HasPrefix(f.value, "Jan  1, 1970") { // how tshark shows an uptime of 0
				r.put("start", utc(boot))
			} else {
				r.put("start", tsharkTime(t, f.value))
			}
		case "cflow.abstimeend":
			r.put("end", tsharkTime(t, f.value))
		case "cflow.icmp_type", "cflow.icmp_type_code_ipv4", "cflow.icmp_type_code_ipv6":
			if seen["icmp"] {
				return true
			}
			seen["icmp"] = true
			code := atoi(t, f.value)
			r.put("icmp_type", fmt.Sprint(code>>8))
			r.put("icmp_code", fmt.Sprint(code&0xff))
		}
		return true
	})
	return r
}

// sflowKeys are tshark's names in a flow sample; those of the sampled packet
// come after, and the first of a name counts.
var sflowKeys = map[string]string{
	"sflow.flow_sample.input_interface": "in_if", "sflow.flow_sample.output_interface_value": "out_if",
	"sflow_245.header.frame_length": "bytes", "eth.src": "src_mac", "eth.dst": "dst_mac",
	"ip.src": "src_addr", "ip.dst": "dst_addr", "ipv6.src": "src_addr", "ipv6.dst": "dst_addr",
	"ip.proto": "proto", "ipv6.nxt": "proto", "ip.dsfield": "tos", "ipv6.tclass": "tos", "ip.ttl": "ttl", "ipv6.hlim": "ttl",
	"tcp.srcport": "src_port", "tcp.dstport": "dst_port", "udp.srcport": "src_port", "udp.dstport": "dst_port",
	"tcp.flags": "tcp_flags", "icmp.type": "icmp_type", "icmp.code": "icmp_code", "icmpv6.type": "icmp_type", "icmpv6.code": "icmp_code",
	"sflow_245.vlan.in": "src_vlan", "sflow_245.vlan.out": "dst_vlan", "sflow_245.nexthop": "next_hop", "sflow_245.nexthop.v6": "next_hop",
	"sflow_245.nexthop.src_mask": "src_mask", "sflow_245.nexthop.dst_mask": "dst_mask",
	"sflow_245.srcAS": "src_as", "sflow_245.dstAS": "dst_as",
}

// sflowRows returns the flow samples of one sFlow datagram.
func sflowRows(exporter string, sflow *tree) []row {
	var rows []row
	for _, n := range sflow.children {
		if !strings.HasPrefix(n.key, "Flow sample") {
			continue
		}
		r := row{"exporter": exporter, "version": "sflow5", "packets": "1"}
		if id := sflow.find("sflow_245.sub_agent_id"); id != nil {
			r.put("domain", id.value)
		}
		n.walk(func(f *tree) bool {
			key := sflowKeys[f.key]
			if key == "" || r[key] != "" {
				return true
			}
			value := f.value
			if strings.HasPrefix(value, "0x") {
				if n, err := strconv.ParseUint(value, 0, 64); err == nil {
					value = fmt.Sprint(n)
				}
			}
			r.put(key, value)
			return true
		})
		rows = append(rows, r)
	}
	return rows
}

// millis reads seconds with a fraction.
func millis(t *testing.T, s string) uint64 {
	t.Helper()
	whole, fraction, _ := strings.Cut(s, ".")
	return atoi(t, whole)*1000 + atoi(t, "1"+(fraction + "000")[:3]) - 1000
}

func utc(ms uint64) string { return time.UnixMilli(int64(ms)).UTC().Format("2006-01-02T15:04:05.000Z") }

func tsharkTime(t *testing.T, s string) string {
	t.Helper()
	at, err := time.Parse("Jan _2, 2006 15:04:05.000000000 MST", s)
	if err != nil {
		t.Fatalf("tshark printed a time as %q", s)
	}
	return utc(uint64(at.UnixMilli()))
}

// A tree is JSON with the order and the repetition of keys kept, both of which
// tshark makes use of.
type tree struct {
	key, value string
	children   []*tree
}

func parseTree(text []byte) (*tree, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	root := &tree{}
	return root, root.read(dec)
}

// read reads the next value into n.
func (n *tree) read(dec *json.Decoder) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		n.value = fmt.Sprint(tok)
		return nil
	}
	for dec.More() {
		child := &tree{}
		if delim == '{' {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			child.key = fmt.Sprint(key)
		}
		if err := child.read(dec); err != nil {
			return err
		}
		n.children = append(n.children, child)
	}
	_, err = dec.Token()
	return err
}

// find returns the first child of that name, nil if there is none.
func (n *tree) find(key string) *tree {
	if n == nil {
		return nil
	}
	for _, c := range n.children {
		if c.key == key {
			return c
		}
	}
	return nil
}

// walk calls fn for every node below n, and goes below a node if fn says so.
func (n *tree) walk(fn func(*tree) bool) {
	for _, c := range n.children {
		if fn(c) {
			c.walk(fn)
		}
	}
}
