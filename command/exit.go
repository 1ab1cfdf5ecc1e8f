package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"weir/query"
	"weir/store"
)

// The exit statuses of the program. They are an interface: scripts test them.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitStore       = 3
	exitIncomplete  = 4
	exitTimeout     = 124 // as timeout(1) has it
	exitInterrupted = 130 // 128 + SIGINT, as shells have it
)

// exitStatuses is the table that help and README print.
var exitStatuses = []struct {
	status int
	about  string
}{
	{exitOK, "done; a question that matches nothing is answered too"},
	{exitFailure, "failed; the line on standard error says at what"},
	{exitUsage, "wrong usage: an unknown command or flag, a value or filter that does not parse"},
	{exitStore, "the data directory cannot be used: missing, in use, not weir's, or of a newer weir"},
	{exitIncomplete, "answered, but damaged data had to be left out, or a check found something; standard error names it"},
	{exitTimeout, "given up after --timeout; what was printed so far is right but not all"},
	{exitInterrupted, "interrupted by Ctrl-C; what was printed so far is right but not all"},
}

// A usageError is a mistake in what the user typed.
type usageError struct {
	msg  string
	hint string // what to do next; may be empty
}

func (e *usageError) Error() string {
	if e.hint == "" {
		return e.msg
	}
	return e.msg + "; " + e.hint
}

func usagef(format string, args ...any) *usageError {
	return &usageError{msg: fmt.Sprintf(format, args...)}
}

// withHint returns e with a hint about what to do next.
func (e *usageError) withHint(format string, args ...any) *usageError {
	e.hint = fmt.Sprintf(format, args...)
	return e
}

// A storeError says that the data directory cannot be used.
type storeError struct{ msg string }

func (e *storeError) Error() string { return e.msg }

// An incompleteError says that an answer was given without some of its data.
type incompleteError struct{ msg string }

func (e *incompleteError) Error() string { return e.msg }

// exitStatus returns the status that err ends the program with.
func exitStatus(err error) int {
	var (
		usage      *usageError
		syntax     *query.SyntaxError
		request    *query.RequestError
		answered   *remoteError
		unusable   *storeError
		incomplete *incompleteError
		timeout    *timeoutError
	)
	switch {
	case err == nil, errors.Is(err, errQuiet):
		return exitOK
	case errors.As(err, &answered):
		return answered.Status
	case errors.As(err, &usage), errors.As(err, &syntax), errors.As(err, &request):
		return exitUsage
	case errors.As(err, &unusable), errors.Is(err, store.ErrInUse), errors.Is(err, store.ErrNotStore),
		errors.Is(err, store.ErrNewerFormat), errors.Is(err, store.ErrTorn), errors.Is(err, store.ErrDirectory):
		return exitStore
	case errors.As(err, &incomplete):
		return exitIncomplete
	case errors.As(err, &timeout):
		return exitTimeout
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return exitFailure
}

// errQuiet ends the program with success and without a word: the reader of
// standard output has seen enough.
var errQuiet = errors.New("standard output is closed")

// quietPipe turns the error of writing to a closed pipe into errQuiet.
func quietPipe(err error) error {
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) || errors.Is(err, io.ErrClosedPipe) {
		return errQuiet
	}
	return err
}

// printError writes err as the program's last line.
func printError(w io.Writer, err error) {
	var syntax *query.SyntaxError
	switch {
	case err == nil, errors.Is(err, errQuiet):
	case errors.As(err, &syntax):
		fmt.Fprintf(w, "weir: %s\n", strings.TrimRight(err.Error(), "\n")) // several lines, with a caret
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(w, "weir: interrupted")
	default:
		fmt.Fprintf(w, "weir: %s\n", strings.TrimRight(err.Error(), "\n"))
	}
}
