package store

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"weir/flow"
)

var (
	crashSeed  = flag.Uint64("crash.seed", 0, "seed of TestCrash; 0 runs several")
	crashSeeds = flag.Int("crash.seeds", 12, "how many seeds TestCrash runs")
)

// A model knows which rows a store must have, may have and must not have. Every
// row has a number of its own, in Bytes.
type model struct {
	mu       sync.Mutex
	hourOf   map[uint64]Hour
	acked    map[uint64]bool // flushed: must be there
	pending  map[uint64]bool // appended: may be there
	dropping map[Hour]bool   // a drop is under way: all of the hour or nothing
	removing map[uint64]bool // a removal is under way: all of them or none
	next     uint64

	entries      uint64 // of the audit log: must be there
	value, state uint64 // of the state: the last that was put, and the last that was flushed
}

func newModel() *model {
	return &model{hourOf: map[uint64]Hour{}, acked: map[uint64]bool{}, pending: map[uint64]bool{}, dropping: map[Hour]bool{}, removing: map[uint64]bool{}}
}

// clone returns the model as it is now.
func (m *model) clone() *model {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &model{
		hourOf: maps.Clone(m.hourOf), acked: maps.Clone(m.acked), pending: maps.Clone(m.pending),
		dropping: maps.Clone(m.dropping), removing: maps.Clone(m.removing), next: m.next,
		entries: m.entries, value: m.value, state: m.state,
	}
}

// batch makes n new rows, pending from now on.
func (m *model) batch(rng *rand.Rand, n int) *flow.Batch {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := flow.NewBatch(n)
	b.Grow(n)
	for row := range n {
		h := testHour + Hour(rng.IntN(3))
		m.next++
		m.hourOf[m.next] = h
		m.pending[m.next] = true
		b.SetNum(flow.Received, row, h.StartMS()+rng.Uint64N(hourMS))
		b.SetNum(flow.Bytes, row, m.next)
		b.SetAddr(flow.SrcAddr, row, flow.AddrFrom4(rng.Uint32N(100)))
		if rng.IntN(3) == 0 {
			b.SetNum(flow.SrcPort, row, m.next%BlockRows)
		}
		if rng.IntN(3) > 0 {
			b.SetText(flow.FirstKeptText, row, textOfRow(m.next))
		}
	}
	return b
}

// textOfRow returns the text that a row has, if it has one.
func textOfRow(id uint64) string { return fmt.Sprintf("host-%d.example", id%5000) }

// ack says that all that was pending is durable.
func (m *model) ack() {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.Copy(m.acked, m.pending)
	clear(m.pending)
	m.state = m.value
}

func (m *model) beginDrop(h Hour) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropping[h] = true
}

func (m *model) endDrop(h Hour) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.dropping, h)
	for id, of := range m.hourOf {
		if of == h {
			delete(m.acked, id)
			delete(m.pending, id)
		}
	}
}

// beginRemove says that the rows of an hour whose number leaves one over when
// divided by n are being removed.
func (m *model) beginRemove(h Hour, n uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, of := range m.hourOf {
		if of == h && id%n == 1%n {
			m.removing[id] = true
		}
	}
}

func (m *model) endRemove() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id := range m.removing {
		delete(m.acked, id)
		delete(m.pending, id)
	}
	clear(m.removing)
}

