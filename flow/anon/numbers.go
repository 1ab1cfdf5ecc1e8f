package anon

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"weir/flow"
)

// A Numbers gives interfaces and MAC addresses others, the same for the same
// key. The new ones are the first bits of an HMAC, so nothing of the old ones
// is left in them, not even their order; two can become one, which takes tens
// of thousands of interfaces of one exporter to be likely.
//
// It belongs to one goroutine.
type Numbers struct {
	mac   hash.Hash
	sum   [sha256.Size]byte
	known map[number]uint64
}

// A number is what a Numbers has an answer for.
type number struct {
	kind     byte
	exporter flow.Addr // of an interface
	value    uint64
}

const (
	kindInterface = 1
	kindMAC       = 2
)

// NewNumbers returns the pseudonyms of a key of any length.
func NewNumbers(key []byte) *Numbers {
	return &Numbers{mac: hmac.New(sha256.New, key), known: map[number]uint64{}}
}

// Interface returns what stands for an interface of an exporter: 31 bits. 0,
// which is no interface, stays.
func (n *Numbers) Interface(exporter flow.Addr, index uint64) uint64 {
	if index == 0 {
		return 0
	}
	return max(1, n.of(number{kindInterface, exporter, index})>>33)
}

// MAC returns what stands for a MAC address: one that is locally administered
// and of a single station, whatever it was before. 0 stays.
func (n *Numbers) MAC(mac uint64) uint64 {
	const groupBit, localBit = 1 << 40, 1 << 41
	if mac == 0 {
		return 0
	}
	return n.of(number{kind: kindMAC, value: mac})>>16&^groupBit | localBit
}

func (n *Numbers) of(v number) uint64 {
	if known, ok := n.known[v]; ok {
		return known
	}
	var in [25]byte
	in[0] = v.kind
	binary.BigEndian.PutUint64(in[1:], v.exporter.Hi)
	binary.BigEndian.PutUint64(in[9:], v.exporter.Lo)
	binary.BigEndian.PutUint64(in[17:], v.value)
	n.mac.Reset()
	n.mac.Write(in[:])
	out := binary.BigEndian.Uint64(n.mac.Sum(n.sum[:0]))
	if len(n.known) >= maxKnown {
		clear(n.known)
	}
	n.known[v] = out
	return out
}
