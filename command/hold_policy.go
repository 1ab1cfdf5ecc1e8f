package command

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"weir/store"
)

// A holdPolicy is what the configuration says of holds. The collector writes it
// down, for commands that open the archive themselves.
type holdPolicy struct {
	Max string `json:"max,omitempty"` // how long a hold lasts at most, as parseTerm takes it; "": as long as it says
}

const holdPolicyKey = "collect/holds"

// readHolds reads the value of holds:.
func (c *config) readHolds(v *yaml.Node) error {
	return readMapping(v, []entryKey{{"max", func(v *yaml.Node) (err error) {
		if c.Holds.Max, err = text(v); err == nil {
			_, err = parseTerm(c.Holds.Max, time.Unix(0, 0))
		}
		return err
	}}})
}

func readHoldPolicy(s *store.Store) (p holdPolicy, err error) {
	text, err := s.GetState(holdPolicyKey)
	if err != nil || text == nil {
		return p, err
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, fmt.Errorf("read the policy of holds: %w", err)
	}
	return p, nil
}

// parseTerm returns the time that a span after from is, such as 3y, which is
// calendar years, or 156w.
func parseTerm(text string, from time.Time) (time.Time, error) {
	if digits, isYears := strings.CutSuffix(text, "y"); isYears {
		n, err := strconv.ParseUint(digits, 10, 8)
		if err != nil || n == 0 || n > 100 {
			return time.Time{}, usagef("%q is no number of years", text).withHint("write 3y")
		}
		return from.AddDate(int(n), 0, 0), nil
	}
	span, err := parseDuration(text)
	return from.Add(span), err
}

// parseUntil parses the end of a hold: a span from now, or a time; a date alone
// is its last moment.
func parseUntil(text string, now time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)
	if end, err := parseTerm(text, now); err == nil {
		return end.UTC(), nil
	}
	end, err := parseTime(text, now, true)
	if err != nil {
		return time.Time{}, usagef("%q is neither a time nor a span", text).withHint("write 2029-11-26, 3y or 156w")
	}
	return end, nil
}

// check refuses a hold that lasts longer than it may. from is when it began.
func (p holdPolicy) check(until, from time.Time) error {
	if p.Max == "" {
		return nil
	}
	last, err := parseTerm(p.Max, from)
	if err != nil {
		return err
	}
	day := last.UTC().Truncate(24*time.Hour).AddDate(0, 0, 1) // a date alone is its last moment
	if until.After(day) {
		return usagef("--until %s: a hold lasts %s at most here (holds: max: in the configuration)", showTime(until), p.Max).
			withHint("give --until %s or earlier", last.UTC().Format("2006-01-02"))
	}
	return nil
}
