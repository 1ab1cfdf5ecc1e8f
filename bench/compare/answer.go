package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An answer is what was asked for, in a form in which equal answers are equal:
// one line for each flow, group or step.
type answer []string

func (a answer) equal(b answer) bool { return slices.Equal(a, b) }

// difference says where two answers part.
func (a answer) difference(b answer) string {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return fmt.Sprintf("line %d of %d: %q, of %d: %q", i+1, len(a), a.at(i), len(b), b.at(i))
		}
	}
	return "none"
}

func (a answer) at(i int) string {
	if i < len(a) {
		return a[i]
	}
	return ""
}

// flowLines reads flows in a layout of nfdump, from either. The order of flows
// says nothing, and neither do head lines.
func flowLines(r io.Reader) (answer, error) {
	var a answer
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 0 && fields[0][0] >= '0' && fields[0][0] <= '9' {
			a = append(a, strings.Join(fields, " "))
		}
	}
	slices.Sort(a)
	return a, lines.Err()
}

// totalLine is the form of a total.
func totalLine(flows, packets, bytes string) answer {
	return answer{fmt.Sprintf("%s flows, %s packets, %s bytes", flows, packets, bytes)}
}

// weirTotal reads weir query --count -o json.
func weirTotal(r io.Reader) (answer, error) {
	var t struct{ Records, Packets, Bytes json.Number }
	if err := json.NewDecoder(r).Decode(&t); err != nil {
		return nil, err
	}
	return totalLine(t.Records.String(), t.Packets.String(), t.Bytes.String()), nil
}

var summary = regexp.MustCompile(`total flows: (\d+), total bytes: (\d+), total packets: (\d+)`)

// nfdumpTotal reads the summary that nfdump prints.
func nfdumpTotal(r io.Reader) (answer, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	m := summary.FindSubmatch(text)
	if m == nil {
		return nil, fmt.Errorf("no summary in %q", text)
	}
	return totalLine(string(m[1]), string(m[3]), string(m[2])), nil
}

// columns reads CSV with a head line and calls fn for each row with the wanted
// columns.
func columns(r io.Reader, want []string, fn func(cells []string) error) error {
	in := csv.NewReader(r)
	in.ReuseRecord = true
	head, err := in.Read()
	if err == io.EOF {
		return fmt.Errorf("no head line with %s", strings.Join(want, ", "))
	}
	if err != nil {
		return err
	}
	at, cells := make([]int, len(want)), make([]string, len(want))
	for i, name := range want {
		if at[i] = slices.Index(head, name); at[i] < 0 {
			return fmt.Errorf("no column %s in %s", name, strings.Join(head, ","))
		}
	}
	for {
		row, err := in.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for i, c := range at {
			cells[i] = row[c]
		}
		if err := fn(cells); err != nil {
			return err
		}
	}
}

// topRows reads weir top -o csv: the keys come before the column bytes.
func topRows(r io.Reader) (answer, error) {
	buffered := bufio.NewReader(r)
	head, err := buffered.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("no head line: %w", err)
	}
	keys, _, _ := strings.Cut(head, ",bytes,")
	want := append(strings.Split(keys, ","), "bytes", "packets", "flows")
	var a answer
	err = columns(io.MultiReader(strings.NewReader(head), buffered), want, func(cells []string) error {
		a = append(a, strings.Join(cells, " "))
		return nil
	})
	return a, err
}

// Columns of nfdump -s … -o csv:
//
//	ts,te,td,pr,val,fl,flP,pkt,pktP,byt,bytP,pps,bps,bpp
//
// The names of the counters differ between statistics, the places do not.
const (
	statKey     = 4
	statFlows   = 5
	statPackets = 7
	statBytes   = 9
	statColumns = 14
)

