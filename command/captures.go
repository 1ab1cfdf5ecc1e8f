package command

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// captures is a series of capture files. Next returns the next one, and io.EOF
// after the last; the reader before it is not read any more then. They are read
// by one decoder in their order, so that a template in one file serves the next
// when a capture was rotated.
type captures interface {
	Next() (name string, r io.Reader, err error)
}

// errInterrupted ends a file in the middle because the user wants to stop.
var errInterrupted = errors.New("interrupted")

// fileCaptures reads files by name; "-" is standard input.
type fileCaptures struct {
	ctx   context.Context
	names []string
	in    io.Reader
	read  func(n int) // told how many bytes of the files were read; may be nil
	open  *os.File
}

func (c *fileCaptures) Next() (string, io.Reader, error) {
	if c.open != nil {
		c.open.Close() // only read from
		c.open = nil
	}
	if len(c.names) == 0 {
		return "", nil, io.EOF
	}
	name := c.names[0]
	c.names = c.names[1:]
	if name == "-" {
		return "standard input", c.counted(c.in), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return name, nil, err
	}
	c.open = f
	return name, c.counted(f), nil
}

func (c *fileCaptures) counted(r io.Reader) io.Reader {
	return readFunc(func(p []byte) (int, error) {
		if c.ctx.Err() != nil {
			return 0, errInterrupted
		}
		n, err := r.Read(p)
		if c.read != nil {
			c.read(n)
		}
		return n, err
	})
}

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// size returns the size of all files in bytes, -1 if it is not known.
func (c *fileCaptures) size() int64 {
	var total int64
	for _, name := range c.names {
		info, err := os.Stat(name)
		if name == "-" || err != nil || !info.Mode().IsRegular() {
			return -1
		}
		total += info.Size()
	}
	return total
}

// check refuses files that cannot be opened before any is read.
func (c *fileCaptures) check() error {
	for _, name := range c.names {
		if name == "-" {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		info, err := f.Stat()
		f.Close()
		if err != nil {
			return err
		}
		if info.IsDir() {
			return fmt.Errorf("%s is a directory; name the captures in it: %s/*.pcap", name, strings.TrimSuffix(name, "/"))
		}
	}
	return nil
}

// sendFrames writes all files to w, in frames (frame.go). A body that ends without
// frameEnd was cut off: its sender is gone. It ends early, as told by frameStop,
// when ctx is cancelled.
func sendFrames(ctx context.Context, w io.Writer, files captures) error {
	buf := make([]byte, 256<<10)
	for {
		name, r, err := files.Next()
		if errors.Is(err, io.EOF) && r == nil && name == "" {
			return sendFrame(w, frameEnd, nil)
		}
		if err := sendFrame(w, frameName, []byte(name)); err != nil {
			return err
		}
		if err == nil {
			err = sendFile(w, r, buf)
		}
		if errors.Is(err, errInterrupted) || ctx.Err() != nil {
			return sendFrame(w, frameStop, nil)
		}
		if err != nil {
			if err := sendFrame(w, frameFail, []byte(err.Error())); err != nil {
				return err
			}
		}
	}
}

func sendFile(w io.Writer, r io.Reader, buf []byte) error {
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if err := sendFrame(w, frameData, buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func sendFrame(w io.Writer, kind byte, data []byte) error {
	data = data[:min(len(data), maxFrame)]
	head := [frameHead]byte{kind}
	binary.BigEndian.PutUint32(head[1:], uint32(len(data)))
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	if len(data) == 0 {
		return nil
	}
	_, err := w.Write(data)
	return err
}

// framedCaptures is the receiving side of sendFrames.
type framedCaptures struct {
	in   *bufio.Reader
	kind byte  // of the frame being read
	left int   // bytes of the frame not read yet
	err  error // why the present file ended, if not well
	done bool
	bad  error // why nothing more can be read
}

func newFramedCaptures(r io.Reader) *framedCaptures {
	return &framedCaptures{in: bufio.NewReaderSize(r, 256<<10)}
}

// Next implements captures.
func (c *framedCaptures) Next() (string, io.Reader, error) {
	for !c.done {
		if c.kind != frameName {
			if _, err := c.in.Discard(c.left); err != nil {
				return "", nil, gone(err)
			}
			if err := c.frame(); err != nil {
				return "", nil, err
			}
			continue
		}
		name := make([]byte, c.left)
		if _, err := io.ReadFull(c.in, name); err != nil {
			return "", nil, gone(err)
		}
		c.kind, c.left, c.err = 0, 0, nil
		return string(name), readFunc(c.read), nil
	}
	return "", nil, io.EOF
}

// frame reads the head of the next frame.
func (c *framedCaptures) frame() error {
	if c.bad != nil {
		return c.bad
	}
	c.kind, c.left = 0, 0
	var head [frameHead]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		c.bad = gone(err)
		return c.bad
	}
	kind, size, err := parseFrameHead(head[:])
	if err != nil {
		c.bad = err
		return c.bad
	}
	c.kind, c.left = kind, size
	c.done = c.kind == frameEnd || c.kind == frameStop
	return nil
}

// read reads the present file.
func (c *framedCaptures) read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	for c.kind != frameData || c.left == 0 {
		if c.done || c.kind == frameName {
			return 0, io.EOF
		}
		if err := c.frame(); err != nil {
			c.err = err
			return 0, err
		}
		switch c.kind {
		case frameStop:
			c.err = errInterrupted
			return 0, c.err
		case frameFail:
			reason := make([]byte, c.left)
			if _, err := io.ReadFull(c.in, reason); err != nil {
				return 0, gone(err)
			}
			c.left, c.err = 0, errors.New(string(reason))
			return 0, c.err
		}
	}
	n, err := c.in.Read(p[:min(len(p), c.left)])
	c.left -= n
	if err != nil {
		c.err = gone(err)
	}
	return n, c.err
}

// gone makes the end of the body in the middle of something an error.
func gone(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the sender went away: %w", io.ErrUnexpectedEOF)
	}
	return err
}
