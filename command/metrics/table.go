package metrics

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/flow/ledger"
)

// A metric is one row of the table of what a scrape tells.
type metric struct {
	name   string
	help   string
	labels []string
	gauge  bool // else it is a counter, and its name ends in _total
	tell   func(s *scrape, emit emitter)
}

// An emitter takes a value with the values of the metric's labels.
type emitter func(value float64, labels ...string)

// A scrape is a Snapshot with its exporters bounded.
type scrape struct {
	*Snapshot
	own   []Exporter
	other Exporter
}

// each returns a counter's tell: a value for each exporter and for the others
// together.
func each(of func(e *Exporter) uint64) func(*scrape, emitter) {
	return func(s *scrape, emit emitter) {
		for i := range s.own {
			emit(float64(of(&s.own[i])), s.own[i].Name)
		}
		emit(float64(of(&s.other)), OtherLabel)
	}
}

// counted is each of one of the ledger's counters.
func counted(c ledger.Counter) func(*scrape, emitter) {
	return each(func(e *Exporter) uint64 { return e.Counts[c] })
}

// state returns a gauge's tell: a value for each exporter that has one.
func state(of func(s *scrape, e *Exporter) (value float64, ok bool)) func(*scrape, emitter) {
	return func(s *scrape, emit emitter) {
		for i := range s.own {
			if v, ok := of(s, &s.own[i]); ok {
				emit(v, s.own[i].Name)
			}
		}
	}
}

// one returns the tell of a metric with a single value.
func one(of func(s *scrape) float64) func(*scrape, emitter) {
	return func(s *scrape, emit emitter) { emit(of(s)) }
}

// at returns the tell of a time, which is not told while there is none.
func at(of func(s *scrape) time.Time) func(*scrape, emitter) {
	return func(s *scrape, emit emitter) {
		if t := of(s); !t.IsZero() {
			emit(seconds(t))
		}
	}
}

// seconds returns a time as Prometheus has them.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

var exporterLabel = []string{"exporter"}

// table returns all metrics but those of questions, in the order of
// docs/metrics.md.
func table() []metric {
	var all []metric
	for _, part := range [][]metric{exporterTable(), lossTable(), templateTable(), collectorTable(), archiveTable(), questionTable()} {
		all = append(all, part...)
	}
	return all
}

func exporterTable() []metric {
	return []metric{
		{"weir_datagrams_total", "Export datagrams received.", exporterLabel, false, counted(ledger.Datagrams)},
		{"weir_received_bytes_total", "Bytes of export datagrams received, without UDP and IP headers.", exporterLabel, false, counted(ledger.Bytes)},
		{"weir_records_total", "Flow records decoded.", exporterLabel, false, counted(ledger.Records)},
		{"weir_exporter_info", "The exporter's group and whether it is expected; the value is 1.", []string{"exporter", "group", "expected"}, true,
			func(s *scrape, emit emitter) {
				for _, e := range s.own {
					emit(1, e.Name, e.Group, map[bool]string{false: "false", true: "true"}[e.Expected])
				}
			}},
		{"weir_exporter_up", "Whether an expected exporter was heard of in the last 15 minutes.", exporterLabel, true,
			state(func(s *scrape, e *Exporter) (float64, bool) { return truth(e.up(s.Snapshot)), e.Expected })},
		{"weir_exporter_last_received_timestamp_seconds", "When the last datagram came.", exporterLabel, true,
			state(func(_ *scrape, e *Exporter) (float64, bool) { return seconds(e.Last), !e.Last.IsZero() })},
		{"weir_exporter_silence_seconds", "Time since the last datagram, or since the collector started.", exporterLabel, true,
			state(func(s *scrape, e *Exporter) (float64, bool) { return e.silence(s.Snapshot).Seconds(), true })},
		{"weir_exporter_sampling_interval", "N of the sampling interval 1 in N that most records came under; 1 is unsampled.", exporterLabel, true,
			state(func(_ *scrape, e *Exporter) (float64, bool) { return float64(e.Sampling), e.Sampling > 0 })},
		{"weir_exporter_skew_median_seconds", "Median of the time from the end of a flow to the receipt of its record; negative where the exporter's clock is ahead.",
			exporterLabel, true,
			state(func(_ *scrape, e *Exporter) (float64, bool) { return e.SkewMedian.Seconds(), e.HasSkew })},
		{"weir_exporters", "Exporters that have sent, by whether the configuration describes them.", []string{"known"}, true,
			func(s *scrape, emit emitter) {
				known, all := 0, 0
				for _, e := range s.Exporters {
					if !e.Last.IsZero() {
						all++
						known += int(truth(e.Known))
					}
				}
				emit(float64(known), "true")
				emit(float64(all-known), "false")
			}},
	}
}

