package command

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/store"
)

// TestPurgeTakesBytesOfCheckpoints purges in a collector that keeps checkpoints:
// no file in the directory has the address afterwards.
func TestPurgeTakesBytesOfCheckpoints(t *testing.T) {
	for _, running := range []bool{true, false} {
		data := filepath.Join(t.TempDir(), "data")
		marked(t, data)
		c := collectConfigured(t, data, "", testNow)
		waitFor(t, func() bool { _, err := os.Stat(filepath.Join(data, "checkpoint", "1")); return err == nil })
		if err := os.MkdirAll(filepath.Join(data, store.TornName), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(data, store.TornName, "000001.log"), []byte(markedAddr), 0o600); err != nil {
			t.Fatal(err)
		}
		if !running {
			c.stop()
			copyDir(t, filepath.Join(data, "checkpoint", "1"), filepath.Join(data, "checkpoint", ".backup")) // of a crash
		}
		before := filesWithMark(t, data)
		if !strings.Contains(strings.Join(before, " "), "checkpoint") {
			t.Fatalf("before, the address is in %v", before)
		}
		out, errs, status := weir(t, data, "purge", "ip "+markedAddr, "--all-time", "--case", "C-17", "--yes", "-o", "csv")
		if status != exitOK || !strings.Contains(errs, "deleted 200 records") {
			t.Fatalf("status %d, %s%s", status, out, errs)
		}
		if after := filesWithMark(t, data); len(after) > 0 {
			t.Errorf("with a collector: %v: the address is still in %v", running, after)
		}
		for _, name := range []string{"1", "2"} {
			at := filepath.Join(t.TempDir(), "copy")
			copyDir(t, filepath.Join(data, "checkpoint", name), at)
			if out, errs, _ := weir(t, at, "query", "--count"); out != "1800\n" {
				t.Errorf("checkpoint %s: %s%s", name, out, errs)
			}
		}
	}
}

func waitFor(t *testing.T, true func() bool) {
	t.Helper()
	await(t, "it comes", true)
}

// TestBackupsCatchUp purges after backups were made: each deletes the records
// before it answers, bytes included, and says so; a table that it shared with
// another stays as it was for that one.
func TestBackupsCatchUp(t *testing.T) {
	data, dest := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "backups")
	marked(t, data)
	var made []string
	for range 2 {
		if _, errs, status := weir(t, data, "backup", dest); status != exitOK {
			t.Fatal(errs)
		}
		made = append(made, newestBackup(t, dest))
	}
	_, errs, status := weir(t, data, "purge", "ip "+markedAddr, "--all-time", "--case", "C-17", "--yes")
	if status != exitOK || !strings.Contains(errs, "purges.json") || strings.Contains(errs, "cannot be reached") {
		t.Fatalf("status %d, %s", status, errs)
	}
	journal, err := os.ReadFile(filepath.Join(dest, journalName))
	if err != nil || strings.Contains(string(journal), "c0de") || !strings.Contains(string(journal), "C-17") {
		t.Fatalf("the journal: %v, %s", err, journal)
	}
	if info, err := os.Stat(filepath.Join(dest, journalName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the journal has mode %v, %v", info.Mode(), err)
	}
	out, errs, status := weir(t, made[1], "query", "ip "+markedAddr, "--count")
	if status != exitOK || out != "0\n" || !strings.Contains(errs, "did the purge of case C-17") || !strings.Contains(errs, "200 records deleted") {
		t.Errorf("the newer: status %d, %s%s", status, out, errs)
	}
	// What was asked just now is in the audit log, and nothing else.
	if found := tablesWithMark(t, made[1]); len(found) > 0 {
		t.Errorf("after catching up the address is in %v", found)
	}
	if out, errs, _ := weir(t, made[1], "query", "--count"); out != "1800\n" || strings.Contains(errs, "did the purge") {
		t.Errorf("the newer, again: %s%s", out, errs)
	}
	if out, _, _ := weir(t, made[1], "audit", "-o", "csv", "-n", "0"); !strings.Contains(out, "does the purge of case C-17") {
		t.Errorf("the audit log: %s", out)
	}
	if out, errs, status := weir(t, data, "backup", "verify", dest); status != exitOK {
		t.Errorf("the older was changed by it: %s%s", out, errs)
	}
	// Restored elsewhere, without the journal beside it, and by hand.
	restored := filepath.Join(t.TempDir(), "restored")
	copyDir(t, made[0], restored)
	if out, _, _ := weir(t, restored, "query", "ip "+markedAddr, "--count"); out != "200\n" {
		t.Fatalf("without a journal: %s", out)
	}
	for _, want := range []string{"did the purge of case C-17", "done already"} {
		if _, errs, status := weir(t, restored, "purge", "--apply", filepath.Join(dest, journalName)); status != exitOK || !strings.Contains(errs, want) {
			t.Errorf("--apply: status %d, %s", status, errs)
		}
	}
	if out, _, _ := weir(t, restored, "query", "--count"); out != "1800\n" {
		t.Errorf("after --apply: %s", out)
	}
	// A collector that starts on a copy.
	copied := filepath.Join(dest, "..", "copied")
	copyDir(t, made[0], copied)
	if err := os.WriteFile(filepath.Join(copied, journalName), journal, 0o600); err != nil {
		t.Fatal(err)
	}
	collectConfigured(t, copied, "", testNow)
	waitAnswer(t, copied, "1800\n", "query", "--count")
}

