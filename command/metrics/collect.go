package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// A source is the library's view of snapshots.
type source struct {
	take      func() *Snapshot
	metrics   []metric
	descs     []*prometheus.Desc // of metrics
	durations *prometheus.Desc

	mu     sync.Mutex // one scrape at a time: labels are given in their order
	labels labels
	marks  marks
}

// newRegistry returns a registry of the snapshots that take returns, and of what
// the library knows of the process and of Go.
func newRegistry(take func() *Snapshot) *prometheus.Registry {
	s := &source{take: take, metrics: table(), durations: prometheus.NewDesc(
		"weir_question_duration_seconds", "How long questions took, waiting for their turn included.", []string{"question"}, nil)}
	for i := range s.metrics {
		m := &s.metrics[i]
		s.descs = append(s.descs, prometheus.NewDesc(m.name, m.help, m.labels, nil))
	}
	r := prometheus.NewRegistry()
	r.MustRegister(s, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Describe implements prometheus.Collector.
func (s *source) Describe(out chan<- *prometheus.Desc) {
	for _, d := range s.descs {
		out <- d
	}
	out <- s.durations
}

// Collect implements prometheus.Collector.
func (s *source) Collect(out chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	snapshot := s.take()
	sc := &scrape{Snapshot: snapshot}
	sc.own, sc.other = s.labels.bound(snapshot.Exporters, &snapshot.Forgotten)
	all := []*Exporter{&sc.other}
	for i := range sc.own {
		all = append(all, &sc.own[i])
	}
	s.marks.raise(all)
	for i := range s.metrics {
		m := &s.metrics[i]
		m.tell(sc, func(value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(s.descs[i], m.kind(), value, labels...)
		})
	}
	for _, q := range snapshot.Questions {
		out <- q.histogram(s.durations)
	}
}

// histogram returns the durations as the library has them: each bucket with all
// before it.
func (q *Question) histogram(desc *prometheus.Desc) prometheus.Metric {
	buckets := make(map[float64]uint64, len(DurationBounds))
	count := uint64(0)
	for i, n := range q.Buckets {
		count += n
		if i < len(DurationBounds) {
			buckets[DurationBounds[i]] = count
		}
	}
	return prometheus.MustNewConstHistogram(desc, count, q.Seconds, buckets, q.Name)
}