func lossTable() []metric {
	return []metric{
		{"weir_lost_total", "What is missing by the exporter's sequence numbers, in the unit that its protocol counts.", []string{"exporter", "unit"}, false,
			func(s *scrape, emit emitter) {
				for _, e := range append(s.own[:len(s.own):len(s.own)], s.other) {
					for unit, n := range e.Lost {
						if u := ledger.Unit(unit); u != ledger.UnitNone { // from 0 on: a rate sees the first loss only then
							emit(float64(n), e.Name, u.String())
						}
					}
				}
			}},
		{"weir_lost_records_total", "Flow records that never arrived, estimated from what is missing.", exporterLabel, false,
			each(func(e *Exporter) uint64 { return e.LostRecords })},
		{"weir_sequence_gaps_total", "Runs of missing units.", exporterLabel, false, counted(ledger.Gaps)},
		{"weir_reordered_datagrams_total", "Datagrams that came after a later one.", exporterLabel, false, counted(ledger.Reordered)},
		{"weir_duplicate_datagrams_total", "Datagrams that came again.", exporterLabel, false, counted(ledger.Duplicates)},
		{"weir_exporter_restarts_total", "Times that the exporter's sequence or uptime began anew.", exporterLabel, false, counted(ledger.Restarts)},
		{"weir_lost_samples_total", "sFlow samples missing by their own sequence numbers.", exporterLabel, false, counted(ledger.LostSamples)},
		{"weir_agent_dropped_samples_total", "sFlow samples that the agent says it dropped.", exporterLabel, false, counted(ledger.SampleDrops)},
		{"weir_ignored_samples_total", "sFlow samples that are no flows and are not kept: of counters, and notices of dropped packets.", []string{"exporter", "kind"}, false,
			func(s *scrape, emit emitter) {
				for _, e := range append(s.own[:len(s.own):len(s.own)], s.other) {
					emit(float64(e.CounterSamples), e.Name, "counter")
					emit(float64(e.DropSamples), e.Name, "drop")
				}
			}},
		{"weir_bad_datagrams_total", "Datagrams with at least one error.", exporterLabel, false, counted(ledger.BadDatagrams)},
		{"weir_decode_errors_total", "Errors in datagrams by reason, of all exporters.", []string{"reason"}, false,
			func(s *scrape, emit emitter) {
				sum := Exporter{}
				for i := range s.own {
					sum.addErrors(s.own[i].Errors)
				}
				sum.addErrors(s.other.Errors)
				for reason, n := range sum.Errors {
					emit(float64(n), reason)
				}
			}},
		{"weir_bad_time_records_total", "Records with impossible times.", exporterLabel, false, counted(ledger.BadTimes)},
		{"weir_out_of_scope_records_total", "Records with neither side in the networks that are ours.", exporterLabel, false, counted(ledger.OutOfScope)},
		{"weir_exporter_out_of_scope_usual", "Whether the exporter's group is written down with keep, so that out-of-scope records are no finding; not there without networks.", exporterLabel, true,
			state(func(_ *scrape, e *Exporter) (float64, bool) { return truth(e.Usual), e.Scoped })},
		{"weir_set_aside_records_total", "Out-of-scope records that were put in quarantine.", exporterLabel, false, counted(ledger.SetAside)},
		{"weir_refused_records_total", "Out-of-scope records that were refused.", exporterLabel, false, counted(ledger.Refused)},
	}
}

