package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"weir/flow"
	"weir/query"
)

// wireRows are groups that have all that a group can have.
func wireRows() []query.TopRow {
	sums := query.Sums{Records: 1, Flows: 2, Bytes: math.MaxUint64, Packets: 3, EstimatedBytes: 4, EstimatedPackets: 5, Sampled: 6,
		Variance: query.Variance{Bytes: 0.25, Packets: 1e300}, First: 1748736000000, Last: 1748736000001}
	v6 := flow.Addr{Hi: 0x20010db8 << 32, Lo: 7}
	return []query.TopRow{
		{},
		{Sums: sums, Share: 1.0 / 3, Distinct: 8, Key: []query.Value{
			{Field: flow.SrcAddr, Present: true, Addr: flow.AddrFrom4(0x0a010203), Bits: 24},
			{Field: flow.DstAddr, Present: true, Addr: v6, Bits: -1},
			{Field: flow.DstPort, Present: true, Num: 443, Bits: -1},
			{Field: flow.SrcAS, Bits: -1},
			{Present: true, Num: 5, Named: true, Name: "Uni B, \"north\"\n", Bits: -1},
			{Present: true, Num: 12, Named: true, Name: "12", Literal: true, Bits: -1},
			{Present: true, Num: 3, Named: true, Bits: -1},
			{Present: true, Named: true, Name: strings.Repeat("\xff", 2*flow.MaxText+2), Bits: 128},
		}},
		{Share: math.Inf(1), Key: []query.Value{{Present: true, Num: math.MaxUint64}}},
	}
}

func TestWireRow(t *testing.T) {
	for _, want := range wireRows() {
		data := appendWireRow(nil, &want)
		got, ok := parseWireRow(data)
		if !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%x\ngave %+v, %v\nwant %+v", data, got, ok, want)
		}
		ends := map[int]bool{} // where the key could end as well
		for n := range want.Key {
			short := want
			short.Key = want.Key[:n]
			ends[len(appendWireRow(nil, &short))] = true
		}
		for n := range data {
			if _, ok := parseWireRow(data[:n]); ok != ends[n] {
				t.Errorf("the first %d bytes of %x: %v, want %v", n, data, ok, ends[n])
			}
		}
	}
}

func TestWireRowMistakes(t *testing.T) {
	sums := appendWireRow(nil, &query.TopRow{})
	for name, key := range map[string][]byte{
		"a field that is none":       {255, 1, 0, 1},
		"130 bits":                   {0, 1, 130, 1, 1},
		"an address of 5 bytes":      {byte(flow.SrcAddr), 1, 0, 5, 1, 2, 3, 4, 5},
		"a name longer than the key": {0, wireNamed, 0, 1, 2, 'a'},
		"a name of 2^63 bytes":       {0, wireNamed, 0, 1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1},
	} {
		var w wireTop
		if err := w.add(frameGroup, append(sums[:len(sums):len(sums)], key...)); err == nil {
			t.Errorf("%s: got %+v", name, w.rows)
		}
	}
	var w wireTop
	if err := w.add(frameFlow, sums); err == nil {
		t.Errorf("a flow is a group: %+v", w.rows)
	}
}

// The groups of an answer are frames of their own, in their order, and an answer
// without any is empty and not absent.
func TestWireTop(t *testing.T) {
	want := &query.TopResult{Fields: []string{"src_addr"}, By: "bytes", Groups: 3, Rows: wireRows()}
	for _, rows := range [][]query.TopRow{want.Rows, {}} {
		want.Rows = rows
		var out wireTop
		sent := toWire(want, query.Summary{Emitted: 3})
		if err := sent.frames(func(frame []byte) error { return out.add(frame[0], frame[frameHead:]) }); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(marshal(sent), &out); err != nil {
			t.Fatal(err)
		}
		if got, s := out.result(); !reflect.DeepEqual(got, want) || s.Emitted != 3 {
			t.Errorf("got %+v, %+v\nwant %+v", got, s, want)
		}
	}
	gone := errors.New("gone")
	if err := toWire(&query.TopResult{Rows: wireRows()}, query.Summary{}).frames(func([]byte) error { return gone }); !errors.Is(err, gone) {
		t.Errorf("got %v, want what writing said", err)
	}
}

func FuzzParseWireRow(f *testing.F) {
	for _, row := range wireRows() {
		f.Add(appendWireRow(nil, &row))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		row, ok := parseWireRow(data)
		if !ok {
			return
		}
		again, ok := parseWireRow(appendWireRow(nil, &row))
		if !ok || !bytes.Equal(appendWireRow(nil, &again), appendWireRow(nil, &row)) {
			t.Errorf("%x: %+v became %+v, %v", data, row, again, ok)
		}
	})
}
