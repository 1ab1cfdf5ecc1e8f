package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestBackupKill9 kills weir backup in its middle, again and again. The archive is
// as it was, all backups that are listed are whole and have all records, and the
// next one leaves nothing of those that were killed.
func TestBackupKill9(t *testing.T) {
	const hours, records = 4, 20_000
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	w := &weir{t: t, binary: buildWeir(t), dir: filepath.Join(dir, "data")}
	first := time.Now().Add(-(hours + 2) * time.Hour).UTC().Truncate(time.Hour)
	for h := range hours {
		capture := filepath.Join(dir, "capture")
		w.must("generate", "-w", capture, "--records", fmt.Sprint(records), "--seed", fmt.Sprint(h+1), "--start", first.Add(time.Duration(h)*time.Hour).Format(time.RFC3339))
		w.must("import", "--data", w.dir, capture)
		if err := os.Remove(capture); err != nil {
			t.Fatal(err)
		}
	}
	want := w.hourly("any")
	dest := filepath.Join(dir, "backups")
	rounds, killed := 20, 0
	if testing.Short() {
		rounds = 6
	}
	began := time.Now()
	w.must("backup", filepath.Join(dir, "whole"), "--data", w.dir)
	whole := time.Since(began) // on this machine
	for range rounds {
		cmd := exec.Command(w.binary, "backup", dest, "--data", w.dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rng.Int64N(int64(whole) * 3 / 2))) // a third of them ends
		_ = cmd.Process.Kill()                                      // -9; it may have ended
		if err := cmd.Wait(); err != nil {
			killed++
		}
		names := backupsIn(t, dest, false)
		if len(names) == 0 {
			continue
		}
		w.must("backup", "verify", dest)
		b := &weir{t: t, binary: w.binary, dir: filepath.Join(dest, names[rng.IntN(len(names))])}
		if got := b.hourly("any"); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s has %v, want %v", b.dir, got, want)
		}
	}
	if killed == 0 {
		t.Error("no backup was killed")
	}
	w.must("backup", dest, "--data", w.dir, "--keep", "2")
	names := backupsIn(t, dest, true)
	if newest, err := os.Readlink(filepath.Join(dest, "latest")); len(names) == 0 || len(names) > 2 || newest != names[len(names)-1] {
		t.Errorf("there are %q, and the latest is %s, %v", names, newest, err)
	}
	if under, err := filepath.Glob(filepath.Join(w.dir, "checkpoint", ".*")); len(under) > 0 || err != nil {
		t.Errorf("%q was left, %v", under, err)
	}
	w.must("backup", "verify", dest)
	w.must("check", "--data", w.dir)
	w.must("audit", "verify", "--data", w.dir)
	if got := w.hourly("any"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the archive has %v, want %v", got, want)
	}
	t.Logf("%d of %d backups were killed", killed, rounds)
}

// backupsIn returns the names of the backups in dest, in order, and with clean
// complains of what is under way.
func backupsIn(t *testing.T, dest string, clean bool) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dest)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case e.IsDir() && !strings.HasPrefix(name, "."):
			names = append(names, name)
		case clean && strings.HasPrefix(name, "."):
			t.Errorf("%s was left", name)
		}
	}
	return names
}
