// Package audit is the record of every look at the archive and of every act on
// it: who, when, what for.
//
// A [Log] is a chain: each entry carries the SHA-256 of the one before, so that
// an entry that was changed, removed or moved shows, as [Log.Verify] does. What
// a chain cannot show is that its end was cut off; for that, somebody keeps the
// head's hash elsewhere, and Verify looks for it.
//
// The package decides what an entry says and how the chain is checked. Where
// entries lie is package store, and who must leave one is package command.
package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// What an entry is about.
const (
	KindAsk    = "ask"    // records are about to be read
	KindAnswer = "answer" // how that ended; Of names the ask
	KindAct    = "act"    // something is about to be changed; an answer says how that ended
	KindNote   = "note"   // the collector did something by itself, or is about to; no answer follows
	KindTrim   = "trim"   // older entries were deleted: Of is the first that is left, Removed the hash of the last that is not
)

// A Who says on whose behalf something is done.
type Who struct {
	UID   int    `json:"uid"`             // of the process that asks, as the kernel says
	User  string `json:"user"`            // its name, or the number where it has none
	Login string `json:"login,omitempty"` // who logged in, where that is known and another: before sudo, say
	PID   int    `json:"pid,omitempty"`
}

// An Entry is a line of the log.
type Entry struct {
	Number   uint64    `json:"number"` // from 1
	Time     time.Time `json:"time"`
	Kind     string    `json:"kind"`
	Of       uint64    `json:"of,omitempty"` // the entry that this one is about
	Who      Who       `json:"who"`
	Command  string    `json:"command,omitempty"` // "query", "purge", …
	Filter   string    `json:"filter,omitempty"`
	From     string    `json:"from,omitempty"` // of the window, RFC 3339
	To       string    `json:"to,omitempty"`
	Detail   string    `json:"detail,omitempty"` // what else tells one question or act from another
	Rows     uint64    `json:"rows,omitempty"`   // of an answer: records or groups given out
	Failed   string    `json:"failed,omitempty"` // of an answer: why it was none
	Case     string    `json:"case,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Removed  string    `json:"removed,omitempty"`  // of a trim
	Previous string    `json:"previous,omitempty"` // hash of the entry before, "" for the first
}

// maxText bounds each text of an entry in bytes: a filter may hold thousands of
// addresses, and entries are kept for years.
const maxText = 4 << 10

// shorten cuts long texts; what a cut one was can still be proven by its hash.
func (e *Entry) shorten() {
	for _, text := range []*string{&e.Command, &e.Filter, &e.Detail, &e.Failed, &e.Case, &e.Reason, &e.Who.User, &e.Who.Login} {
		if len(*text) > maxText {
			sum := sha256.Sum256([]byte(*text))
			*text = fmt.Sprintf("%s… (%d bytes, SHA-256 %x)", strings.ToValidUTF8((*text)[:maxText-100], ""), len(*text), sum)
		}
	}
}

// hashSize is the length of a hash in front of an entry.
const hashSize = sha256.Size

// encode returns the entry as it lies in the store:
//
//	+---------------------------------+------+
//	| SHA-256 of all that follows (32)| JSON |
//	+---------------------------------+------+
func (e *Entry) encode() ([]byte, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	return append(sum[:], text...), nil
}

// Errors of entries that are not as they were written.
var (
	errChanged = errors.New("it was changed")
	errShape   = errors.New("it is no entry")
)

// decode reads an entry and its hash, and checks the one against the other.
func decode(value []byte) (e Entry, hash string, err error) {
	if len(value) < hashSize {
		return e, "", errShape
	}
	hash = hex.EncodeToString(value[:hashSize])
	text := value[hashSize:]
	if sum := sha256.Sum256(text); string(sum[:]) != string(value[:hashSize]) {
		return e, hash, errChanged
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return e, hash, fmt.Errorf("%w: %w", errShape, err)
	}
	return e, hash, nil
}
