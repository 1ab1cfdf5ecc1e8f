package command

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// What crosses the socket, captures in one direction and answers in the other,
// is in frames:
//
//	 0      1                    5
//	+------+--------------------+------ … ------+
//	| kind | length, big-endian | that many     |
//	+------+--------------------+------ … ------+
const (
	frameName byte = 'n' // the name of the capture that follows
	frameData byte = 'd' // a part of the capture
	frameFail byte = 'f' // the capture could not be read further; the reason
	frameStop byte = 's' // the user interrupts: nothing more comes
	frameEnd  byte = 'e' // nothing more comes

	frameFlow   byte = 'r' // a record, as flow.Record has it in binary
	frameGroup  byte = 'g' // a group, see topwire.go
	frameObject byte = 'o' // an answerObject in JSON, the last of which ends the answer

	frameHead = 5
	maxFrame  = 1 << 20 // bytes in a frame
	maxObject = 1 << 30 // bytes in one of frameObject, which has a whole answer
)

// frameBound returns how many bytes a frame may have.
func frameBound(kind byte) int {
	if kind == frameObject {
		return maxObject
	}
	return maxFrame
}

// beginFrame appends the head of a frame, and endFrame gives it its length when
// what it holds is behind it.
func beginFrame(dst []byte, kind byte) []byte { return append(dst, kind, 0, 0, 0, 0) }

func endFrame(frame []byte) error {
	size := len(frame) - frameHead
	if size > frameBound(frame[0]) {
		return fmt.Errorf("%d bytes are too many for one frame", size)
	}
	binary.BigEndian.PutUint32(frame[1:], uint32(size))
	return nil
}

// parseFrameHead reads the head of a frame, of frameHead bytes.
func parseFrameHead(head []byte) (kind byte, size int, err error) {
	kind = head[0]
	if n := binary.BigEndian.Uint32(head[1:frameHead]); n <= uint32(frameBound(kind)) {
		return kind, int(n), nil
	}
	return kind, 0, fmt.Errorf("a frame of %d bytes is over the bound", binary.BigEndian.Uint32(head[1:]))
}

// A frameReader reads the frames of an answer.
type frameReader struct {
	in   *bufio.Reader
	last int          // bytes of the last frame that are still in the buffer of in
	long bytes.Buffer // a frame that does not fit there
}

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{in: bufio.NewReaderSize(r, 64<<10)}
}

// next returns the next frame, which is valid until the next call. The error is
// io.EOF between two frames, and io.ErrUnexpectedEOF within one. Memory grows
// with what has come, and not with what a head says.
func (f *frameReader) next() (kind byte, frame []byte, err error) {
	if _, err := f.in.Discard(f.last); err != nil {
		return 0, nil, err
	}
	f.last = 0
	head, err := f.in.Peek(frameHead)
	if err != nil {
		return 0, nil, cutOff(err, len(head))
	}
	kind, size, err := parseFrameHead(head)
	if err != nil {
		return 0, nil, err
	}
	if frameHead+size > f.in.Size() {
		return f.nextLong(kind, size)
	}
	frame, err = f.in.Peek(frameHead + size)
	if err != nil {
		return 0, nil, cutOff(err, len(frame))
	}
	f.last = len(frame)
	return kind, frame[frameHead:], nil
}

func (f *frameReader) nextLong(kind byte, size int) (byte, []byte, error) {
	if _, err := f.in.Discard(frameHead); err != nil {
		return 0, nil, err
	}
	f.long.Reset()
	n, err := io.CopyN(&f.long, f.in, int64(size))
	if err != nil {
		return 0, nil, cutOff(err, frameHead+int(n))
	}
	return kind, f.long.Bytes(), nil
}

// cutOff returns what an error of reading means when there was a part of a frame.
func cutOff(err error, read int) error {
	if err == io.EOF && read > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}
