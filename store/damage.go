package store

import (
	"errors"
	"fmt"
	"strings"
)

// A DamageError says that bytes on disk are not what was written: a checksum,
// a length or a count is wrong, or a value is missing. It costs its own block,
// column or segment and nothing else.
type DamageError struct {
	Hour Hour   // the bucket
	What string // which value, in words: "column dst_addr of block 12"
	Err  error  // what is wrong with it
}

// Error names the bucket and the value, on one line: Pebble's errors have more.
func (e *DamageError) Error() string {
	reason, _, _ := strings.Cut(e.Err.Error(), "\n")
	return fmt.Sprintf("bucket %v is damaged: %s: %s", e.Hour, e.What, reason)
}

// Unwrap returns what is wrong.
func (e *DamageError) Unwrap() error { return e.Err }

// A PartError says that what is damaged belongs to no bucket: the audit log, the
// collector's state, the write-ahead log.
type PartError struct {
	What string // what is damaged, in words
	Err  error  // what is wrong with it
}

// Error names the part, on one line.
func (e *PartError) Error() string {
	reason, _, _ := strings.Cut(e.Err.Error(), "\n")
	return fmt.Sprintf("%s is damaged: %s", e.What, reason)
}

// Unwrap returns what is wrong.
func (e *PartError) Unwrap() error { return e.Err }

// IsDamage reports whether err is about damaged bytes.
func IsDamage(err error) bool {
	var d *DamageError
	var p *PartError
	return errors.As(err, &d) || errors.As(err, &p)
}

// What can be wrong with a value. Decoders return these; whoever knows the key
// wraps them in a DamageError.
var (
	errMissing  = errors.New("value is missing")
	errNoFile   = errors.New("the file is missing")
	errChecksum = errors.New("checksum does not match")
	errShort    = errors.New("value ends too early")
	errTrailing = errors.New("value is too long")
	errValue    = errors.New("value contradicts itself")
	errCodec    = errors.New("unknown codec")
)

// damaged wraps err in a DamageError if it is about bytes; other errors, such
// as ErrClosed, pass.
func damaged(h Hour, what string, err error) error {
	if full := outOfFiles(err); full != nil {
		return full
	}
	if errors.Is(err, ErrClosed) || IsDamage(err) {
		return err
	}
	return &DamageError{Hour: h, What: what, Err: err}
}
