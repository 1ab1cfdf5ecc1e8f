package store

import (
	"errors"
	"fmt"
	"syscall"
)

// An OutOfFilesError says that the process has as many files open as it may. That
// is no damage: all is there, and can be read with a higher limit.
type OutOfFilesError struct{ Err error }

func (e *OutOfFilesError) Error() string {
	return fmt.Sprintf("the process may not have more files open; raise the limit (ulimit -n, LimitNOFILE=), 1024 are enough: %v", e.Err)
}

func (e *OutOfFilesError) Unwrap() error { return e.Err }

// outOfFiles returns an OutOfFilesError if err is of that kind, else nil.
func outOfFiles(err error) error {
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return &OutOfFilesError{err}
	}
	return nil
}
