package store

import (
	"errors"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The mark says how far the manifest is known to have been whole. A manifest that
// lost its end reads like one of an earlier moment, and Pebble would delete all
// tables that are younger; with the mark it is known for what it is. One line, in
// a file of its own: the manifest's name, the byte up to which it is whole, and the
// CRC-32C of both as they stand there.
//
//	MANIFEST-000012 48211 1a2b3c4d
const markName = "manifest.mark"

// A manifestMark is what was last written of it.
type manifestMark struct {
	mu       sync.Mutex
	manifest string // the one in use
	seen     int64  // its size when it was marked
}

// setManifest says which manifest is in use.
func (m *manifestMark) setManifest(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.manifest, m.seen = name, 0
}

// markManifest writes the mark if the manifest has grown. It is only ever behind:
// what it vouches for was synced before.
func (s *Store) markManifest() {
	m := &s.mark
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.opts.ReadOnly || m.manifest == "" {
		return
	}
	info, err := s.opts.FS.Stat(s.opts.FS.PathJoin(s.dir, m.manifest))
	if err != nil || info.Size() == m.seen {
		return // a new one is on its way, or nothing is new
	}
	if err := s.writeMark(m.manifest); err != nil {
		s.opts.Logger.Warn("write down how far the manifest reaches", "err", err)
		return
	}
	m.seen = info.Size()
}

func (s *Store) writeMark(manifest string) error {
	fs := s.opts.FS
	end, err := s.manifestEnd(manifest)
	if err != nil {
		return err
	}
	f, err := fs.OpenReadWrite(fs.PathJoin(s.dir, manifest), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return writeSmall(fs, fs.PathJoin(s.dir, markName), "mark", []byte(markLine(manifest, end)))
}

// readMark returns what the mark says, false if there is none that reads.
func (s *Store) readMark() (manifest string, end int64, ok bool) {
	text, err := readSmall(s.opts.FS, s.opts.FS.PathJoin(s.dir, markName), "mark", 256)
	if err != nil {
		return "", 0, false
	}
	if n, _ := fmt.Sscanf(string(text), "%s %d", &manifest, &end); n != 2 || string(text) != markLine(manifest, end) {
		return "", 0, false
	}
	_, isManifest := fileNumber(manifest, manifestPrefix, "")
	return manifest, end, isManifest
}

func markLine(manifest string, end int64) string {
	line := fmt.Sprintf("%s %d", manifest, end)
	return fmt.Sprintf("%s %08x\n", line, crc32.Checksum([]byte(line), castagnoli))
}
