package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	logSuffix = ".log"
	cutSuffix = ".log.cut" // the front of a log that is about to take its place
)

// A logLoss is what is lost of a write-ahead log.
type logLoss struct {
	name string // of the log
	kept string // as what it was set aside
	from int64  // the first byte that is not read
	size int64
	hour Hour // the last that was written to before; 0: not known
	rows int  // records beyond that can still be seen; there may be more
	err  error
}

// cutLogs makes write-ahead logs readable that Pebble does not read: each one is
// set aside and cut off where its first record is that does not read. It returns
// what is lost by that; nothing, if no log is to blame.
//
// failed is what Pebble said. It names the first log that it could not read;
// those before it were read, or are no longer needed.
func (s *Store) cutLogs(failed error) ([]logLoss, error) {
	first := uint64(0)
	if found := badLog().FindStringSubmatch(fmt.Sprintf("%+v", failed)); found != nil {
		first, _ = parseNumber(found[1])
	}
	names, err := s.opts.FS.List(s.dir)
	if err != nil {
		return nil, fmt.Errorf("list data directory: %w", err)
	}
	var logs []string
	for _, name := range names {
		if n, ok := fileNumber(name, "", logSuffix); ok && n >= first {
			logs = append(logs, name)
		}
	}
	number := func(name string) uint64 { n, _ := fileNumber(name, "", logSuffix); return n }
	slices.SortFunc(logs, func(a, b string) int { return cmp.Compare(number(a), number(b)) })
	var lost []logLoss
	for i, name := range logs {
		loss, err := s.readLog(name, number(name), i == len(logs)-1)
		if err != nil {
			return lost, err
		}
		if loss == nil {
			continue
		}
		if err := s.cutLog(loss); err != nil {
			return lost, err
		}
		lost = append(lost, *loss)
	}
	return lost, nil
}

// readLog reads a log and returns where it stops to read, nil if it reads to its
// end. The last log may end in the middle of a record: a crash does that.
func (s *Store) readLog(name string, number uint64, last bool) (*logLoss, error) {
	f, err := s.opts.FS.Open(s.opts.FS.PathJoin(s.dir, name))
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	loss := &logLoss{name: name, size: info.Size()}
	r := newLogReader(record.NewReader, f, number)
	for {
		loss.from = r.Offset()
		batch, err := nextRecord(r)
		if err == nil {
			err = s.readable(batch, loss)
		}
		switch {
		case err == nil:
			continue
		case errors.Is(err, io.EOF), last && errors.Is(err, record.ErrUnexpectedEOF):
			return nil, nil
		}
		loss.err = err
		s.countBeyond(f, number, loss)
		return loss, nil
	}
}

// badLog finds the log in Pebble's error.
var badLog = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`replaying wal (\d+)`) })

// newLogReader is record.NewReader for a number that is known at run time: its
// type is Pebble's own.
func newLogReader[N ~uint64](open func(io.Reader, N) *record.Reader, f io.Reader, number uint64) *record.Reader {
	return open(f, N(number))
}

func nextRecord(r *record.Reader) ([]byte, error) {
	rec, err := r.Next()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(rec)
}

// readable notes the hour that a batch is of. A batch that puts tables in place
// does not count without them.
func (s *Store) readable(batch []byte, loss *logLoss) error {
	if len(batch) < batchrepr.HeaderLen {
		return errShort
	}
	r := batchrepr.Read(batch)
	for {
		kind, key, _, ok, err := r.Next()
		if err != nil || !ok {
			return err
		}
		if kind == pebble.InternalKeyKindIngestSST {
			n, _ := binary.Uvarint(key)
			if _, err := s.opts.FS.Stat(s.opts.FS.PathJoin(s.dir, tableName(n))); err != nil {
				return err
			}
		}
		if h, _, _, isBucket := splitBucketKey(key); isBucket && kind != pebble.InternalKeyKindExcise {
			loss.hour = h
		}
	}
}

// countBeyond counts the records in what is not read: those of tail segments in
// whole blocks of the log. It is the least that is lost.
func (s *Store) countBeyond(f vfs.File, number uint64, loss *logLoss) {
	for block := loss.from - loss.from%recordBlock + recordBlock; block < loss.size; {
		r := newLogReader(record.NewReader, io.NewSectionReader(f, block, loss.size-block), number)
		good := int64(0)
		batch, err := nextRecord(r)
		for ; err == nil; batch, err = nextRecord(r) {
			loss.rows += tailRows(batch)
			good = r.Offset()
		}
		if errors.Is(err, io.EOF) {
			return
		}
		block += good - good%recordBlock + recordBlock
	}
}

// tailRows returns the records of the tail segments in a batch.
func tailRows(batch []byte) (rows int) {
	if len(batch) < batchrepr.HeaderLen {
		return 0
	}
	r := batchrepr.Read(batch)
	for {
		kind, key, value, ok, err := r.Next()
		if err != nil || !ok {
			return rows
		}
		if _, of, _, isBucket := splitBucketKey(key); isBucket && of == kindTail && kind == pebble.InternalKeyKindSet {
			if b, err := parseTail(value); err == nil {
				rows += b.Len()
			}
		}
	}
}

// cutLog sets a log aside and puts its readable front in its place.
func (s *Store) cutLog(loss *logLoss) error {
	fs := s.opts.FS
	path := fs.PathJoin(s.dir, loss.name)
	hour := loss.hour
	if hour == 0 {
		hour = thisHour()
	}
	kept, err := s.setAside(loss.name, hour)
	if err != nil {
		return err
	}
	loss.kept = kept
	front := strings.TrimSuffix(path, logSuffix) + cutSuffix
	if err := copyFront(fs, path, front, loss.from); err != nil {
		return fmt.Errorf("cut off log: %w", err)
	}
	if err := fs.Rename(front, path); err != nil {
		return fmt.Errorf("cut off log: %w", err)
	}
	return syncDir(fs, s.dir)
}

// copyFront copies the first n bytes of a file.
func copyFront(fs FS, from, to string, n int64) error {
	src, err := fs.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := fs.Create(to, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, io.LimitReader(src, n))
	if err == nil {
		err = dst.Sync()
	}
	return errors.Join(err, dst.Close())
}

// Error says what is lost, for people.
func (l *logLoss) Error() string {
	text := fmt.Sprintf("write-ahead log %s does not read from byte %d of %d on (%v)", l.name, l.from, l.size, l.err)
	if l.rows > 0 {
		text += fmt.Sprintf("; at least %d records that were stored last are lost", l.rows)
	} else {
		text += "; records that were stored last may be lost"
	}
	if l.kept != "" {
		text += "; the file is kept as " + l.kept
	}
	return text
}
