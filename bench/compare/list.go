package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// listLength is how many addresses a list has.
const listLength = 10_000

// An addressList is a list in the form that each program reads.
type addressList struct {
	weir   string // one address a line
	nfdump string // a filter
	wanted map[string]bool
}

// statCounts reads nfdump -s ip/flows: how often an address was at either end.
// Its statistic has the other ends too.
func (l addressList) statCounts(r io.Reader) (answer, error) {
	var a answer
	var bad error
	err := stat(r, func(c []string) {
		addr, err := canonical(c[statKey])
		if err != nil {
			bad = err
		} else if l.wanted[addr] {
			a = append(a, addr+" "+c[statFlows])
		}
	})
	slices.Sort(a)
	return a, errors.Join(err, bad)
}

// writeLists writes two lists: the first 10,000 outside sources of the archive,
// and a hundred of them among 9,900 addresses that never occur, which is what a
// list of bad addresses is like. Whether weir names them rightly is not relied
// upon: nfdump is asked for the same.
func writeLists(ctx context.Context, a *archive, dir string) (lists, error) {
	occur, err := a.sources(ctx, listLength)
	if err != nil {
		return lists{}, fmt.Errorf("choose the addresses to ask for: %w", err)
	}
	var l lists
	if l.few, err = writeList(filepath.Join(dir, "few"), amongAbsent(occur)); err == nil {
		l.all, err = writeList(filepath.Join(dir, "all"), occur)
	}
	return l, err
}

// amongAbsent returns a list in which every hundredth address is one of the last
// of those that occur. The later an address is met for the first time, the rarer
// it is.
func amongAbsent(occur []string) []string {
	list := make([]string, 0, listLength)
	for i := range listLength {
		if n := len(occur) - 1 - i/100; i%100 == 0 && n >= 0 {
			list = append(list, occur[n])
		} else {
			list = append(list, fmt.Sprintf("198.18.%d.%d", i/250, 1+i%250))
		}
	}
	return list
}

// sources returns the first n different outside IPv4 sources.
func (a *archive) sources(ctx context.Context, n int) ([]string, error) {
	var found []string
	seen := map[string]bool{}
	read := func(r io.Reader) error {
		lines := bufio.NewScanner(r)
		lines.Scan() // the head
		for lines.Scan() {
			if s := lines.Text(); len(found) < n && !seen[s] {
				seen[s] = true
				found = append(found, s)
			}
		}
		return lines.Err()
	}
	_, err := measure(ctx, read, a.binary, "query", "inet and not src net 10.0.0.0/8", "-n", fmt.Sprint(30*n),
		"--fields", "src_addr", "-o", "csv", "--data", a.dir)
	return found, err
}

func writeList(name string, addrs []string) (addressList, error) {
	l := addressList{weir: name + ".txt", nfdump: name + ".filter", wanted: map[string]bool{}}
	for _, a := range addrs {
		l.wanted[a] = true
	}
	text := strings.Join(addrs, "\n") + "\n"
	err := os.WriteFile(l.weir, []byte(text), 0o600)
	if err == nil {
		err = os.WriteFile(l.nfdump, []byte("ip in [\n"+text+"]\n"), 0o600)
	}
	return l, err
}
