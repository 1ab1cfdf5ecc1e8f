package collector

import (
	"net/netip"
	"sync/atomic"
)

// A queue holds the datagrams of one socket, or the messages of connections, between its reader and its decoder,
// so that the kernel's buffer, which may be small, need not last for as long as
// a batch waits for the disk. It is bounded: when it is full the reader waits,
// and the kernel drops what it has no room for. Both are counted: what the
// kernel drops meanwhile is lost because we do not keep up.
type queue struct {
	ready chan *chunk   // filled, in order of receipt
	free  chan *chunk   // emptied, to be used again
	made  atomic.Int32  // chunks that there are, ready's capacity at most
	full  atomic.Uint64 // times that the reader had to wait
	told  uint64        // of them, in the ledger; the keeper's
}

// A chunk is datagrams that travel together.
type chunk struct {
	data     []byte // their payloads, one behind the other
	messages []queued
}

// A queued is where a datagram lies in a chunk.
type queued struct {
	src      netip.AddrPort
	end      int    // of the payload in data; it begins where the one before ends
	received uint64 // ms since 1970
	conn     uint64 // the connection it came on; 0: none, a datagram
	ended    bool   // this is no message, but the end of the connection
}

const (
	chunkBytes     = 256 << 10 // a chunk that holds as many takes no more datagrams
	chunkDatagrams = 1024      // likewise
)

// spareChunks is how many empty chunks keep their memory: after a burst the rest
// is let go.
const spareChunks = 4

// newQueue returns a queue of about so many bytes at most. They are taken when
// they are needed.
func newQueue(bytes int) *queue {
	n := max(2, bytes/chunkBytes)
	return &queue{ready: make(chan *chunk, n), free: make(chan *chunk, n)}
}

// take returns an empty chunk; it waits for one if need be. Only the reader
// calls it.
func (q *queue) take() *chunk {
	select {
	case c := <-q.free:
		return c
	default:
	}
	if int(q.made.Load()) < cap(q.ready) {
		q.made.Add(1)
		return &chunk{data: make([]byte, 0, chunkBytes+maxDatagram)}
	}
	q.full.Add(1)
	return <-q.free
}

// giveBack empties a chunk for the next take. Only the decoder calls it.
func (q *queue) giveBack(c *chunk) {
	if len(q.free) >= spareChunks {
		q.made.Add(-1)
		return
	}
	c.data, c.messages = c.data[:0], c.messages[:0]
	q.free <- c
}

// idle reports whether the decoder waits for a chunk, or is about to.
func (q *queue) idle() bool { return len(q.ready) == 0 }

// add appends a datagram, or message.
func (c *chunk) add(m queued, payload []byte) {
	c.data = append(c.data, payload...)
	m.end = len(c.data)
	c.messages = append(c.messages, m)
}

func (c *chunk) isFull() bool { return len(c.data) >= chunkBytes || len(c.messages) >= chunkDatagrams }

// each calls fn for the datagrams, in order.
func (c *chunk) each(fn func(m *queued, payload []byte)) {
	from := 0
	for i := range c.messages {
		m := &c.messages[i]
		fn(m, c.data[from:m.end])
		from = m.end
	}
}
