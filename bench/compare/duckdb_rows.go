package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"strings"
	"time"
)

// duckdbFields are the fields of a row, as weir calls them.
var duckdbFields = []string{"start", "src_addr", "dst_addr", "src_port", "dst_port", "proto", "tcp_flags", "packets", "bytes"}

// convertRows copies CSV of duckdbFields, its head line left out, with numbers
// for time and addresses.
func convertRows(r io.Reader, out *bufio.Writer) error {
	var start time.Time
	return columns(r, duckdbFields, func(cells []string) (err error) {
		if start, err = time.Parse(time.RFC3339, cells[0]); err != nil {
			return err
		}
		cells[0] = fmt.Sprint(start.UnixMilli())
		for i := 1; i <= 2; i++ {
			if cells[i], err = addressNumber(cells[i]); err != nil {
				return err
			}
		}
		if _, err = out.WriteString(strings.Join(cells, ",")); err == nil {
			err = out.WriteByte('\n')
		}
		return err
	})
}

// addressNumber returns an address as a number, an IPv4 address as one of 32
// bits. No IPv6 address is that small but :: and ::1 and their like.
func addressNumber(text string) (string, error) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return "", err
	}
	if a.Is4() {
		b := a.As4()
		return fmt.Sprint(binary.BigEndian.Uint32(b[:])), nil
	}
	b := a.As16()
	return new(big.Int).SetBytes(b[:]).String(), nil
}

// numberAddress is the inverse of addressNumber.
func numberAddress(text string) (string, error) {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok || n.Sign() < 0 || n.BitLen() > 128 {
		return "", fmt.Errorf("%q is not the number of an address", text)
	}
	if n.BitLen() <= 32 {
		return netip.AddrFrom4([4]byte(n.FillBytes(make([]byte, 4)))).String(), nil
	}
	return netip.AddrFrom16([16]byte(n.FillBytes(make([]byte, 16)))).String(), nil
}

// sqlAddress is the condition that a flow has an IPv4 address at either end.
func sqlAddress(text string) string {
	b := netip.MustParseAddr(text).As4()
	n := binary.BigEndian.Uint32(b[:])
	return fmt.Sprintf("(src = %d or dst = %d)", n, n)
}

// duckdbTotal reads the row of a total.
func duckdbTotal(rows [][]string) (answer, error) {
	if len(rows) != 1 || len(rows[0]) != 3 {
		return nil, fmt.Errorf("a total of %v", rows)
	}
	r := rows[0]
	for i := range r { // sums of nothing are null
		if r[i] == "" {
			r[i] = "0"
		}
	}
	return totalLine(r[0], r[1], r[2]), nil
}

// duckdbGroups reads groups, whose first key may be an address.
func duckdbGroups(address bool) func([][]string) (answer, error) {
	return func(rows [][]string) (answer, error) {
		var a answer
		for _, row := range rows {
			if address {
				addr, err := numberAddress(row[0])
				if err != nil {
					return nil, err
				}
				row[0] = addr
			}
			a = append(a, strings.Join(row, " "))
		}
		return a, nil
	}
}

// duckdbSeries reads steps by number, flows, packets and bytes.
func duckdbSeries(step time.Duration) func([][]string) (answer, error) {
	return func(rows [][]string) (answer, error) {
		var a answer
		for _, row := range rows {
			var n int64
			if _, err := fmt.Sscan(row[0], &n); err != nil || len(row) != 4 {
				return nil, fmt.Errorf("a step of %v", row)
			}
			a = append(a, stepLine(time.UnixMilli(n*step.Milliseconds()), row[1], row[2], row[3]))
		}
		return a, nil
	}
}
