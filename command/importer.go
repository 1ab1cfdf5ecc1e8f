package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"weir/collector"
	"weir/flow"
	"weir/store"
)

const (
	importRows   = 4 << 10 // rows that an import gathers before it stores them
	importLedger = 4 << 10 // datagrams between two writings of the ledger
)

// An importer decodes captures into a store, by the same code that decodes
// datagrams from the network.
type importer struct {
	ctx     context.Context
	store   *store.Store
	decoder *collector.Decoder
	batch   *flow.Batch
	hours   map[store.Hour]bool
	result  importResult
}

func newImporter(ctx context.Context, l *local) (*importer, error) {
	run, err := collector.NewRun(l.store, l.now())
	if err != nil {
		return nil, err
	}
	return &importer{
		ctx: ctx, store: l.store,
		decoder: collector.NewDecoder(collector.DecoderOptions{Ledger: l.store, Run: run, Import: true, Known: l.known, Kept: l.elements.Active()}),
		batch:   flow.NewBatch(importRows), hours: make(map[store.Hour]bool),
	}, nil
}

// storeFailed is an error of the store, which ends an import, as opposed to one
// of a file, which ends that file.
type storeFailed struct{ error }

func (e storeFailed) Unwrap() error { return e.error }

// files imports one file after the other. A file that cannot be read is noted
// in the result; an error is the archive's.
func (im *importer) files(files captures) error {
	for {
		name, r, err := files.Next()
		if name == "" && errors.Is(err, io.EOF) {
			return im.end()
		}
		if name == "" && err != nil {
			return err
		}
		if err == nil {
			err = collector.ReadCapture(r, im.datagram)
		}
		if err := im.flush(); err != nil {
			return err
		}
		var failed storeFailed
		switch {
		case errors.As(err, &failed):
			return failed.error
		case errors.Is(err, errInterrupted) || im.ctx.Err() != nil:
			im.result.Stopped = true
			return im.end()
		case err != nil:
			im.result.Failed = append(im.result.Failed, fmt.Sprintf("%s: %v", name, err))
		default:
			im.result.Files++
		}
	}
}

// end writes down what was counted. Data sets that still wait for a template wait
// in vain. The rows are the caller's to make durable.
func (im *importer) end() error {
	im.decoder.Expire(math.MaxUint64)
	return im.decoder.WriteLedger()
}

// datagram decodes one datagram. What is wrong with it is counted by the
// decoder and ends nothing.
func (im *importer) datagram(d collector.Datagram) error {
	if im.ctx.Err() != nil {
		return errInterrupted
	}
	im.result.Datagrams++
	_ = im.decoder.Decode(im.batch, uint64(d.Time.UnixMilli()), d.Src, d.Payload)
	if im.result.Datagrams%importLedger == 0 {
		return im.flush()
	}
	if im.batch.Len() < importRows {
		return nil
	}
	return im.append()
}

// flush stores the rows gathered so far and writes the ledger, also where there
// are none: what cannot be decoded is counted, by its hours, and a capture of
// nothing else must not make these counts grow.
func (im *importer) flush() error {
	if err := im.append(); err != nil {
		return err
	}
	if err := im.decoder.WriteLedger(); err != nil {
		return storeFailed{err}
	}
	return nil
}

// append stores the rows gathered so far.
func (im *importer) append() error {
	if im.batch.Len() == 0 {
		return nil
	}
	var last store.Hour
	for i, ms := range im.batch.Num(flow.Received) {
		if h := store.HourOf(ms); i == 0 || h != last {
			im.hours[h] = true
			last = h
		}
	}
	if err := im.store.Append(im.batch); err != nil {
		return storeFailed{fmt.Errorf("store records: %w", err)}
	}
	im.result.Records += uint64(im.batch.Len())
	im.batch.Reset()
	return nil
}

// finish returns the result.
func (im *importer) finish() *importResult {
	st := im.decoder.Stats()
	im.result.Errors = make(map[string]uint64)
	for _, r := range collector.Reasons() {
		if n := st.Total.Error(r); n > 0 {
			im.result.Errors[r.String()] = n
		}
	}
	hours := make([]store.Hour, 0, len(im.hours))
	for h := range im.hours {
		hours = append(hours, h)
	}
	slices.Sort(hours)
	im.result.Hours = make([]string, len(hours))
	for i, h := range hours {
		im.result.Hours[i] = h.String()
	}
	return &im.result
}
