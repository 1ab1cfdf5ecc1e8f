package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"pgregory.net/rapid"
)

// sliceCaptures are captures in memory.
type sliceCaptures struct {
	names []string
	data  [][]byte
	fail  map[string]error
}

func (s *sliceCaptures) Next() (string, io.Reader, error) {
	if len(s.names) == 0 {
		return "", nil, io.EOF
	}
	name, data := s.names[0], s.data[0]
	s.names, s.data = s.names[1:], s.data[1:]
	r := io.Reader(bytes.NewReader(data))
	if err := s.fail[name]; err != nil {
		r = io.MultiReader(r, readFunc(func([]byte) (int, error) { return 0, err }))
	}
	return name, r, nil
}

func TestFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := &sliceCaptures{fail: map[string]error{}}
		for i := range rapid.IntRange(0, 4).Draw(t, "files") {
			name := fmt.Sprint("file", i)
			in.names = append(in.names, name)
			size := rapid.SampledFrom([]int{0, 1, 1000, 300_000}).Draw(t, "size")
			in.data = append(in.data, bytes.Repeat([]byte{byte(i + 1)}, size))
			if rapid.Bool().Draw(t, "fails") {
				in.fail[name] = errors.New("broken " + name)
			}
		}
		names, data, skip := in.names, in.data, rapid.Bool().Draw(t, "skip")
		var wire bytes.Buffer
		if err := sendFrames(context.Background(), &wire, in); err != nil {
			t.Fatal(err)
		}
		out := newFramedCaptures(&wire)
		for i, want := range names {
			name, r, err := out.Next()
			if err != nil || name != want {
				t.Fatalf("file %d: got %q, %v", i, name, err)
			}
			if skip {
				continue
			}
			got, err := io.ReadAll(r)
			if !bytes.Equal(got, data[i]) {
				t.Fatalf("%s: got %d bytes, want %d", name, len(got), len(data[i]))
			}
			if fail := in.fail[want]; fmt.Sprint(err) != fmt.Sprint(fail) {
				t.Fatalf("%s: got %v, want %v", name, err, fail)
			}
		}
		if name, _, err := out.Next(); !errors.Is(err, io.EOF) || name != "" {
			t.Fatalf("after the last: %q, %v", name, err)
		}
	})
}

func TestFramesCutOff(t *testing.T) {
	var wire bytes.Buffer
	if err := sendFrames(context.Background(), &wire, &sliceCaptures{names: []string{"a"}, data: [][]byte{make([]byte, 1000)}}); err != nil {
		t.Fatal(err)
	}
	for n := range wire.Len() {
		c := newFramedCaptures(bytes.NewReader(wire.Bytes()[:n]))
		_, r, err := c.Next()
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if err == nil {
			_, _, err = c.Next()
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut after %d bytes: got %v", n, err)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("n\x00\x00\x00\x01ad\x00\x00\x00\x02xye\x00\x00\x00\x00"))
	f.Add([]byte("n\x00\x00\x00\x01an\xe1q\x83\x0b"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		c := newFramedCaptures(bytes.NewReader(wire))
		for {
			_, r, err := c.Next()
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, r); err != nil && c.done {
				return
			}
		}
	})
}