// stat calls fn for each row of a statistic of nfdump.
func stat(r io.Reader, fn func(cells []string)) error {
	lines := bufio.NewScanner(r)
	heads := 0
	for lines.Scan() {
		cells := strings.Split(lines.Text(), ",")
		if cells[0] == "ts" {
			heads++
		} else if len(cells) == statColumns {
			fn(cells)
		} else if len(cells) > 1 {
			return fmt.Errorf("a row of %d columns in a statistic: %q", len(cells), lines.Text())
		}
	}
	if heads == 0 && lines.Err() == nil {
		return fmt.Errorf("no statistic")
	}
	return lines.Err()
}

// statRows reads a statistic of nfdump.
func statRows(r io.Reader) (answer, error) {
	var a answer
	err := stat(r, func(c []string) {
		a = append(a, strings.Join([]string{c[statKey], c[statBytes], c[statPackets], c[statFlows]}, " "))
	})
	return a, err
}

// groupRows reads groups in a layout of nfdump that begins with the keys.
func groupRows(r io.Reader) (answer, error) {
	var a answer
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 0 {
			a = append(a, strings.Join(fields, " "))
		}
	}
	return a, lines.Err()
}

// seenCounts reads weir seen -o csv: how often an address was at either end.
func seenCounts(r io.Reader) (answer, error) {
	var a answer
	err := columns(r, []string{"addr", "as_source", "as_destination"}, func(cells []string) error {
		src, err := strconv.ParseUint(cells[1], 10, 64)
		if err != nil {
			return err
		}
		dst, err := strconv.ParseUint(cells[2], 10, 64)
		a = append(a, fmt.Sprintf("%s %d", cells[0], src+dst))
		return err
	})
	slices.Sort(a)
	return a, err
}

// stepLine is the form of a step of a series.
func stepLine(at time.Time, flows, packets, bytes string) string {
	return fmt.Sprintf("%s %s %s %s", at.UTC().Format("2006-01-02T15:04"), flows, packets, bytes)
}

// seriesRows reads weir series -o csv. Steps in which nothing starts say
// nothing: nobody else has a row for them.
func seriesRows(r io.Reader) (answer, error) {
	var a answer
	err := columns(r, []string{"start", "flows", "packets", "bytes"}, func(cells []string) error {
		at, err := time.Parse(time.RFC3339, cells[0])
		if cells[1] != "0" {
			a = append(a, stepLine(at, cells[1], cells[2], cells[3]))
		}
		return err
	})
	return a, err
}

// sumFlows reads start in seconds, bytes and packets of every flow and adds
// them up by step.
func sumFlows(step time.Duration) reader {
	return func(r io.Reader) (answer, error) {
		type sum struct{ flows, packets, bytes uint64 }
		sums := map[int64]*sum{}
		seconds := int64(step / time.Second)
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			at, rest, _ := bytes.Cut(bytes.TrimLeft(lines.Bytes(), " "), []byte("."))
			fields := bytes.Fields(rest)
			if len(fields) == 0 {
				continue
			}
			second, err := strconv.ParseInt(string(at), 10, 64)
			if err != nil || len(fields) != 3 {
				return nil, fmt.Errorf("not a flow: %q", lines.Text())
			}
			b, err1 := strconv.ParseUint(string(fields[1]), 10, 64)
			p, err2 := strconv.ParseUint(string(fields[2]), 10, 64)
			if err1 != nil || err2 != nil {
				return nil, fmt.Errorf("not a flow: %q", lines.Text())
			}
			s := sums[second/seconds]
			if s == nil {
				s = &sum{}
				sums[second/seconds] = s
			}
			s.flows, s.packets, s.bytes = s.flows+1, s.packets+p, s.bytes+b
		}
		var a answer
		for at, s := range sums {
			a = append(a, stepLine(time.Unix(at*seconds, 0), fmt.Sprint(s.flows), fmt.Sprint(s.packets), fmt.Sprint(s.bytes)))
		}
		slices.Sort(a)
		return a, lines.Err()
	}
}

// canonical returns an address as everybody here writes it.
func canonical(text string) (string, error) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return "", err
	}
	return a.Unmap().String(), nil
}
