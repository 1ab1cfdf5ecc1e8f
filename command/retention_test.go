package command

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/flow"
	"weir/retention"
	"weir/store"
)

// oldArchive makes an archive in data whose one record was received in 2015.
func oldArchive(t *testing.T, data string) *store.Store {
	t.Helper()
	s, err := store.Open(data, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var r flow.Record
	r.SetNum(flow.Received, 1430591888000) // 2015-05-02T18:38:08Z
	b := flow.NewBatch(1)
	b.AppendRecord(&r)
	if err := s.Append(b); err != nil {
		t.Fatal(err)
	}
	return s
}

// A clock that is years ahead of the archive drops nothing, and the list of
// hours says so, until it is confirmed; then what has expired goes at once.
func TestRetentionIsHeldUntilConfirmed(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := oldArchive(t, data)
	defer s.Close()
	now := func() time.Time { return testNow }
	keeper, err := retention.New(retention.Options{Store: s, State: s, Keep: 90 * 24 * time.Hour, Now: now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	keeper.Tick(t.Context())
	serveIn(t, &local{store: s, keeper: keeper, now: now}, data)

	out, errs, status := weir(t, data, "buckets")
	if status != exitOK || !strings.Contains(out, "2015-05-02T18:00:00Z") || !strings.Contains(errs, "retention is held (hours due: 1)") {
		t.Fatalf("buckets: status %d\n%s%s", status, out, errs)
	}
	out, errs, status = weir(t, data, "retention", "confirm")
	if status != exitOK || !strings.Contains(out, "dropped:  1 hour, 1 record ") {
		t.Errorf("retention confirm: status %d\n%s%s", status, out, errs)
	}
	out, errs, status = weir(t, data, "buckets", "-o", "csv")
	if status != exitOK || strings.Count(out, "\n") != 1 || strings.Contains(errs, "held") {
		t.Errorf("buckets afterwards: status %d\n%s%s", status, out, errs)
	}
}
