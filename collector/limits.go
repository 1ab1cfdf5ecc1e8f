package collector

import "time"

// Limits bound what exporters can make a Decoder remember. Zero fields take the
// defaults of DefaultLimits.
type Limits struct {
	Exporters            int           // exporters known at once; the least useful is forgotten for a new one
	Streams              int           // streams (source port, domain, version) of one exporter
	TotalStreams         int           // streams of all exporters, besides one for each
	Templates            int           // templates of one exporter
	TemplateBytes        int           // memory of one exporter's templates
	TotalTemplateBytes   int           // memory of all templates
	Pending              int           // data sets of one exporter that wait for their template
	PendingBytes         int           // bytes of these
	TotalPendingBytes    int           // bytes of all data sets that wait
	PendingAge           time.Duration // how long a data set waits, by the time of receipt
	Samplers, Interfaces int           // entries of one domain's sampling tables
	InterfaceNames       int           // interface names kept of one exporter
	TableBytes           int           // memory of one exporter's sampling tables and interface names
	TotalTableBytes      int           // memory of all of these
}

// DefaultLimits returns the limits that hold where nothing else is said. They
// bound a Decoder's memory at about 450 MB under any flood, its part of the
// ledger included; a usual network stays at a few MB.
func DefaultLimits() Limits {
	return Limits{
		Exporters: 4096, Streams: 256, TotalStreams: 65536,
		Templates: 4096, TemplateBytes: 2 << 20, TotalTemplateBytes: 64 << 20,
		Pending: 256, PendingBytes: 1 << 20, TotalPendingBytes: 32 << 20, PendingAge: 10 * time.Minute,
		Samplers: 1024, Interfaces: 4096, InterfaceNames: 4096, TableBytes: 2 << 20, TotalTableBytes: 32 << 20,
	}
}

// What an exporter can always have, in bytes, even when a flood has used up what
// there is for all: a router's templates, its sampling table, and a few data sets
// that wait.
const (
	templateShare = 16 << 10
	tableShare    = 8 << 10
	pendingShare  = 8 << 10
)

func (l Limits) withDefaults() Limits {
	def := DefaultLimits()
	for _, p := range []struct{ have, want *int }{
		{&l.Exporters, &def.Exporters}, {&l.Streams, &def.Streams},
		{&l.Templates, &def.Templates}, {&l.TemplateBytes, &def.TemplateBytes},
		{&l.TotalTemplateBytes, &def.TotalTemplateBytes},
		{&l.Pending, &def.Pending}, {&l.PendingBytes, &def.PendingBytes},
		{&l.TotalPendingBytes, &def.TotalPendingBytes},
		{&l.Samplers, &def.Samplers}, {&l.Interfaces, &def.Interfaces},
		{&l.InterfaceNames, &def.InterfaceNames}, {&l.TotalStreams, &def.TotalStreams},
		{&l.TableBytes, &def.TableBytes}, {&l.TotalTableBytes, &def.TotalTableBytes},
	} {
		if *p.have <= 0 {
			*p.have = *p.want
		}
	}
	if l.PendingAge <= 0 {
		l.PendingAge = def.PendingAge
	}
	return l
}
