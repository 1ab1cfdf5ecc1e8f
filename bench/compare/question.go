package main

import (
	"fmt"
	"io"
	"time"
)

// A question is asked of all, and the answers must be equal.
type question struct {
	what       string
	weir       []string
	readWeir   reader
	nfdump     []string
	readNfdump reader
	duckdb     string // SQL; empty: not asked
	readDuckDB func(rows [][]string) (answer, error)
}

// A reader makes an answer of what a program prints.
type reader func(io.Reader) (answer, error)

// lists are the files of addresses that are asked for.
type lists struct {
	few, all addressList
}

// lookups are the questions about addresses, asked of a growing archive too.
func lookups(l lists) []question {
	return []question{
		{
			// The analyst looks at the flows themselves, so they are printed and compared.
			what: "one rare address: its flows",
			weir: []string{"query", "ip " + rareHost, "-N", "-o", flowLayout}, readWeir: flowLines,
			nfdump: []string{"-q", "-o", flowLayout, "ip " + rareHost}, readNfdump: flowLines,
		},
		total("one address that never occurs", "ip "+absentHost, sqlAddress(absentHost)),
		total("one busy address: totals", "ip "+busyHost, sqlAddress(busyHost)),
		inList("10,000 addresses, 100 rare ones occur", l.few),
		inList("10,000 addresses, all occur", l.all),
	}
}

// flowLayout is a layout of nfdump that weir prints too. It has the duration
// because nfdump 1.7 prints a wrong fraction of a second for %ter.
const flowLayout = "fmt:%tsr %td %pr %sa %sp %da %dp %pkt %byt"

// total asks how many flows, packets and bytes match a filter.
func total(what, filter, sql string) question {
	return question{
		what: what,
		weir: []string{"query", filter, "--count", "-o", "json"}, readWeir: weirTotal,
		nfdump: []string{"-o", "null", filter}, readNfdump: nfdumpTotal,
		duckdb: "select count(*), sum(packets), sum(bytes) from flows where " + sql, readDuckDB: duckdbTotal,
	}
}

// inList asks how often each address of a list occurs.
func inList(what string, l addressList) question {
	return question{
		what: what,
		weir: []string{"seen", "@" + l.weir, "-o", "csv"}, readWeir: seenCounts,
		nfdump: []string{"-q", "-f", l.nfdump, "-s", "ip/flows", "-n", "0", "-o", "csv"}, readNfdump: l.statCounts,
	}
}

// ports is a filter of questions about ports: a record without a port is one of
// port 0 to nfdump, and ICMP has its type there.
const ports = "proto tcp or proto udp"

// analytics are the questions about all records of an hour, or of many.
func analytics(hours int) []question {
	step := time.Minute
	if hours > 1 {
		step = time.Hour
	}
	list := tops()
	if hours == 1 { // of an archive, all sides would keep tens of millions of groups in memory
		list = append(list, pairs())
	}
	return append(list,
		total("scan: port range, flags, packets", "src port > 50000 and flags F and packets > 20",
			"src_port > 50000 and tcp_flags & 1 <> 0 and packets > 20"),
		series(step))
}

// tops ask for the largest groups of few.
func tops() []question {
	return []question{
		{
			what: "top 10 sources by bytes",
			weir: []string{"top", "src_addr", "--by", "bytes", "-n", "10", "-o", "csv"}, readWeir: topRows,
			nfdump: []string{"-q", "-s", "srcip/bytes", "-n", "10", "-o", "csv"}, readNfdump: statRows,
			duckdb:     "select src, sum(bytes) b, sum(packets), count(*) from flows group by src order by b desc limit 10",
			readDuckDB: duckdbGroups(true),
		},
		{
			what: "top 10 destination ports by bytes",
			weir: []string{"top", "dst_port", ports, "--by", "bytes", "-n", "10", "-o", "csv"}, readWeir: topRows,
			nfdump: []string{"-q", "-s", "dstport/bytes", "-n", "10", "-o", "csv", ports}, readNfdump: statRows,
			duckdb:     "select dst_port, sum(bytes) b, sum(packets), count(*) from flows where proto in (6, 17) group by dst_port order by b desc limit 10",
			readDuckDB: duckdbGroups(false),
		},
	}
}

// pairs asks for the largest groups of very many.
func pairs() question {
	return question{
		what: "group by source and destination port, top 10",
		weir: []string{"top", "src_addr,dst_port", ports, "--by", "bytes", "-n", "10", "-o", "csv"}, readWeir: topRows,
		nfdump: []string{"-q", "-A", "srcip,dstport", "-O", "bytes", "-n", "10", "-o", "fmt:%sa %dp %byt %pkt %fl", ports}, readNfdump: groupRows,
		duckdb:     "select src, dst_port, sum(bytes) b, sum(packets), count(*) from flows where proto in (6, 17) group by src, dst_port order by b desc limit 10",
		readDuckDB: duckdbGroups(true),
	}
}

// series asks for volumes over time. nfdump has no series: it prints start and
// counters of every flow, and adding them up here is not counted as its work.
func series(step time.Duration) question {
	return question{
		what: fmt.Sprintf("series of bytes, by %s", stepName(step)),
		weir: []string{"series", "--step", stepName(step), "--by", "bytes", "-o", "csv"}, readWeir: seriesRows,
		nfdump: []string{"-q", "-o", "fmt:%tsr %byt %pkt"}, readNfdump: sumFlows(step),
		duckdb: fmt.Sprintf("select start_ms // %d as step, count(*), sum(packets), sum(bytes) from flows group by step order by step",
			step.Milliseconds()),
		readDuckDB: duckdbSeries(step),
	}
}

func stepName(step time.Duration) string {
	if step == time.Hour {
		return "1h"
	}
	return fmt.Sprintf("%dm", step/time.Minute)
}
