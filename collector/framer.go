package collector

import "encoding/binary"

// A framer cuts what a connection sends into IPFIX messages, by the length that
// each has in its header (RFC 7011, section 10.4). Its buffer grows with what
// has come, not with what was announced, and to one message of the greatest
// length at most.
//
//	| version, 2 | length, 2 | ... length bytes in all | version, 2 | ...
type framer struct {
	buf      []byte
	from, to int // of the bytes that have come and were not given out
}

const firstBuffer = 4 << 10 // bytes

// space returns where the next bytes are to be read into; it is never empty if
// next was asked until it had no more. What next returned is overwritten.
func (f *framer) space() []byte {
	if f.from > 0 {
		f.to = copy(f.buf, f.buf[f.from:f.to])
		f.from = 0
	}
	if f.to == len(f.buf) && f.to < maxDatagram {
		grown := make([]byte, min(max(firstBuffer, 2*len(f.buf)), maxDatagram))
		copy(grown, f.buf)
		f.buf = grown
	}
	return f.buf[f.to:]
}

// came says that n bytes were read into the space.
func (f *framer) came(n int) { f.to += n }

// next returns the next whole message, nil if there is none yet. After an error
// nobody knows where a message begins.
func (f *framer) next() ([]byte, error) {
	have := f.rest()
	if err := checkFrame(have); err != nil {
		return nil, err
	}
	if len(have) < 4 {
		return nil, nil
	}
	length := int(binary.BigEndian.Uint16(have[2:]))
	if length > len(have) {
		return nil, nil
	}
	f.from += length
	return have[:length], nil
}

// rest returns what has come and was not given out.
func (f *framer) rest() []byte { return f.buf[f.from:f.to] }
