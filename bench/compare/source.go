package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"weir/bench"
)

// start is when the traffic of a comparison begins: any hour that is past.
var start = time.Date(2025, time.June, 1, 0, 0, 0, 0, time.UTC)

// A source makes captures of one stream of traffic, an hour each.
type source struct {
	size  size
	dir   string
	made  *bench.Generator
	hour  int // of the next capture
	stats bench.Stats
}

func newSource(s size, dir string) *source {
	return &source{size: s, dir: dir, made: bench.New(s.options(start))}
}

// next writes up to n captures and returns their names; none at the end.
func (s *source) next(n int) ([]string, error) {
	var files []string
	for ; len(files) < n && s.hour < s.size.hours; s.hour++ {
		name := filepath.Join(s.dir, start.Add(time.Duration(s.hour)*time.Hour).Format("20060102T15")+".pcap")
		if err := s.write(name); err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
		files = append(files, name)
	}
	return files, nil
}

func (s *source) write(name string) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	began := time.Now()
	until := start.Add(time.Duration(s.hour+1) * time.Hour)
	if s.hour == s.size.hours-1 {
		until = time.Time{} // and what the last datagrams wait for
	}
	stats, _, err := s.made.WriteCapture(file, until)
	s.stats.Records += stats.Records
	s.stats.Datagrams += stats.Datagrams
	s.stats.Bytes += stats.Bytes
	s.stats.Elapsed += time.Since(began)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

// remove deletes captures.
func remove(files []string) error {
	for _, name := range files {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}
