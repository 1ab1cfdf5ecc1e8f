package query

import (
	"fmt"
	"time"

	"weir/flow"
)

// A Moment is a time in ms since the Unix epoch. As text, and so in JSON, it is
// RFC 3339 in UTC; 0 is none and empty.
type Moment uint64

// String returns the text.
func (m Moment) String() string {
	if m == 0 {
		return ""
	}
	return string(flow.AppendTime(nil, uint64(m)))
}

// MarshalText implements encoding.TextMarshaler.
func (m Moment) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText is the inverse of MarshalText, for the years to 9999.
func (m *Moment) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*m = 0
		return nil
	}
	t, err := time.Parse(time.RFC3339, string(text))
	if err != nil || t.UnixMilli() < 0 {
		return fmt.Errorf("parse time %q: want the form 2026-11-22T14:00:00.000Z", text)
	}
	*m = Moment(t.UnixMilli())
	return nil
}
