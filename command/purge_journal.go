package command

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir/store"
)

// A purge is written down so that a backup which was made before can do it, too:
// in the state of the archive, and in a file beside the backups. What went is
// sealed with a key that every copy of the archive has, and nothing else: the
// file tells nobody whose records went, and nobody else can make one that
// deletes.
const (
	journalName = "purges.json"
	donePrefix  = purgePrefix + "done/" // the purges that the archive knows, by ID

	maxJournal = 64 << 20 // bytes of a file
)

// A purgeJournal is the content of the file.
type purgeJournal struct {
	Version int            `json:"version"` // 1
	About   string         `json:"about"`
	Purges  []journalEntry `json:"purges"`
}

const journalAbout = "Purges of a weir archive. A backup with this file in it or beside it deletes what was purged since, before it answers."

// A journalEntry is one purge.
type journalEntry struct {
	ID      string `json:"id"`
	Archive string `json:"archive"` // store.ID
	At      string `json:"at"`
	Case    string `json:"case"`
	Reason  string `json:"reason,omitempty"`
	By      string `json:"by"`
	Records uint64 `json:"records"` // that went
	Sealed  []byte `json:"sealed"`  // a purgeState in JSON: nonce, then AES-256-GCM with store.Key("purges"), of ID
}

// newPurgeID returns 16 random bytes in hexadecimal.
func newPurgeID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	return hex.EncodeToString(id)
}

func journalCipher(s *store.Store) (cipher.AEAD, error) {
	block, err := aes.NewCipher(s.Key("purges"))
	if err != nil {
		return nil, fmt.Errorf("the archive has no key for purges: %w", err)
	}
	return cipher.NewGCM(block)
}

// sealPurge makes an entry of a purge that is over.
func sealPurge(s *store.Store, st *purgeState) (journalEntry, error) {
	e := journalEntry{ID: st.ID, Archive: s.ID(), At: showMS(st.At), Case: st.Case, Reason: st.Reason, By: st.By, Records: st.Records}
	scope := *st
	scope.Done, scope.Records, scope.Until, scope.Stopped = nil, 0, 0, false
	seal, err := journalCipher(s)
	if err != nil {
		return e, err
	}
	nonce := make([]byte, seal.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	e.Sealed = seal.Seal(nonce, nonce, marshal(scope), []byte(e.ID))
	return e, nil
}

// open returns the purge that an entry is of. It takes away only what came before
// the purge.
func (e *journalEntry) open(s *store.Store) (*purgeState, error) {
	seal, err := journalCipher(s)
	if err != nil {
		return nil, err
	}
	n := min(seal.NonceSize(), len(e.Sealed))
	text, err := seal.Open(nil, e.Sealed[:n:n], e.Sealed[n:], []byte(e.ID))
	if n < seal.NonceSize() || err != nil {
		return nil, fmt.Errorf("the purge %s of case %s in %s was changed, or is not of this archive", e.ID, e.Case, journalName)
	}
	st := new(purgeState)
	if err := json.Unmarshal(text, st); err != nil {
		return nil, fmt.Errorf("read the purge %s: %w", e.ID, err)
	}
	st.ID, st.Until = e.ID, max(st.At, 1)
	if st.Holds == "" { // it met no hold: a copy may have one that had been released
		st.Holds = holdsPurge
	}
	return st, nil
}

// readJournal reads a file of purges; an empty one if there is none.
func readJournal(name string) (*purgeJournal, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return new(purgeJournal), nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxJournal))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	j := new(purgeJournal)
	if err := json.Unmarshal(text, j); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if j.Version > 1 {
		return nil, fmt.Errorf("read %s: it has version %d, of a newer weir", name, j.Version)
	}
	return j, nil
}

// add adds entries that the journal has not yet, and reports whether there were
// any.
func (j *purgeJournal) add(list []journalEntry) bool {
	before := len(j.Purges)
	for _, e := range list {
		if !slices.ContainsFunc(j.Purges, func(o journalEntry) bool { return o.ID == e.ID }) {
			j.Purges = append(j.Purges, e)
		}
	}
	slices.SortStableFunc(j.Purges, func(a, b journalEntry) int { return cmp.Compare(a.At, b.At) })
	return len(j.Purges) > before
}

