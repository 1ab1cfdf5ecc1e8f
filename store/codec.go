package store

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/klauspost/compress/huff0"
	"github.com/klauspost/compress/zstd"
)

// A stream is a run of at most BlockRows bytes whose number the reader knows:
//
//	+-----------+--------------------------------+
//	| codec (1) | const: the byte (1)            |
//	|           | raw:   the bytes               |
//	|           | huff0: length (uvarint) | data |
//	|           | zstd:  length (uvarint) | data |
//	+-----------+--------------------------------+
//
// The codec byte lets later versions add codecs; a reader refuses those it does
// not know.
const (
	codecConst = 0
	codecRaw   = 1
	codecHuff0 = 2 // table and four streams, as huff0.Compress4X writes them
	codecZstd  = 3 // one zstd frame without checksum
)

// smallStream is the length under which compression is not tried.
const smallStream = 24

// codecs holds encoders and decoders for reuse; each is a megabyte or so. It is
// safe for use by several goroutines.
type codecs struct {
	encoders sync.Pool
	decoders sync.Pool
}

func newCodecs() *codecs {
	return &codecs{
		encoders: sync.Pool{New: func() any { return newEncoder() }},
		decoders: sync.Pool{New: func() any { return newDecoder() }},
	}
}

func (c *codecs) encoder() *encoder     { return c.encoders.Get().(*encoder) }
func (c *codecs) putEncoder(e *encoder) { c.encoders.Put(e) }
func (c *codecs) decoder() *decoder     { return c.decoders.Get().(*decoder) }
func (c *codecs) putDecoder(d *decoder) { c.decoders.Put(d) }

// newZstdEncoder returns an encoder for single small frames. The options are
// constants, so that an error is a mistake in this file.
func newZstdEncoder() *zstd.Encoder {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
		zstd.WithWindowSize(BlockRows), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(fmt.Sprintf("store: zstd options: %v", err))
	}
	return enc
}

// newZstdDecoder returns a decoder that never writes more than the capacity it
// is given, whatever a frame claims.
func newZstdDecoder() *zstd.Decoder {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(1<<20), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(fmt.Sprintf("store: zstd options: %v", err))
	}
	return dec
}

// stream appends data as a stream.
func (e *encoder) stream(dst, data []byte) []byte {
	if len(data) == 0 {
		return append(dst, codecRaw)
	}
	if isConstant(data) {
		return append(dst, codecConst, data[0])
	}
	if len(data) < smallStream {
		return append(append(dst, codecRaw), data...)
	}
	c := e.remembered(len(data))
	if c.left > 0 {
		if out, ok := e.pack(dst, c.codec, data); ok && float64(len(out)-len(dst)) < c.ratio*float64(len(data)) {
			c.left--
			return out
		}
	}
	codec := e.chooseCodec(data)
	out, ok := e.pack(dst, codec, data)
	if !ok {
		codec = codecRaw
		out = append(append(dst, codecRaw), data...)
	}
	*c = choice{codec: codec, left: trustFor, ratio: 1.02 * float64(len(out)-len(dst)) / float64(len(data))}
	if codec == codecRaw { // of which nothing tells that it no longer serves
		c.left = 0
	}
	return out
}

// pack appends data as a stream of the given codec. It reports whether that is
// worth its while, and possible.
func (e *encoder) pack(dst []byte, codec byte, data []byte) ([]byte, bool) {
	switch codec {
	case codecZstd:
		e.packed = e.zstd.EncodeAll(data, e.packed[:0])
		if len(e.packed) < len(data) {
			return appendPacked(dst, codecZstd, e.packed), true
		}
	case codecHuff0:
		if out, _, err := huff0.Compress4X(data, &e.huff); err == nil && len(out) < len(data) {
			return appendPacked(dst, codecHuff0, out), true
		}
	case codecRaw:
		return append(append(dst, codecRaw), data...), true
	}
	return dst, false
}

// A choice is the codec that served a stream best when it was last chosen. The
// same stream of the next block is much like it, and to choose takes as long as
// to compress.
type choice struct {
	codec byte
	left  int     // blocks that may rely on it yet
	ratio float64 // more than this of the bytes, and it is chosen anew
}

const (
	trustFor   = 15
	maxChoices = 32   // streams of a column whose choices are kept
	longStream = 4096 // bytes; shorter ones come and go
)

// remembered returns the choice for the stream at hand, which has n bytes. Short
// ones share no choice with long ones.
func (e *encoder) remembered(n int) *choice {
	at := min(e.streams, maxChoices-1)
	e.streams++
	if n < longStream {
		e.other = choice{}
		return &e.other
	}
	return &e.choices[e.field][at]
}

