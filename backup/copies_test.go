package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"weir/store"
)

// A tool copies a directory that changes under it.
type tool struct {
	name string
	copy func(from, to string) error
}

// tools are what people copy directories with. They complain of files that
// vanish while they look, and go on.
func tools(t *testing.T) []tool {
	run := func(line string) func(from, to string) error {
		return func(from, to string) error {
			c := exec.Command("sh", "-c", line)
			c.Env = append(os.Environ(), "FROM="+from, "TO="+to)
			c.Stdout, c.Stderr = io.Discard, io.Discard
			var exit *exec.ExitError
			if err := c.Run(); err != nil && !errors.As(err, &exit) {
				return err
			}
			return nil
		}
	}
	list := []tool{
		{"cp", run(`cp -a "$FROM" "$TO"`)},
		{"tar", run(`mkdir "$TO" && tar -C "$FROM" -cf - . | tar -C "$TO" -xf -`)},
		{"walk", walkCopy},
	}
	if _, err := exec.LookPath("rsync"); err == nil {
		list = append(list, tool{"rsync", run(`rsync -a "$FROM/" "$TO/"`)})
	} else if os.Getenv("WEIR_PEERS") == "require" {
		t.Fatal("rsync is not installed, and WEIR_PEERS=require")
	} else {
		t.Log("rsync is not installed: its way of copying is played by a walk")
	}
	return list
}

// walkCopy copies as rsync -a does without -H: it lists all names first, then
// copies file by file under another name and renames it.
func walkCopy(from, to string) error {
	var names []string
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		names = append(names, rel)
		return nil
	})
	for _, rel := range names {
		text, readErr := os.ReadFile(filepath.Join(from, rel))
		if readErr != nil {
			continue // it vanished
		}
		temp := filepath.Join(to, rel) + ".tmp~"
		if err := os.WriteFile(temp, text, 0o600); err != nil {
			return err
		}
		if err := os.Rename(temp, filepath.Join(to, rel)); err != nil {
			return err
		}
	}
	return err
}

// TestCopiesUnderLoad copies a data directory with several tools while hours
// come, are sealed and dropped, opens every copy, reads every record of it, and
// looks for all that was sealed when the checkpoint was made that was there when
// the copy began.
func TestCopiesUnderLoad(t *testing.T) {
	rounds := 11 // of three tools or four
	if testing.Short() {
		rounds = 3
	}
	data := filepath.Join(t.TempDir(), "data")
	s := openTest(t, data, store.Options{FlushEvery: 20 * time.Millisecond, MemTableSize: 1 << 20})
	c := &churn{s: s, sealed: map[store.Hour]int{}}
	fixed := &Fixed{Source: Source{Store: s}}
	ctx, stop := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	kept := make(chan struct{})
	go func() { failed <- c.run(ctx) }()
	go func() { fixed.Run(ctx); close(kept) }()
	defer func() {
		stop()
		if err := <-failed; err != nil {
			t.Errorf("the load: %v", err)
		}
		<-kept
	}()
	time.Sleep(2 * renewGap)
	recovered, compared := 0, 0
	list := tools(t)
	for round := range rounds {
		for _, tool := range list {
			to := filepath.Join(t.TempDir(), "copy")
			must := sealedIn(t, data, c)
			began := time.Now()
			if err := tool.copy(data, to); err != nil {
				t.Fatalf("%s: %v", tool.name, err)
			}
			took := time.Since(began)
			first := c.firstKept()
			maps.DeleteFunc(must, func(h store.Hour, _ int) bool { return h < first })
			compared += len(must)
			recovered += openCopy(t, fmt.Sprintf("%s, round %d", tool.name, round), to, must, took)
			if err := os.RemoveAll(to); err != nil {
				t.Fatal(err)
			}
		}
	}
	if recovered == 0 || compared < rounds {
		t.Errorf("%d copies were opened at their checkpoint, and %d hours compared", recovered, compared)
	}
	t.Logf("%d copies, %d opened at their checkpoint, %d sealed hours compared", rounds*len(list), recovered, compared)
}

// sealedIn returns the sealed hours that a copy which begins now must have.
func sealedIn(t *testing.T, data string, c *churn) map[store.Hour]int {
	t.Helper()
	newest := uint64(0) // of the older checkpoint: the other may be renewed meanwhile
	for _, name := range store.CheckpointNames() {
		if l, err := store.ReadListing(store.Disk(), filepath.Join(data, store.CheckpointName, name)); err == nil && l != nil {
			if newest == 0 || l.Newest < newest {
				newest = l.Newest
			}
		}
	}
	must := c.sealedNow()
	// The hour of the newest record may have been open.
	maps.DeleteFunc(must, func(h store.Hour, _ int) bool { return h.EndMS() > newest })
	return must
}

// openCopy opens a copy and compares the hours in it. One that took so long that
// both checkpoints may have been renewed meanwhile may be refused.
func openCopy(t *testing.T, what, dir string, must map[store.Hour]int, took time.Duration) (recovered int) {
	t.Helper()
	s, err := store.Open(dir, store.Options{Existing: true})
	if errors.Is(err, store.ErrTorn) && took >= renewGap {
		t.Logf("%s: it took %s and is refused", what, took)
		return 0
	}
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	rows := rowsOf(t, s)
	for h, n := range must {
		if rows[h] != n {
			t.Errorf("%s: hour %s has %d records, want %d", what, h, rows[h], n)
		}
	}
	if s.Recovered() != nil {
		recovered = 1
	}
	if err := s.Close(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	again, err := store.Open(dir, store.Options{Existing: true})
	if err != nil {
		t.Fatalf("%s, again: %v", what, err)
	}
	if r := again.Recovered(); r != nil {
		t.Errorf("%s: recovered twice", what)
	}
	if got := rowsOf(t, again); !maps.Equal(got, rows) {
		t.Errorf("%s: other records when it is opened again: %v, before %v", what, got, rows)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	return recovered
}
