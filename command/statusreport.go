package command

import (
	"cmp"
	"context"
	"os"
	"slices"
	"time"

	"weir/flow/ledger"
	"weir/query"
	"weir/retention"
	"weir/store"
)

// pathStatus is where the daemon answers how it does.
const pathStatus = "/status"

// A statusReport says how a collector and its archive do. What is not known is
// null, or not there.
type statusReport struct {
	Healthy  bool     `json:"healthy"`
	Problems []string `json:"problems"` // why not

	Version    string     `json:"version"`
	Now        time.Time  `json:"now"`
	Collecting bool       `json:"collecting"` // a collector runs; what follows up to metrics is its
	PID        int        `json:"pid,omitempty"`
	Since      *time.Time `json:"since"`
	Rate       *float64   `json:"records_per_second"` // over the last minute
	Metrics    string     `json:"metrics,omitempty"`  // where they can be scraped

	AsOf      query.Moment    `json:"as_of"`          // the end of what loss and exporters are judged by
	Loss      float64         `json:"loss_last_hour"` // share of the records that never came, in this hour and the one before, as in what follows
	Lost      uint64          `json:"lost_last_hour"` // records, an estimate
	Kernel    uint64          `json:"kernel_drops_last_hour"`
	Behind    uint64          `json:"kernel_drops_behind_last_hour"`
	QueueFull uint64          `json:"queue_full_last_hour"`
	NotStored uint64          `json:"unstored_records_last_hour"`
	Exporters exporterSummary `json:"exporters"`

	Sockets    []ledger.Drop   `json:"kernel_drops_by_socket_last_hour"`
	Refused    uint64          `json:"refused_datagrams_last_hour"` // of senders that may not export
	Senders    []ledger.Drop   `json:"refused_senders_last_hour"`   // of them, the first of each hour, the most first
	OutOfScope uint64          `json:"out_of_scope_last_hour"`      // records with neither side in our networks
	Foreign    []foreignReport `json:"out_of_scope_exporters"`      // who sent more than strays of them, and is not meant to

	Forwarded []forwardReport `json:"forwarded,omitempty"` // of each target of forward:, since the start

	Records  int64            `json:"records"`
	Hours    int              `json:"hours"`
	Oldest   query.Moment     `json:"oldest_record"`
	Newest   query.Moment     `json:"newest_record"`
	Disk     diskReport       `json:"disk"`
	Kept     retention.Status `json:"retention"`
	Holds    holdSummary      `json:"holds"`
	Damage   []string         `json:"damage"`
	Open     int              `json:"questions_open"`
	Answered uint64           `json:"questions_answered"` // since the collector started
	Failed   uint64           `json:"questions_failed"`
}

// An exporterSummary counts exporters over the last day.
type exporterSummary struct {
	Heard    int      `json:"heard"` // lately
	Day      int      `json:"heard_in_day"`
	Expected int      `json:"expected"`
	Silent   []string `json:"silent"`  // expected and not heard lately
	Waiting  []string `json:"awaited"` // expected and not heard yet, by a collector that has just started
}

// A foreignReport is an exporter that sends what is not ours, in this hour and
// the one before.
type foreignReport struct {
	Exporter   string `json:"exporter"`
	Group      string `json:"group,omitempty"`
	OutOfScope uint64 `json:"out_of_scope"` // records
	Records    uint64 `json:"records"`      // all of them
	SetAside   uint64 `json:"set_aside"`
	Refused    uint64 `json:"refused"`
}

// A forwardReport says how a target of forward: is served.
type forwardReport struct {
	To        string `json:"to"`
	Sent      uint64 `json:"sent"`       // datagrams
	QueueFull uint64 `json:"queue_full"` // dropped, as the target takes less than comes in
	Failed    uint64 `json:"failed"`     // that the system refused to send
}

