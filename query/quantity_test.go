package query

import "testing"

func TestQuantities(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{SpanText(0), "0.0s"}, {SpanText(9_960), "9.9s"}, {SpanText(59_400), "59s"}, {SpanText(59_600), "1m00s"}, {SpanText(5400_000), "1h30m"},
		{SpanText(47 * 3600_000), "47h00m"}, {SpanText(50 * 3600_000), "2d02h"},
		{ShareText(0), "0 %"}, {ShareText(0.00001), "<0.1 %"}, {ShareText(0.0123), "1.2 %"}, {ShareText(0.0996), "10 %"}, {ShareText(0.5), "50 %"},
		{ShareText(0.996), "nearly 100 %"}, {ShareText(1), "100 %"},
		{Things(1, "hour"), "1 hour"}, {Things(0, "hour"), "0 hours"}, {Things(uint64(2_400_000), "record"), "2.40M records"},
		{CountText(9999), "9999"}, {CountText(12_000), "12.0k"}, {CountText(999_600), "1.00M"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
