package command

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"weir/collector"
	"weir/command/metrics"
	"weir/flow"
	"weir/flow/ledger"
	"weir/query"
)

// pathExporters is where the daemon answers an exportersRequest.
const pathExporters = "/exporters"

// An exportersRequest asks what is known of exporters.
type exportersRequest struct {
	Exporter string `json:"exporter,omitempty"` // as in a query.GridRequest; "": all
	Details  bool   `json:"details,omitempty"`  // interfaces and history too
}

// An exporterList is what is known of exporters, over the last day before AsOf.
type exporterList struct {
	AsOf       query.Moment     `json:"as_of"`
	From       query.Moment     `json:"from"`       // start of the day, or of what the archive has of it
	Collecting bool             `json:"collecting"` // a collector runs
	Since      query.Moment     `json:"since"`      // when it started; 0: none runs
	Exporters  []exporterReport `json:"exporters"`
	Damaged    []string         `json:"damaged,omitempty"`
}

// An exporterReport is what is known of one exporter. One that the configuration
// names may have several addresses; what was counted is that of all of them.
type exporterReport struct {
	Name       string   `json:"name,omitempty"`
	Group      string   `json:"group,omitempty"`
	Owner      string   `json:"owner,omitempty"`
	Contact    string   `json:"contact,omitempty"`
	Permission string   `json:"permission,omitempty"`
	Known      bool     `json:"known"`    // the configuration describes it
	Expected   bool     `json:"expected"` // its silence is a finding
	Sources    []string `json:"sources,omitempty"`
	Addresses  []string `json:"addresses"` // that it was heard from; of one that was not, none

	Status    string   `json:"status"` // one of the statuses below
	Domains   []uint32 `json:"domains"`
	Versions  []string `json:"versions"`
	Templates int      `json:"templates"` // that it has announced, those of options among them

	Now         *float64     `json:"records_per_second"`     // over the last minute; null: no collector runs, or it has not heard of it
	Day         float64      `json:"records_per_second_day"` // over the day
	Datagrams   uint64       `json:"datagrams"`              // from here on over the day
	Records     uint64       `json:"records"`
	Bytes       uint64       `json:"bytes"`
	Lost        uint64       `json:"lost"`           // records that never came, an estimate
	Loss        float64      `json:"loss"`           // share of them
	LossHour    float64      `json:"loss_last_hour"` // share of them in this hour and the one before
	Gaps        uint64       `json:"gaps"`
	Restarts    uint64       `json:"restarts"`
	SetsWithout uint64       `json:"sets_without_template"`
	SetsDropped uint64       `json:"sets_dropped"` // given up
	Bad         uint64       `json:"bad_datagrams"`
	SkewMS      *int64       `json:"skew_ms"` // receipt less end, median; null: there was no record to tell
	Heard       query.Moment `json:"last_heard"`

	SkewMinMS       *int64            `json:"skew_min_ms"` // as skew_ms
	SkewMaxMS       *int64            `json:"skew_max_ms"`
	Reordered       uint64            `json:"reordered"`
	Duplicates      uint64            `json:"duplicates"`
	SetsRecovered   uint64            `json:"sets_recovered"` // data sets that were decoded when their template came
	TemplateChanges uint64            `json:"template_changes"`
	Options         uint64            `json:"options"`           // options records
	LostFlows       uint64            `json:"lost_flows"`        // what is missing as the sequence numbers count it: NetFlow v5 and v7
	LostDatagrams   uint64            `json:"lost_datagrams"`    // NetFlow v9 and sFlow
	LostData        uint64            `json:"lost_data_records"` // IPFIX
	LostSamples     uint64            `json:"lost_samples"`      // sFlow: missing by their own numbers
	SampleDrops     uint64            `json:"sample_drops"`      // sFlow: that the agent says it dropped
	SamplingChanges uint64            `json:"sampling_changes"`
	BadTimes        uint64            `json:"bad_times"`    // records with impossible times
	OutOfScope      uint64            `json:"out_of_scope"` // records with neither side in our networks
	SetAside        uint64            `json:"set_aside"`    // of them, put in quarantine
	Refused         uint64            `json:"refused"`      // of them, refused
	Silence         ledger.Span       `json:"silence"`      // the longest between two datagrams
	Errors          map[string]uint64 `json:"errors"`       // by reason

	Sampling   []ledger.Interval `json:"sampling"`                      // records by interval
	Configured uint32            `json:"sampling_configured,omitempty"` // the interval of the configuration, which goes before its own

	Interfaces []exporterInterface `json:"interfaces,omitempty"`
	History    []exporterEvent     `json:"history,omitempty"`

	lately query.Digest // of this hour and the one before
}