// A diskReport says how full the disk is and gets.
type diskReport struct {
	Used    uint64   `json:"used"`                       // bytes of the archive
	Free    uint64   `json:"free"`                       // bytes of the file system for this user; 0 with size 0: not known
	Size    uint64   `json:"size"`                       //
	PerDay  float64  `json:"per_day"`                    // bytes that a day brings; 0: not known
	Days    *float64 `json:"days_left"`                  // until it is full; null: it does not get full, or that is not known
	Why     string   `json:"days_left_reason,omitempty"` // why days_left is null
	Settled bool     `json:"settled"`                    // retention frees as much as comes in
	Growth  int64    `json:"growth_to,omitempty"`        // bytes that it grows by until then
}

// A holdSummary counts what must stay.
type holdSummary struct {
	Count   int      `json:"count"`
	Records int64    `json:"records"` // taken out of hours that have gone
	Bytes   int64    `json:"bytes"`
	Whole   int      `json:"whole_hours"` // past retention, that stay whole
	Next    string   `json:"next_end,omitempty"`
	Ending  []string `json:"ending"` // those that end soon, and when
}

// countHolds adds up what is held.
func (r *statusReport) countHolds(l *local, kept []keptHold) {
	r.Holds = holdSummary{Count: len(kept), Whole: len(r.Kept.Stays), Ending: []string{}}
	for _, h := range kept {
		r.Damage = append(r.Damage, h.Damaged...)
		r.Holds.Records += h.Records
		r.Holds.Bytes += h.Bytes
		if r.Holds.Next == "" || h.Until < r.Holds.Next {
			r.Holds.Next = h.Until
		}
	}
	for _, one := range l.holds.all() {
		if one.soon(r.Now) {
			r.Holds.Ending = append(r.Holds.Ending, one.lapseText(r.Now))
		}
	}
}

// Status implements backend.
func (l *local) Status(ctx context.Context) (*statusReport, error) {
	now := l.now().UTC()
	r := &statusReport{Version: version, Now: now, Collecting: l.daemon != nil, Problems: []string{}, Damage: []string{}}
	list, grid, err := l.exporters(ctx, exportersRequest{})
	if err != nil {
		return nil, err
	}
	r.countExporters(list)
	r.countHour(grid)
	r.countForeign(list, l.usual())
	kept, err := l.Retention(ctx)
	if err != nil {
		return nil, err
	}
	r.Kept = kept.Status
	r.countHolds(l, kept.Holds)
	if err := r.countArchive(l, kept); err != nil {
		return nil, err
	}
	if d := l.daemon; d != nil {
		r.PID, r.Since, r.Metrics = os.Getpid(), &d.started, d.metrics.url()
		if rate, _, ok := d.rates.rates(time.Now()); ok {
			r.Rate = &rate
		}
		r.countQuestions(d)
		r.Forwarded = d.forwarded()
	}
	r.Problems = append(r.Problems, r.problems()...)
	r.Healthy = len(r.Problems) == 0
	return r, nil
}

// Status implements backend.
func (r *remote) Status(ctx context.Context) (*statusReport, error) {
	report := new(statusReport)
	return report, r.ask(ctx, pathStatus, struct{}{}, report, nil)
}

func (r *statusReport) countExporters(list *exporterList) {
	r.AsOf, r.Exporters.Silent, r.Exporters.Waiting = list.AsOf, []string{}, []string{}
	for i := range list.Exporters {
		e := &list.Exporters[i]
		if e.Status == statusHeard {
			r.Exporters.Heard++
		}
		if e.Datagrams > 0 {
			r.Exporters.Day++
		}
		if e.Expected {
			r.Exporters.Expected++
		}
		if e.missing() {
			r.Exporters.Silent = append(r.Exporters.Silent, e.calledBy())
		}
		if e.Status == statusAwait {
			r.Exporters.Waiting = append(r.Exporters.Waiting, e.calledBy())
		}
	}
	r.Damage = append(r.Damage, list.Damaged...)
}

