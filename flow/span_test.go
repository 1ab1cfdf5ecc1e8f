package flow

import "testing"

func TestSpan(t *testing.T) {
	for _, c := range []struct {
		name             string
		received         uint64
		start, end       uint64
		hasStart, hasEnd bool
		wantFrom, wantTo uint64
	}{
		{"both", 90, 10, 20, true, true, 10, 20},
		{"an instant", 90, 10, 10, true, true, 10, 10},
		{"the wrong way round", 90, 20, 10, true, true, 10, 20},
		{"start only", 90, 10, 0, true, false, 10, 10},
		{"end only", 90, 0, 20, false, true, 20, 20},
		{"neither", 90, 0, 0, false, false, 90, 90},
		{"zero is a time when present", 90, 0, 0, true, true, 0, 0},
	} {
		var r Record
		r.SetNum(Received, c.received)
		if c.hasStart {
			r.SetNum(Start, c.start)
		}
		if c.hasEnd {
			r.SetNum(End, c.end)
		}
		b := NewBatch(1)
		b.AppendRecord(&r)
		if from, to := r.Span(); from != c.wantFrom || to != c.wantTo {
			t.Errorf("%s: Record.Span() = %d, %d, want %d, %d", c.name, from, to, c.wantFrom, c.wantTo)
		}
		if from, to := b.Span(0); from != c.wantFrom || to != c.wantTo {
			t.Errorf("%s: Batch.Span(0) = %d, %d, want %d, %d", c.name, from, to, c.wantFrom, c.wantTo)
		}
	}
}