// check compares the rows of s with the model, and has the model know them as
// durable from then on.
func (m *model) check(t *testing.T, s *Store) {
	t.Helper()
	got := storeRows(t, s)
	m.checkRest(t, s)
	m.mu.Lock()
	defer m.mu.Unlock()
	have := map[uint64]bool{}
	for row, id := range got.Num(flow.Bytes) {
		if got.Has(flow.FirstKeptText, row) && got.GetText(flow.FirstKeptText, row) != textOfRow(id) {
			t.Fatalf("row %d of bucket %v has the text %q", id, m.hourOf[id], got.GetText(flow.FirstKeptText, row))
		}
		if have[id] {
			t.Fatalf("row %d of bucket %v is there twice", id, m.hourOf[id])
		}
		if !m.acked[id] && !m.pending[id] {
			t.Fatalf("row %d of bucket %v is there, and was dropped or never appended", id, m.hourOf[id])
		}
		have[id] = true
	}
	lost := map[Hour]int{}
	kept := map[Hour]int{}
	there, removed := 0, 0
	for id := range m.acked {
		switch {
		case m.removing[id] && have[id]:
			there++
		case m.removing[id]:
			removed++
		case have[id]:
			kept[m.hourOf[id]]++
		default:
			lost[m.hourOf[id]]++
		}
	}
	if there > 0 && removed > 0 {
		t.Fatalf("%d rows of a removal are gone and %d are there", removed, there)
	}
	for h, n := range lost {
		if !m.dropping[h] || kept[h] > 0 {
			t.Fatalf("%d flushed rows of bucket %v are lost, %d are there, being dropped: %v", n, h, kept[h], m.dropping[h])
		}
	}
	m.acked, m.pending = have, map[uint64]bool{}
	clear(m.dropping)
	clear(m.removing)
}

// checkRest compares the audit log and the state with the model.
func (m *model) checkRest(t *testing.T, s *Store) {
	t.Helper()
	last, value, err := s.LastAudit()
	m.mu.Lock()
	entries := m.entries
	m.mu.Unlock()
	if err != nil || last < entries || last > 0 && string(value) != fmt.Sprint("entry ", last) {
		t.Fatalf("the audit log ends with entry %d, %q, %v, want %d or more", last, value, err, entries)
	}
	text, err := s.GetState("number")
	n := uint64(0)
	if text != nil {
		_, err = fmt.Sscan(string(text), &n)
	}
	m.mu.Lock() // not before: reading, too, may be when the crash comes
	defer m.mu.Unlock()
	if err != nil || n < m.state || n > m.value {
		t.Fatalf("the state is %q, %v, want %d to %d", text, err, m.state, m.value)
	}
	m.entries, m.value, m.state = last, n, n
}

// act writes an entry into the audit log and a value into the state.
func (m *model) act(t *testing.T, s *Store) {
	m.mu.Lock()
	m.value++
	n := m.value
	m.mu.Unlock()
	if err := s.PutState("number", fmt.Append(nil, n)); err != nil {
		t.Fatalf("PutState: %v", err)
	}
	err := noteTest(s, func(number uint64, _ []byte) ([]byte, error) { return fmt.Append(nil, "entry ", number), nil })
	if err != nil {
		t.Fatalf("AppendAudit: %v", err)
	}
	m.mu.Lock()
	m.entries++
	m.mu.Unlock()
}

// A crasher plays a crash at the n-th operation on the file system: it keeps
// what the disk would have, and what the store would have to know.
type crasher struct {
	mu    sync.Mutex
	fs    *MemFS
	rng   *rand.Rand
	model *model
	left  int

	crashed *MemFS
	expect  *model
}

// MaybeError is called before each operation on the file system.
func (c *crasher) MaybeError(errorfs.Op) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left == 0 {
		c.expect = c.model.clone()
		c.crashed = c.fs.Crash(c.rng, []int{0, 30, 70, 100}[c.rng.IntN(4)])
	}
	return nil
}

// String names the crasher.
func (c *crasher) String() string { return "crasher" }

// TestCrash appends, flushes, seals, drops, removes and copies at random, stops at a
// random operation on the file system, opens what is left, and compares it with
// what was promised.
//
//	go test ./store -run TestCrash -crash.seeds 1000
//	go test ./store -run TestCrash -crash.seed 42
func TestCrash(t *testing.T) {
	if *crashSeed != 0 {
		crashRun(t, *crashSeed)
		return
	}
	for seed := range uint64(*crashSeeds) {
		t.Run(fmt.Sprint("seed", seed+1), func(t *testing.T) { crashRun(t, seed+1) })
	}
}

