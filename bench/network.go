package bench

import "weir/flow"

// The simulated network: organisations with an IPv4 /16 and an IPv6 /48 each,
// behind one AS or their own, and an outside world whose prefixes, masks and AS
// numbers follow from the address.
const (
	orgCount       = 63 // organisations, sizes by Zipf's law
	insideOctaves  = 16 // 65,535 inside hosts
	outsideOctaves = 19 // 524,287 outside hosts that anyone talks to on purpose

	networkAS   = 64496 // the network's own AS (RFC 5398)
	firstOrgAS  = 65536 // organisations with an AS of their own (RFC 5398)
	orgASCount  = 16
	insideV6    = 0x20010db8_00000000 // 2001:db8::/32 (RFC 3849), the organisation in the third group
	outsideV6   = 0x3fff0000_00000000 // 3fff::/20 (RFC 9637)
	outsideV6As = 0x00000fff_ffff0000 // bits that vary between outside /48s
)

// A host is an address and what the network knows of it.
type host struct {
	addr flow.Addr
	org  int // organisation, -1 outside
}

// insideHost returns the inside host of a rank.
func insideHost(rank uint64, v6 bool) host {
	h := mix(rank + 0x1234)
	org := int(uint64(1)<<(h%6)-1) + int(h>>8&(1<<(h%6)-1))
	sub := h >> 20 & (4<<(h>>16&3) - 1)
	if v6 {
		hi := insideV6 | uint64(org+1)<<16 | sub
		return host{flow.Addr{Hi: hi, Lo: interfaceID(h)}, org}
	}
	return host{flow.AddrFrom4(uint32(10<<24 | uint64(org+1)<<16 | sub<<8 | (1 + h>>40%250))), org}
}

// insideServer returns the host of a rank among the few that offer services.
func insideServer(rank uint64, v6 bool) host { return insideHost(rank%509, v6) }

// outsideHost returns the outside host of a rank.
func outsideHost(rank uint64, v6 bool) host {
	h := mix(rank + 0x9876_0000_0000)
	if v6 {
		return host{flow.Addr{Hi: outsideV6 | h&outsideV6As | h>>60, Lo: interfaceID(h)}, -1}
	}
	return host{flow.AddrFrom4(publicV4(h)), -1}
}

// interfaceID returns the low half of an IPv6 address: small numbers for hosts
// set up by hand, random bits for the others.
func interfaceID(h uint64) uint64 {
	if h&7 == 0 {
		return h >> 50 & 0xff
	}
	return mix(h)
}

// publicV4 maps a hash to a global unicast IPv4 address.
func publicV4(h uint64) uint32 {
	first := uint32(h>>32) % 206 // an octet of 1 to 223 without the 17 below
	for _, special := range [...]uint32{0, 10, 100, 127, 169, 172, 192, 198, 203} {
		if first >= special {
			first++
		}
	}
	return first<<24 | uint32(h)&0xffffff
}

// A route is what a router knows of an address.
type route struct {
	as   uint32
	mask uint8
}

var outsideMasks = [8]uint8{16, 18, 19, 20, 21, 22, 23, 24}

// routeOf returns the route to a host's address: the AS and mask of its /16 or
// /48.
func routeOf(h host) route {
	switch {
	case h.org >= 0 && h.addr.Is4():
		return route{orgAS(h.org), uint8(16 + h.addr.Lo>>16&1*4)}
	case h.org >= 0:
		return route{orgAS(h.org), 48}
	case h.addr.Is4():
		x := mix(h.addr.Lo >> 16)
		return route{outsideAS(x), outsideMasks[x>>61]}
	}
	x := mix(h.addr.Hi >> 16)
	return route{outsideAS(x), uint8(32 + x>>60)}
}

func orgAS(org int) uint32 {
	if org&1 == 0 {
		return networkAS
	}
	return uint32(firstOrgAS + org/2%orgASCount)
}

// outsideAS spreads prefixes over AS numbers, an eighth of which need 32 bits.
func outsideAS(x uint64) uint32 {
	if x&7 == 0 {
		return uint32(196608 + x>>8%20000)
	}
	return uint32(1000 + x>>8%62000)
}

// IsInside reports whether an address belongs to the simulated network:
// 10.0.0.0/8 or 2001:db8::/32.
func IsInside(a flow.Addr) bool {
	if a.Is4() {
		return a.As4()>>24 == 10
	}
	return a.Hi>>32 == insideV6>>32
}

// hostOf returns the host of any address.
func hostOf(a flow.Addr) host {
	switch {
	case !IsInside(a):
		return host{a, -1}
	case a.Is4():
		return host{a, (int(a.As4()>>16&0xff) + orgCount - 1) % orgCount}
	}
	return host{a, (int(a.Hi>>16&0xffff) + orgCount - 1) % orgCount}
}