// What the status of an exporter can be.
const (
	statusHeard  = "heard"            // lately
	statusSilent = "silent"           // expected, and not heard lately
	statusNever  = "not heard"        // expected, and not heard in the day
	statusAwait  = "not heard yet"    // expected, and the collector has just started
	statusQuiet  = "quiet"            // not heard lately, and not expected
	statusOthers = "beyond the bound" // of many, together
)

// An exporterInterface is the name of an interface of an exporter.
type exporterInterface struct {
	Address     string `json:"address"`
	Index       uint32 `json:"index"`
	Name        string `json:"name,omitempty"`
	Description string `json:"description,omitempty"`
}

// An exporterEvent is a line of the dated history of an exporter.
type exporterEvent struct {
	Address string       `json:"address"`
	At      query.Moment `json:"at"`
	What    string       `json:"what"`
	Domain  uint32       `json:"domain"`
	Detail  string       `json:"detail,omitempty"`
}

// Exporters implements backend.
func (l *local) Exporters(ctx context.Context, req exportersRequest) (*exporterList, error) {
	list, _, err := l.exporters(ctx, req)
	return list, err
}

// exporters returns the list and the grid that it rests on.
func (l *local) exporters(ctx context.Context, req exportersRequest) (*exporterList, *query.Grid, error) {
	end := l.ledgerEnd()
	from := max(end, uint64(day.Milliseconds())) - uint64(day.Milliseconds())
	grid, err := l.Grid(ctx, query.GridRequest{Window: query.Window{From: from, To: end}, Exporter: req.Exporter})
	if err != nil {
		return nil, nil, err
	}
	list := &exporterList{AsOf: query.Moment(end), From: max(grid.From, firstUp(grid.Hosts)), Collecting: l.daemon != nil, Damaged: grid.Damaged}
	if l.daemon != nil {
		list.Since = query.Moment(epochMS(l.daemon.started))
	} else {
		list.AsOf = min(list.AsOf, max(lastUp(grid.Hosts), list.From))
	}
	list.Exporters = l.gather(grid)
	if err := l.addState(list, req.Details); err != nil {
		return nil, nil, err
	}
	l.addRates(list)
	for i := range list.Exporters {
		list.Exporters[i].judge(list.AsOf, l.daemon != nil && l.now().Sub(l.daemon.started) < metrics.UpFor)
	}
	return list, grid, nil
}

// Exporters implements backend.
func (r *remote) Exporters(ctx context.Context, req exportersRequest) (*exporterList, error) {
	list := new(exporterList)
	return list, r.ask(ctx, pathExporters, req, list, nil)
}

// ledgerEnd returns the end of the day that is looked at: now, or the end of the
// last hour with a ledger if that is earlier.
func (l *local) ledgerEnd() uint64 {
	now := epochMS(l.now())
	if hours := l.store.LedgerHours(); len(hours) > 0 && l.daemon == nil {
		return min(now, hours[len(hours)-1].Hour.EndMS())
	}
	return now
}

// lastUp returns the last moment in which something was collected or imported.
func lastUp(hosts []query.HostDigest) query.Moment {
	last := uint64(0)
	for _, h := range hosts {
		for _, up := range h.Up {
			last = max(last, up.To)
		}
	}
	return query.Moment(last)
}

// firstUp returns the first such moment, 0 if there is none.
func firstUp(hosts []query.HostDigest) query.Moment {
	for _, h := range hosts {
		if len(h.Up) > 0 {
			return query.Moment(h.Up[0].From)
		}
	}
	return 0
}

// gather makes a report for each exporter of a grid, by name where it has one.
func (l *local) gather(grid *query.Grid) []exporterReport {
	byName := map[string]int{}
	list := []exporterReport{}
	for i := range grid.Exporters {
		e := &grid.Exporters[i]
		at, named := byName[e.Name]
		if !named || e.Name == "" {
			at = len(list)
			list = append(list, l.describe(e))
			if e.Name != "" {
				byName[e.Name] = at
			}
		}
		list[at].add(e)
		lately := grid.Lately(i)
		list[at].lately.Add(&lately)
	}
	sortExporters(list)
	return list
}

