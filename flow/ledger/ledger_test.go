package ledger

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"

	"weir/flow"
)

// randomEntry returns an entry with some of everything.
func randomEntry(r *rand.Rand) *Entry {
	e := &Entry{First: r.Uint64N(1 << 42), Last: r.Uint64N(1 << 42), Streams: r.Uint32N(9)}
	for c := range e.Counts {
		if r.IntN(2) == 0 {
			e.Counts[c] = r.Uint64() >> r.IntN(64)
		}
	}
	if r.IntN(2) == 0 {
		e.Silence = Span{1000, 1000 + r.Uint64N(1<<20)}
	}
	for range r.IntN(20) {
		e.Sample(r.Uint32N(40), r.Uint64N(1000))
	}
	for range r.IntN(50) {
		e.Skew.Note(r.Int64()>>r.IntN(63)*(1-2*r.Int64N(2)), 1+r.Uint64N(9))
	}
	for range r.IntN(4) {
		e.Fail([]string{"truncated", "count", "no_template"}[r.IntN(3)], 1+r.Uint64N(1000))
	}
	return e
}

func TestRowsComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	addr, _ := flow.ParseAddr("2001:db8::1")
	rows := []Row{
		{Kind: KindHost, Run: 7, Host: &Host{Up: Span{1, 2}, End: EndClean, Sockets: []Drop{{"[::]:2055", 3}}, Unstored: []Span{{5, 9}}}},
		{Kind: KindPurge, Run: 9, Key: Key{Exporter: addr}, Purge: &Purge{At: 9, Exporter: addr, Records: 12, Case: "C-1"}},
	}
	for range 2000 {
		rows = append(rows, Row{Kind: KindEntry, Run: Run(r.Uint64()), Key: Key{addr, r.Uint32(), uint16(r.Uint32())}, Entry: randomEntry(r)})
	}
	for _, want := range rows {
		value, err := want.AppendValue(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseRow(want.AppendKey(nil), value)
		if err != nil {
			t.Fatalf("%+v: %v", want, err)
		}
		if !reflect.DeepEqual(got, want) {
			a, _ := json.Marshal(got)
			b, _ := json.Marshal(want)
			t.Fatalf("got %s\nwant %s", a, b)
		}
	}
}

// TestAdding checks that entries add up the same in any order.
func TestAdding(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		parts := make([]*Entry, 2+r.IntN(4))
		for i := range parts {
			parts[i] = randomEntry(r)
			parts[i].Intervals = nil // beyond the bound, the order matters
			parts[i].Silence = Span{1000, 1000 + uint64(i)*7}
		}
		var forward, backward Entry
		for i := range parts {
			forward.Add(parts[i])
			backward.Add(parts[len(parts)-1-i])
		}
		if !reflect.DeepEqual(forward, backward) {
			t.Fatalf("got %+v\nbackward %+v", forward, backward)
		}
	}
}

func TestAddIsACopy(t *testing.T) {
	e := randomEntry(rand.New(rand.NewPCG(5, 6)))
	e.Sample(3, 1)
	e.Skew.Note(5, 1)
	e.Fail("count", 1)
	before := appendEntry(nil, e)
	c := e.Clone()
	c.Sample(3, 1)
	c.Skew.Note(5, 1)
	c.Fail("count", 1)
	c.Counts[Lost]++
	if !bytes.Equal(appendEntry(nil, e), before) {
		t.Error("a clone shares memory with what it was cloned from")
	}
}

func TestLostRecords(t *testing.T) {
	for _, test := range []struct {
		version                  uint64
		datagrams, records, lost uint64
		want                     uint64
	}{
		{flow.VersionNF1, 10, 300, 5, 0},
		{flow.VersionNF5, 10, 300, 5, 5},
		{flow.VersionIPFIX, 10, 200, 7, 7},
		{flow.VersionNF9, 10, 245, 2, 49},
		{flow.VersionNF9, 0, 0, 2, 0},
		{flow.VersionSFlow5, 4, 24, 1, 6},
	} {
		e := &Entry{}
		e.Counts[Datagrams], e.Counts[Records], e.Counts[Lost] = test.datagrams, test.records, test.lost
		if got := e.LostRecords(uint16(test.version)); got != test.want {
			t.Errorf("%+v: got %d", test, got)
		}
	}
}

func TestSkew(t *testing.T) {
	for _, ms := range []int64{0, 1, 3, 4, 5, 7, 8, 999, 60_000, 3_600_000, 1 << 40, 1<<62 + 5, 1<<63 - 1} {
		for _, v := range []int64{ms, -ms} {
			var s Skew
			s.Note(v, 3)
			if got := s.Median(); got != v {
				t.Errorf("median of %d alone: got %d", v, got)
			}
			if m := middleOf(SkewBucket(v)); abs(m-v) > abs(v)/8+1 {
				t.Errorf("the bucket of %d has its middle at %d", v, m)
			}
		}
	}
	var s Skew
	for i := range int64(1001) {
		s.Note(i*10-2000, 1) // -2 s to 8 s
	}
	if got := s.Median(); got < 2600 || got > 3400 {
		t.Errorf("median: got %d, want about 3000", got)
	}
	if s.Min != -2000 || s.Max != 8000 {
		t.Errorf("got %d to %d", s.Min, s.Max)
	}
	s.Note(-1<<63, 1)
	if s.Min != -1<<63 {
		t.Errorf("got %d", s.Min)
	}
}

func abs(v int64) int64 { return max(v, -v) }

func FuzzParseRow(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 8))
	row := Row{Kind: KindEntry, Run: 5, Entry: randomEntry(r)}
	value, _ := row.AppendValue(nil)
	f.Add(row.AppendKey(nil), value)
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 1}, []byte(`{"up":{"from":1,"to":2}}`))
	f.Add(append([]byte{3}, make([]byte, 30)...), []byte(`{"exporter":"::1","records":2}`))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		row, err := ParseRow(key, value)
		if err != nil {
			return
		}
		if got := row.AppendKey(nil); !bytes.Equal(got, key) {
			t.Fatalf("key %x came back as %x", key, got)
		}
		again, err := row.AppendValue(nil)
		if err != nil {
			t.Fatal(err)
		}
		second, err := ParseRow(key, again)
		if err != nil {
			t.Fatalf("cannot read what was written: %v", err)
		}
		if third, _ := second.AppendValue(nil); !bytes.Equal(third, again) {
			t.Fatalf("%x came back as %x", again, third)
		}
	})
}
