package query

// A mixer makes a hash of a packed key of one word, and the key of the hash again.
// So groups that wait, and shards that are filled from them, hold the hash in place
// of the key, and nothing is hashed a second time.
type mixer struct {
	seed    uint64 // nobody's to know
	factor  uint64 // odd, of the seed
	inverse uint64 // of factor
	undo    uint64 // the inverse of mixFactor
}

// mixFactor is odd, and its bits are as good as random ones.
const mixFactor = 0xd6e8feb86659fd93

func newMixer(seed uint64) mixer {
	return mixer{seed: seed, factor: seed | 1, inverse: inverseOf(seed | 1), undo: inverseOf(mixFactor)}
}

// mix returns the hash of a key. Its good bits are on top, but the lowest are not
// bad either.
func (m *mixer) mix(key uint64) uint64 {
	v := (key ^ m.seed) * mixFactor
	v = (v ^ v>>32) * m.factor
	return v ^ v>>32
}

// unmix returns the key of a hash.
func (m *mixer) unmix(hash uint64) uint64 {
	v := (hash ^ hash>>32) * m.inverse
	return (v^v>>32)*m.undo ^ m.seed
}

// inverseOf returns by what to multiply to undo multiplying by an odd number.
func inverseOf(odd uint64) uint64 {
	v := odd // is right in the last 3 bits, of which each step makes twice as many
	for n := 3; n < 64; n *= 2 {
		v *= 2 - odd*v
	}
	return v
}
