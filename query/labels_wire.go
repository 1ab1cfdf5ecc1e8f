package query

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"weir/flow"
)

// A table of names crosses the socket as JSON:
//
//	{"names":["uni-a","uni-b"],"ranges":"<base64>"}
//
// The ranges are compressed (RFC 1951) entries of 20 bytes: the first address
// (16 bytes) and the label (4 bytes), big-endian. A file of all countries is
// about two megabytes so, where a list of prefixes would be twenty.
type wireLabels struct {
	Names  []string `json:"names"`
	Ranges []byte   `json:"ranges"`
}

const (
	wireRangeBytes = 20
	maxWireRanges  = 8 << 20 // far above the largest table there is
)

// MarshalJSON writes the table for a socket.
func (l *Labels) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, 0, len(l.starts)*wireRangeBytes)
	for i, a := range l.starts {
		raw = binary.BigEndian.AppendUint64(raw, a.Hi)
		raw = binary.BigEndian.AppendUint64(raw, a.Lo)
		raw = binary.BigEndian.AppendUint32(raw, l.labels[i])
	}
	if _, err := w.Write(raw); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return json.Marshal(wireLabels{l.names, b.Bytes()})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (l *Labels) UnmarshalJSON(data []byte) error {
	var w wireLabels
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(w.Ranges)), maxWireRanges*wireRangeBytes+1))
	if err != nil {
		return fmt.Errorf("read table of names: %w", err)
	}
	if len(raw)%wireRangeBytes != 0 || len(raw) > maxWireRanges*wireRangeBytes {
		return fmt.Errorf("read table of names: %d bytes are no table", len(raw))
	}
	*l = Labels{names: w.Names}
	for ; len(raw) > 0; raw = raw[wireRangeBytes:] {
		l.starts = append(l.starts, flow.Addr{Hi: binary.BigEndian.Uint64(raw), Lo: binary.BigEndian.Uint64(raw[8:])})
		l.labels = append(l.labels, binary.BigEndian.Uint32(raw[16:]))
	}
	return l.check()
}