func crashRun(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 99))
	m := newModel()
	fs := NewMemFS()
	for range 6 {
		c := &crasher{fs: fs, rng: rand.New(rand.NewPCG(rng.Uint64(), 1)), model: m, left: 1 + rng.IntN(1500)}
		o := Options{FS: errorfs.Wrap(fs, c), FlushEvery: -1, blockRows: 50 + rng.IntN(200), MaxOpenHours: 2 + rng.IntN(2), MaxOpenRows: 300 + rng.IntN(300), MemTableSize: 256 << 10}
		s, err := Open("data", o)
		if err != nil {
			t.Fatalf("Open after a crash: %v", err)
		}
		if bad := s.Damage(); len(bad) > 0 {
			t.Fatalf("damage after a crash: %v", bad)
		}
		m.check(t, s)
		for range 200 {
			crashStep(t, rng, m, s)
			c.mu.Lock()
			done := c.crashed != nil
			c.mu.Unlock()
			if done {
				break
			}
		}
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		m.ack()
		if c.crashed != nil {
			fs, m = c.crashed, c.expect
		}
	}
}

func crashStep(t *testing.T, rng *rand.Rand, m *model, s *Store) {
	h := testHour + Hour(rng.IntN(3))
	switch rng.IntN(20) {
	default:
		if err := s.Append(m.batch(rng, 1+rng.IntN(150))); err != nil {
			t.Fatalf("Append: %v", err)
		}
	case 0, 1, 2, 3:
		if err := s.Flush(); err != nil {
			t.Fatalf("Flush: %v", err)
		}
		m.ack()
	case 4, 5:
		crashSeal(t, rng, m, s, h)
	case 6:
		m.beginDrop(h)
		if err := s.Drop(h); err != nil {
			t.Fatalf("Drop: %v", err)
		}
		m.endDrop(h)
	case 10:
		m.act(t, s)
	case 11:
		if done, err := s.Isolate(context.Background(), h); err != nil || done.Done {
			t.Fatalf("Isolate of what is whole: %+v, %v", done, err)
		}
	case 8, 9:
		n := uint64(1 + rng.IntN(4))
		m.beginRemove(h, n)
		if _, err := s.Remove(h, numbersGone(n)); err != nil {
			t.Fatalf("Remove: %v", err)
		}
		m.endRemove()
	case 7:
		dir := fmt.Sprint("copy", rng.Uint32())
		if err := s.Checkpoint(dir); err != nil {
			t.Fatalf("Checkpoint: %v", err)
		}
		m.ack()
		c, err := Open(dir, Options{FS: s.opts.FS, ReadOnly: true})
		if err != nil {
			t.Fatalf("Open a checkpoint: %v", err)
		}
		m.clone().check(t, c)
		if err := c.Close(); err != nil {
			t.Fatalf("Close a checkpoint: %v", err)
		}
	}
}

// crashSeal seals a bucket while late rows come in.
func crashSeal(t *testing.T, rng *rand.Rand, m *model, s *Store, h Hour) {
	z, err := s.BeginSeal(h)
	if errors.Is(err, ErrNoBucket) {
		return
	}
	if err != nil {
		t.Fatalf("BeginSeal: %v", err)
	}
	for range rng.IntN(4) {
		if err := s.Append(m.batch(rng, 1+rng.IntN(150))); err != nil {
			t.Fatalf("Append: %v", err)
		}
		if rng.IntN(2) == 0 {
			if err := s.Flush(); err != nil {
				t.Fatalf("Flush: %v", err)
			}
			m.ack()
		}
	}
	for i := range rng.IntN(50) {
		if err := z.Add([]byte{byte(i)}, []byte("entry")); err != nil {
			t.Fatalf("Add: %v", err)
		}
	}
	if rng.IntN(5) == 0 {
		if err := z.Abort(); err != nil {
			t.Fatalf("Abort: %v", err)
		}
		return
	}
	indexed := z.Bucket().Blocks()
	if err := z.Commit(); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	for _, info := range s.Buckets() {
		if info.Hour == h && (info.Indexed != indexed || info.Blocks < indexed) {
			t.Fatalf("after a seal of %d blocks the bucket has %d, %d of them indexed", indexed, info.Blocks, info.Indexed)
		}
	}
}
