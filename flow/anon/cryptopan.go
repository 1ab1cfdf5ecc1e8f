// Package anon makes addresses unrecognisable in what leaves the house.
//
// Two ways: [CryptoPAn] gives each address another one, the same for the same
// key, so that networks and their sizes stay comparable; it is a pseudonym, and
// whoever has the key can undo it. [Truncate] leaves the network and drops the
// host for good.
//
// [Numbers] does the same for interfaces and MAC addresses.
//
// The package knows single values only. Which fields of a record are treated, and
// under which key, is the caller's business.
package anon

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"

	"weir/flow"
)

// KeySize is the length of a key for CryptoPAn in bytes.
const KeySize = 32

// A Map gives an address for an address.
type Map interface {
	Addr(a flow.Addr) flow.Addr
}

// A CryptoPAn maps addresses one to one and keeps prefixes: two addresses that
// agree in their first n bits agree in as many afterwards, and not in more. It
// is the scheme of Xu, Fan, Ammar and Moon (Prefix-Preserving IP Address
// Anonymization, ICNP 2002) with AES-128, as their reference implementation has
// it, and the same over 128 bits for IPv6.
//
// It belongs to one goroutine.
type CryptoPAn struct {
	block cipher.Block
	pad   [16]byte // what fills up a prefix to a block
	in    [16]byte
	out   [16]byte
	known map[flow.Addr]flow.Addr
}

// maxKnown bounds the addresses that are remembered: traffic has few hosts that
// come again and again, and each costs 32 or 128 blocks of AES.
const maxKnown = 1 << 16

// NewCryptoPAn returns the map of a key: 16 bytes for the cipher, 16 from which
// the padding is made.
func NewCryptoPAn(key []byte) (*CryptoPAn, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("a key for Crypto-PAn has %d bytes, not %d", KeySize, len(key))
	}
	block, err := aes.NewCipher(key[:16])
	if err != nil {
		return nil, err
	}
	c := &CryptoPAn{block: block, known: map[flow.Addr]flow.Addr{}}
	block.Encrypt(c.pad[:], key[16:])
	return c, nil
}

// Addr returns what stands for a: IPv4 for IPv4, IPv6 for IPv6.
func (c *CryptoPAn) Addr(a flow.Addr) flow.Addr {
	if b, ok := c.known[a]; ok {
		return b
	}
	var b flow.Addr
	if a.Is4() {
		mask, _ := c.mask(uint64(a.As4())<<32, 0, 32)
		b = flow.AddrFrom4(a.As4() ^ uint32(mask>>32))
	} else {
		hi, lo := c.mask(a.Hi, a.Lo, 128)
		b = flow.Addr{Hi: a.Hi ^ hi, Lo: a.Lo ^ lo}
	}
	if len(c.known) >= maxKnown {
		clear(c.known)
	}
	c.known[a] = b
	return b
}

// mask returns which of the first n bits are to be flipped: bit i by the first
// bit of the encryption of the i bits before it, filled up with the pad.
func (c *CryptoPAn) mask(hi, lo uint64, n int) (maskHi, maskLo uint64) {
	padHi, padLo := binary.BigEndian.Uint64(c.pad[:]), binary.BigEndian.Uint64(c.pad[8:])
	for i := range n {
		keepHi, keepLo := firstBits(i)
		binary.BigEndian.PutUint64(c.in[:], hi&keepHi|padHi&^keepHi)
		binary.BigEndian.PutUint64(c.in[8:], lo&keepLo|padLo&^keepLo)
		c.block.Encrypt(c.out[:], c.in[:])
		flip := uint64(c.out[0] >> 7)
		if i < 64 {
			maskHi |= flip << (63 - i)
		} else {
			maskLo |= flip << (127 - i)
		}
	}
	return maskHi, maskLo
}

// firstBits returns 128 bits of which the first n are set.
func firstBits(n int) (hi, lo uint64) {
	if n <= 64 {
		return ^(^uint64(0) >> n), 0
	}
	return ^uint64(0), ^(^uint64(0) >> (n - 64))
}

// A Truncate keeps the first bits of an address and clears the others.
type Truncate struct {
	V4 int // bits kept of IPv4, 0 to 32
	V6 int // bits kept of IPv6, 0 to 128
}

// Addr returns a without the bits beyond the prefix.
func (t Truncate) Addr(a flow.Addr) flow.Addr {
	bits := t.V6
	if a.Is4() {
		bits = 96 + t.V4
	}
	hi, lo := firstBits(bits)
	return flow.Addr{Hi: a.Hi & hi, Lo: a.Lo & lo}
}