func templateTable() []metric {
	return []metric{
		{"weir_exporter_templates", "Templates known now.", exporterLabel, true,
			state(func(_ *scrape, e *Exporter) (float64, bool) { return float64(e.Templates), true })},
		{"weir_template_records_total", "Template records received, refreshes included.", exporterLabel, false, counted(ledger.Templates)},
		{"weir_template_changes_total", "Templates that were new or had another layout than before.", exporterLabel, false, counted(ledger.TemplateChanges)},
		{"weir_options_records_total", "Options records received.", exporterLabel, false, counted(ledger.Options)},
		{"weir_sets_waiting", "Data sets that wait for their template now.", exporterLabel, true,
			state(func(_ *scrape, e *Exporter) (float64, bool) { return float64(e.Waiting), true })},
		{"weir_sets_without_template_total", "Data sets that came without their template.", exporterLabel, false, counted(ledger.SetsWithout)},
		{"weir_sets_recovered_total", "Data sets that were decoded when their template came.", exporterLabel, false, counted(ledger.SetsRecovered)},
		{"weir_sets_dropped_total", "Data sets that waited for their template in vain.", exporterLabel, false, counted(ledger.SetsDropped)},
		{"weir_sampling_changes_total", "Times that the sampling interval in force changed.", exporterLabel, false, counted(ledger.SamplingChanges)},
	}
}

func collectorTable() []metric {
	return []metric{
		{"weir_build_info", "What runs; the value is 1.", []string{"version", "revision"}, true,
			func(s *scrape, emit emitter) { emit(1, s.Version, s.Revision) }},
		{"weir_start_time_seconds", "When the collector started.", nil, true, at(func(s *scrape) time.Time { return s.Started })},
		{"weir_kernel_dropped_datagrams_total", "Datagrams that the kernel dropped because a receive buffer was full.", []string{"socket"}, false,
			bySocket(func(s *scrape) []ledger.Drop { return s.Sockets })},
		{"weir_queue_full_total", "Times that a socket was not read because what it gave before waited to be stored.", []string{"socket"}, false,
			bySocket(func(s *scrape) []ledger.Drop { return s.Waits })},
		{"weir_refused_datagrams_total", "Datagrams of senders that may not export.", nil, false, one(func(s *scrape) float64 { return float64(s.Refused) })},
		{"weir_forwarded_datagrams_total", "Datagrams that were repeated to another collector.", []string{"to"}, false,
			func(s *scrape, emit emitter) {
				for _, f := range s.Forward {
					emit(float64(f.Sent), f.To)
				}
			}},
		{"weir_not_forwarded_datagrams_total", "Datagrams that were not: the target takes less than comes in, or the system refused to send them.", []string{"to", "reason"}, false,
			func(s *scrape, emit emitter) {
				for _, f := range s.Forward {
					emit(float64(f.Full), f.To, "queue_full")
					emit(float64(f.Failed), f.To, "failed")
				}
			}},
		{"weir_sink_errors_total", "Batches of records that could not be stored.", nil, false, one(func(s *scrape) float64 { return float64(s.SinkErrors) })},
		{"weir_unstored_records_total", "Records that could not be stored.", nil, false, one(func(s *scrape) float64 { return float64(s.UnstoredCounts) })},
	}
}

func bySocket(list func(s *scrape) []ledger.Drop) func(*scrape, emitter) {
	return func(s *scrape, emit emitter) {
		for _, d := range list(s) {
			emit(float64(d.Count), d.Where)
		}
	}
}