// mergeJournal adds entries to the file in dir, which appears whole.
func mergeJournal(dir string, list []journalEntry) error {
	name := filepath.Join(dir, journalName)
	j, err := readJournal(name)
	if err != nil {
		return err
	}
	if !j.add(list) {
		return nil
	}
	j.Version, j.About = 1, journalAbout
	text, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(append(text, '\n')); err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(name+".tmp", name)
}

// purgesDone returns the purges that the archive knows.
func (l *local) purgesDone() (list []journalEntry, err error) {
	err = l.store.ScanState(donePrefix, func(key string, value []byte) error {
		var e journalEntry
		if err := json.Unmarshal(value, &e); err != nil {
			return fmt.Errorf("read the purge %s: %w", strings.TrimPrefix(key, donePrefix), err)
		}
		list = append(list, e)
		return nil
	})
	return list, err
}

// writeDown notes in the archive that a purge is over, and in the files beside
// the archive and its backups.
func (st *purgeState) writeDown(l *local, report *purgeReport) error {
	if st.ID == "" { // an earlier weir began it
		st.ID = newPurgeID()
	}
	e, err := sealPurge(l.store, st)
	if err != nil {
		return err
	}
	if err := l.store.PutState(donePrefix+st.ID, marshal(e)); err != nil {
		return err
	}
	list, err := l.purgesDone()
	if err != nil {
		return err
	}
	report.Journal = filepath.Join(l.store.Dir(), journalName)
	if err := mergeJournal(l.store.Dir(), list); err != nil {
		return fmt.Errorf("write down the purge for backups: %w", err)
	}
	if st.Until != 0 {
		return nil // it came from there
	}
	places, err := l.places()
	if err != nil {
		return err
	}
	for _, place := range places {
		if _, err := os.Stat(place); err == nil {
			err = mergeJournal(place, list)
			if err == nil {
				continue
			}
		}
		report.Unknown = append(report.Unknown, place)
	}
	return nil
}

// journalBeside writes the purges of the archive beside its backups, and says
// what stands there that the archive does not know.
func (l *local) journalBeside(dest string) (notes []string, err error) {
	list, err := l.purgesDone()
	if err != nil {
		return nil, err
	}
	if len(list) > 0 {
		if err := mergeJournal(dest, list); err != nil {
			return nil, fmt.Errorf("write down purges beside the backup: %w", err)
		}
	}
	j, err := readJournal(filepath.Join(dest, journalName))
	if err != nil {
		return nil, err
	}
	if n := len(unknownTo(list, j.Purges, l.store.ID())); n > 0 {
		notes = append(notes, fmt.Sprintf("%s of %s was never done in this archive; run: weir purge --apply %s",
			plural(n, "purge"), filepath.Join(dest, journalName), quoteArg(filepath.Join(dest, journalName))))
	}
	return notes, nil
}

// unknownTo returns the entries of an archive that are not among those it knows.
func unknownTo(known, entries []journalEntry, archive string) (list []journalEntry) {
	has := map[string]bool{}
	for _, e := range known {
		has[e.ID] = true
	}
	for _, e := range entries {
		if e.Archive == archive && !has[e.ID] {
			has[e.ID] = true
			list = append(list, e)
		}
	}
	return list
}

// journalFiles returns where purges may be written down that came after a copy
// was made: in it, beside it, and beside what a checkpoint lies in.
func journalFiles(dir string) []string {
	if full, err := filepath.Abs(dir); err == nil {
		dir = full
	}
	parent := filepath.Dir(dir)
	files := []string{filepath.Join(dir, journalName), filepath.Join(parent, journalName)}
	if filepath.Base(parent) == store.CheckpointName {
		files = append(files, filepath.Join(filepath.Dir(parent), journalName), filepath.Join(filepath.Dir(filepath.Dir(parent)), journalName))
	}
	return files
}
