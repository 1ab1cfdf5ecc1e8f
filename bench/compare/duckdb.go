package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

func (d *duckdb) keepsWhatItRead() {}

func (d *duckdb) note() string {
	return "DuckDB is loaded from weir's own rows, so its load is not compared. Addresses are 128-bit numbers in its table, which\n" +
		"it groups twice as fast as text. Its process stays and its wall time is DuckDB's alone; weir's has the start of a\n" +
		"process in it."
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
