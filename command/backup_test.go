package command

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/flow"
	"weir/store"
)

// markedAddr is an address whose bytes are in no file by chance.
const markedAddr = "2001:db8:c0de:f00d:9a3b:71c5:e2d4:6f88"

// marked makes an archive of two hours, in which every tenth record is of
// markedAddr.
func marked(t *testing.T, dir string) {
	t.Helper()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	addr, err := flow.ParseAddr(markedAddr)
	if err != nil {
		t.Fatal(err)
	}
	for hour := range 2 {
		const n = 1000
		b := flow.NewBatch(n)
		b.Grow(n)
		for row := range n {
			b.SetNum(flow.Received, row, epochMS(testNow.Add(-time.Hour*time.Duration(hour))))
			b.SetNum(flow.Bytes, row, uint64(row))
			b.SetAddr(flow.Exporter, row, flow.AddrFrom4(0x7f000002))
			b.SetAddr(flow.SrcAddr, row, flow.AddrFrom4(uint32(row)))
			if row%10 == 0 {
				b.SetAddr(flow.SrcAddr, row, addr)
			}
		}
		if err := errors.Join(s.Append(b), s.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// filesWithMark returns the files below dir that hold the bytes or the text of
// markedAddr.
func filesWithMark(t *testing.T, dir string) (found []string) {
	t.Helper()
	addr, err := flow.ParseAddr(markedAddr)
	if err != nil {
		t.Fatal(err)
	}
	raw := addr.As16()
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return ignoreGone(err)
		}
		text, err := os.ReadFile(path)
		// A dictionary keeps the halves of an address apart.
		if bytes.Contains(text, raw[:]) || bytes.Contains(text, []byte(markedAddr)) {
			found = append(found, path)
		}
		return ignoreGone(err)
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// newestBackup returns the directory that DEST/latest leads to.
func newestBackup(t *testing.T, dest string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(filepath.Join(dest, "latest"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestBackupCommand makes, lists, verifies and asks backups as a user does, with
// a collector and without.
func TestBackupCommand(t *testing.T) {
	data, dest := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "backups")
	marked(t, data)
	c := collectConfigured(t, data, "", testNow)
	out, errs, status := weir(t, data, "backup", dest)
	if status != exitOK || !strings.Contains(out, "2 hours, 2000 records") || !strings.Contains(out, "B new, 0B shared") {
		t.Fatalf("status %d, %s%s", status, out, errs)
	}
	c.stop()
	out, errs, status = weir(t, data, "backup", dest, "-o", "json")
	if status != exitOK || !strings.Contains(out, `"records":2000`) {
		t.Errorf("without a collector: status %d, %s%s", status, out, errs)
	}
	for format, want := range map[string]string{"csv": "name,newest_record,hours,records,bytes,new_bytes,state", "json": `"state":"whole"`, "table": "whole"} {
		out, errs, status := weir(t, data, "backup", "list", dest, "-o", format)
		if status != exitOK || !strings.Contains(out, want) {
			t.Errorf("list -o %s: status %d, %s%s", format, status, out, errs)
		}
		out, errs, status = weir(t, data, "backup", "verify", dest, "-o", format)
		if status != exitOK || strings.Count(out, "2000") != 2 && format != "table" {
			t.Errorf("verify -o %s: status %d, %s%s", format, status, out, errs)
		}
	}
	if out, errs, _ := weir(t, dest, "query", "--count"); out != "2000\n" || !strings.Contains(errs, "the newest of 2 backups") {
		t.Errorf("the newest: %s%s", out, errs)
	}
	if out, errs, _ := weir(t, filepath.Join(dest, "latest"), "query", "--count"); out != "2000\n" {
		t.Errorf("latest: %s%s", out, errs)
	}
	if out, errs, _ := weir(t, filepath.Join(data, "checkpoint"), "query", "--count"); out != "2000\n" || !strings.Contains(errs, "the checkpoint of") {
		t.Errorf("the checkpoints: %s%s", out, errs)
	}
	if out, _, status := weir(t, data, "backup", dest, "--keep", "1"); status != exitOK || !strings.Contains(out, "deleted 2 old backups") {
		t.Errorf("--keep 1: status %d, %s", status, out)
	}
	if out, _, _ := weir(t, data, "audit", "--command", "backup", "-o", "csv"); !strings.Contains(out, "keeps 1") {
		t.Errorf("the audit log: %s", out)
	}
	tables, err := filepath.Glob(filepath.Join(newestBackup(t, dest), "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("%v, %v", tables, err)
	}
	if err := os.Remove(tables[0]); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"backup", "list", dest}, {"backup", "verify", dest}} {
		if out, errs, status := weir(t, data, args...); status != exitIncomplete || !strings.Contains(out, "missing") {
			t.Errorf("%v of a damaged one: status %d, %s%s", args, status, out, errs)
		}
	}
	if out, errs, status := weir(t, newestBackup(t, dest), "query", "--count"); status != exitStore || out != "" {
		t.Errorf("a damaged one answers: status %d, %s%s", status, out, errs)
	}
}

func TestBackupMistakes(t *testing.T) {
	dir := t.TempDir()
	data, full := filepath.Join(dir, "data"), filepath.Join(dir, "full")
	marked(t, data)
	if err := os.MkdirAll(filepath.Join(full, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"backup", filepath.Join(data, "x")}, exitUsage, "lies in the data directory"},
		{[]string{"backup", full}, exitUsage, "is not empty and holds no backups"},
		{[]string{"backup", dir + "/a", dir + "/b"}, exitUsage, "one directory of backups"},
		{[]string{"backup", dir + "/a", "--keep", "0"}, exitUsage, "would leave no backup"},
		{[]string{"backup", dir + "/a", "--older-than", "soon"}, exitUsage, "--older-than"},
		{[]string{"backup", "list", full}, exitStore, "neither a directory of backups"},
		{[]string{"backup", "verify", data}, exitStore, "neither a directory of backups"},
		{[]string{"backup", "list", dir + "/none"}, exitStore, "no such file"},
		{[]string{"purge", "--apply", dir + "/none"}, exitUsage, "purges.json"},
		{[]string{"purge", "--apply", dir + "/none", "--yes"}, exitUsage, "goes with no --yes"},
	} {
		if out, errs, status := weir(t, data, test.args...); status != test.status || out != "" || !strings.Contains(errs, test.want) {
			t.Errorf("%q: status %d, %s%s", test.args, status, out, errs)
		}
	}
	if _, err := os.Stat(dir + "/a"); err == nil {
		t.Error("a mistake made a directory")
	}
	if _, errs, status := weir(t, data, "backup", dir+"/b"); status != exitOK {
		t.Fatal(errs)
	}
	if _, errs, status := weir(t, dir+"/b", "collect"); status != exitStore || !strings.Contains(errs, "to restore one, copy it") {
		t.Errorf("collect into a directory of backups: status %d, %s", status, errs)
	}
}

// TestLiveCopyIsSaid copies the data directory of a collector with cp: the copy
// answers from its checkpoint, says so, and goes on as an archive. A copy of a
// stopped one is opened as it is, and so is a directory that was moved, or left
// by a crash.
func TestLiveCopyIsSaid(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	marked(t, data)
	c := collectConfigured(t, data, "", testNow)
	await(t, "the checkpoint of the start is there", func() bool {
		_, err := os.Stat(filepath.Join(data, "checkpoint", "1"))
		return err == nil
	})
	c.send(t, "127.0.0.2", netflow5(5))
	waitAnswer(t, data, "2005\n", "query", "--count")
	live := filepath.Join(dir, "live")
	copyDir(t, data, live)
	out, errs, status := weir(t, live, "query", "--count")
	copied := out // the checkpoint is renewed after ten seconds, with the five
	if status != exitOK || out != "2000\n" && out != "2005\n" || !strings.Contains(errs, "a copy that was made while weir wrote; its checkpoint of 20") {
		t.Errorf("the copy: status %d, %s%s", status, out, errs)
	}
	if out, errs, _ := weir(t, live, "query", "--count"); out != copied || strings.Contains(errs, "checkpoint") {
		t.Errorf("the copy, again: %s%s", out, errs)
	}
	if out, _, _ := weir(t, live, "audit", "-o", "csv", "-n", "0"); !strings.Contains(out, "recovery") {
		t.Errorf("the audit log of the copy: %s", out)
	}
	if _, errs, status := weir(t, live, "audit", "verify"); status != exitOK {
		t.Errorf("the audit log of the copy: %s", errs)
	}
	if out, errs, status := weir(t, live, "check"); status != exitOK {
		t.Errorf("check of the copy: %s%s", out, errs)
	}
	c.stop()
	stopped, moved := filepath.Join(dir, "stopped"), filepath.Join(dir, "moved")
	copyDir(t, data, stopped)
	if err := os.Rename(data, moved); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{stopped, moved} {
		if out, errs, _ := weir(t, at, "query", "--count"); out != "2005\n" || strings.Contains(errs, "checkpoint") {
			t.Errorf("%s: %s%s", at, out, errs)
		}
	}
	next := collectConfigured(t, live, "", testNow)
	next.send(t, "127.0.0.2", netflow5(3))
	waitAnswer(t, live, map[string]string{"2000\n": "2003\n", "2005\n": "2008\n"}[copied], "query", "--count")
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if text, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Logf("cp: %v, %s", err, text) // files vanish, sockets are not copied everywhere
	}
}

// TestTornCopyIsRefused takes the checkpoints away from a copy of a live
// directory: it is not opened, and the error says what to do.
func TestTornCopyIsRefused(t *testing.T) {
	dir := t.TempDir()
	data, live := filepath.Join(dir, "data"), filepath.Join(dir, "live")
	marked(t, data)
	collectConfigured(t, data, "", testNow)
	copyDir(t, data, live)
	if err := os.RemoveAll(filepath.Join(live, "checkpoint")); err != nil {
		t.Fatal(err)
	}
	out, errs, status := weir(t, live, "query", "--count")
	if status != exitStore || out != "" || !strings.Contains(errs, "copied while weir wrote to it") || !strings.Contains(errs, "weir backup") {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
}
