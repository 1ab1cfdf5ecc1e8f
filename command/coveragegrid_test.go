package command

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/flow/ledger"
	"weir/query"
)

// gridHour is the first hour of sampleGrid, a Friday.
var gridHour = time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC)

// sampleGrid is three days of three exporters: one that loses and falls silent,
// one without templates, and one that never came. The collector was down twice.
func sampleGrid(step int) *query.Grid {
	n := 60 / step
	at := func(i int) query.Moment {
		return query.Moment(gridHour.Add(time.Duration(i*step) * time.Hour).UnixMilli())
	}
	g := &query.Grid{From: at(0), To: at(n), Step: step, Exporters: []query.GridExporter{
		{Addr: "198.51.100.1", Name: "border-1", Group: "core", Expected: true}, {Addr: "2001:db8::1"}, {Name: "campus-2", Expected: true},
	}}
	for i := range n {
		h := query.HostDigest{At: at(i), Ledgers: step, Up: []ledger.Span{{From: uint64(at(i)), To: uint64(at(i + 1))}}}
		down := func(from, to time.Duration, reason query.Reason) {
			h.Down = []query.Gap{{From: at(i) + query.Moment(from.Milliseconds()), To: at(i) + query.Moment(to.Milliseconds()), Reason: reason}}
		}
		a := query.Cell{State: query.StateFine, Digest: query.Digest{Datagrams: 100, Records: 2400, First: at(i), Last: at(i+1) - 1}}
		b := query.Cell{State: query.StateFine, Digest: query.Digest{Datagrams: 10, Records: 100, Intervals: []ledger.Interval{{N: 100, Records: 40}, {N: 1000, Records: 60}}}}
		c := query.Cell{State: query.ReasonSilent}
		switch {
		case i*step == 12:
			down(0, time.Duration(step)*time.Hour, query.ReasonStopped)
			h.Ledgers, h.Up = 0, nil
			a, b, c = query.Cell{State: query.ReasonStopped}, query.Cell{State: query.ReasonStopped}, query.Cell{State: query.ReasonStopped}
		case i*step == 36:
			down(time.Minute, 3*time.Minute, query.ReasonCrashed)
		case i*step == 24:
			h.Kernel = 17
			a.State, a.Lost = query.ReasonKernel, 408
		case i*step > 24 && i*step < 36:
			a.State, a.Lost = query.ReasonLost, []uint64{5, 100, 600, 24000}[i%4]
		case i*step >= 48:
			a = query.Cell{State: query.ReasonSilent}
			b.State, b.SetsDropped = query.ReasonTemplate, 12
		}
		g.Hosts = append(g.Hosts, h)
		for k, cell := range []query.Cell{a, b, c} {
			g.Exporters[k].Cells = append(g.Exporters[k].Cells, cell)
		}
	}
	g.Worst = []query.BadSpan{
		{From: at(0), To: at(n), Name: "campus-2", Reason: query.ReasonSilent, Detail: "never heard"},
		{From: at(24), To: at(36), Addr: "198.51.100.1", Name: "border-1", Reason: query.ReasonLost, Records: 61_000, Loss: 0.71, Detail: "61k of 86k records"},
		{From: at(12), To: at(13), Reason: query.ReasonStopped},
	}
	return g
}

