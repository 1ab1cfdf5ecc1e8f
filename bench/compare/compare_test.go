package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"weir/bench"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		args string
		want settings
	}{
		{"", settings{mode: "quick", days: 90, rounds: 3, rate: 500_000, seconds: 60}},
		{"-duckdb full", settings{mode: "full", days: 90, rounds: 3, rate: 500_000, seconds: 60, duckdb: true}},
		{"-days 2 -rounds 1 archive", settings{mode: "archive", days: 2, rounds: 1, rate: 500_000, seconds: 60}},
		{"-rate 1000 -seconds 5 live", settings{mode: "live", days: 90, rounds: 3, rate: 1000, seconds: 5}},
	} {
		if got, err := parse(strings.Fields(c.args)); err != nil || got != c.want {
			t.Errorf("%q: got %+v, %v, want %+v", c.args, got, err, c.want)
		}
	}
	for _, args := range []string{"huge", "quick full", "-rounds 0 quick", "-days 0 archive", "-rate 0 live", "-seconds 601 live"} {
		if got, err := parse(strings.Fields(args)); err == nil {
			t.Errorf("%q: got %+v, no error", args, got)
		}
	}
}

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		name    string
		records int64
		hours   int
		batch   int
		planted int
	}{
		{"quick", 1_000_800, 1, 1, 1},
		{"full", 10_000_800, 1, 1, 1},
		{"archive", 101_088_000, 2160, 24, 3},
	} {
		s := sizeOf(c.name, 90)
		if s.records() != c.records || s.hours != c.hours || s.batch() != c.batch {
			t.Errorf("%s: %d records in %d hours, %d at a time, want %d, %d, %d", c.name, s.records(), s.hours, s.batch(), c.records, c.hours, c.batch)
		}
		if got := len(s.options(start).Incidents); got != c.planted {
			t.Errorf("%s: the rare address calls on %d days, want %d", c.name, got, c.planted)
		}
		if one, two := s.room(1, false), s.room(2, true); one < 100*s.records() || two <= one {
			t.Errorf("%s: needs %d bytes, %d with more peers", c.name, one, two)
		}
	}
	if err := checkRoom(t.TempDir(), 1); err != nil {
		t.Errorf("room for one byte: %v", err)
	}
	if err := checkRoom(t.TempDir(), 1<<62); err == nil || !strings.Contains(err.Error(), "4611686018.4 GB") {
		t.Errorf("room for 2^62 bytes: %v", err)
	}
}

func TestSource(t *testing.T) {
	s := size{"test", 5, 3, bench.UniformExporters(1, bench.IPFIX)}
	dir := t.TempDir()
	src := newSource(s, dir)
	files, err := src.next(5)
	if err != nil || len(files) != 3 || src.stats.Records != s.records() {
		t.Fatalf("%d files, %d records, %v", len(files), src.stats.Records, err)
	}
	if more, err := src.next(5); err != nil || len(more) != 0 {
		t.Errorf("after the end: %d files, %v", len(more), err)
	}
	if err := remove(files); err != nil {
		t.Error(err)
	}
}

func TestNfcapdOffers(t *testing.T) {
	const debian = "-D\t\tFork to background\n-z\t\tLZO compress flows in output file.\n-y\t\tLZ4 compress flows in output file.\n"
	const current = "-D\t\tFork to background\n-f pcapfile\tRead network data from pcap file.\n-z=lzo\t\tLZO compress\n-z=lz4[:level]\tLZ4\n-z=zstd[:level]\tZSTD\n"
	for _, c := range []struct {
		help, want string
		captures   bool
	}{
		{debian, "lz4 -y ", false},
		{current, "lz4 -z=lz4 zstd -z=zstd ", true},
		{"-z\t\tCompress flows in output file.\n", "", false},
	} {
		got := ""
		for _, n := range nfcapdOffers(c.help) {
			got += n.compression + " " + n.flag + " "
			if n.captures != c.captures {
				t.Errorf("%q: reads captures %v, want %v", c.help, n.captures, c.captures)
			}
		}
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.help, got, c.want)
		}
	}
	for text, want := range map[string]string{
		"nfdump: Version: NSEL-NEL1.7.1\n": "1.7.1", "nfdump: Version: 1.7.8-e198c8b3 options: LZ4 ZSTD BZIP2 date: 2026-04-28\n": "1.7.8",
	} {
		if got := nfdumpVersion(text); got != want {
			t.Errorf("%q: release %q, want %q", text, got, want)
		}
	}
}

