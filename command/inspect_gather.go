package command

import (
	"errors"
	"math"
	"net/netip"
	"sync"
	"time"

	"weir/collector"
	"weir/flow"
	"weir/flow/ledger"
)

// Bounds of what an inspector holds, so that a flood of invented exporters and
// templates cannot fill the memory.
const (
	maxInspectedTemplates = 20_000 // of which records are held
	maxInspectedErrors    = 20_000 // examples
)

// An inspector decodes datagrams and remembers what is worth a look.
type inspector struct {
	registry *collector.Registry
	decoder  *collector.Decoder
	batch    *flow.Batch
	ledger   *inspectedLedger
	kept     *flow.Kept
	only     netip.Addr // the zero Addr: all exporters
	shown    int        // records held of each template

	datagrams uint64
	first     time.Time // of the datagrams
	last      time.Time
	drops     []ledger.Drop // in the kernel

	samples  map[collector.TemplateKey]*inspectedSample
	examples map[errorKey]errorExample
}

// An inspectedSample is the first records of a template. Its id is 0 for
// versions without templates.
type inspectedSample struct {
	count   uint64 // records in all
	records []flow.Record
	options [][]inspectedValue
}

type errorKey struct {
	exporter netip.Addr
	reason   collector.Reason
}

// An errorExample is the first error of its kind.
type errorExample struct {
	detail string
	at     time.Time
}

func newInspector(o inspectOptions) *inspector {
	in := &inspector{
		registry: collector.NewRegistry(), batch: flow.NewBatch(0), only: o.exporter, shown: o.shown, kept: o.kept,
		ledger:  &inspectedLedger{rows: map[string]ledger.Row{}},
		samples: map[collector.TemplateKey]*inspectedSample{}, examples: map[errorKey]errorExample{},
	}
	in.decoder = collector.NewDecoder(collector.DecoderOptions{
		Ledger: in.ledger, Run: 1, Import: true, Kept: o.kept.Active(),
		Watch: &collector.Watch{Records: in.records, Options: in.options},
	})
	return in
}

// take decodes one datagram. One goroutine calls it.
func (in *inspector) take(at time.Time, src netip.AddrPort, payload []byte) {
	addr := src.Addr().Unmap().WithZone("")
	if in.only.IsValid() && addr != in.only {
		return
	}
	if in.datagrams++; in.datagrams == 1 || at.Before(in.first) {
		in.first = at
	}
	if at.After(in.last) {
		in.last = at
	}
	err := in.decoder.Decode(in.batch, uint64(max(at.UnixMilli(), 0)), src, payload)
	in.fixed(addr)
	in.batch.Reset()
	var bad *collector.DecodeError
	if !errors.As(err, &bad) || len(in.examples) >= maxInspectedErrors {
		return
	}
	if key := (errorKey{addr, bad.Reason}); in.examples[key].detail == "" {
		in.examples[key] = errorExample{bad.Detail, at}
	}
}

// fixed holds records of versions without templates.
func (in *inspector) fixed(addr netip.Addr) {
	for row := range in.batch.Len() {
		switch version := in.batch.GetNum(flow.Version, row); version {
		case flow.VersionNF9, flow.VersionIPFIX:
		default:
			in.hold(collector.TemplateKey{
				Exporter: addr, Domain: uint32(in.batch.GetNum(flow.Domain, row)), Version: uint16(version),
			}, in.batch, row)
		}
	}
}

// records is told of records that a template decoded.
func (in *inspector) records(by collector.TemplateKey, b *flow.Batch, from int) {
	for row := from; row < b.Len(); row++ {
		in.hold(by, b, row)
	}
}

func (in *inspector) hold(by collector.TemplateKey, b *flow.Batch, row int) {
	s := in.sample(by)
	if s == nil {
		return
	}
	if s.count++; len(s.records) < in.shown {
		var r flow.Record
		b.Record(row, &r)
		s.records = append(s.records, r)
	}
}

// sample returns what is held of a template, nil if there is no room.
func (in *inspector) sample(by collector.TemplateKey) *inspectedSample {
	s := in.samples[by]
	if s == nil && len(in.samples) < maxInspectedTemplates {
		s = &inspectedSample{}
		in.samples[by] = s
	}
	return s
}

// options is told of options data.
func (in *inspector) options(by collector.TemplateKey, values []collector.OptionValue) {
	s := in.sample(by)
	if s == nil {
		return
	}
	if s.count++; len(s.options) >= in.shown {
		return
	}
	var record []inspectedValue
	for _, v := range values {
		one := inspectedValue{Element: v.Element.String(), Name: in.registry.Name(v.Element), Scope: v.Scope, Value: in.registry.Format(v.Element, v.Bytes)}
		if scope := collector.V9Scope(v.Element.Number); v.Scope && by.Version == 9 && v.Element.Enterprise == 0 && scope != "" {
			one.Name, one.Value = scope, in.registry.Format(collector.Element{Number: 1}, v.Bytes) // as a number
		}
		record = append(record, one)
	}
	s.options = append(s.options, record)
}

// finish gives up what still waits for a template and counts it.
func (in *inspector) finish() error {
	in.decoder.Expire(math.MaxUint64)
	return in.decoder.WriteLedger()
}

// An inspectedLedger keeps the rows of the ledger in memory.
type inspectedLedger struct {
	mu   sync.Mutex
	rows map[string]ledger.Row // by hour and key
}

// PutLedger implements collector.Ledger.
func (l *inspectedLedger) PutLedger(hour uint32, rows []ledger.Row) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range rows {
		if rows[i].Kind != ledger.KindEntry {
			continue
		}
		key := string(rows[i].AppendKey([]byte{byte(hour >> 24), byte(hour >> 16), byte(hour >> 8), byte(hour)}))
		l.rows[key] = ledger.Row{Kind: ledger.KindEntry, Key: rows[i].Key, Entry: rows[i].Entry.Clone()}
	}
	return nil
}

// sums adds up the hours.
func (l *inspectedLedger) sums() map[ledger.Key]*ledger.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[ledger.Key]*ledger.Entry{}
	for _, row := range l.rows {
		if all[row.Key] == nil {
			all[row.Key] = &ledger.Entry{}
		}
		all[row.Key].Add(row.Entry)
	}
	return all
}
