package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// machine says where and when it was measured.
func machine(w io.Writer, now time.Time) {
	model := "unknown processor"
	if file, err := os.Open("/proc/cpuinfo"); err == nil {
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	load := ""
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = ", load " + strings.Join(strings.Fields(string(text))[:3], " ") + " when it began"
	}
	fmt.Fprintf(w, "Measured %s on %d processors (%s)%s, %s.\n\n", now.UTC().Format("2006-01-02 15:04 UTC"), runtime.NumCPU(), model, load, runtime.Version())
}

// report prints what was measured.
func (c *comparison) report(ctx context.Context) error {
	if err := c.reportStore(); err != nil {
		return err
	}
	for _, p := range c.peers {
		if err := c.reportPeer(p); err != nil {
			return err
		}
	}
	if err := c.reportGrowth(); err != nil {
		return err
	}
	return c.reportKeeping(ctx)
}

// reportStore prints what storing the records took, and how large they are.
func (c *comparison) reportStore() error {
	t := table{head: []string{"storing the records", "wall ms", "CPU ms", "CPU µs/record", "records/s", "peak MiB", "bytes/record", "CPU: weir ÷ this", "bytes: weir ÷ this"}}
	total, wal := c.archive.bytes()
	ours := float64(total-wal) / float64(c.records)
	row := func(name string, u usage, bytes float64) {
		cpu, size := "", ""
		if u.cpu > 0 && name != "weir" {
			cpu = ratio(c.loaded.cpu.Seconds() / u.cpu.Seconds())
		}
		if name != "weir" {
			size = ratio(ours / bytes)
		}
		rate := "-"
		if u.wall > 0 {
			rate = fmt.Sprintf("%.0f", float64(c.records)/u.wall.Seconds())
		}
		micros, peak := "-", "-"
		if u.cpu > 0 {
			micros, peak = fmt.Sprintf("%.2f", float64(u.cpu.Microseconds())/float64(c.records)), mib(u.peak)
		}
		t.add(name, ms(u.wall), ms(u.cpu), micros, rate, peak, fmt.Sprintf("%.1f", bytes), cpu, size)
	}
	row("weir", c.loaded, ours)
	for _, p := range c.peers {
		row(p.name(), c.peerLoad[p], float64(p.bytes())/float64(c.records))
	}
	if err := t.write(c.out); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "weir has its index in it, the others have none. Its write-ahead log, which holds what was stored last, is %.1f MB more.\n", float64(wal)/1e6)
	for _, p := range c.peers {
		if note := p.note(); note != "" {
			fmt.Fprintln(c.out, note)
		}
	}
	_, err := fmt.Fprintln(c.out)
	return err
}

// reportPeer prints every question beside a peer.
func (c *comparison) reportPeer(p peer) error {
	t := table{head: []string{"question", "weir: wall ms", "at first", "CPU ms", "peak MiB", p.name() + ": wall ms", "CPU ms", "peak MiB", "wall: weir ÷ peer", "CPU: weir ÷ peer"}}
	for _, a := range c.asked {
		theirs := a.peers[p]
		if len(theirs) == 0 {
			continue
		}
		w, o := medians(a.weir), medians(theirs)
		wall, cpu := ratios(a.weir, theirs)
		t.add(a.what, ms(w.wall), ms(a.first.wall), ms(w.cpu), mib(w.peak), ms(o.wall), ms(o.cpu), mib(o.peak), ratio(wall), ratio(cpu))
	}
	if err := t.write(c.out); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.out, "Rounds: %d; figures are medians, ratios are medians over pairs of rounds.%s\n\n", c.rounds, c.verdict(p))
	return err
}

// verdict says whether the answers of a peer were weir's.
func (c *comparison) verdict(p peer) string {
	var wrong []string
	for _, text := range c.wrong {
		if strings.Contains(text, "weir and "+p.name()+" differ") {
			wrong = append(wrong, text)
		}
	}
	if len(wrong) == 0 {
		return " All answers are equal."
	}
	return fmt.Sprintf(" %d answers DIFFER:\n\n- %s\n", len(wrong), strings.Join(wrong, "\n- "))
}

// reportGrowth prints how an archive that grows is opened and asked.
func (c *comparison) reportGrowth() error {
	if len(c.grown) == 0 {
		return nil
	}
	t := table{head: []string{"while the archive grows; wall / CPU ms"}}
	row := func(name string, cell func(g growth) string) {
		cells := []string{name}
		for _, g := range c.grown {
			cells = append(cells, cell(g))
		}
		t.add(cells...)
	}
	for _, g := range c.grown {
		t.head = append(t.head, fmt.Sprintf("%d hours", g.hours))
	}
	row("records", func(g growth) string { return fmt.Sprint(g.records) })
	row("import, CPU µs/record", func(g growth) string {
		return fmt.Sprintf("%.2f", float64(g.loaded.cpu.Microseconds())/float64(g.records))
	})
	row("import, wall µs/record", func(g growth) string {
		return fmt.Sprintf("%.2f", float64(g.loaded.wall.Microseconds())/float64(g.records))
	})
	row("bytes/record", func(g growth) string { return fmt.Sprintf("%.1f", float64(g.bytes)/float64(g.records)) })
	row("open without a daemon, list the hours", func(g growth) string { return wallAndCPU(g.opened) })
	for i, q := range c.grown[0].asked {
		row(q.what+": weir", func(g growth) string { return wallAndCPU(medians(g.asked[i].weir)) })
		for _, n := range c.nfdump {
			row(q.what+": "+n.name(), func(g growth) string { return wallAndCPU(medians(g.asked[i].peers[n])) })
		}
	}
	return t.write(c.out)
}

func wallAndCPU(u usage) string { return ms(u.wall) + " / " + ms(u.cpu) }
