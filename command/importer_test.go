package command

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"weir/collector"
	"weir/flow"
	"weir/flow/ledger"
	"weir/store"
)

// writtenHours is a Ledger that notes which hours were written.
type writtenHours map[uint32]bool

func (w writtenHours) PutLedger(hour uint32, _ []ledger.Row) error {
	w[hour] = true
	return nil
}

// TestImportOfRubbish imports a capture of nothing that can be decoded, each
// datagram an hour after the one before: what is counted of them must not stay
// in memory until there are rows to be stored.
func TestImportOfRubbish(t *testing.T) {
	written := writtenHours{}
	im := &importer{
		ctx:     context.Background(),
		decoder: collector.NewDecoder(collector.DecoderOptions{Ledger: written, Run: 1, Import: true}),
		batch:   flow.NewBatch(importRows), hours: map[store.Hour]bool{},
	}
	src, at := netip.MustParseAddrPort("192.0.2.1:2055"), time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	most := 0
	for n := range 100_000 {
		if err := im.datagram(collector.Datagram{Time: at.Add(time.Duration(n) * time.Hour), Src: src, Payload: []byte{0, 9, 0, 1}}); err != nil {
			t.Fatal(err)
		}
		most = max(most, n+1-len(written))
	}
	if most > importRows {
		t.Errorf("%d hours were counted and not written, want %d at most", most, importRows)
	}
	if im.batch.Len() != 0 {
		t.Errorf("%d rows of rubbish", im.batch.Len())
	}
}