// sortExporters puts those that the configuration describes first, by name.
func sortExporters(list []exporterReport) {
	slices.SortStableFunc(list, func(a, b exporterReport) int {
		return cmp.Or(-compareBool(a.Known, b.Known), cmp.Compare(a.Name, b.Name))
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// describe begins a report with what the configuration says.
func (l *local) describe(e *query.GridExporter) exporterReport {
	r := exporterReport{Name: e.Name, Group: e.Group, Expected: e.Expected, Addresses: []string{}, Domains: []uint32{}, Versions: []string{}, Sampling: []ledger.Interval{}, Errors: map[string]uint64{}}
	for i := range l.known {
		k := &l.known[i]
		if k.Name != e.Name {
			continue
		}
		r.Known, r.Owner, r.Contact, r.Permission, r.Configured = true, k.Owner, k.Contact, k.Permission, k.Sampling
		for _, p := range k.Sources {
			r.Sources = append(r.Sources, sourceText(p))
		}
	}
	return r
}

// add adds what was counted of one address.
func (r *exporterReport) add(e *query.GridExporter) {
	if e.Addr != "" && e.Total.Last != 0 {
		r.Addresses = append(r.Addresses, e.Addr)
	}
	r.Domains = union(r.Domains, e.Domains)
	for _, v := range e.Versions {
		r.Versions = union(r.Versions, []string{flow.VersionName(uint64(v))})
	}
	d := &e.Total
	r.addSkew(d)
	r.addRare(d)
	r.Datagrams, r.Records, r.Bytes, r.Lost = r.Datagrams+d.Datagrams, r.Records+d.Records, r.Bytes+d.Bytes, r.Lost+d.Lost
	r.Gaps, r.Restarts, r.SetsWithout, r.SetsDropped, r.Bad = r.Gaps+d.Gaps, r.Restarts+d.Restarts, r.SetsWithout+d.SetsWithout, r.SetsDropped+d.SetsDropped, r.Bad+d.BadDatagrams
	r.Heard = max(r.Heard, d.Last)
	both := ledger.Entry{Intervals: r.Sampling}
	for _, i := range d.Intervals {
		both.Sample(i.N, i.Records)
	}
	r.Sampling = both.Intervals
}

// addSkew adds how far receipt is from the end of flows: the median is that of
// the address with the most records.
func (r *exporterReport) addSkew(d *query.Digest) {
	if d.Records == 0 {
		return
	}
	if r.SkewMS == nil || d.Records > r.Records {
		r.SkewMS = &d.SkewMS
	}
	if r.SkewMinMS == nil || d.SkewMinMS < *r.SkewMinMS {
		r.SkewMinMS = &d.SkewMinMS
	}
	if r.SkewMaxMS == nil || d.SkewMaxMS > *r.SkewMaxMS {
		r.SkewMaxMS = &d.SkewMaxMS
	}
}

// addRare adds what stands still for most exporters.
func (r *exporterReport) addRare(d *query.Digest) {
	r.Reordered, r.Duplicates, r.SetsRecovered = r.Reordered+d.Reordered, r.Duplicates+d.Duplicates, r.SetsRecovered+d.SetsRecovered
	r.TemplateChanges, r.Options = r.TemplateChanges+d.TemplateChanges, r.Options+d.Options
	r.LostFlows, r.LostDatagrams, r.LostData = r.LostFlows+d.LostFlows, r.LostDatagrams+d.LostDatagrams, r.LostData+d.LostData
	r.LostSamples, r.SampleDrops = r.LostSamples+d.LostSamples, r.SampleDrops+d.SampleDrops
	r.SamplingChanges, r.BadTimes = r.SamplingChanges+d.Changes, r.BadTimes+d.BadTimes
	r.OutOfScope, r.SetAside, r.Refused = r.OutOfScope+d.OutOfScope, r.SetAside+d.SetAside, r.Refused+d.Refused
	if d.Silence.Length() > r.Silence.Length() {
		r.Silence = d.Silence
	}
	for reason, n := range d.Errors {
		r.Errors[reason] += n
	}
}

func union[T cmp.Ordered](list, more []T) []T {
	for _, v := range more {
		if at, found := slices.BinarySearch(list, v); !found {
			list = slices.Insert(list, at, v)
		}
	}
	return list
}

// addState adds what the exporters defined, which the archive keeps apart from
// the hours.
func (l *local) addState(list *exporterList, details bool) error {
	saved, err := collector.Domains(l.store)
	if err != nil {
		return fmt.Errorf("read what exporters defined: %w", err)
	}
	var past map[netip.Addr][]ledger.Event
	var named map[netip.Addr][]collector.Interface
	if details {
		if past, err = collector.Histories(l.store); err != nil {
			return fmt.Errorf("read the history of exporters: %w", err)
		}
		if named, err = collector.Interfaces(l.store); err != nil {
			return fmt.Errorf("read the names of interfaces: %w", err)
		}
	}
	if details {
		l.addForgotten(list, saved, past)
	}
	known := l.knownAddresses(saved, past)
	for i := range list.Exporters {
		r := &list.Exporters[i]
		for _, addr := range r.addresses(known) {
			r.define(addr, saved[addr], named[addr])
			for _, e := range past[addr] {
				r.History = append(r.History, exporterEvent{Address: addr.String(), At: query.Moment(e.At), What: e.What, Domain: e.Domain, Detail: printable(e.Detail)})
			}
		}
		slices.SortStableFunc(r.History, func(a, b exporterEvent) int { return cmp.Compare(a.At, b.At) })
	}
	return nil
}

// knownAddresses returns the addresses from which the exporters of the
// configuration were heard at any time, by their names.
func (l *local) knownAddresses(saved map[netip.Addr][]collector.DomainStats, past map[netip.Addr][]ledger.Event) map[string][]netip.Addr {
	known := map[string][]netip.Addr{}
	add := func(a netip.Addr) {
		if k := l.known.Find(flow.AddrFromNetip(a)); k != nil {
			known[k.Name] = append(known[k.Name], a)
		}
	}
	for a := range saved {
		add(a)
	}
	for a := range past {
		add(a)
	}
	return known
}

// addresses returns the addresses of an exporter: those that it was heard from
// in the day, and of one that the configuration describes those from before.
func (r *exporterReport) addresses(known map[string][]netip.Addr) []netip.Addr {
	var list []netip.Addr
	for _, text := range r.Addresses {
		if a, err := netip.ParseAddr(text); err == nil {
			list = append(list, a)
		}
	}
	if r.Known {
		list = append(list, known[r.Name]...)
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list)
}

// define adds what the state says of one address.
func (r *exporterReport) define(addr netip.Addr, domains []collector.DomainStats, named []collector.Interface) {
	for _, d := range domains {
		r.Templates += d.Templates
		r.Heard = max(r.Heard, query.Moment(d.LastReceived))
	}
	for _, i := range named {
		r.Interfaces = append(r.Interfaces, exporterInterface{addr.String(), i.Index, printable(i.Name), printable(i.Description)})
	}
	slices.SortStableFunc(r.Interfaces, func(a, b exporterInterface) int { return cmp.Compare(a.Index, b.Index) })
}

// addRates adds what comes in now.
func (l *local) addRates(list *exporterList) {
	var of map[netip.Addr]float64
	if l.daemon != nil {
		_, of, _ = l.daemon.rates.rates(time.Now())
	}
	span := float64(max(list.AsOf, list.From)-list.From) / 1000
	for i := range list.Exporters {
		r := &list.Exporters[i]
		if span > 0 {
			r.Day = float64(r.Records) / span
		}
		for _, text := range r.Addresses {
			a, err := netip.ParseAddr(text)
			if rate, heard := of[a]; err == nil && heard {
				sum := rate
				if r.Now != nil {
					sum += *r.Now
				}
				r.Now = &sum
			}
		}
	}
}

// judge says whether the exporter was heard lately. While no collector runs, the
// end of what was collected is the measure, and one that has just started has
// yet to hear: that is said, and a finding only after a while.
func (r *exporterReport) judge(asOf query.Moment, started bool) {
	r.Loss, r.LossHour = query.LossShare(r.Lost, r.Records), r.lately.Loss()
	lately := asOf - min(asOf, query.Moment(metrics.UpFor.Milliseconds()))
	switch {
	case slices.Equal(r.Addresses, []string{query.OthersName}):
		r.Status = statusOthers
	case r.Heard >= lately && r.Heard > 0:
		r.Status = statusHeard
	case !r.Expected:
		r.Status = statusQuiet
	case started:
		r.Status = statusAwait
	case r.Datagrams == 0:
		r.Status = statusNever
	default:
		r.Status = statusSilent
	}
}

// calledBy is label, or for one that has neither name nor address yet where it
// should send from.
func (r *exporterReport) calledBy() string { return cmp.Or(r.label(), strings.Join(r.Sources, " ")) }

// label is what people call the exporter.
func (r *exporterReport) label() string {
	return exporterLabel(r.Name, strings.Join(r.Addresses, " "))
}
