package command

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"weir/flow"
	"weir/query"
)

// frame returns a frame as it crosses the socket.
func frame(kind byte, data string) string {
	b := append(beginFrame(nil, kind), data...)
	if err := endFrame(b); err != nil {
		panic(err)
	}
	return string(b)
}

// frameOf returns the head of a frame of so many bytes, and the data.
func frameOf(kind byte, size uint32, data string) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind}, size)) + data
}

func TestFrameReader(t *testing.T) {
	sizes := []int{0, 1, 1000, 64<<10 - frameHead, 64<<10 - frameHead + 1, 300_000, 7, maxFrame}
	var wire strings.Builder
	for i, size := range sizes {
		wire.WriteString(frame(frameFlow, strings.Repeat(string(rune('a'+i)), size)))
	}
	for name, body := range map[string]io.Reader{
		"at once": strings.NewReader(wire.String()),
		"by half": iotest.HalfReader(strings.NewReader(wire.String())),
	} {
		in := newFrameReader(body)
		for i, size := range sizes {
			kind, got, err := in.next()
			if err != nil || kind != frameFlow || string(got) != strings.Repeat(string(rune('a'+i)), size) {
				t.Fatalf("%s: frame %d: got kind %q, %d bytes, %v, want %d bytes", name, i, kind, len(got), err, size)
			}
		}
		if _, _, err := in.next(); err != io.EOF {
			t.Errorf("%s: after the last: got %v", name, err)
		}
	}
}

func TestFrameReaderCutOff(t *testing.T) {
	for _, wire := range []string{frame(frameFlow, "abc"), frame(frameObject, strings.Repeat("x", 100_000))} {
		for n := range len(wire) {
			if n > 20 && n < 99_990 && n%997 != 0 {
				continue
			}
			want := io.ErrUnexpectedEOF
			if n == 0 {
				want = io.EOF
			}
			if _, _, err := newFrameReader(strings.NewReader(wire[:n])).next(); !errors.Is(err, want) {
				t.Fatalf("%d of %d bytes: got %v, want %v", n, len(wire), err, want)
			}
		}
	}
}

// A head that says more than comes takes no memory for it.
func TestFrameBounds(t *testing.T) {
	for _, head := range []string{frameOf(frameFlow, maxFrame+1, ""), frameOf(frameObject, maxObject+1, ""), frameOf('?', 1<<32-1, "")} {
		if _, _, err := newFrameReader(strings.NewReader(head)).next(); err == nil || !strings.Contains(err.Error(), "over the bound") {
			t.Errorf("%q: got %v", head, err)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, _, err := newFrameReader(strings.NewReader(frameOf(frameObject, maxObject, "{"))).next(); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v", err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
		t.Errorf("one byte of a long frame took %d bytes of memory", took)
	}
	if err := endFrame(append(beginFrame(nil, frameGroup), make([]byte, maxFrame+1)...)); err == nil {
		t.Error("a frame over the bound was made")
	}
}

func FuzzReadAnswer(f *testing.F) {
	flows := frame(frameFlow, string(testRecord().AppendBinary(nil)))
	f.Add([]byte(flows + frame(frameObject, `{"progress":{"rows":5}}`) + flows + frame(frameObject, `{"result":{}}`)))
	for _, row := range wireRows() {
		f.Add([]byte(frame(frameGroup, string(appendWireRow(nil, &row))) + frame(frameObject, `{"error":{"status":2,"message":"no"}}`)))
	}
	f.Add([]byte(frameOf(frameObject, maxObject, "{")))
	f.Fuzz(func(t *testing.T, wire []byte) {
		var w wireTop
		var result query.Summary
		flows := eachFlow(func(*flow.Record) error { return nil })
		_ = readAnswer(bytes.NewReader(wire), &result, flows, reports{})
		_ = readAnswer(iotest.OneByteReader(bytes.NewReader(wire)), &w, w.add, reports{})
		if err := readAnswer(bytes.NewReader(wire), nil, nil, reports{}); err == nil && !bytes.ContainsRune(wire, rune(frameObject)) {
			t.Errorf("%q is an answer", wire)
		}
	})
}
