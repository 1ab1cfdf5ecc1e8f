package audit

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// memory is a Store.
type memory struct {
	entries map[uint64][]byte
	last    uint64
}

func (m *memory) AppendAudit(next func(uint64, []byte) ([]byte, error)) (func() error, error) {
	value, err := next(m.last+1, m.entries[m.last])
	if err == nil {
		m.last++
		m.entries[m.last] = bytes.Clone(value)
	}
	return func() error { return nil }, err
}

func (m *memory) LastAudit() (uint64, []byte, error) { return m.last, m.entries[m.last], nil }

func (m *memory) ScanAudit(from uint64, fn func(uint64, []byte) error) error {
	for _, n := range slices.Sorted(maps.Keys(m.entries)) {
		if n < from {
			continue
		}
		if err := fn(n, m.entries[n]); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) TrimAudit(before uint64) error {
	maps.DeleteFunc(m.entries, func(n uint64, _ []byte) bool { return n < before })
	return nil
}

// newLog returns a log of n entries, one a day.
func newLog(t *testing.T, n int) (*Log, *memory, *time.Time) {
	t.Helper()
	m := &memory{entries: map[uint64][]byte{}}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := New(m, func() time.Time { return now })
	for range n {
		now = now.Add(24 * time.Hour)
		if _, err := l.Add(Entry{Kind: KindAsk, Who: Who{UID: 1000, User: "ana"}, Command: "query", Filter: "ip 192.0.2.7", Case: "C-1"}); err != nil {
			t.Fatal(err)
		}
	}
	return l, m, &now
}

func verify(t *testing.T, l *Log, head string) *Proof {
	t.Helper()
	p, err := l.Verify(head)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestVerifyWhole(t *testing.T) {
	l, _, _ := newLog(t, 0)
	if p := verify(t, l, ""); !p.Whole() || p.Entries != 0 {
		t.Errorf("empty: got %+v", p)
	}
	l, _, _ = newLog(t, 5)
	p := verify(t, l, "")
	if !p.Whole() || p.Entries != 5 || p.First != 1 || p.Last != 5 || len(p.Head) != 64 {
		t.Fatalf("got %+v", p)
	}
	head := p.Head
	if _, err := l.Add(Entry{Kind: KindAct, Command: "purge"}); err != nil {
		t.Fatal(err)
	}
	if p = verify(t, l, head); !p.Whole() || !p.HeadSeen || p.Head == head {
		t.Errorf("an older head: got %+v", p)
	}
}

func TestVerifyFinds(t *testing.T) {
	resign := func(m *memory, n uint64, edit func(*Entry)) { // a forger who knows the format
		e, _, err := decode(m.entries[n])
		if err != nil {
			t.Fatal(err)
		}
		edit(&e)
		m.entries[n], _ = e.encode()
	}
	tests := []struct {
		name  string
		forge func(m *memory)
		want  []string
	}{
		{"changed", func(m *memory) { m.entries[3] = bytes.Replace(m.entries[3], []byte("ana"), []byte("bob"), 1) }, []string{"entry 3: it was changed"}},
		{"changed and signed again", func(m *memory) { resign(m, 3, func(e *Entry) { e.Filter = "any" }) }, []string{"entry 4 does not follow entry 3"}},
		{"missing", func(m *memory) { delete(m.entries, 3) }, []string{"entry 3 is missing"}},
		{"several missing", func(m *memory) { delete(m.entries, 3); delete(m.entries, 4) }, []string{"entries 3 to 4 are missing"}},
		{"swapped", func(m *memory) { m.entries[3], m.entries[4] = m.entries[4], m.entries[3] },
			[]string{"entry 3 was written as number 4", "entry 4 was written as number 3"}},
		{"the first gone", func(m *memory) { delete(m.entries, 1) }, []string{"entries 1 to 1 are missing"}},
		{"a trim that nobody made", func(m *memory) {
			delete(m.entries, 1)
			resign(m, 5, func(e *Entry) { e.Kind, e.Of, e.Removed = KindTrim, 2, "00" })
		}, []string{"no entry says"}},
		{"the end cut off", func(m *memory) { delete(m.entries, 5) }, []string{"is not in the chain"}},
		{"no entry", func(m *memory) { m.entries[2] = []byte("?") }, []string{"entry 2: it is no entry"}},
	}
	for _, test := range tests {
		l, m, _ := newLog(t, 5)
		head := verify(t, l, "").Head
		test.forge(m)
		p := verify(t, l, head)
		text := strings.Join(p.Findings, "\n")
		for _, want := range test.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: got %q, want %q", test.name, text, want)
			}
		}
		if p.Whole() {
			t.Errorf("%s: proven", test.name)
		}
	}
}

