package retention

import (
	"encoding/json"
	"fmt"
	"time"

	"weir/store"
)

// earlyKey is where the hours that were dropped early are kept in the store's
// state.
const earlyKey = "retention/early"

// maxEarly bounds the spans that are kept apart.
const maxEarly = 64

// An Early is a run of hours that were dropped before their time, for want of
// room.
type Early struct {
	From    store.Hour `json:"from"`
	To      store.Hour `json:"to"` // the last one
	Hours   int        `json:"hours"`
	Records int64      `json:"records"`
	Bytes   int64      `json:"bytes"`
	At      int64      `json:"at"` // ms; when the last of them was
}

// LoadEarly returns what was dropped early, ascending by hour, as far as it would
// still be kept.
func LoadEarly(s State, now time.Time, keep time.Duration) ([]Early, error) {
	text, err := s.GetState(earlyKey)
	if err != nil {
		return nil, fmt.Errorf("read what was dropped early: %w", err)
	}
	var list []Early
	if text != nil {
		if err := json.Unmarshal(text, &list); err != nil {
			return nil, fmt.Errorf("read what was dropped early: %w", err)
		}
	}
	var kept []Early
	for _, e := range list {
		if ms, ok := dueMS(e.To, keep); !ok || ms > now.UnixMilli() {
			kept = append(kept, e)
		}
	}
	return kept, nil
}

// noteEarly writes down that an hour is about to be dropped early.
func noteEarly(s State, b store.BucketInfo, now time.Time) error {
	list, err := LoadEarly(s, now, 0)
	if err != nil {
		list = nil // what it said is lost; this hour is not
	}
	value, err := json.Marshal(addEarly(list, b, now.UnixMilli()))
	if err == nil {
		err = s.PutState(earlyKey, value)
	}
	if err != nil {
		return fmt.Errorf("write down what is dropped early: %w", err)
	}
	return nil
}

// addEarly adds an hour to the runs that it follows.
func addEarly(list []Early, b store.BucketInfo, at int64) []Early {
	if n := len(list); n > 0 {
		switch last := &list[n-1]; {
		case b.Hour == last.To:
			return list // noted before, and not dropped then
		case b.Hour == last.To+1 || n == maxEarly && b.Hour > last.To:
			last.To = b.Hour
			last.Hours++
			last.Records += b.Rows
			last.Bytes += b.Bytes
			last.At = at
			return list
		}
	}
	return append(list, Early{From: b.Hour, To: b.Hour, Hours: 1, Records: b.Rows, Bytes: b.Bytes, At: at})
}
