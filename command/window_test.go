package command

import (
	"strings"
	"testing"
	"time"

	"weir/query"
)

func TestParseDuration(t *testing.T) {
	tests := []struct {
		text string
		want time.Duration
	}{
		{"90s", 90 * time.Second},
		{"30m", 30 * time.Minute},
		{"2h", 2 * time.Hour},
		{"90d", 90 * 24 * time.Hour},
		{"4w", 28 * 24 * time.Hour},
		{"1d12h", 36 * time.Hour},
		{"1h30m10s", time.Hour + 30*time.Minute + 10*time.Second},
	}
	for _, tt := range tests {
		got, err := parseDuration(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("parseDuration(%q) = %v, %v, want %v", tt.text, got, err, tt.want)
		}
		if back, err := parseDuration(formatDuration(tt.want)); err != nil || back != tt.want {
			t.Errorf("%v as %q is %v, %v", tt.want, formatDuration(tt.want), back, err)
		}
	}
	for _, text := range []string{"", "2", "h", "2x", "-2h", "2h ", "0s", "1.5h", "99999999999999999999h", "36601d", "2hh", "9223372036854775807w"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("parseDuration(%q) = %v, want an error", text, got)
		}
	}
}

func TestParseTime(t *testing.T) {
	minute := time.Date(2026, 11, 22, 14, 3, 0, 0, time.UTC)
	tests := []struct {
		text string
		end  bool
		want time.Time
	}{
		{"2026-11-22T14:03:00Z", false, minute},
		{"2026-11-22T15:03:00+01:00", false, minute},
		{"2026-11-22T14:03Z", false, minute},
		{"2026-11-22 14:03", false, minute},
		{"2026-11-22 14:03:00", false, minute},
		{"2026-11-22 15:03+01:00", false, minute},
		{"2026-11-22T14:03", false, minute},
		{"2026/11/22.14:03:00", false, minute},
		{"2026/11/22.14:03", false, minute},
		{"2026-11-22T14:03:00.250Z", false, minute.Add(250 * time.Millisecond)},
		{"2026-11-22T14", false, minute.Truncate(time.Hour)},
		{"2026-11-22", false, time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)},
		{"2026-11-22", true, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)},
		{"2026/11/22", true, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)},
		{"now", false, testNow},
		{"-2h", false, testNow.Add(-2 * time.Hour)},
	}
	for _, tt := range tests {
		got, err := parseTime(tt.text, testNow, tt.end)
		if err != nil || !got.Equal(tt.want) {
			t.Errorf("parseTime(%q, end %v) = %v, %v, want %v", tt.text, tt.end, got, err, tt.want)
		}
	}
	for _, text := range []string{"", "yesterday", "2026-13-01", "2026-11-22 25:00", "14:03", "1969-12-31", "22.11.2026", "-x"} {
		if got, err := parseTime(text, testNow, false); err == nil {
			t.Errorf("parseTime(%q) = %v, want an error", text, got)
		}
	}
}

func TestWindow(t *testing.T) {
	at := func(text string) uint64 {
		parsed, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return uint64(parsed.UnixMilli())
	}
	tests := []struct {
		options windowOptions
		want    query.Window
		err     string
	}{
		{windowOptions{}, query.Window{}, ""},
		{windowOptions{last: "2h"}, query.Window{From: at("2026-11-22T12:03:05Z")}, ""},
		{windowOptions{last: "2h", to: "2026-11-22 10:00"}, query.Window{From: at("2026-11-22T08:00:00Z"), To: at("2026-11-22T10:00:00Z")}, ""},
		{windowOptions{from: "2026-11-20", to: "2026-11-20"}, query.Window{From: at("2026-11-20T00:00:00Z"), To: at("2026-11-21T00:00:00Z")}, ""},
		{windowOptions{from: "-7d"}, query.Window{From: at("2026-11-15T14:03:05Z")}, ""},
		{windowOptions{last: "2h", from: "-7d"}, query.Window{}, "--last and --from both"},
		{windowOptions{from: "2026-11-21", to: "2026-11-20"}, query.Window{}, "the window is empty"},
		{windowOptions{from: "1970-01-01"}, query.Window{}, `--from: "1970-01-01" is before 1970-01-01T00:00:00.001Z, the first moment`},
		{windowOptions{from: "1970-01-01T00:00:00.001Z"}, query.Window{From: 1}, ""},
		{windowOptions{from: "soon"}, query.Window{}, `--from: "soon" is not a time`},
		{windowOptions{to: "soon"}, query.Window{}, `--to: "soon" is not a time`},
		{windowOptions{last: "soon"}, query.Window{}, `--last: "soon" is not a span`},
	}
	for _, tt := range tests {
		got, err := tt.options.window(testNow)
		if tt.err != "" {
			if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
				t.Errorf("%+v: got error %v, want %s…", tt.options, err, tt.err)
			}
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("%+v = %+v, %v, want %+v", tt.options, got, err, tt.want)
		}
	}
}
