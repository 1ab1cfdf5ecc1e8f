package command

import (
	"encoding/xml"
	"image/color"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

// samplePlot is a day in steps of an hour; each series is a multiple of the
// first.
func samplePlot(names ...string) *plot {
	p := &plot{title: "bytes: src net <10.0.0.0/8> & more", note: "a note", unit: "bytes", from: 1763769600000, step: 3600e3, stacked: true}
	for k, name := range names {
		s := plotSeries{name: name}
		for i := range 24 {
			s.values = append(s.values, float64(k+1)*1e6*(1+math.Sin(float64(i)/4)))
		}
		p.series = append(p.series, s)
	}
	return p
}

func TestNiceCeil(t *testing.T) {
	for _, c := range []struct{ v, want float64 }{
		{0, 1}, {-3, 1}, {1, 1}, {1.01, 1.2}, {99, 100}, {100, 100}, {101, 120}, {8.1e9, 1e10}, {0.03, 0.03}, {math.Inf(1), 1}, {math.NaN(), 1},
	} {
		if got := niceCeil(c.v); math.Abs(got-c.want) > 1e-9*c.want {
			t.Errorf("niceCeil(%v): got %v, want %v", c.v, got, c.want)
		}
	}
}

func TestAxisNumber(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want string
	}{{0, "0"}, {1, "1"}, {999, "999"}, {1000, "1 k"}, {1250, "1.25 k"}, {2.5e9, "2.5 G"}, {1e18, "1 E"}, {0.5, "0.5"}} {
		if got := axisNumber(c.v); got != c.want {
			t.Errorf("axisNumber(%v): got %q, want %q", c.v, got, c.want)
		}
	}
}

func TestTimeTicks(t *testing.T) {
	const midnight = 1763769600000 // 2025-11-22
	got := timeTicks(midnight-2*3600e3, midnight+2*3600e3, 5)
	var labels []string
	for _, tick := range got {
		labels = append(labels, tick.label)
		if tick.ms%3600e3 != 0 {
			t.Errorf("tick at %d is not a full hour", tick.ms)
		}
	}
	if want := "11-21 22:00,23:00,11-22 00:00,01:00"; strings.Join(labels, ",") != want {
		t.Errorf("got %v, want %v", labels, want)
	}
	for _, span := range []uint64{1, 1000, 61e3, 3600e3, 90 * 86400e3, 30 * 366 * 86400e3, 1e18} {
		if got := timeTicks(midnight, midnight+span, 6); len(got) > 6 {
			t.Errorf("span %d: got %d ticks, want at most 6", span, len(got))
		}
	}
}

// The curve is as high as the values say, wherever they stand, and no peak is
// lost when there are more values than columns.
func TestCurves(t *testing.T) {
	values := make([]float64, 1000)
	values[777] = 8
	for name, lines := range map[string][]string{"braille": brailleCurve(values, 8, 40, 3), "ascii": asciiCurve(values, 8, 40, 3)} {
		if len(lines) != 3 {
			t.Fatalf("%s: got %d lines, want 3", name, len(lines))
		}
		for i, line := range lines {
			if n := utf8.RuneCountInString(line); n != 40 {
				t.Errorf("%s: line %d is %d wide, want 40", name, i, n)
			}
			if strings.Trim(line, " \u2800") == "" {
				t.Errorf("%s: line %d is empty, the peak is lost", name, i)
			}
		}
	}
	if got := brailleCurve([]float64{1, 0, 4, 2}, 4, 2, 1)[0]; got != string([]rune{0x2800 | 0x40, 0x2800 | 0x47 | 0x80 | 0x20}) {
		t.Errorf("got %q (%x)", got, []rune(got))
	}
	if got := dotsHigh(0.0001, 1, 10); got != 1 {
		t.Errorf("a small value: got %d dots, want 1", got)
	}
}

