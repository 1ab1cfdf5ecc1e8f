package flow

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
)

// An Addr is an IPv4 or IPv6 address: 128 bits in two words, most significant
// first. IPv4 addresses are held as IPv4-mapped IPv6 addresses (RFC 4291,
// section 2.5.5.2), so that one comparison orders and one key finds both
// families. It is 16 bytes without a pointer, which net/netip's is not.
type Addr struct {
	Hi, Lo uint64
}

const v4Prefix = 0xffff_0000_0000 // the low word of ::ffff:0.0.0.0

// AddrFrom4 returns the IPv4 address whose 32 bits are v, in network order.
func AddrFrom4(v uint32) Addr { return Addr{Lo: v4Prefix | uint64(v)} }

// AddrFrom16 returns the address of 16 bytes in network order.
func AddrFrom16(b [16]byte) Addr {
	return Addr{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// AddrFromSlice returns the address of 4 or 16 bytes in network order, and
// false for any other length.
func AddrFromSlice(b []byte) (Addr, bool) {
	switch len(b) {
	case 4:
		return AddrFrom4(binary.BigEndian.Uint32(b)), true
	case 16:
		return Addr{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}, true
	}
	return Addr{}, false
}

// AddrFromNetip returns a without its zone.
func AddrFromNetip(a netip.Addr) Addr { return AddrFrom16(a.As16()) }

// ParseAddr parses an address in the form that String gives. A zone is an
// error.
func ParseAddr(s string) (Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return Addr{}, err
	}
	if a.Zone() != "" {
		return Addr{}, fmt.Errorf("address %q has a zone", s)
	}
	return AddrFromNetip(a), nil
}

// Is4 reports whether a is an IPv4 address.
func (a Addr) Is4() bool { return a.Hi == 0 && a.Lo>>32 == 0xffff }

// As4 returns the 32 bits of an IPv4 address in network order.
func (a Addr) As4() uint32 { return uint32(a.Lo) }

// As16 returns the 16 bytes of a in network order.
func (a Addr) As16() (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], a.Hi)
	binary.BigEndian.PutUint64(b[8:], a.Lo)
	return b
}

// Netip returns a as net/netip holds it, IPv4 unmapped.
func (a Addr) Netip() netip.Addr { return netip.AddrFrom16(a.As16()).Unmap() }

// IsUnspecified reports whether a is 0.0.0.0 or ::.
func (a Addr) IsUnspecified() bool { return a.Hi == 0 && (a.Lo == 0 || a.Lo == v4Prefix) }

// String returns the usual text form of a.
func (a Addr) String() string { return a.Netip().String() }

// Less reports whether a stands before b: IPv6 addresses in numeric order, with
// the IPv4 addresses in theirs at ::ffff:0:0.
func (a Addr) Less(b Addr) bool { return a.Hi < b.Hi || a.Hi == b.Hi && a.Lo < b.Lo }

// Compare returns -1, 0 or 1 as a stands before, at or after b.
func (a Addr) Compare(b Addr) int {
	if c := cmp.Compare(a.Hi, b.Hi); c != 0 {
		return c
	}
	return cmp.Compare(a.Lo, b.Lo)
}

// Next returns the address after a; it wraps at the last.
func (a Addr) Next() Addr {
	a.Lo++
	if a.Lo == 0 {
		a.Hi++
	}
	return a
}

// A Prefix is a range of addresses that share their leading bits.
type Prefix struct {
	First, Last Addr
}

// PrefixFrom returns the prefix of the given length that a is in. The length
// counts from the start of the address family's own form: 0 to 32 for IPv4, 0
// to 128 for IPv6.
func PrefixFrom(a Addr, length int) (Prefix, error) {
	if a.Is4() {
		if length > 32 {
			return Prefix{}, fmt.Errorf("prefix length %d of an IPv4 address is over 32", length)
		}
		length += 96
	}
	if length < 0 || length > 128 {
		return Prefix{}, fmt.Errorf("prefix length %d is outside 0 to 128", length)
	}
	hi, lo := maskWords(length)
	return Prefix{
		First: Addr{a.Hi & hi, a.Lo & lo},
		Last:  Addr{a.Hi | ^hi, a.Lo | ^lo},
	}, nil
}

// Contains reports whether a lies in the prefix.
func (p Prefix) Contains(a Addr) bool { return !a.Less(p.First) && !p.Last.Less(a) }

// maskWords returns the two words of a mask with the given number of leading
// ones, 0 to 128.
func maskWords(length int) (hi, lo uint64) {
	if length <= 64 {
		return ^uint64(0) << (64 - length), 0 // a shift by 64 gives 0
	}
	return ^uint64(0), ^uint64(0) << (128 - length)
}

// Mask returns a with all bits after the first length cleared; length counts as
// in PrefixFrom and is cut to the family's width.
func (a Addr) Mask(length int) Addr {
	width := 128
	if a.Is4() {
		width = 32
	}
	hi, lo := maskWords(128 - width + min(max(length, 0), width))
	return Addr{a.Hi & hi, a.Lo & lo}
}
