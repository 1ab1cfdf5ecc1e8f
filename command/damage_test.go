package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/store"
)

// TestDamagedHour removes the records of one hour from the disk, and then the list
// of tables: with a collector and without, the hour is named and all else answers.
func TestDamagedHour(t *testing.T) {
	for _, beside := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "data")
		first := store.HourOf(epochMS(testNow)) - 3
		storeHours(t, dir, first, first+1, first+2)
		loseLargest(t, dir)
		if beside {
			startCollector(t, dir)
		}
		out, errs, status := weir(t, dir, "query", "any", "-o", "csv")
		if rows := strings.Count(out, "\n"); status != exitIncomplete || rows != 201 || !strings.Contains(errs, "the file is missing") {
			t.Errorf("query: status %d, %d lines, %s", status, rows, errs)
		}
		for _, args := range [][]string{{"coverage"}, {"check"}, {"check", "-o", "json"}} {
			if out, errs, status := weir(t, dir, args...); status != exitIncomplete || !strings.Contains(out+errs, "is damaged") {
				t.Errorf("%v: status %d, %s%s", args, status, out, errs)
			}
		}
		if out, _, _ := weir(t, dir, "status"); !strings.Contains(out, "1 part") && !strings.Contains(out, "one part") {
			t.Errorf("status says:\n%s", out)
		}
		if out, errs, status := weir(t, dir, "check", "--repair"); status != exitIncomplete || !strings.Contains(out, "isolated:") {
			t.Errorf("check --repair: status %d, %s%s", status, out, errs)
		}
		if out, errs, status := weir(t, dir, "check"); status != exitOK {
			t.Errorf("check after the repair: status %d, %s%s", status, out, errs)
		}
		if out, errs, status := weir(t, dir, "query", "any", "-o", "csv"); status != exitOK || strings.Count(out, "\n") != 201 || !strings.Contains(errs, "was damaged") {
			t.Errorf("query after the repair: status %d, %s", status, errs)
		}
	}
}

// loseLargest removes the largest table.
func loseLargest(t *testing.T, dir string) {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	largest, size := "", int64(-1)
	for _, path := range tables {
		// The index of such records is the least of the three tables.
		if info, err := os.Stat(path); err == nil && info.Size() > size {
			largest, size = path, info.Size()
		}
	}
	if err := os.Remove(largest); err != nil {
		t.Fatal(err)
	}
}

// TestLostManifest says what to do, with the exit status of a directory that
// cannot be used, and leaves every table where it is.
func TestLostManifest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	storeHours(t, dir, store.HourOf(epochMS(testNow))-3)
	manifests, err := filepath.Glob(filepath.Join(dir, "MANIFEST-*"))
	if err != nil || len(manifests) == 0 {
		t.Fatal(manifests, err)
	}
	for _, path := range manifests {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	before, _ := filepath.Glob(filepath.Join(dir, "*.sst"))
	_, errs, status := weir(t, dir, "query", "any")
	if status != exitStore || !strings.Contains(errs, "backup") {
		t.Errorf("status %d, %s", status, errs)
	}
	if after, _ := filepath.Glob(filepath.Join(dir, "*.sst")); len(after) != len(before) || len(before) == 0 {
		t.Errorf("%d tables, there were %d", len(after), len(before))
	}
}