// tablesWithMark is filesWithMark without the audit log: it searches a copy in
// which nobody has named the address since.
func tablesWithMark(t *testing.T, dir string) []string {
	t.Helper()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var found []string
	for _, name := range filesWithMark(t, dir) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(text), markedAddr) == 0 {
			found = append(found, name)
		}
	}
	return found
}

// TestJournalIsProven changes what a journal says: nothing is deleted, and the
// copy is not asked. That of another archive is passed over.
func TestJournalIsProven(t *testing.T) {
	dir := t.TempDir()
	data, dest, other := filepath.Join(dir, "data"), filepath.Join(dir, "backups"), filepath.Join(dir, "other")
	marked(t, data)
	marked(t, other)
	if _, errs, status := weir(t, data, "backup", dest); status != exitOK {
		t.Fatal(errs)
	}
	if _, errs, status := weir(t, data, "purge", "ip "+markedAddr, "--all-time", "--case", "C-17", "--yes"); status != exitOK {
		t.Fatal(errs)
	}
	j, err := readJournal(filepath.Join(dest, journalName))
	if err != nil || len(j.Purges) != 1 {
		t.Fatalf("%+v, %v", j, err)
	}
	if out, errs, _ := weir(t, other, "purge", "--apply", filepath.Join(dest, journalName)); !strings.Contains(errs, "of another archive") || strings.Contains(errs, "did the purge") {
		t.Errorf("another archive: %s%s", out, errs)
	}
	if out, _, _ := weir(t, other, "query", "--count"); out != "2000\n" {
		t.Errorf("another archive has %s", out)
	}
	j.Purges[0].Sealed[20] ^= 1
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{text, []byte(`{"version":1,"pur`), []byte(`{"version":2}`)} {
		if err := os.WriteFile(filepath.Join(dest, journalName), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, errs, status := weir(t, newestBackup(t, dest), "query", "--count"); status == exitOK || out != "" || !strings.Contains(errs, journalName) {
			t.Errorf("a changed journal: status %d, %s%s", status, out, errs)
		}
	}
}

// TestReadOnlyCopyIsRefused has a copy that cannot be written and does not know
// of a purge: it does not answer what was purged.
func TestReadOnlyCopyIsRefused(t *testing.T) {
	data, dest := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "backups")
	marked(t, data)
	if _, errs, status := weir(t, data, "backup", dest); status != exitOK {
		t.Fatal(errs)
	}
	if _, errs, status := weir(t, data, "purge", "ip "+markedAddr, "--all-time", "--case", "C-17", "--yes"); status != exitOK {
		t.Fatal(errs)
	}
	s, err := store.Open(newestBackup(t, dest), store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	std, _, _ := testStd()
	var unusable *storeError
	if err := newAudited(&local{store: s, now: std.Now}).catchUp(t.Context(), std); !errors.As(err, &unusable) || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("got %v", err)
	}
}

// TestCatchUpIsResumed cuts a catching up short after its first hour.
func TestCatchUpIsResumed(t *testing.T) {
	data, dest := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "backups")
	marked(t, data)
	if _, errs, status := weir(t, data, "backup", dest); status != exitOK {
		t.Fatal(errs)
	}
	for _, filter := range []string{"ip " + markedAddr, "bytes < 5"} {
		if _, errs, status := weir(t, data, "purge", filter, "--all-time", "--case", "C-17", "--yes"); status != exitOK {
			t.Fatal(errs)
		}
	}
	s, err := store.Open(newestBackup(t, dest), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	j, err := readJournal(filepath.Join(dest, journalName))
	if err != nil || len(j.Purges) != 2 {
		t.Fatalf("%+v, %v", j, err)
	}
	st, err := j.Purges[1].open(s)
	if err != nil {
		t.Fatal(err)
	}
	// As after a crash: begun, with an hour that is done.
	st.Done = []string{"archive " + s.Buckets()[0].Hour.String()}
	if err := errors.Join(st.write(s), s.Close()); err != nil {
		t.Fatal(err)
	}
	out, errs, status := weir(t, newestBackup(t, dest), "query", "--count")
	if want := "1792\n"; status != exitOK || out != "1796\n" && out != want {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
	if out, errs, _ := weir(t, newestBackup(t, dest), "query", "--count"); strings.Contains(errs, "did the purge") {
		t.Errorf("again: %s%s", out, errs)
	}
}

// TestUnreachableBackupsAreNamed purges while a directory of backups is away.
func TestUnreachableBackupsAreNamed(t *testing.T) {
	data, dest := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "backups")
	marked(t, data)
	if _, errs, status := weir(t, data, "backup", dest); status != exitOK {
		t.Fatal(errs)
	}
	if err := os.Rename(dest, dest+"-away"); err != nil {
		t.Fatal(err)
	}
	_, errs, status := weir(t, data, "purge", "bytes < 5", "--all-time", "--case", "C-17", "--yes")
	if status != exitOK || !strings.Contains(errs, dest+" cannot be reached: copy "+filepath.Join(data, journalName)) {
		t.Errorf("status %d, %s", status, errs)
	}
	// The next backup takes it along.
	if err := os.Rename(dest+"-away", dest); err != nil {
		t.Fatal(err)
	}
	if _, errs, status := weir(t, data, "backup", dest); status != exitOK {
		t.Fatal(errs)
	}
	if j, err := readJournal(filepath.Join(dest, journalName)); err != nil || len(j.Purges) != 1 {
		t.Errorf("the journal beside the backups: %+v, %v", j, err)
	}
}