func TestCoverageGrid(t *testing.T) {
	for _, tt := range []struct {
		name           string
		step, columns  int
		unicode, color bool
		want           string
	}{
		{"bands of days", 1, 60, true, false, `
2026-11 UTC  2026-11-20 Fri     2026-11-21 Sat
             06    12    18     00    06    12    18
collector    ············D····· ······K···········c·····
border-1     ············D····· ······K▒▓█░▒▓█░▒▓█······
2001:db8::1  ············D····· ························
campus-2     SSSSSSSSSSSSDSSSSS SSSSSSSSSSSSSSSSSSSSSSSS

2026-11 UTC  2026-11-22 Sun
             00    06    12
collector    ··················
border-1     ······SSSSSSSSSSSS
2001:db8::1  ······TTTTTTTTTTTT
campus-2     SSSSSSSSSSSSSSSSSS

· complete   ░ loss under 1 %   ▒ loss under 10 %
▓ loss under 50 %   █ loss above that
K dropped in the kernel   S exporter silent
T template missing   D collector stopped
C collector crashed
a small letter is less than half of the time
`},
		{"without unicode", 1, 200, false, false, `
2026-11 UTC  2026-11-20 Fri     2026-11-21 Sat           2026-11-22 Sun
             06    12    18     00    06    12    18     00    06    12
collector    ............D..... ......K...........c..... ..................
border-1     ............D..... ......K=*#-=*#-=*#...... ......SSSSSSSSSSSS
2001:db8::1  ............D..... ........................ ......TTTTTTTTTTTT
campus-2     SSSSSSSSSSSSDSSSSS SSSSSSSSSSSSSSSSSSSSSSSS SSSSSSSSSSSSSSSSSS

. complete   - loss under 1 %   = loss under 10 %   * loss under 50 %   # loss above that   K dropped in the kernel   S exporter silent   T template missing   D collector stopped   C collector crashed
a small letter is less than half of the time
`},
		{"several hours", 12, 40, true, false, `
2026-11 UTC  20 21
collector    ·D Kc ·
border-1     ·D K· S
2001:db8::1  ·D ·· T
campus-2     SD SS S

· complete   K dropped in the kernel
S exporter silent   T template missing
D collector stopped
C collector crashed
a small letter is less than half of the time
a character is 12 hours
`},
	} {
		var b bytes.Buffer
		if err := coverageGrid(&b, sampleGrid(tt.step), tt.columns, tt.unicode, tt.color); err != nil {
			t.Fatal(err)
		}
		if got := b.String(); got != strings.TrimPrefix(tt.want, "\n") {
			t.Errorf("%s: got\n%s", tt.name, got)
		}
	}
	var b bytes.Buffer
	if err := coverageGrid(&b, sampleGrid(1), 80, true, true); err != nil {
		t.Fatal(err)
	}
	if line := "campus-2     \x1b[35mSSSSSSSSSSSS\x1b[31mD\x1b[35mSSSSS\x1b[0m \x1b[35mSSS"; !strings.Contains(b.String(), line) {
		t.Errorf("colours: got %q", b.String())
	}
}

// TestMarksAreDistinct keeps the characters apart, and all reasons known to the
// grid and to help.
func TestMarksAreDistinct(t *testing.T) {
	chars, asciis := map[rune]bool{}, map[byte]bool{}
	for _, m := range append(legend(), markNone) {
		if chars[m.char] || asciis[m.ascii] || m.about == "" {
			t.Errorf("%q is there twice, or says nothing", m.char)
		}
		chars[m.char], asciis[m.ascii] = true, true
	}
	for _, r := range reasonMarks {
		if cell := (query.Cell{State: r.reason}); cellMark(&cell) != r.mark {
			t.Errorf("%s has another mark", r.reason)
		}
		if !slices.Contains(strings.Fields(coverageLegendHelp), string(r.mark.char)) {
			t.Errorf("help lacks the letter of %s", r.reason)
		}
	}
	for _, reason := range query.Reasons() {
		if cell := (query.Cell{State: reason}); cellMark(&cell) == markOther {
			t.Errorf("%q has no mark", reason)
		}
	}
	for loss, want := range map[uint64]rune{1: '░', 100: '▒', 900: '▓', 99000: '█'} {
		if cell := (query.Cell{State: query.ReasonLost, Digest: query.Digest{Records: 1000, Lost: loss}}); cellMark(&cell).char != want {
			t.Errorf("%d of %d lost: got %c, want %c", loss, 1000+loss, cellMark(&cell).char, want)
		}
	}
}

