package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"path/filepath"
)

// A comparison is one run over records that all sides have.
type comparison struct {
	settings
	size    size
	out     io.Writer
	archive *archive
	nfdump  []*nfdump
	peers   []peer // nfdump, and DuckDB
	lists   lists
	wrong   []string // answers that differ

	loaded   usage          // by weir, so far
	peerLoad map[peer]usage // by the peers
	asked    []*asked       // the questions, in order
	grown    []growth       // what was measured while the archive grew
	records  int64          // so far
}

// An asked question is what its rounds took.
type asked struct {
	what  string
	first usage // of weir, before the rounds: its caches may be cold
	weir  []usage
	peers map[peer][]usage // as long as weir, or missing
}

// runComparison makes the records, gives them to all and asks.
func runComparison(ctx context.Context, s settings, out io.Writer) (err error) {
	c := &comparison{settings: s, size: sizeOf(s.mode, s.days), out: out, peerLoad: map[peer]usage{}}
	c.archive = &archive{binary: s.weir, dir: filepath.Join(s.dir, "weir-data")}
	if c.nfdump, err = findNfdump(ctx, s.dir); err != nil {
		return err
	}
	wantDuckDB := s.duckdb || s.node != ""
	if err := checkRoom(s.dir, c.size.room(len(c.nfdump), wantDuckDB)); err != nil {
		return err
	}
	for _, n := range c.nfdump {
		c.peers = append(c.peers, n)
	}
	defer func() {
		err = errors.Join(err, c.archive.stop())
		for _, p := range c.peers {
			err = errors.Join(err, p.close())
		}
	}()
	if err := c.load(ctx); err != nil {
		return err
	}
	if err := c.addDuckDB(ctx, wantDuckDB); err != nil {
		return err
	}
	if err := c.archive.startCalm(ctx); err != nil {
		return err
	}
	if err := c.askAll(ctx); err != nil {
		return err
	}
	if err := c.report(ctx); err != nil {
		return err
	}
	if len(c.wrong) > 0 {
		return fmt.Errorf("%d answers differ; the first: %s", len(c.wrong), c.wrong[0])
	}
	return nil
}

// load makes the captures, a batch at a time, and gives each to all.
func (c *comparison) load(ctx context.Context) error {
	src := newSource(c.size, c.dir)
	for {
		files, err := src.next(c.size.batch())
		if err != nil {
			return err
		}
		if len(files) == 0 {
			break
		}
		log.Printf("hour %d of %d is made; storing it", src.hour, c.size.hours)
		u, err := c.archive.load(ctx, files)
		if err != nil {
			return err
		}
		c.loaded = c.loaded.add(u)
		for _, n := range c.nfdump {
			if u, err = n.load(ctx, files); err != nil {
				return err
			}
			c.peerLoad[n] = c.peerLoad[n].add(u)
		}
		if err := remove(files); err != nil {
			return err
		}
		c.records = src.stats.Records
		if err := c.grow(ctx, src.hour); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.out, "Records: %d in %d datagrams, %.0f MB; hours: %d; made in %.1f s.\n\n",
		src.stats.Records, src.stats.Datagrams, float64(src.stats.Bytes)/1e6, c.size.hours, src.stats.Elapsed.Seconds())
	return c.ready(ctx)
}

// ready writes the lists of addresses, once there are records.
func (c *comparison) ready(ctx context.Context) (err error) {
	if c.lists.all.wanted != nil {
		return nil
	}
	c.lists, err = writeLists(ctx, c.archive, c.dir)
	return err
}

// addDuckDB loads the rows into DuckDB if that is wanted.
func (c *comparison) addDuckDB(ctx context.Context, wanted bool) error {
	if !wanted {
		fmt.Fprintf(c.out, "DuckDB is left out; -duckdb adds it.\n\n")
		return nil
	}
	d, err := startDuckDB(ctx, filepath.Join(c.dir, "duckdb"), c.node)
	if err != nil {
		return err
	}
	c.peers = append(c.peers, d)
	return d.fill(ctx, c.archive)
}

// askAll asks all questions. What was asked of the archive at its last age is
// not asked again.
func (c *comparison) askAll(ctx context.Context) error {
	list := analytics(c.size.hours)
	if n := len(c.grown); n > 0 {
		c.asked = c.grown[n-1].asked
	} else {
		list = append(lookups(c.lists), list...)
	}
	for _, q := range list {
		a, err := c.ask(ctx, &q, c.rounds)
		if err != nil {
			return fmt.Errorf("%s: %w", q.what, err)
		}
		c.asked = append(c.asked, a)
	}
	return nil
}

// warmed is a peer whose process stays and keeps what it read, as weir's does.
type warmed interface{ keepsWhatItRead() }

// ask asks all sides the same, one after the other, as often as told, and
// compares the answers; in each of these rounds what is short is asked again and
// again, of every side. Those that stay are asked once before, so that all
// rounds find them as an analyst does who is at work; nfdump, which is started
// for every question, has its files in the page cache from the start.
func (c *comparison) ask(ctx context.Context, q *question, rounds int) (*asked, error) {
	log.Printf("asking for %s", q.what)
	all := &asked{what: q.what, peers: map[peer][]usage{}}
	var err error
	if all.first, err = c.archive.ask(ctx, func(r io.Reader) error { _, err := q.readWeir(r); return err }, q.weir...); err != nil {
		return nil, fmt.Errorf("weir: %w", err)
	}
	for _, p := range c.peers {
		if _, stays := p.(warmed); stays {
			if _, _, _, err := p.ask(ctx, q); err != nil {
				return nil, fmt.Errorf("%s: %w", p.name(), err)
			}
		}
	}
	for range rounds {
		var ours answer
		read := func(r io.Reader) (err error) { ours, err = q.readWeir(r); return err }
		u, err := again(func() (usage, error) { return c.archive.ask(ctx, read, q.weir...) })
		if err != nil {
			return nil, fmt.Errorf("weir: %w", err)
		}
		if len(ours) == 0 { // two programs that say nothing would agree
			return nil, errors.New("weir: an empty answer")
		}
		all.weir = append(all.weir, u)
		for _, p := range c.peers {
			var theirs answer
			can := true
			u, err := again(func() (u usage, err error) { u, theirs, can, err = p.ask(ctx, q); return u, err })
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name(), err)
			}
			if !can {
				continue
			}
			all.peers[p] = append(all.peers[p], u)
			if !ours.equal(theirs) {
				c.wrong = append(c.wrong, fmt.Sprintf("%s: weir and %s differ in %s", q.what, p.name(), ours.difference(theirs)))
			}
		}
	}
	return all, nil
}
