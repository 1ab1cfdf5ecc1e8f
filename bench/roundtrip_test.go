package bench_test

import (
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