func TestCoverageCSV(t *testing.T) {
	g := sampleGrid(1)
	var b bytes.Buffer
	out := newStream(&b, nil)
	if err := writeGrid(out, nil, formatCSV, g); err != nil {
		t.Fatal(err)
	}
	out.Close()
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 1+60*4 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	cell := func(row int, name string) string { return rows[row][slices.Index(rows[0], name)] }
	for _, tt := range []struct {
		row        int
		name, want string
	}{
		{1, "hour", "2026-11-20T06:00:00.000Z"}, {1, "exporter", "collector"}, {1, "state", "fine"}, {1, "up_ms", "3600000"}, {1, "records", ""},
		{2, "exporter", "198.51.100.1"}, {2, "name", "border-1"}, {2, "group", "core"}, {2, "records", "2400"}, {2, "kernel_drops", ""},
		{3, "sampling", "100 1000"}, {4, "state", "exporter silent"}, {1 + 24*4, "kernel_drops", "17"}, {1 + 24*4, "state", "dropped in the kernel"},
		{2 + 24*4, "lost", "408"}, {2 + 24*4, "loss", "0.1453"},
	} {
		if got := cell(tt.row, tt.name); got != tt.want {
			t.Errorf("row %d, %s: got %q, want %q", tt.row, tt.name, got, tt.want)
		}
	}
}

func TestCoverageJSON(t *testing.T) {
	want := sampleGrid(1)
	var b bytes.Buffer
	out := newStream(&b, nil)
	if err := writeGrid(out, nil, formatJSON, want); err != nil {
		t.Fatal(err)
	}
	out.Close()
	got := new(query.Grid)
	if err := json.Unmarshal(b.Bytes(), got); err != nil || !reflect.DeepEqual(got, want) || bytes.Count(b.Bytes(), []byte("\n")) != 1 {
		t.Errorf("%v: got %s", err, &b)
	}
}

func TestCoveragePictures(t *testing.T) {
	for _, step := range []int{1, 12} {
		p := coveragePicture(sampleGrid(step))
		var b bytes.Buffer
		if err := writeSVG(&b, p); err != nil {
			t.Fatal(err)
		}
		dec := xml.NewDecoder(bytes.NewReader(b.Bytes()))
		for {
			if _, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []string{"border-1", "campus-2", "exporter silent", "2026-11-20T06:00:00Z to 2026-11-22T18:00:00Z"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%q is missing from the svg", want)
			}
		}
		b.Reset()
		if err := writePNG(&b, p); err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(&b)
		if err != nil {
			t.Fatal(err)
		}
		silent := reasonMark(query.ReasonSilent).color
		x, y := int(p.at(0))+1, p.top()+3*gridRowTall+gridRowTall/2 // the first step of campus-2
		if r, g, b, _ := img.At(x, y).RGBA(); uint8(r>>8) != silent.r || uint8(g>>8) != silent.g || uint8(b>>8) != silent.b {
			t.Errorf("the pixel at %d, %d is %v", x, y, img.At(x, y))
		}
	}
	crowd := sampleGrid(1)
	for len(crowd.Exporters) < 3*gridMostRows {
		crowd.Exporters = append(crowd.Exporters, crowd.Exporters[0])
	}
	if p := coveragePicture(crowd); p.hidden == 0 || len(p.rows) != gridMostRows {
		t.Errorf("%d lines and %d hidden", len(p.rows), p.hidden)
	}
}

func TestChooseStep(t *testing.T) {
	for _, tt := range []struct {
		hours  int
		format string
		want   int
	}{{1, formatTable, 1}, {168, formatTable, 1}, {200, formatTable, 2}, {90 * 24, formatTable, 12}, {1000 * 24, formatTable, 24},
		{90 * 24, formatPNG, 6}, {14 * 24, formatSVG, 1}, {90 * 24, formatCSV, 1}, {90 * 24, formatJSON, 1}} {
		if got := chooseStep(tt.hours, tt.format); got != tt.want {
			t.Errorf("%d hours as %s: got %d, want %d", tt.hours, tt.format, got, tt.want)
		}
	}
	for text, want := range map[string]int{"1h": 1, "6h": 6, "1d": 24, "5h": 0, "90m": 0, "2d": 0, "0s": 0, "x": 0} {
		if got, err := gridStep(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("--step %s: got %d, %v", text, got, err)
		}
	}
}

// TestGridScripts runs the scripts about the archive of ledgerArchive.
func TestGridScripts(t *testing.T) {
	testScripts(t, "testdata/grid/*.txt",
		func(t *testing.T, data string) { ledgerArchive(t, data, knownExporters(t)) },
		func(t *testing.T, data string) {
			l, dir := ledgerLocal(t, testNow)
			serveIn(t, l, dir)
			if err := os.Symlink(dir, data); err != nil {
				t.Fatal(err)
			}
		})
}