func TestTrim(t *testing.T) {
	l, _, now := newLog(t, 10)
	gone, err := l.Trim(4*24*time.Hour+time.Hour, Who{User: "weir"})
	if err != nil || gone != 5 {
		t.Fatalf("%d gone and %v, want 5", gone, err)
	}
	if p := verify(t, l, ""); !p.Whole() || p.First != 6 || p.Last != 11 {
		t.Errorf("got %+v", p)
	}
	if gone, err = l.Trim(4*24*time.Hour+time.Hour, Who{}); err != nil || gone != 0 {
		t.Errorf("again: %d gone and %v", gone, err)
	}
	*now = now.Add(2 * 24 * time.Hour)
	if gone, err = l.Trim(4*24*time.Hour+time.Hour, Who{}); err != nil || gone != 2 {
		t.Errorf("later: %d gone and %v, want 2", gone, err)
	}
	if p := verify(t, l, ""); !p.Whole() {
		t.Errorf("trimmed twice: got %+v", p)
	}
	*now = now.Add(1000 * 24 * time.Hour)
	if gone, err = l.Trim(time.Hour, Who{}); err != nil || gone != 0 {
		t.Errorf("all old: %d gone and %v; the end of the chain stays", gone, err)
	}
}

func TestEntriesReadBack(t *testing.T) {
	l, _, _ := newLog(t, 1)
	n, err := l.Add(Entry{Kind: KindAnswer, Of: 1, Rows: 12, Reason: "because", From: "2026-01-01T00:00:00Z"})
	if err != nil || n != 2 {
		t.Fatal(n, err)
	}
	var got []Entry
	if err := l.Entries(2, func(e Entry, hash string) error { got = append(got, e); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Rows != 12 || got[0].Of != 1 || got[0].Reason != "because" || got[0].Previous == "" {
		text, _ := json.Marshal(got)
		t.Errorf("got %s", text)
	}
}

func TestLongTextsAreCut(t *testing.T) {
	l, _, _ := newLog(t, 0)
	long := strings.Repeat("ip 192.0.2.1 or ", 10_000)
	if _, err := l.Add(Entry{Kind: KindAsk, Filter: long, Reason: "short"}); err != nil {
		t.Fatal(err)
	}
	err := l.Entries(0, func(e Entry, _ string) error {
		if len(e.Filter) > maxText || !strings.HasPrefix(long, e.Filter[:1000]) || !strings.Contains(e.Filter, "(160000 bytes, SHA-256 ") || e.Reason != "short" {
			t.Errorf("got %d bytes: %s", len(e.Filter), e.Filter)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if hash, number, err := l.Head(); err != nil || number != 1 || len(hash) != 64 {
		t.Errorf("head %q of %d, %v", hash, number, err)
	}
}

func FuzzDecode(f *testing.F) {
	e := Entry{Number: 1, Kind: KindAsk}
	value, _ := e.encode()
	f.Add(value)
	f.Fuzz(func(t *testing.T, value []byte) {
		if e, _, err := decode(value); err == nil {
			if _, err := e.encode(); err != nil {
				t.Errorf("decoded %+v, which cannot be encoded: %v", e, err)
			}
		}
	})
}
