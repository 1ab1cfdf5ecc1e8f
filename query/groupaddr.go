package query

import (
	"math/rand/v2"
	"sync"
	"unsafe"

	"weir/flow"
	"weir/store"
)

// addrBits is the width of an address in a packed key: the 32 bits of an IPv4
// address, or the number that another address was given, and above them one bit
// that tells which.
const addrBits = 33

// addrNumbers numbers addresses that are not IPv4, in the order in which they
// are met, so that any address fits in addrBits and most keys in one word. It
// may be used by several goroutines.
type addrNumbers struct {
	seed  uint64
	mu    sync.RWMutex // guards the rest
	slots []uint32     // number+1 by hash; 0: free
	addrs []flow.Addr
}

func newAddrNumbers() *addrNumbers { return &addrNumbers{seed: rand.Uint64()} }

// addrNumberBytes is what an address takes in an addrNumbers at most: in a list
// and in slots that may have just grown.
const addrNumberBytes = 2*int64(unsafe.Sizeof(flow.Addr{})) + 4*4

// pack returns what stands for an address in a key.
func (n *addrNumbers) pack(a flow.Addr) uint64 {
	if a.Is4() {
		return uint64(a.As4())
	}
	n.mu.RLock()
	i, ok := n.find(a)
	n.mu.RUnlock()
	if !ok {
		i = n.add(a)
	}
	return 1<<32 | uint64(i)
}

// packAll fills dst with what stands for the addresses of a dictionary, cut as g
// says. They ascend, so that those of IPv4 stand together.
func (n *addrNumbers) packAll(dst []uint64, d *store.Dict, g *grouper) {
	addrs, mask := d.Addrs(), ^uint32(0)
	if g.bits4 >= 0 {
		mask = uint32(^uint64(0) << (32 - g.bits4))
	}
	lo, hi := d.FindAddr(flow.AddrFrom4(0), flow.AddrFrom4(^uint32(0)))
	for code, a := range addrs[lo:hi] {
		dst[lo+code] = uint64(a.As4() & mask)
	}
	n.packOthers(dst[:lo], addrs[:lo], g)
	n.packOthers(dst[hi:], addrs[hi:], g)
}

// packOthers is packAll for addresses that may be any.
func (n *addrNumbers) packOthers(dst []uint64, addrs []flow.Addr, g *grouper) {
	missing := 0
	n.mu.RLock()
	for code, a := range addrs {
		if code%prefetchRows == 0 {
			n.prefetch(addrs[code:min(code+prefetchRows, len(addrs))], g)
		}
		if a = g.cut(a); a.Is4() {
			dst[code] = uint64(a.As4())
		} else if i, ok := n.find(a); ok {
			dst[code] = 1<<32 | uint64(i)
		} else {
			dst[code] = ^uint64(0)
			missing++
		}
	}
	n.mu.RUnlock()
	for code := 0; missing > 0; code++ {
		if dst[code] == ^uint64(0) {
			dst[code] = n.pack(g.cut(addrs[code]))
			missing--
		}
	}
}

// prefetch reads the memory that finding addresses is going to need, as that of a
// groupTable does. What it returns keeps the reads from being optimised away. mu
// is held.
//
//go:noinline
func (n *addrNumbers) prefetch(addrs []flow.Addr, g *grouper) (touched uint64) {
	if len(n.slots) < 4096 { // in the cache anyway
		return 0
	}
	var slots [prefetchRows]uint32
	others := slots[:0]
	for _, a := range addrs {
		if a = g.cut(a); !a.Is4() {
			others = append(others, n.slots[n.hash(a)&uint64(len(n.slots)-1)])
		}
	}
	for _, v := range others {
		if v != 0 {
			touched += n.addrs[v-1].Lo
		}
	}
	return touched
}

func (n *addrNumbers) hash(a flow.Addr) uint64 {
	return hashWord(n.seed, a.Lo^hashWord(n.seed, a.Hi))
}

// find returns the number of an address. mu is held.
func (n *addrNumbers) find(a flow.Addr) (uint32, bool) {
	if len(n.slots) == 0 {
		return 0, false
	}
	at, ok := n.slot(a)
	return n.slots[at] - 1, ok
}

// slot returns the slot of an address, or the one where it would be put.
func (n *addrNumbers) slot(a flow.Addr) (at uint64, ok bool) {
	mask := uint64(len(n.slots) - 1)
	for at = n.hash(a) & mask; n.slots[at] != 0; at = (at + 1) & mask {
		if n.addrs[n.slots[at]-1] == a {
			return at, true
		}
	}
	return at, false
}

// add numbers an address, unless that has happened meanwhile.
func (n *addrNumbers) add(a flow.Addr) uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if 2*len(n.addrs) >= len(n.slots) {
		n.slots = make([]uint32, max(64, 2*len(n.slots)))
		for i, a := range n.addrs {
			at, _ := n.slot(a)
			n.slots[at] = uint32(i) + 1
		}
	}
	at, ok := n.slot(a)
	if !ok {
		n.addrs = append(n.addrs, a) // 2^32 of them need more memory than any answer may take
		n.slots[at] = uint32(len(n.addrs))
	}
	return n.slots[at] - 1
}

// unpack returns the address that pack was given.
func (n *addrNumbers) unpack(v uint64) flow.Addr {
	if v>>32 == 0 {
		return flow.AddrFrom4(uint32(v))
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.addrs[uint32(v)]
}

// bytes returns about what memory the numbers take.
func (n *addrNumbers) bytes() int64 {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return int64(len(n.addrs)) * addrNumberBytes
}
