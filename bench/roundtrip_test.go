package bench_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"weir/bench"
	"weir/collector"
	"weir/flow"
)

// decodeAll decodes the datagrams of o and compares every record with the one
// that was encoded, field for field. An exporter's fields in ignore are not
// compared.
func decodeAll(t *testing.T, o bench.Options) {
	t.Helper()
	g, d := bench.New(o), collector.NewDecoder(collector.DecoderOptions{})
	want, got := flow.NewBatch(64), flow.NewBatch(64)
	var w, r flow.Record
	records := 0
	for {
		want.Reset()
		got.Reset()
		p, ok := g.Next(want)
		if !ok {
			break
		}
		if len(p.Payload) > 1400 {
			t.Fatalf("a datagram of %s has %d bytes", p.Exporter.Name, len(p.Payload))
		}
		if err := d.Decode(got, p.Time, p.Source(), p.Payload); err != nil {
			t.Fatalf("datagram of %s: %v", p.Exporter.Name, err)
		}
		if got.Len() != want.Len() {
			t.Fatalf("datagram of %s: %d records decoded, want %d", p.Exporter.Name, got.Len(), want.Len())
		}
		for row := range want.Len() {
			want.Record(row, &w)
			got.Record(row, &r)
			if r != w {
				t.Fatalf("%s, record %d: decoded\n%s\nwant\n%s", p.Exporter.Name, records+row, r.AppendJSON(nil), w.AppendJSON(nil))
			}
		}
		records += want.Len()
	}
	if int64(records) < o.Records {
		t.Errorf("%d records, want %d", records, o.Records)
	}
}

// TestDecodedIsGenerated sends each format through the collector's decoder.
func TestDecodedIsGenerated(t *testing.T) {
	for _, f := range []bench.Format{bench.NetFlow5, bench.NetFlow9, bench.IPFIX, bench.SFlow5} {
		t.Run(f.String(), func(t *testing.T) {
			decodeAll(t, bench.Options{Seed: 7, Records: 20000, Exporters: bench.UniformExporters(3, f)})
		})
		t.Run(f.String()+" sampled", func(t *testing.T) {
			exporters := bench.UniformExporters(2, f)
			exporters[0].Sampling, exporters[1].Sampling = 100, 4096
			decodeAll(t, bench.Options{Seed: 8, Records: 5000, Exporters: exporters})
		})
	}
	t.Run("layer 2 and translation", func(t *testing.T) {
		exporters := bench.UniformExporters(2, bench.NetFlow9)
		exporters[0].Layer2, exporters[1].NAT = true, true
		decodeAll(t, bench.Options{Seed: 9, Records: 5000, Exporters: exporters})
	})
	t.Run("default exporters", func(t *testing.T) {
		decodeAll(t, bench.Options{Seed: 10, Records: 20000})
	})
	t.Run("uptime that wraps", func(t *testing.T) {
		exporters := bench.DefaultExporters()
		for i := range exporters { // 2^32 ms are 4,294,967 s and a bit
			exporters[i].Uptime = 4_294_965 * time.Second
		}
		decodeAll(t, bench.Options{Seed: 11, Records: 20000, Exporters: exporters})
	})
	t.Run("seen twice", func(t *testing.T) {
		decodeAll(t, bench.Options{Seed: 12, Records: 5000, SeenTwice: 30})
	})
}

// TestCapturesThatAreCut cuts one stream into captures and reads each by itself:
// nothing is missing, and nothing lies far beyond the cut.
func TestCapturesThatAreCut(t *testing.T) {
	o := bench.Options{Seed: 13, Records: 6000, Rate: 1000}
	whole, err := bench.WriteCapture(&bytes.Buffer{}, o)
	if err != nil {
		t.Fatal(err)
	}
	g, records, files := bench.New(o), int64(0), 0
	for more := true; more; files++ {
		var file bytes.Buffer
		var stats bench.Stats
		until := bench.DefaultStart.Add(time.Duration(files+1) * 2 * time.Second)
		if stats, more, err = g.WriteCapture(&file, until); err != nil {
			t.Fatal(err)
		}
		records += stats.Records
		if late := stats.Last - min(stats.Last, uint64(until.UnixMilli())); late > 500 {
			t.Errorf("capture %d ends %d ms after its cut", files, late)
		}
		decodeCapture(t, fmt.Sprint("capture ", files), &file, stats.Records)
	}
	if records != whole.Records || files != 3 {
		t.Errorf("%d records in %d captures, want %d in 3", records, files, whole.Records)
	}
}

// decodeCapture reads a capture with a decoder that has seen nothing before.
func decodeCapture(t *testing.T, what string, file *bytes.Buffer, want int64) {
	t.Helper()
	d, b := collector.NewDecoder(collector.DecoderOptions{}), flow.NewBatch(64)
	got := int64(0)
	err := collector.ReadCapture(file, func(dg collector.Datagram) error {
		b.Reset()
		err := d.Decode(b, uint64(dg.Time.UnixMilli()), dg.Src, dg.Payload)
		got += int64(b.Len())
		return err
	})
	if err != nil || got != want {
		t.Errorf("%s: %d records, %v; want %d", what, got, err, want)
	}
}
