package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

//go:embed duckdb.mjs
var duckdbScript []byte

// duckdb is a table of DuckDB and a process that keeps it open. What it takes is
// measured like the daemon's: without the start of a process, which node would
// spend longer on than DuckDB on the question.
type duckdb struct {
	version string
	dir     string
	server  *server
	in      io.WriteCloser
	out     *bufio.Reader
	lastMS  float64 // what the last question took by DuckDB's own account
}

// startDuckDB installs the package unless node names a directory that has it,
// and opens an empty database in dir.
func startDuckDB(ctx context.Context, dir, node string) (*duckdb, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if node == "" {
		node = dir
		npm := tool(ctx, "npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", dir, "@duckdb/node-api")
		if out, err := npm.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("install DuckDB with npm: %w\n%s", err, out)
		}
	}
	// Node looks for packages beside the script.
	script, err := os.CreateTemp(node, "duckdb-*.mjs")
	if err != nil {
		return nil, err
	}
	defer os.Remove(script.Name())
	_, err = script.Write(duckdbScript)
	if err := errors.Join(err, script.Close()); err != nil {
		return nil, err
	}
	d := &duckdb{dir: dir}
	cmd := tool(ctx, "node", script.Name(), d.database())
	if d.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d.out = bufio.NewReader(out)
	if d.server, err = serve(cmd); err != nil {
		return nil, err
	}
	rows, err := d.query("select version()")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start DuckDB: %w", err), d.close())
	}
	d.version = strings.TrimPrefix(rows[0][0], "v")
	return d, nil
}

func (d *duckdb) database() string { return filepath.Join(d.dir, "flows.duckdb") }

func (d *duckdb) name() string { return "DuckDB " + d.version }

func (d *duckdb) note() string {
	return "DuckDB is loaded from weir's own rows, so its load is not compared. Addresses are 128-bit numbers in its table, which it groups twice as fast as text. " +
		"Its process stays, its wall time is DuckDB's alone, weir's has the start of a process in it."
}

func (d *duckdb) bytes() int64 {
	return diskUsage(d.dir, func(name string) bool { return strings.HasPrefix(name, "flows.duckdb") })
}

func (d *duckdb) close() error {
	_ = d.in.Close() // upon which the script ends by itself
	select {
	case <-d.server.ended:
	case <-time.After(10 * time.Second):
	}
	_, err := d.server.stop()
	return err
}

// query asks and returns the rows as text.
func (d *duckdb) query(sql string) ([][]string, error) {
	line, err := json.Marshal(struct {
		SQL string `json:"sql"`
	}{sql})
	if err != nil {
		return nil, err
	}
	if _, err := d.in.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, d.server.stderr.String())
	}
	text, err := d.out.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, d.server.stderr.String())
	}
	var a struct {
		MS    float64
		Rows  [][]string
		Error string
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, err
	}
	if a.Error != "" {
		return nil, fmt.Errorf("DuckDB: %s", a.Error)
	}
	d.lastMS = a.MS
	return a.Rows, nil
}

// ask asks what there is SQL for.
func (d *duckdb) ask(_ context.Context, q *question) (usage, answer, bool, error) {
	if q.duckdb == "" {
		return usage{}, nil, false, nil
	}
	var rows [][]string
	u, err := d.server.during(func() (err error) {
		rows, err = d.query(q.duckdb)
		return err
	})
	if err != nil {
		return usage{}, nil, true, err
	}
	u.wall = time.Duration(d.lastMS * float64(time.Millisecond))
	a, err := q.readDuckDB(rows)
	return u, a, true, err
}

// duckdbFields are the fields of a row, as weir calls them.
var duckdbFields = []string{"start", "src_addr", "dst_addr", "src_port", "dst_port", "proto", "tcp_flags", "packets", "bytes"}

// fill loads all rows of an archive.
func (d *duckdb) fill(ctx context.Context, a *archive) error {
	text := filepath.Join(d.dir, "rows.csv")
	file, err := os.Create(text)
	if err != nil {
		return err
	}
	defer os.Remove(text)
	out := bufio.NewWriterSize(file, 1<<20)
	convert := func(r io.Reader) error { return convertRows(r, out) }
	_, err = measure(ctx, convert, a.binary, "query", "-o", "csv", "--fields", strings.Join(duckdbFields, ","), "--data", a.dir)
	if err := errors.Join(err, out.Flush(), file.Close()); err != nil {
		return err
	}
	_, err = d.query(`create table flows as select * from read_csv('` + text + `', header = false, columns = {
		'start_ms': 'BIGINT', 'src': 'UHUGEINT', 'dst': 'UHUGEINT', 'src_port': 'USMALLINT', 'dst_port': 'USMALLINT',
		'proto': 'UTINYINT', 'tcp_flags': 'UTINYINT', 'packets': 'UBIGINT', 'bytes': 'UBIGINT'})`)
	if err == nil {
		_, err = d.query("checkpoint")
	}
	return err
}

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
