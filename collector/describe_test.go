package collector

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"

	"weir/flow"
)

// describedFields are the fields of a template, in short.
func describedFields(t TemplateDescription) []string {
	var all []string
	for _, f := range t.Fields {
		all = append(all, fmt.Sprintf("%s/%d %s%s %t", f.Element, f.Length, f.V9Scope, f.Field, f.Used))
	}
	return all
}

func TestDescribe(t *testing.T) {
	src := netip.MustParseAddrPort("192.0.2.1:4711")
	var records, options []string
	d := NewDecoder(DecoderOptions{Watch: &Watch{
		Records: func(by TemplateKey, b *flow.Batch, from int) {
			records = append(records, fmt.Sprintf("%s %d %d %d: %d", by.Exporter, by.Domain, by.Version, by.Template, b.Len()-from))
		},
		Options: func(by TemplateKey, values []OptionValue) {
			line := fmt.Sprintf("%d:", by.Template)
			for _, v := range values {
				line += fmt.Sprintf(" %s %t %x", v.Element, v.Scope, v.Bytes)
			}
			options = append(options, line)
		},
	}})
	b := flow.NewBatch(0)
	for _, payload := range [][]byte{
		v9(0, set(300, wire(uint32(1), uint32(2), uint32(3), uint16(4)))), // waits for its template
		optionsV9([]int{2, 4}, []int{48, 1, 50, 2}, uint32(17), uint8(7), 1000),
		v9(0, set(0, templateOf(300, 8, 4, 12, 4, 2, 4, 40000, 2))),
		v9(0, set(300, wire(uint32(1), uint32(2), uint32(3), uint16(4)), wire(uint32(1), uint32(2), uint32(3), uint16(4)))),
		ipfix(9, set(2, templateOf(301, 95, 0xffff))),
	} {
		if err := d.Decode(b, 1_700_000_000_000, src, payload); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"192.0.2.1 0 9 300: 1", "192.0.2.1 0 9 300: 2"}; !reflect.DeepEqual(records, want) {
		t.Errorf("records: got %q, want %q", records, want)
	}
	if want := []string{"400: 2 true 00000011 48 false 07 50 false 03e8"}; !reflect.DeepEqual(options, want) {
		t.Errorf("options: got %q, want %q", options, want)
	}
	all := d.Describe()
	if len(all) != 2 || all[0].Domain != 0 || all[0].Version != 9 || all[1].Domain != 9 || all[1].Version != 10 {
		t.Fatalf("got %+v", all)
	}
	if got := all[0].Sampling; !reflect.DeepEqual(got, []SamplingDescription{{"sampler 7", 1000}}) {
		t.Errorf("sampling: got %v", got)
	}
	if got := all[0].Ports; !reflect.DeepEqual(got, []uint16{4711}) {
		t.Errorf("ports: got %v", got)
	}
	templates := append(append([]TemplateDescription(nil), all[0].Templates...), all[1].Templates...)
	want := [][]string{
		{"8/4 src_addr true", "12/4 dst_addr true", "2/4 packets true", "9/7232/2  false"},
		{"2/4 Interface true", "48/1  true", "50/2  true"},
		{"95/-1  false"},
	}
	if len(templates) != len(want) {
		t.Fatalf("got %d templates", len(templates))
	}
	for i, fields := range want {
		if got := describedFields(templates[i]); !reflect.DeepEqual(got, fields) {
			t.Errorf("template %d: got %q, want %q", templates[i].ID, got, fields)
		}
	}
	if !templates[1].Options || templates[1].Scopes != 1 || templates[0].Options {
		t.Errorf("options templates: got %+v", templates)
	}
	if !templates[2].NoFlow || !templates[2].Varying || templates[2].MinLength != 1 || templates[0].NoFlow {
		t.Errorf("lengths and flows: got %+v", templates)
	}
}

// The intervals that v5 headers say through several ports are each there once,
// in ascending order.
func TestDescribeSamplingOfV5(t *testing.T) {
	for range 20 { // the streams come in any order
		d := NewDecoder(DecoderOptions{})
		for port, interval := range []int{300, 100, 200, 100, 0} {
			p := wire(5, 1, uint32(builtUptime), uint32(builtExport), uint32(0), uint32(0), uint8(0), uint8(0), interval, make([]byte, 48))
			if _, errs := decodeAll(d, addrN(1, uint16(port+1)), p); len(errs) > 0 {
				t.Fatal(errs)
			}
		}
		want := []SamplingDescription{{"all", 100}, {"all", 200}, {"all", 300}}
		if got := d.Describe()[0].Sampling; !reflect.DeepEqual(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}