func isConstant(data []byte) bool {
	for _, b := range data {
		if b != data[0] {
			return false
		}
	}
	return true
}

func appendPacked(dst []byte, codec byte, data []byte) []byte {
	dst = binary.AppendUvarint(append(dst, codec), uint64(len(data)))
	return append(dst, data...)
}

// What compression must gain to be worth its time, on both ways, and how much
// more than zstd huff0 may take, which is several times faster.
const (
	worthwhile = 0.93
	tie        = 1.15
)

// chooseCodec guesses the codec that serves data best from a part of it: the
// entropy of its bytes against what zstd makes of it. huff0 is several times
// faster than zstd both ways, so a tie is its.
func (e *encoder) chooseCodec(data []byte) byte {
	sample := takeBytesSample(e.sampleBytes[:0], data)
	e.sampleBytes = sample
	var count [256]uint32
	repeats := 0
	last := sample[0]
	for _, b := range sample[1:] {
		count[b]++
		if b == last {
			repeats++
		}
		last = b
	}
	const huffTable = 40 // bytes, about
	raw, n := float64(len(data)), float64(len(sample))
	scale := raw / n
	bits := e.entropy.of(&count, len(sample))
	huff := max(bits, n/8)*scale + huffTable // a bit a symbol at least
	if bits > 0.75*n && float64(repeats) < n/32 {
		// As good as random: zstd would find nothing.
		if huff < worthwhile*raw {
			return codecHuff0
		}
		return codecRaw
	}
	e.packed = e.zstd.EncodeAll(sample, e.packed[:0])
	packed := float64(len(e.packed)) * scale
	switch {
	case huff < worthwhile*raw && huff <= tie*packed:
		return codecHuff0
	case packed < worthwhile*raw:
		return codecZstd
	}
	return codecRaw
}

// stream reads a stream of n bytes and returns them with what follows. The
// bytes are valid until the next use of the same plane buffer, or as long as
// src.
func (d *decoder) stream(src []byte, n int, plane *[]byte) (data, rest []byte, err error) {
	if len(src) == 0 {
		return nil, nil, errShort
	}
	codec, src := src[0], src[1:]
	switch codec {
	case codecConst:
		if len(src) == 0 {
			return nil, nil, errShort
		}
		data = grow(plane, n)
		for i := range data {
			data[i] = src[0]
		}
		return data, src[1:], nil
	case codecRaw:
		if len(src) < n {
			return nil, nil, errShort
		}
		return src[:n], src[n:], nil
	case codecHuff0, codecZstd:
		packed, rest, err := takeBytes(src)
		if err != nil {
			return nil, nil, err
		}
		if data, err = d.unpack(codec, packed, grow(plane, n)); err != nil {
			return nil, nil, err
		}
		return data, rest, nil
	}
	return nil, nil, errCodec
}

// unpack fills dst from a compressed stream.
func (d *decoder) unpack(codec byte, packed, dst []byte) ([]byte, error) {
	var out []byte
	var err error
	if codec == codecZstd {
		out, err = d.zstd.DecodeAll(packed, dst[:0:len(dst)])
	} else {
		var payload []byte
		if d.huff, payload, err = huff0.ReadTable(packed, d.huff); err == nil {
			out, err = d.huff.Decoder().Decompress4X(dst[:0:len(dst)], payload)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("unpack a stream: %w", err)
	}
	if len(out) != len(dst) {
		return nil, errShort
	}
	return out, nil
}

// grow makes *buf n bytes long and returns it; the content is undefined.
func grow[T any](buf *[]T, n int) []T {
	if cap(*buf) < n {
		*buf = make([]T, n, max(n, 2*cap(*buf)))
	}
	*buf = (*buf)[:n]
	return *buf
}

// takeUvarint takes a uvarint off the front of src.
func takeUvarint(src []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(src)
	if n <= 0 {
		return 0, nil, errShort
	}
	return v, src[n:], nil
}

// takeCount takes a uvarint that may be limit at most.
func takeCount(src []byte, limit int) (int, []byte, error) {
	v, rest, err := takeUvarint(src)
	if err != nil {
		return 0, nil, err
	}
	if v > uint64(limit) {
		return 0, nil, errValue
	}
	return int(v), rest, nil
}

// takeBytes takes a uvarint length and that many bytes off the front of src.
func takeBytes(src []byte) (data, rest []byte, err error) {
	n, rest, err := takeCount(src, len(src))
	if err != nil {
		return nil, nil, err
	}
	if n > len(rest) {
		return nil, nil, errShort
	}
	return rest[:n], rest[n:], nil
}
