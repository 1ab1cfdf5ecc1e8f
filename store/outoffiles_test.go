package store

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

// TestOutOfFilesIsNoDamage meets the limit of open files where damage is met: what
// is all there must not be called damaged, and left out.
func TestOutOfFilesIsNoDamage(t *testing.T) {
	for _, number := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE} {
		err := damaged(testHour, "column bytes of block 0", fmt.Errorf("backing file: %w", &fs.PathError{Op: "open", Path: "1.sst", Err: number}))
		var out *OutOfFilesError
		if IsDamage(err) || !errors.As(err, &out) || !strings.Contains(err.Error(), "ulimit -n") {
			t.Errorf("%v: got %v", number, err)
		}
	}
	if err := damaged(testHour, "column bytes of block 0", &fs.PathError{Op: "open", Path: "1.sst", Err: syscall.ENOENT}); !IsDamage(err) {
		t.Errorf("a table that is not there: got %v", err)
	}
}
