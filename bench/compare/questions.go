package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// A question is asked of both, and the answers must be equal.
type question struct {
	what       string
	weir       []string
	nfdump     []string
	readWeir   func([]byte) ([]string, error)
	readNfdump func([]byte) ([]string, error)
}

// The busiest resolver, and a host with a handful of flows.
const (
	busyHost = "10.1.0.12"
	rareHost = "10.33.1.61"
)

var questions = []question{
	{
		"flows of a busy address", []string{"query", "ip " + busyHost, "--count"},
		[]string{"-o", "csv", "-q", "ip " + busyHost}, number, countLines,
	},
	{
		"flows of a rare address", []string{"query", "ip " + rareHost, "--count"},
		[]string{"-o", "csv", "-q", "ip " + rareHost}, number, countLines,
	},
	{
		"filter on port, flags, packets", []string{"query", "dst port 22 and flags S and packets > 5", "--count"},
		[]string{"-o", "csv", "-q", "dst port 22 and flags S and packets > 5"}, number, countLines,
	},
	{
		"top 10 sources by bytes", []string{"top", "src_addr", "--by", "bytes", "-n", "10", "-o", "json"},
		[]string{"-s", "srcip/bytes", "-n", "10", "-o", "csv", "-q"}, topBytes, statBytes,
	},
	{
		// Without the filter the answers differ: a record without a port is
		// none of port 0 to weir, and one to nfdump.
		"top 10 dst ports by bytes", []string{"top", "dst_port", "dst port > 0", "--by", "bytes", "-n", "10", "-o", "json"},
		[]string{"-s", "dstport/bytes", "-n", "10", "-o", "csv", "-q", "dst port > 0"}, topBytes, statBytes,
	},
}

func number(out []byte) ([]string, error) { return []string{strings.TrimSpace(string(out))}, nil }

// countLines counts the records of nfdump's CSV, which -q leaves without
// header and summary.
func countLines(out []byte) ([]string, error) {
	n := 0
	for line := range bytes.Lines(out) {
		if len(line) > 0 && line[0] >= '0' && line[0] <= '9' {
			n++
		}
	}
	return []string{fmt.Sprint(n)}, nil
}

// topBytes reads key and bytes of weir top -o json. Equal sums may come in
// either order, so keys are left out and the sums compared.
func topBytes(out []byte) ([]string, error) {
	var sums []string
	for line := range bytes.Lines(out) {
		var r struct{ Bytes uint64 }
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, err
		}
		sums = append(sums, fmt.Sprint(r.Bytes))
	}
	return sums, nil
}

// statBytes reads the bytes of nfdump -s … -o csv: ts,te,td,pr,val,fl,flP,
// ipkt,ipktP,ibyt,….
func statBytes(out []byte) ([]string, error) {
	var sums []string
	for line := range bytes.Lines(out) {
		fields := strings.Split(string(line), ",")
		if len(fields) > 9 && fields[0] != "ts" {
			sums = append(sums, fields[9])
		}
	}
	if len(sums) == 0 {
		return nil, fmt.Errorf("no statistics in %q", out)
	}
	return sums, nil
}