func TestWritePlot(t *testing.T) {
	for _, columns := range []int{0, 40, 80, 200} {
		for _, names := range [][]string{{"all"}, {"a", "b", "other"}, nil} {
			p := samplePlot(names...)
			for _, unicode := range []bool{true, false} {
				var out strings.Builder
				if err := writePlot(&out, p, columns, unicode); err != nil {
					t.Fatal(err)
				}
				for _, line := range strings.Split(out.String(), "\n")[2:] {
					if n := utf8.RuneCountInString(line); columns >= 40 && n > columns {
						t.Errorf("%d columns: %q is %d wide", columns, line, n)
					}
				}
				for _, want := range append([]string{"UTC", "bytes", "steps of 1h"}, names...) {
					if len(names) < 2 && want == "all" {
						continue
					}
					if !strings.Contains(out.String(), want) {
						t.Errorf("%d columns, %v: no %q in\n%s", columns, names, want, &out)
					}
				}
				if !unicode && strings.IndexFunc(out.String(), func(r rune) bool { return r > '~' }) >= 0 {
					t.Errorf("a character beyond ASCII in\n%s", &out)
				}
			}
		}
	}
}

func TestWriteSVGIsXML(t *testing.T) {
	for _, names := range [][]string{nil, {"all"}, {"10.0.0.1", "<&>\x00", "other"}} {
		var out strings.Builder
		if err := writeSVG(&out, samplePlot(names...)); err != nil {
			t.Fatal(err)
		}
		dec := xml.NewDecoder(strings.NewReader(out.String()))
		paths := 0
		for {
			token, err := dec.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%v: %v\n%s", names, err, &out)
			}
			if start, ok := token.(xml.StartElement); ok && start.Name.Local == "path" {
				paths++
			}
		}
		if paths < len(names)+2 {
			t.Errorf("%v: got %d paths, want the axes and one for each series", names, paths)
		}
		if strings.Contains(out.String(), "NaN") || strings.Contains(out.String(), "Inf") {
			t.Errorf("%v: a coordinate is no number\n%s", names, &out)
		}
	}
}

// The picture holds each series in its colour, in the proportion of its values.
func TestWritePNG(t *testing.T) {
	p := samplePlot("a", "b", "other")
	for k := range p.series {
		for i := range p.series[k].values {
			p.series[k].values[i] = float64(k + 1)
		}
	}
	var out strings.Builder
	if err := writePNG(&out, p); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(strings.NewReader(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	if b := img.Bounds(); b.Dx() != chartWidth || b.Dy() != chartHeight {
		t.Errorf("got %v, want %d × %d", b, chartWidth, chartHeight)
	}
	count := map[color.Color]int{}
	for y := range chartHeight {
		for x := range chartWidth {
			count[img.At(x, y)]++
		}
	}
	pixels := func(i int) float64 {
		c := p.seriesColor(i)
		return float64(count[color.RGBA{c.r, c.g, c.b, 0xff}])
	}
	for i, want := range []float64{1, 2, 3} {
		if got := pixels(i) / pixels(0); math.Abs(got-want) > 0.1 {
			t.Errorf("series %d: got %.2f times the pixels of the first, want %v", i, got, want)
		}
	}
}

func TestWritePNGOfNothing(t *testing.T) {
	var out strings.Builder
	if err := writePNG(&out, &plot{unit: "bytes", step: 1000}); err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(strings.NewReader(out.String())); err != nil {
		t.Fatal(err)
	}
}

func TestHasUnicode(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, true},
		{map[string]string{"LANG": "C"}, false},
		{map[string]string{"LANG": "en_GB.UTF-8"}, true},
		{map[string]string{"LANG": "en_GB.UTF-8", "LC_ALL": "C"}, false},
		{map[string]string{"LANG": "C", "LC_CTYPE": "C.utf8"}, true},
	} {
		if got := hasUnicode(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v: got %v, want %v", c.env, got, c.want)
		}
	}
}
