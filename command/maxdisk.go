package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir/query"
	"weir/retention"
	"weir/store"
)

// A diskLimit is how much room the data directory may take. Its zero value is as
// much as there is.
type diskLimit struct {
	bytes uint64
	share float64 // of the file system, 0 to 1; 0: bytes says it
}

// sizeUnits are the letters that a size may end in. A gigabyte is 10^9 bytes, as
// disks are sold and as sizes are shown; KiB, MiB and so on are binary.
var sizeUnits = map[string]uint64{
	"": 1, "B": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
	"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40, "PIB": 1 << 50,
}

// leastDisk is the smallest limit: less would leave no room for the newest hours.
const leastDisk = 100e6

// parseMaxDisk reads a limit: 200G, 1.5T, 80%, none.
func parseMaxDisk(text string) (l diskLimit, err error) {
	text = strings.TrimSpace(text)
	if text == "" || text == "none" {
		return l, nil
	}
	bad := usagef("max-disk: %q is neither a size nor a share of the disk", text).withHint("write 200G, 1.5T or 80%%; none is no limit")
	digits := strings.TrimRight(text, "%BKMGTPbkmgtpiI ")
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(n > 0 && n <= 1e18) { // also what is no number
		return l, bad
	}
	unit := strings.ToUpper(strings.TrimSpace(text[len(digits):]))
	if unit == "%" {
		if n > 100 {
			return l, bad
		}
		return diskLimit{share: n / 100}, nil
	}
	factor, ok := sizeUnits[unit]
	if !ok {
		if factor, ok = sizeUnits[strings.TrimSuffix(unit, "B")]; !ok {
			return l, bad
		}
	}
	if n *= float64(factor); n < leastDisk {
		return l, usagef("max-disk: %s is too little", text).withHint("100M is the least: the newest hours must have room")
	}
	return diskLimit{bytes: uint64(min(n, 1<<62))}, nil
}

// in returns the limit in bytes on a file system of some size, 0 if there is none.
func (l diskLimit) in(total uint64) uint64 {
	if l.share > 0 {
		return uint64(l.share * float64(total))
	}
	return l.bytes
}

// pressure returns what drops hours of s for want of room.
func (l diskLimit) pressure(s *store.Store, j *journal) retention.Pressure {
	if l == (diskLimit{}) {
		return retention.Pressure{}
	}
	size := &sizeMeter{dir: s.Dir()}
	return retention.Pressure{
		Room: func() (used, limit uint64, err error) {
			_, total, known := s.FreeSpace()
			if !known && l.share > 0 {
				return 0, 0, errors.New("the system does not tell how large the disk is: give --max-disk as a size")
			}
			used, err = size.read()
			return used, l.in(total), err
		},
		Rate: bytesPerHour,
		Note: func(h store.Hour, used, limit uint64) error {
			return j.note("retention", fmt.Sprintf("drops hour %s of %s before its time, for want of room: %sB used, max-disk %sB",
				h, plural(recordsOf(s, h), "record"), humanCount(used), humanCount(limit)))
		},
	}
}

// recordsOf returns the records of an hour.
func recordsOf(s *store.Store, h store.Hour) int64 {
	for _, b := range s.Buckets() {
		if b.Hour == h {
			return b.Rows
		}
	}
	return 0
}

// sizeFor is how long the size of a directory is believed: to find it out, every
// file is looked at.
const sizeFor = 15 * time.Second

// A sizeMeter knows how large a directory is.
type sizeMeter struct {
	dir string

	mu   sync.Mutex
	at   time.Time
	size uint64
}

func (m *sizeMeter) read() (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := time.Now(); m.at.IsZero() || now.Sub(m.at) >= sizeFor {
		size, err := directorySize(m.dir)
		if err != nil {
			return 0, err
		}
		m.at, m.size = now, size
	}
	return m.size, nil
}

// directorySize returns the bytes that a directory takes on the disk, of files
// with several names once. What goes meanwhile is not counted.
func directorySize(dir string) (size uint64, err error) {
	seen := map[fileID]bool{}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != dir {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		id, taken := fileOf(info)
		if id != (fileID{}) && seen[id] {
			return nil
		}
		seen[id] = true
		size += taken
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("add up the files of %s: %w", dir, err)
	}
	return size, nil
}

// A fileID tells one file from another, whatever its names; zero: not known.
type fileID struct{ device, number uint64 }

// earlyIn returns what was dropped early of a window.
func earlyIn(list []retention.Early, w query.Window) (in []query.EarlyDrop) {
	for _, e := range list {
		if (w.To == 0 || e.From.StartMS() < w.To) && e.To.EndMS() > w.From {
			in = append(in, query.EarlyDrop{From: query.Moment(e.From.StartMS()), To: query.Moment(e.To.EndMS()), Hours: e.Hours, Records: e.Records})
		}
	}
	return in
}

// early returns the hours that were dropped before their time and would still be
// kept.
func (l *local) early(keep time.Duration) []retention.Early {
	list, err := retention.LoadEarly(l.store, l.now(), keep)
	if err != nil {
		return nil // the state is damaged, which is said elsewhere
	}
	return list
}
