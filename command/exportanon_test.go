package command

import (
	"strings"
	"testing"

	"weir/flow"
	"weir/flow/anon"
	"weir/query"
)

// A coverage statement has neither addresses nor names of exporters where they
// are hidden, and the one it was made of stays.
func TestCoverageHidden(t *testing.T) {
	const addr, name = "192.0.2.77", "core-router"
	c := &query.Coverage{
		Expected: 3, Heard: 1, Lost: 10, Loss: 0.5, Records: 10,
		Missing: []query.ExporterGap{{Addr: addr, Name: name, Last: 7}, {Name: name}}, Silent: []query.ExporterGap{{Addr: addr, Name: name}},
		Quiet:     []query.Quiet{{Addr: addr, Name: name, From: 1, To: 100_000}},
		WorstLoss: &query.ExporterLoss{Addr: addr, Name: name, Loss: 0.5},
		Templates: []query.ExporterSets{{Addr: addr, Name: name, Sets: 3}},
		Clocks:    []query.ExporterClock{{Addr: addr, Name: name, SkewMS: 90_000}},
		Damaged:   []string{"ledger of " + addr},
	}
	before := string(marshal(coverageOf(c)))
	a := &anonymiser{addrs: anon.Truncate{V4: 24, V6: 56}, numbers: anon.NewNumbers(nil)}
	got := string(marshal(coverageOf(a.coverage(c))))
	if strings.Contains(got, addr) || strings.Contains(got, name) {
		t.Errorf("it says %s", got)
	}
	for _, want := range []string{"missing: 192.0.2.0", "silent at the end: 192.0.2.0", "worst 192.0.2.0", "of 192.0.2.0 given up", "the clock of 192.0.2.0", "192.0.2.0 silent from", "1 part of the archive damaged"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %s", want, got)
		}
	}
	if after := string(marshal(coverageOf(c))); after != before {
		t.Errorf("it became %s", after)
	}
	if a.coverage(nil) != nil {
		t.Error("no coverage became one")
	}
}

// Each field that can tell an address or a device is changed, and no other.
func TestHiddenFields(t *testing.T) {
	c, err := anon.NewCryptoPAn(make([]byte, anon.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	mac := flow.FirstKeptNumber + 3
	a := &anonymiser{addrs: c, numbers: anon.NewNumbers(nil), macs: []flow.Field{mac}}
	var was flow.Record
	for f := range flow.AllFields().All {
		switch {
		case f.IsAddr():
			was.SetAddr(f, flow.AddrFrom4(0xc0000200|uint32(f)))
		case f.IsText():
			was.SetText(f, "somebody")
		default:
			was.SetNum(f, 1000+uint64(f))
		}
	}
	is := was
	a.record(&is)
	for f := range flow.AllFields().All {
		if f.IsText() {
			if is.Has(f) || is.Text(f) != "" {
				t.Errorf("%v: it stays", f)
			}
			continue
		}
		want := f.IsAddr() || f.Kind() == flow.KindMAC || f == mac || f == flow.InIf || f == flow.OutIf
		if got := is.Addr(f) != was.Addr(f) && f.IsAddr() || is.Num(f) != was.Num(f); got != want {
			t.Errorf("%v: changed is %t, want %t", f, got, want)
		}
	}
	var none flow.Record
	if a.record(&none); none != (flow.Record{}) {
		t.Error("a record without fields got some")
	}
}
