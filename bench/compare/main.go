// Command compare measures weir against nfdump on the same work: the same
// generated records, the same questions, equal answers checked. It prints one
// table; people judge.
//
//	go run ./bench/compare                  # quick: 1 million records
//	go run ./bench/compare -size full       # 10 million
//
// nfcapd and nfdump are taken from the PATH. Releases of nfcapd that read
// captures (-f FILE) do so; others are sent the datagrams over loopback UDP, in
// which case their wall time says nothing and is left out. DuckDB and the
// archive of 90 days are not here yet.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"weir/bench"
)

// sizes are how many records each -size has.
var sizes = map[string]int64{"quick": 1_000_000, "full": 10_000_000}

// A comparison is one run: where things are and what was measured.
type comparison struct {
	dir     string // scratch
	weir    string // binary
	capture string
	options bench.Options
	rounds  int
	lines   []line
	wrong   int // answers that differ
}

// A line is one row of the table.
type line struct {
	what       string
	ours, peer usage
	note       string
}

func main() {
	log.SetFlags(0)
	size := flag.String("size", "quick", "quick (1 M records) or full (10 M)")
	rounds := flag.Int("rounds", 3, "measure each question `N` times; medians are shown")
	binary := flag.String("weir", "", "weir `binary`; built from this module if empty")
	keep := flag.String("dir", "", "keep captures and archives in `DIR`")
	flag.Parse()
	records, ok := sizes[*size]
	if !ok || *rounds < 1 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	c := &comparison{dir: *keep, weir: *binary, rounds: *rounds, options: bench.Options{
		Seed: 1, Records: records, Rate: 50_000, Exporters: bench.UniformExporters(4, bench.NetFlow9),
	}}
	if err := c.run(); err != nil {
		log.Fatal("compare: ", err)
	}
	if c.wrong > 0 {
		log.Fatalf("compare: %d answers differ", c.wrong)
	}
}

func (c *comparison) run() error {
	for _, tool := range []string{"nfcapd", "nfdump"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("find the peer: %w", err)
		}
	}
	if c.dir == "" {
		temp, err := os.MkdirTemp("", "weir-compare-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		c.dir = temp
	}
	if err := c.prepare(); err != nil {
		return err
	}
	if err := c.load(); err != nil {
		return err
	}
	for _, q := range questions {
		if err := c.ask(q); err != nil {
			return fmt.Errorf("%s: %w", q.what, err)
		}
	}
	c.print(os.Stdout)
	return nil
}

// prepare builds weir and writes the capture.
func (c *comparison) prepare() error {
	if c.weir == "" {
		c.weir = filepath.Join(c.dir, "weir")
		build := exec.Command("go", "build", "-o", c.weir, "weir")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build weir: %w\n%s", err, out)
		}
	}
	c.capture = filepath.Join(c.dir, "records.pcap")
	file, err := os.Create(c.capture)
	if err != nil {
		return err
	}
	stats, err := bench.WriteCapture(file, c.options)
	if err != nil {
		return err
	}
	fmt.Printf("%d records in %d datagrams, %.1f MB, generated in %.1f s\n\n", stats.Records, stats.Datagrams,
		float64(stats.Bytes)/1e6, stats.Elapsed.Seconds())
	c.options.Records = stats.Records
	return file.Close()
}

func (c *comparison) archive() string { return filepath.Join(c.dir, "weir-data") }
func (c *comparison) flows() string   { return filepath.Join(c.dir, "nfcapd") }

// load gives the capture to both and adds the lines for time and size.
func (c *comparison) load() error {
	ours, _, err := measure(c.weir, "import", "--data", c.archive(), c.capture)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.flows(), 0o700); err != nil {
		return err
	}
	peer, note, err := c.loadPeer()
	if err != nil {
		return err
	}
	c.lines = append(c.lines, line{"store the capture", ours, peer, note})
	fmt.Printf("%-28s %14s %14s\n", "bytes per record on disk", "weir", "nfdump")
	fmt.Printf("%-28s %14.1f %14.1f   (weir: with its index, %.1f with the write-ahead log; nfcapd -%s)\n\n", "",
		c.each(sizeOf(c.archive(), ".log")), c.each(sizeOf(c.flows(), "")), c.each(sizeOf(c.archive(), "")), compression)
	return nil
}

// each returns what a record has of a total.
func (c *comparison) each(total int64) float64 { return float64(total) / float64(c.options.Records) }

// sizeOf adds up the files below a directory, those with the given ending left
// out.
func sizeOf(dir, without string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || without != "" && filepath.Ext(d.Name()) == without {
			return err
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}

// ask measures one question on both sides and compares the answers.
func (c *comparison) ask(q question) error {
	var ours, peer []usage
	note := "equal"
	for range c.rounds {
		u, out, err := measure(c.weir, append(slices.Clone(q.weir), "--data", c.archive())...)
		if err != nil {
			return err
		}
		ours = append(ours, u)
		p, peerOut, err := measure("nfdump", append([]string{"-R", c.flows()}, q.nfdump...)...)
		if err != nil {
			return err
		}
		peer = append(peer, p)
		a, err := q.readWeir(out)
		if err != nil {
			return fmt.Errorf("read weir's answer: %w", err)
		}
		b, err := q.readNfdump(peerOut)
		if err != nil {
			return fmt.Errorf("read nfdump's answer: %w", err)
		}
		if !slices.Equal(a, b) {
			note = fmt.Sprintf("DIFFERENT: %v, nfdump %v", a, b)
		}
	}
	if note != "equal" {
		c.wrong++
	}
	c.lines = append(c.lines, line{q.what, median(ours), median(peer), note})
	return nil
}

func (c *comparison) print(w *os.File) {
	fmt.Fprintf(w, "%-28s %22s %31s %12s\n", "", "weir", "nfdump", "weir/nfdump")
	fmt.Fprintf(w, "%-28s %8s %7s %6s   %13s %7s %6s %6s %6s\n", "", "wall ms", "CPU ms", "MiB", "wall ms", "CPU ms", "MiB", "wall", "CPU")
	for _, l := range c.lines {
		fmt.Fprintf(w, "%-28s %8d %7d %6d   %13s %7d %6d %6s %6.3f  %s\n", l.what,
			l.ours.wall.Milliseconds(), l.ours.cpu.Milliseconds(), l.ours.peak>>20,
			orDash(l.peer.wall), l.peer.cpu.Milliseconds(), l.peer.peak>>20,
			ratio(l.ours.wall, l.peer.wall), l.ours.cpu.Seconds()/max(l.peer.cpu.Seconds(), 1e-9), l.note)
	}
}

func orDash(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprint(d.Milliseconds())
}

func ratio(a, b time.Duration) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", a.Seconds()/b.Seconds())
}
