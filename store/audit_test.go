package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// auditText writes the audit log from a number on on one line.
func auditText(t *testing.T, s *Store, from uint64) string {
	t.Helper()
	var text strings.Builder
	err := s.ScanAudit(from, func(n uint64, value []byte) error {
		fmt.Fprintf(&text, " %d=%s", n, value)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return text.String()
}

// noteTest appends an entry and returns when it is on disk.
func noteTest(s *Store, next func(uint64, []byte) ([]byte, error)) error {
	durable, err := s.AppendAudit(next)
	if err != nil {
		return err
	}
	return durable()
}

// chain appends entries that name the one before.
func chain(t *testing.T, s *Store, n int) {
	t.Helper()
	for range n {
		err := noteTest(s, func(number uint64, before []byte) ([]byte, error) {
			return fmt.Appendf(nil, "%d<%.1s", number, before), nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAudit(t *testing.T) {
	fs := NewMemFS()
	s := openTest(t, "data", Options{FS: fs, FlushEvery: -1})
	if got := auditText(t, s, 0); got != "" {
		t.Errorf("a new log has %q", got)
	}
	chain(t, s, 2)
	appendTest(t, s, numbered(testHour, 0, 10))
	// Each entry is on disk at once.
	s = openTest(t, "data", Options{FS: fs.Crash(rand.New(rand.NewPCG(1, 2)), 0), FlushEvery: -1})
	chain(t, s, 2)
	if got, want := auditText(t, s, 0), " 1=1< 2=2<1 3=3<2 4=4<3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	refused := errors.New("no")
	if err := noteTest(s, func(uint64, []byte) ([]byte, error) { return nil, refused }); !errors.Is(err, refused) {
		t.Errorf("got %v, want the error of the caller", err)
	}
	if err := s.ScanAudit(0, func(uint64, []byte) error { return refused }); err != refused {
		t.Errorf("got %v, want the error of fn", err)
	}
	if err := s.TrimAudit(3); err != nil {
		t.Fatal(err)
	}
	if got, want := auditText(t, s, 0), " 3=3<2 4=4<3"; got != want {
		t.Errorf("trimmed: got %q, want %q", got, want)
	}
	if err := s.TrimAudit(100); err != nil {
		t.Fatal(err)
	}
	chain(t, s, 1)
	if got, want := auditText(t, s, 4), " 4=4<3 5=5<4"; got != want {
		t.Errorf("trimmed to the last: got %q, want %q", got, want)
	}
}

// TestAuditIsOrdered appends entries whose sync nobody waits for but the last's:
// they are all on disk then, and without it those that are there have no gap.
func TestAuditIsOrdered(t *testing.T) {
	for seed := range uint64(20) {
		fs := NewMemFS()
		s := openTest(t, "data", Options{FS: fs, FlushEvery: -1})
		var durable func() error
		for range 5 {
			var err error
			if durable, err = s.AppendAudit(func(n uint64, _ []byte) ([]byte, error) { return fmt.Append(nil, n), nil }); err != nil {
				t.Fatal(err)
			}
		}
		const all = " 1=1 2=2 3=3 4=4 5=5"
		crashed := openTest(t, "data", Options{FS: fs.Crash(rand.New(rand.NewPCG(seed, 1)), 50), FlushEvery: -1})
		if got := auditText(t, crashed, 0); !strings.HasPrefix(all, got) {
			t.Errorf("seed %d: a crash before the sync left %q", seed, got)
		}
		if err := durable(); err != nil {
			t.Fatal(err)
		}
		crashed = openTest(t, "data", Options{FS: fs.Crash(rand.New(rand.NewPCG(seed, 2)), 0), FlushEvery: -1})
		if got := auditText(t, crashed, 0); got != all {
			t.Errorf("seed %d: a crash after the sync left %q", seed, got)
		}
	}
}

// TestAuditAfterClose waits for entries after the store was closed.
func TestAuditAfterClose(t *testing.T) {
	fs := NewMemFS()
	s := openTest(t, "data", Options{FS: fs, FlushEvery: -1})
	durable, err := s.AppendAudit(func(uint64, []byte) ([]byte, error) { return []byte("entry"), nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), durable()); err != nil {
		t.Error(err)
	}
	if got := auditText(t, openTest(t, "data", Options{FS: fs, FlushEvery: -1}), 0); got != " 1=entry" {
		t.Errorf("got %q", got)
	}
}

func TestAuditRefuses(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{FlushEvery: -1})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	never := func(uint64, []byte) ([]byte, error) { t.Error("asked for an entry"); return nil, nil }
	if err := noteTest(s, never); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: got %v", err)
	}
	s = openTest(t, dir, Options{ReadOnly: true})
	if err := noteTest(s, never); !errors.Is(err, errReadOnly) {
		t.Errorf("read-only: got %v", err)
	}
}