func TestSocketTable(t *testing.T) {
	table := []byte("   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n" +
		"  410: 0100007F:07F7 00000000:0000 07 00000000:00000A00 00:00000000 00000000     0        0 1234 2 0000000000000000 3\n" +
		"  411: 0100007F:07F7 00000000:0000 07 00000000:00000001 00:00000000 00000000     0        0 1235 2 0000000000000000 4\n" +
		"  412: 0100007F:07F8 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1236 2 0000000000000000 9\n")
	for port, want := range map[int]socket{2039: {true, 2561, 7}, 2040: {true, 0, 9}, 2041: {}} {
		var got socket
		if err := got.read(table, port); err != nil || got != want {
			t.Errorf("port %d: got %+v, %v, want %+v", port, got, err, want)
		}
	}
	var s socket
	if err := s.read([]byte("head\n1: 2 3\n"), 1); err == nil {
		t.Error("a short line: no error")
	}
}

func TestTable(t *testing.T) {
	tab := table{head: []string{"what", "ms"}}
	tab.add("a µs", "1")
	tab.add("longer", "12345")
	var out bytes.Buffer
	if err := tab.write(&out); err != nil {
		t.Fatal(err)
	}
	want := "| what   |    ms |\n|--------|------:|\n| a µs   |     1 |\n| longer | 12345 |\n\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestFigures(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{ms(0), "-"}, {ms(1234567 * time.Nanosecond), "1.23"}, {ms(12345 * time.Microsecond), "12.3"}, {ms(12345 * time.Millisecond), "12345"},
		{mib(0), "0"}, {mib(3 << 19), "2"}, {mib(100 << 20), "100"},
		{ratio(0), "-"}, {ratio(0.00123456), "0.00123"}, {ratio(0.5), "0.500"}, {ratio(12.345), "12.35"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

// TestMedians checks that a ratio is of pairs: the medians of three runs here
// are 20 and 40, the median ratio is not a half.
func TestMedians(t *testing.T) {
	ours := []usage{{wall: 10, cpu: 1, peak: 5}, {wall: 20, cpu: 2, peak: 9}, {wall: 30, cpu: 3, peak: 7}}
	theirs := []usage{{wall: 40, cpu: 1}, {wall: 25, cpu: 1}, {wall: 100}}
	if got, want := medians(ours), (usage{20, 2, 7}); got != want {
		t.Errorf("medians %+v, want %+v", got, want)
	}
	if wall, cpu := ratios(ours, theirs); wall != 0.3 || cpu != 2 {
		t.Errorf("ratios %g and %g, want 0.3 and 2", wall, cpu)
	}
	if wall, cpu := ratios(ours, nil); wall != 0 || cpu != 0 {
		t.Errorf("ratios to nothing are %g and %g", wall, cpu)
	}
	if got, want := ours[0].add(ours[1]), (usage{30, 3, 9}); got != want {
		t.Errorf("one after the other: %+v, want %+v", got, want)
	}
}

func TestGrowsAt(t *testing.T) {
	for hours, want := range map[int]bool{24: true, 48: false, 240: true, 2160: true, 720: false, 4320: true} {
		if got := growsAt(hours, 4320); got != want {
			t.Errorf("after %d of 4320 hours: %v, want %v", hours, got, want)
		}
	}
}

// TestAgain checks that what is short is repeated until a median says something,
// that what is long is not, and that a failure ends it.
func TestAgain(t *testing.T) {
	runs := 0
	u, err := again(func() (usage, error) { runs++; return usage{wall: time.Duration(runs)}, nil })
	if err != nil || runs < 2 || runs > mostRuns || u.wall != time.Duration(runs/2+1) {
		t.Errorf("short work ran %d times, its median is %d, error %v", runs, u.wall, err)
	}
	runs = 0
	if _, err := again(func() (usage, error) { runs++; time.Sleep(shortWork); return usage{}, nil }); err != nil || runs != 1 {
		t.Errorf("long work ran %d times, error %v", runs, err)
	}
	runs = 0
	if _, err := again(func() (usage, error) { runs++; return usage{}, io.EOF }); err != io.EOF || runs != 1 {
		t.Errorf("work that fails ran %d times, error %v", runs, err)
	}
}
