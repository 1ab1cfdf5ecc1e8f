package query

// A keySum is a key with its sums: 12 bytes for an IPv4 address and 16 for a
// word, since an archive has millions of groups, and most of them little traffic.
// The sums are a packedSums in two halves, which need not stand at a multiple of
// eight.
type keySum[K any] struct {
	key       K
	low, high uint32
}

func newKeySum[K any](key K, s packedSums) keySum[K] {
	return keySum[K]{key, uint32(s), uint32(s >> 32)}
}

// sums returns the sums; 0 in a row that is free.
func (s *keySum[K]) sums() packedSums { return packedSums(s.low) | packedSums(s.high)<<32 }

// free reports whether a row has no key: every key has records.
func (s *keySum[K]) free() bool { return s.low|s.high == 0 }

// packedSums are records, packets and bytes in one word, so that one addition
// adds all three:
//
//	+---+------------+---+--------------+---+--------------+
//	| 0 | bytes (28) | 0 | packets (19) | 0 | records (14) |
//	+---+------------+---+--------------+---+--------------+
//
// A bit that is 0 here is 1 in a sum that is too large to be added to again. The
// first of them also marks what is not a sum but a place in sumShard.large.
type packedSums uint64

const (
	recordBits = 14
	packetBits = 19
	byteBits   = 28

	atPackedPackets = recordBits + 1
	atPackedBytes   = atPackedPackets + packetBits + 1

	inLarge  packedSums = 1 << (atPackedBytes + byteBits)
	tooLarge packedSums = inLarge | 1<<(atPackedPackets+packetBits) | 1<<recordBits
)

// pack returns sums so, and false if they are too large.
func (a *acc) pack() (packedSums, bool) {
	fits := a.records>>recordBits|a.packets>>packetBits|a.bytes>>byteBits == 0
	return packedSums(a.bytes<<atPackedBytes | a.packets<<atPackedPackets | a.records), fits
}

// bytes returns the bytes of sums that are not in large.
func (s packedSums) bytes() uint64 { return uint64(s) >> atPackedBytes }

// acc returns sums that are not in large. They may be those of two that were
// added and have become too large.
func (s packedSums) acc() acc {
	return acc{
		records: uint64(s) & (1<<(recordBits+1) - 1),
		bytes:   s.bytes(),
		packets: uint64(s) >> atPackedPackets & (1<<(packetBits+1) - 1),
	}
}
