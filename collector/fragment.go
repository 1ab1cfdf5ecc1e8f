package collector

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// Bounds of reassembly. RFC 791 and RFC 8200 give a packet 60 seconds.
const (
	maxFragmented    = 512   // packets in the making
	maxFragmentsEach = 128   // pieces of one packet
	maxIPPacket      = 65535 // bytes
	fragmentLife     = 60 * time.Second
)

// A fragmentKey names the packet that a fragment belongs to. Only UDP gets
// here, so the protocol is not part of it.
type fragmentKey struct {
	src, dst netip.Addr
	id       uint32
}

// fragments puts fragmented IP packets together.
type fragments struct {
	parts map[fragmentKey]*assembly
	lost  int // packets given up
}

// An assembly is an IP packet in the making.
type assembly struct {
	since  time.Time
	data   []byte
	pieces []piece
	length int // bytes of the whole; 0 until the last fragment is there
}

type piece struct{ from, to int }

func newFragments() *fragments { return &fragments{parts: map[fragmentKey]*assembly{}} }

// add takes in a fragment that starts at the given offset and is, by its
// header, length bytes long. It returns the packet's payload when it is whole.
// A fragment that overlaps another ends its packet (RFC 5722).
func (f *fragments) add(key fragmentKey, now time.Time, off int, more bool, body []byte, length int) []byte {
	a := f.parts[key]
	if a != nil && now.Sub(a.since) > fragmentLife {
		f.giveUp(key)
		a = nil
	}
	if a == nil {
		if len(f.parts) >= maxFragmented {
			f.dropOldest()
		}
		a = &assembly{since: now}
		f.parts[key] = a
	}
	end := off + length
	if len(body) < length || end > maxIPPacket || len(a.pieces) >= maxFragmentsEach || a.overlaps(off, end) {
		f.giveUp(key)
		return nil
	}
	if len(a.data) < end {
		a.data = append(a.data, make([]byte, end-len(a.data))...)
	}
	copy(a.data[off:], body[:length])
	a.pieces = append(a.pieces, piece{off, end})
	if !more {
		a.length = end
	}
	if a.length == 0 || a.have() < a.length {
		return nil
	}
	delete(f.parts, key)
	return a.data[:a.length]
}

func (a *assembly) overlaps(from, to int) bool {
	for _, p := range a.pieces {
		if from < p.to && p.from < to {
			return true
		}
	}
	return false
}

// have returns how many bytes are there.
func (a *assembly) have() int {
	n := 0
	for _, p := range a.pieces {
		n += p.to - p.from
	}
	return n
}

func (f *fragments) giveUp(key fragmentKey) {
	delete(f.parts, key)
	f.lost++
}

func (f *fragments) dropOldest() {
	var oldest fragmentKey
	first := true
	for key, a := range f.parts {
		if first || a.since.Before(f.parts[oldest].since) {
			oldest, first = key, false
		}
	}
	f.giveUp(oldest)
}

// incomplete returns how many packets never became whole.
func (f *fragments) incomplete() int { return f.lost + len(f.parts) }

// openGzip opens a compressed capture.
func openGzip(r io.Reader) (nextPacket, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotCapture, err)
	}
	return openCapture(z)
}