func archiveTable() []metric {
	return []metric{
		{"weir_buckets", "Hours in the archive.", []string{"state"}, true, func(s *scrape, emit emitter) {
			emit(float64(s.Archive.Open), "open")
			emit(float64(s.Archive.Sealed), "sealed")
		}},
		{"weir_blocks", "Blocks in the archive.", nil, true, one(func(s *scrape) float64 { return float64(s.Archive.Blocks) })},
		{"weir_archive_records", "Flow records in the archive.", nil, true, one(func(s *scrape) float64 { return float64(s.Archive.Records) })},
		{"weir_archive_bytes", "Bytes that the archive takes on disk.", nil, true, one(func(s *scrape) float64 { return float64(s.Archive.Bytes) })},
		{"weir_disk_free_bytes", "Bytes that the archive's file system has left for the collector.", nil, true, disk(func(a *Archive) uint64 { return a.DiskFree })},
		{"weir_disk_size_bytes", "Bytes of the archive's file system.", nil, true, disk(func(a *Archive) uint64 { return a.DiskSize })},
		{"weir_disk_left_seconds", "Time until the disk is full at the rate of the last days; +Inf if retention frees as much as comes in.", nil, true,
			func(s *scrape, emit emitter) {
				switch left := s.Archive.DiskLeft; {
				case left < 0:
					emit(math.Inf(1))
				case left > 0:
					emit(left.Seconds())
				}
			}},
		{"weir_oldest_record_timestamp_seconds", "Receipt of the oldest record.", nil, true, at(func(s *scrape) time.Time { return s.Archive.Oldest })},
		{"weir_newest_record_timestamp_seconds", "Receipt of the newest record.", nil, true, at(func(s *scrape) time.Time { return s.Archive.Newest })},
		{"weir_retention_seconds", "How long records are kept; 0 is for ever.", nil, true, one(func(s *scrape) float64 { return s.Archive.Keep.Seconds() })},
		{"weir_retention_held", "Whether nothing is dropped, because the clock is not believed.", nil, true, one(func(s *scrape) float64 { return truth(s.Archive.Held) })},
		{"weir_next_drop_timestamp_seconds", "When the next hour is dropped.", nil, true, at(func(s *scrape) time.Time { return s.Archive.NextDrop })},
		{"weir_buckets_due", "Hours past their time that are not dropped yet.", nil, true, one(func(s *scrape) float64 { return float64(s.Archive.Due) })},
		{"weir_buckets_dropped_total", "Hours dropped by retention.", nil, false, one(func(s *scrape) float64 { return float64(s.Archive.Dropped) })},
		{"weir_holds", "Cases for which something is kept past its day.", nil, true, one(func(s *scrape) float64 { return float64(s.Archive.Holds) })},
		{"weir_held_records", "Flow records that holds keep of hours that have gone.", nil, true, one(func(s *scrape) float64 { return float64(s.Archive.HeldRecords) })},
		{"weir_held_bytes", "Bytes that these records take on disk.", nil, true, one(func(s *scrape) float64 { return float64(s.Archive.HeldBytes) })},
		{"weir_held_buckets", "Hours past their time that holds keep whole.", nil, true, one(func(s *scrape) float64 { return float64(s.Archive.Stays) })},
		{"weir_next_hold_end_timestamp_seconds", "When the next hold ends and what it keeps goes.", nil, true, at(func(s *scrape) time.Time { return s.Archive.NextHoldEnd })},
		{"weir_buckets_dropped_early_total", "Hours dropped before their time, for want of room.", nil, false, one(func(s *scrape) float64 { return float64(s.Archive.Early) })},
		{"weir_max_disk_bytes", "Bytes that the archive may take on disk; 0 is no limit.", nil, true, one(func(s *scrape) float64 { return float64(s.Archive.MaxDisk) })},
		{"weir_next_early_drop_timestamp_seconds", "When the first hour goes before its time for want of room, at the rate of the last days.", nil, true, at(func(s *scrape) time.Time { return s.Archive.NextEarly })},
		{"weir_damaged_parts", "Parts of the archive that were found damaged since it was opened.", nil, true, one(func(s *scrape) float64 { return float64(s.Archive.Damaged) })},
	}
}

// disk returns the tell of a size of the disk, where the system says it.
func disk(of func(a *Archive) uint64) func(*scrape, emitter) {
	return func(s *scrape, emit emitter) {
		if s.Archive.DiskSize > 0 {
			emit(float64(of(&s.Archive)))
		}
	}
}

func questionTable() []metric {
	return []metric{
		{"weir_questions_open", "Questions that are being answered or wait for their turn.", nil, true, one(func(s *scrape) float64 { return float64(s.Open) })},
		{"weir_questions_total", "Questions answered and failed.", []string{"question", "outcome"}, false, func(s *scrape, emit emitter) {
			for _, q := range s.Questions {
				emit(float64(q.Answered), q.Name, "answered")
				emit(float64(q.Failed), q.Name, "failed")
			}
		}},
	}
}

// kind returns the library's kind of a metric.
func (m *metric) kind() prometheus.ValueType {
	if m.gauge {
		return prometheus.GaugeValue
	}
	return prometheus.CounterValue
}
