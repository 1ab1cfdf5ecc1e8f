package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/flow"
)

func TestOpenRefuses(t *testing.T) {
	write := func(t *testing.T, dir, name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, dir string)
		options Options
		want    error
	}{
		{"other files", func(t *testing.T, dir string) { write(t, dir, "thesis.tex", "") }, Options{}, ErrNotStore},
		{"another WEIR", func(t *testing.T, dir string) { write(t, dir, "WEIR", "a novel") }, Options{}, ErrNotStore},
		{"newer", func(t *testing.T, dir string) { write(t, dir, "WEIR", "weir format 3\n") }, Options{}, ErrNewerFormat},
		{"empty, for reading", func(*testing.T, string) {}, Options{ReadOnly: true}, ErrNotStore},
		{"missing, for reading", func(t *testing.T, dir string) { os.Remove(dir) }, Options{ReadOnly: true}, ErrNotStore},
		{"in use", func(t *testing.T, dir string) { openTest(t, dir, Options{}) }, Options{}, ErrInUse},
		{"in use, for reading", func(t *testing.T, dir string) { openTest(t, dir, Options{}) }, Options{ReadOnly: true}, ErrInUse},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			c.prepare(t, dir)
			before, _ := os.ReadDir(dir)
			s, err := Open(dir, c.options)
			if !errors.Is(err, c.want) {
				t.Errorf("Open: %v, want %v", err, c.want)
			}
			if err == nil {
				s.Close()
				return
			}
			if text := err.Error(); strings.Contains(text, "\n") || !strings.Contains(text, dir) {
				t.Errorf("not one line with the directory: %q", text)
			}
			if after, _ := os.ReadDir(dir); len(after) != len(before) {
				t.Errorf("the refused directory has %d files, had %d", len(after), len(before))
			}
		})
	}
}

func TestDirectoriesArePrivate(t *testing.T) {
	dir, copied := filepath.Join(t.TempDir(), "a", "data"), filepath.Join(t.TempDir(), "b", "copy")
	s := openTest(t, dir, Options{})
	if err := s.Checkpoint(copied); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dir, copied, filepath.Dir(copied)} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o700 {
			t.Errorf("the mode of %s is %o, want 700", name, got)
		}
	}
}

func TestOpenAfterCutShortCreation(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"LOCK", "WEIR.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	openTest(t, dir, Options{})
}

func TestReadOnlyChangesNothing(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, Options{FlushEvery: -1})
	if err := s.Append(traffic(t, 100, true)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	names := func() string {
		entries, _ := os.ReadDir(dir)
		var out []string
		for _, e := range entries {
			out = append(out, e.Name())
		}
		return strings.Join(out, " ")
	}
	before := names()
	r := openTest(t, dir, Options{ReadOnly: true})
	if n := storeRows(t, r).Len(); n != 100 {
		t.Errorf("%d rows, want 100", n)
	}
	for what, err := range map[string]error{
		"Append": r.Append(traffic(t, 1, true)), "Drop": r.Drop(1), "PutState": r.PutState("a", nil), "DeleteState": r.DeleteState("a"),
	} {
		if !errors.Is(err, errReadOnly) {
			t.Errorf("%s: %v, want %v", what, err, errReadOnly)
		}
	}
	if _, err := r.BeginSeal(1); !errors.Is(err, errReadOnly) {
		t.Errorf("BeginSeal: %v, want %v", err, errReadOnly)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if after := names(); after != before {
		t.Errorf("files are %s, were %s", after, before)
	}
}

func TestAppendWantsReceived(t *testing.T) {
	s := openTest(t, t.TempDir(), Options{})
	b := flow.NewBatch(2)
	b.Grow(2)
	b.SetNum(flow.Received, 0, 1)
	if err := s.Append(b); err == nil {
		t.Error("rows without Received: no error")
	}
	if n := storeRows(t, s).Len(); n != 0 {
		t.Errorf("%d rows were taken", n)
	}
}

func TestHourText(t *testing.T) {
	for _, h := range []Hour{0, testHour, 70_389_527} {
		got, err := ParseHour(h.String())
		if err != nil || got != h {
			t.Errorf("ParseHour(%q) = %v, %v", h.String(), got, err)
		}
	}
	for _, s := range []string{"", "2026-11-22", "2026-11-22T24", "1969-12-31T23"} {
		if h, err := ParseHour(s); err == nil {
			t.Errorf("ParseHour(%q) = %v, want an error", s, h)
		}
	}
	if got, want := HourOf(testHour.EndMS()-1), testHour; got != want {
		t.Errorf("HourOf(last ms) = %v, want %v", got, want)
	}
	if got, want := HourOf(testHour.EndMS()), testHour+1; got != want {
		t.Errorf("HourOf(EndMS) = %v, want %v", got, want)
	}
}