// countHour adds up this hour and the one before: what is wrong now is in one of
// them.
func (r *statusReport) countHour(g *query.Grid) {
	records := uint64(0)
	for i := range g.Exporters {
		d := g.Lately(i)
		records, r.Lost, r.OutOfScope = records+d.Records, r.Lost+d.Lost, r.OutOfScope+d.OutOfScope
	}
	h := g.HostLately()
	r.Kernel, r.Behind, r.QueueFull, r.NotStored, r.Refused = h.Kernel, h.Behind, h.QueueFull, h.NotStored, h.Refused
	r.Sockets, r.Senders = orNone(h.Sockets), orNone(h.Senders)
	r.Loss = query.LossShare(r.Lost, records)
}

// orNone returns a list that JSON writes as [] where there is nothing.
func orNone(list []ledger.Drop) []ledger.Drop {
	if list == nil {
		return []ledger.Drop{}
	}
	return list
}

// countForeign finds who sends more than strays of what is not ours.
func (r *statusReport) countForeign(list *exporterList, usual func(group string) bool) {
	r.Foreign = []foreignReport{}
	for i := range list.Exporters {
		e := &list.Exporters[i]
		if d := &e.lately; usual != nil && ledger.Notable(d.OutOfScope, d.Records) && !usual(e.Group) {
			r.Foreign = append(r.Foreign, foreignReport{e.calledBy(), e.Group, d.OutOfScope, d.Records, d.SetAside, d.Refused})
		}
	}
	slices.SortStableFunc(r.Foreign, func(a, b foreignReport) int { return cmp.Compare(b.OutOfScope, a.OutOfScope) })
}

// countArchive adds what is stored, and what becomes of the disk.
func (r *statusReport) countArchive(l *local, kept *retentionReport) error {
	buckets := l.store.Buckets()
	for _, b := range buckets {
		r.Records += b.Rows
		if b.Rows > 0 && (r.Oldest == 0 || query.Moment(b.FirstReceived) < r.Oldest) {
			r.Oldest = query.Moment(b.FirstReceived)
		}
		r.Newest = max(r.Newest, query.Moment(b.LastReceived))
	}
	r.Hours = len(buckets)
	for _, err := range l.store.Damage() {
		if text := err.Error(); !slices.Contains(r.Damage, text) { // the ledgers name it as well
			r.Damage = append(r.Damage, text)
		}
	}
	d, err := l.disk(buckets, kept)
	r.Disk = d
	return err
}

// disk says how full the disk is, and what becomes of it. Without a collector
// nothing comes in and nothing is dropped, so that nothing is said of it.
func (l *local) disk(buckets []store.BucketInfo, kept *retentionReport) (d diskReport, err error) {
	if d.Used, err = l.store.DiskUsage(); err != nil {
		return d, err
	}
	d.Free, d.Size, _ = l.store.FreeSpace() // both 0 where the system does not tell
	if l.daemon == nil {
		d.Why = "no collector runs"
		return d, nil
	}
	now := store.HourOf(epochMS(l.now()))
	perHour := bytesPerHour(buckets, now)
	d.PerDay = 24 * perHour
	switch {
	case perHour == 0:
		d.Why = "it is known when an hour with records is over"
		return d, nil
	case d.Size == 0:
		d.Why = "the system does not say how large the disk is"
		return d, nil
	}
	keep := kept.Keep
	if kept.Held {
		keep = 0
	}
	ahead := outlook(buckets, now, keep, d.Free, perHour)
	if ahead.full {
		days := ahead.left.Hours() / 24
		d.Days = &days
	}
	if d.Settled, d.Growth = ahead.settled, ahead.growth; d.Days == nil {
		d.Why = "retention frees enough before the disk is full"
	}
	return d, nil
}

func (r *statusReport) countQuestions(d *daemon) {
	list, open := d.counts.list()
	r.Open = open
	for _, q := range list {
		r.Answered += q.Answered
		r.Failed += q.Failed
	}
}
