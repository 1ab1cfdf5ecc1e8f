package query

import (
	"sync"
	"unsafe"

	"weir/flow"
)

// addrBits is the width of an address in a packed key: the 32 bits of an IPv4
// address, or the number that another address was given, and above them one bit
// that tells which.
const addrBits = 33

// addrNumbers numbers addresses that are not IPv4, in the order in which they
// are met, so that any address fits in addrBits and most keys in one word. It
// may be used by several goroutines.
type addrNumbers struct {
	mu     sync.RWMutex
	number map[flow.Addr]uint32
	addrs  []flow.Addr
}

// addrNumberBytes is what an address takes in an addrNumbers: in the list, and
// in a map that may have just grown.
const addrNumberBytes = int64(unsafe.Sizeof(flow.Addr{})) + 2*(int64(unsafe.Sizeof(flow.Addr{}))+5)

// pack returns what stands for an address in a key.
func (n *addrNumbers) pack(a flow.Addr) uint64 {
	if a.Is4() {
		return uint64(a.As4())
	}
	n.mu.RLock()
	i, ok := n.number[a]
	n.mu.RUnlock()
	if !ok {
		i = n.add(a)
	}
	return 1<<32 | uint64(i)
}

// add numbers an address, unless that has happened meanwhile.
func (n *addrNumbers) add(a flow.Addr) uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	i, ok := n.number[a]
	if !ok {
		if n.number == nil {
			n.number = map[flow.Addr]uint32{}
		}
		i = uint32(len(n.addrs)) // 2^32 of them need more memory than any answer may take
		n.number[a] = i
		n.addrs = append(n.addrs, a)
	}
	return i
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
