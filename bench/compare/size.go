package main

import (
	"fmt"
	"syscall"
	"time"

	"weir/bench"
	"weir/flow"
)

// A size is how much traffic a comparison has.
type size struct {
	name      string
	rate      int // records per second of simulated time
	hours     int // of simulated time; a capture each
	exporters []bench.Exporter
}

// sizeOf returns the size of a name, or one without hours.
//
// One hour is one bucket: of 10 million records in full. The archive has fewer
// in each, so that 90 days of it fit on a disk. Its router speaks IPFIX, whose
// times are absolute: the clock of NetFlow v9 wraps every 49.7 days.
func sizeOf(name string, days int) size {
	switch name {
	case "quick":
		return size{name, 278, 1, bench.UniformExporters(4, bench.NetFlow9)}
	case "full":
		return size{name, 2778, 1, bench.UniformExporters(4, bench.NetFlow9)}
	case "archive":
		return size{name, 13, 24 * days, bench.UniformExporters(1, bench.IPFIX)}
	}
	return size{}
}

func (s size) records() int64 { return int64(s.rate) * 3600 * int64(s.hours) }

// batch is how many captures are on the disk at a time.
func (s size) batch() int { return min(s.hours, 24) }

// Bytes that a record may take on the disk, rounded up from what was measured.
const (
	captureBytes = 100 // in a capture; the archive's datagrams are short
	weirBytes    = 45  // with the write-ahead log, and two versions of an hour while it is sealed
	nfdumpBytes  = 55
	duckdbBytes  = 220 // the table, and the text that it is loaded from
)

// room returns how many bytes a comparison needs.
func (s size) room(compressions int, duckdb bool) int64 {
	perRecord := int64(weirBytes + nfdumpBytes*compressions)
	if duckdb {
		perRecord += duckdbBytes
	}
	return s.records()*perRecord + s.records()/int64(s.hours)*int64(s.batch())*captureBytes
}

// checkRoom refuses to start what the disk cannot hold.
func checkRoom(dir string, need int64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("ask for the free space of %s: %w", dir, err)
	}
	if free := int64(fs.Bavail) * int64(fs.Bsize); free < need {
		return fmt.Errorf("this needs %.1f GB in %s, which has %.1f free; -dir names another directory, -days fewer days", gb(need), dir, gb(free))
	}
	return nil
}

func gb(bytes int64) float64 { return float64(bytes) / 1e9 }

// Addresses that are asked for. The generator's traffic has the first often,
// the second is planted in three hours of the archive, the third is of a
// network (RFC 2544) that it never makes addresses of.
var (
	busyHost   = "10.1.0.12" // a resolver
	rareHost   = "203.0.113.66"
	absentHost = "198.18.0.1"
)

// options returns what the generator is told: the traffic from start on, in
// which a host calls rareHost ten times each on the first, the eighth and the
// sixtieth day.
func (s size) options(start time.Time) bench.Options {
	o := bench.Options{Seed: 1, Start: start, Rate: s.rate, Records: s.records(), Exporters: s.exporters}
	host, controller := flow.AddrFrom4(0x0a14032d), flow.AddrFrom4(0xcb007142) // 10.20.3.45, rareHost
	for _, day := range []int{0, 7, 59} {
		at := start.AddDate(0, 0, day).Add(10 * time.Minute)
		if at.Before(start.Add(time.Duration(s.hours) * time.Hour)) {
			o.Incidents = append(o.Incidents, bench.Beacon(uint64(day), host, controller, 8443, at, 3*time.Minute, 10))
		}
	}
	return o
}
