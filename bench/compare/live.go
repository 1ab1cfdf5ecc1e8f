package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// A live run is a collector under load, with questions beside it.
type live struct {
	settings
	archive *archive
	sent    int64
	sender  usage
	took    usage // by the collector, until everything was stored
	stored  int64
	drops   int64 // datagrams that the kernel dropped
	asked   []*asked
	probe   *probe
}

// settleTime is how long the collector may take to store what it has received.
const settleTime = 10 * time.Second

// runLive starts a collector, sends it records for a while and asks it
// questions meanwhile. All of it stays on the loopback interface.
func runLive(ctx context.Context, s settings, out io.Writer) (err error) {
	l := &live{settings: s, archive: &archive{binary: s.weir, dir: filepath.Join(s.dir, "weir-live")}}
	if err := checkRoom(s.dir, int64(s.rate)*int64(s.seconds)*weirBytes); err != nil {
		return err
	}
	if err := l.archive.start(ctx, "90d"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.archive.stop()) }()
	l.probe = newProbe(l.archive)
	defer l.probe.close()
	l.took, err = l.archive.daemon.during(func() error { return l.load(ctx) })
	if err != nil {
		return err
	}
	return l.report(out)
}

// load sends and asks until everything is sent, and waits until it is stored.
func (l *live) load(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	questions, probes := make(chan error, 1), make(chan error, 1)
	asking, stopAsking := context.WithCancel(ctx)
	defer stopAsking()
	go func() { questions <- l.ask(asking) }()
	go func() { probes <- l.probe.run(asking) }()
	err := l.send(ctx)
	stopAsking()
	if err := errors.Join(err, <-questions, <-probes); err != nil {
		return err
	}
	return l.settle(ctx)
}

// sentLine is what weir generate prints.
var sentLine = regexp.MustCompile(`^(\d+) records`)

// send lets weir generate send, in a process of its own.
func (l *live) send(ctx context.Context) error {
	read := func(r io.Reader) error {
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		m := sentLine.FindSubmatch(text)
		if m == nil {
			return fmt.Errorf("weir generate does not say how much it sent: %q", text)
		}
		l.sent, err = strconv.ParseInt(string(m[1]), 10, 64)
		return err
	}
	var err error
	l.sender, err = measure(ctx, read, l.weir, "generate", "--send", fmt.Sprintf("127.0.0.1:%d", l.archive.port),
		"--rate", fmt.Sprint(l.rate), "--records", fmt.Sprint(l.rate*l.seconds))
	return err
}

// liveQuestions are what analysts ask meanwhile: of the last minute, as most do
// during an incident, and of all.
func liveQuestions() []question {
	return []question{
		{what: "one busy address, last minute: totals", weir: []string{"query", "ip " + busyHost, "--last", "1m", "--count", "-o", "json"}, readWeir: weirTotal},
		{what: "top 10 sources by bytes, last minute", weir: []string{"top", "src_addr", "--last", "1m", "--by", "bytes", "-n", "10", "-o", "csv"}, readWeir: topRows},
		{what: "one address that never occurs", weir: []string{"query", "ip " + absentHost, "--count", "-o", "json"}, readWeir: weirTotal},
	}
}

// pause is the time between two questions: an analyst reads the answer.
const pause = time.Second

// ask asks the questions in turn until ctx is done.
func (l *live) ask(ctx context.Context) error {
	list := liveQuestions()
	for _, q := range list {
		l.asked = append(l.asked, &asked{what: q.what})
	}
	for i := 0; sleep(ctx, pause); i++ {
		q := &list[i%len(list)]
		u, err := l.archive.ask(ctx, func(r io.Reader) error { _, err := q.readWeir(r); return err }, q.weir...)
		if ctx.Err() != nil {
			return nil // it was interrupted, which is no failure of it
		}
		if err != nil {
			return fmt.Errorf("%s: %w", q.what, err)
		}
		l.asked[i%len(list)].weir = append(l.asked[i%len(list)].weir, u)
	}
	return nil
}

// settle waits until as many records are stored as were sent, or no more come,
// and notes what the kernel dropped.
func (l *live) settle(ctx context.Context) error {
	for end := time.Now().Add(settleTime); ; {
		n, err := l.archive.count(ctx, "not src net "+probeNet)
		if err != nil {
			return err
		}
		if l.stored = n; n >= l.sent || time.Now().After(end) {
			break
		}
		if !sleep(ctx, 200*time.Millisecond) {
			return ctx.Err()
		}
	}
	at, err := socketOn(l.archive.port)
	l.drops = at.drops
	return err
}

// count returns how many records match a filter.
func (a *archive) count(ctx context.Context, filter string) (n int64, err error) {
	read := func(r io.Reader) error {
		text, err := io.ReadAll(r)
		if err == nil {
			_, err = fmt.Sscan(string(text), &n)
		}
		return err
	}
	_, err = measure(ctx, read, a.binary, "query", filter, "--count", "--data", a.dir)
	return n, err
}

// sleep waits and reports whether ctx is still on.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// report prints what was measured.
func (l *live) report(out io.Writer) error {
	seconds := l.sender.wall.Seconds()
	share := func(u usage) string {
		return fmt.Sprintf("%.1f s, %.0f %% of one processor", u.cpu.Seconds(), 100*u.cpu.Seconds()/seconds)
	}
	t := table{head: []string{fmt.Sprintf("live: %d records/s asked for, %d s", l.rate, l.seconds), ""}}
	t.add("records sent", fmt.Sprint(l.sent))
	t.add("sent per second", fmt.Sprintf("%.0f", float64(l.sent)/seconds))
	t.add("records stored", fmt.Sprint(l.stored))
	t.add("records lost", fmt.Sprint(l.sent-l.stored))
	t.add("datagrams dropped by the kernel", fmt.Sprint(l.drops))
	t.add("CPU of the collector, answers included", share(l.took))
	t.add("CPU of the generator", share(l.sender))
	t.add("peak memory of the collector, MiB", mib(l.took.peak))
	t.add("probes: records asked for right after they were sent", fmt.Sprint(l.probe.sent))
	t.add("of them never in an answer", fmt.Sprint(l.probe.missing))
	if len(l.probe.visible) > 0 {
		longest := l.probe.visible[0]
		for _, d := range l.probe.visible {
			longest = max(longest, d)
		}
		t.add("a probe is in an answer after, median, ms", ms(median(l.probe.visible)))
		t.add("and at the latest, ms", ms(longest))
	}
	for _, a := range l.asked {
		if len(a.weir) > 0 {
			t.add(fmt.Sprintf("%s, %d times: median wall ms", a.what, len(a.weir)), ms(medians(a.weir).wall))
		}
	}
	return t.write(out)
}
