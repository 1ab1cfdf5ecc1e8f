package collector

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"weir/flow"
)

// memoryState is a StateStore that counts its writes.
type memoryState struct {
	values map[string][]byte
	puts   int
}

func newMemoryState() *memoryState { return &memoryState{values: map[string][]byte{}} }

func (s *memoryState) PutState(key string, value []byte) error {
	s.puts++
	s.values[key] = append([]byte(nil), value...)
	return nil
}

func (s *memoryState) DeleteState(key string) error {
	delete(s.values, key)
	return nil
}

func (s *memoryState) ScanState(prefix string, fn func(string, []byte) error) error {
	for key, value := range s.values {
		if strings.HasPrefix(key, prefix) {
			if err := fn(key, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestRestart(t *testing.T) {
	state := newMemoryState()
	src := addrN(1, 2055)
	fields, record := addrsAnd(6, []int{302, 4, 22, 4}, uint32(7), uint32(900_000))
	d := NewDecoder(DecoderOptions{State: state})
	before, errs := decodeAll(d, src,
		ipfix(3, set(3, wire(400, 2, 1, 302, 4, 34, 4)), set(400, wire(uint32(7), uint32(1000)))),
		ipfix(3, set(3, wire(401, 2, 1, 149, 4, 160, 8)), set(401, wire(uint32(3), uint64(testTime-1_000_000)))),
		ipfix(3, set(3, wire(402, 2, 1, 10, 4, 82, 4)), set(402, wire(uint32(11), "eth0"))),
		ipfix(3, set(2, templateOf(256, fields...))), ipfix(3, set(256, record)),
		v9(1, set(0, templateUsual)))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if err := d.Save(); err != nil {
		t.Fatal(err)
	}

	again := NewDecoder(DecoderOptions{State: state})
	after, errs := decodeAll(again, src, ipfix(3, set(256, record)), v9(1, dataUsual),
		ipfix(3, set(400, wire(uint32(7), uint32(1000)))))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	wantRows(t, "after the restart", after, 6)
	for f, want := range map[flow.Field]uint64{flow.SamplingInterval: 1000, flow.Start: testTime - 100_000} {
		wantNum(t, before, 0, f, want)
		wantNum(t, after, 0, f, want)
	}
	if got := again.Stats().Total.OptionsRecords; got != 1 {
		t.Errorf("got %d options records by a saved template, want 1", got)
	}
	// From another port, too.
	after, _ = decodeAll(again, addrN(1, 9999), v9(1, dataUsual))
	wantRows(t, "from another port", after, 5)
	// What is written next has the interface of before the restart, and another.
	if _, errs := decodeAll(again, src, ipfix(3, set(402, wire(uint32(12), "eth1")))); len(errs) > 0 {
		t.Fatal(errs)
	}
	clear(state.values)
	names := savedInterfaces(t, again, src.Addr())
	if len(names) != 2 || names[0].Name != "eth0" || names[1].Name != "eth1" {
		t.Errorf("got interfaces %v, want eth0 and eth1", names)
	}
}

// savedInterfaces saves the state of a decoder and returns the interfaces of an
// exporter in it, by index.
func savedInterfaces(t *testing.T, d *Decoder, exporter netip.Addr) []Interface {
	t.Helper()
	if err := d.Save(); err != nil {
		t.Fatal(err)
	}
	named, err := Interfaces(d.state)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(named[exporter], func(a, b Interface) int { return cmp.Compare(a.Index, b.Index) })
	return named[exporter]
}

// State is written when something changed and not otherwise.
func TestSaveOnlyChanges(t *testing.T) {
	state := newMemoryState()
	d := NewDecoder(DecoderOptions{State: state})
	save := func() int {
		t.Helper()
		if err := d.Save(); err != nil {
			t.Fatal(err)
		}
		return state.puts
	}
	_, _ = decodeAll(d, addrN(1, 1), v9(0, set(0, templateUsual)), datagram5(3))
	_, _ = decodeAll(d, addrN(2, 1), datagram5(3))
	if got := save(); got != 1 {
		t.Errorf("got %d values written, want 1: of the exporter that defined something", got)
	}
	_, _ = decodeAll(d, addrN(1, 1), v9(0, set(0, templateUsual), dataUsual))
	if got := save(); got != 1 {
		t.Errorf("got %d values written after the same template again, want 1", got)
	}
	_, _ = decodeAll(d, addrN(1, 1), v9(0, set(0, templateOf(300, 8, 4, 12, 4))))
	if got := save(); got != 2 {
		t.Errorf("got %d values written after another layout, want 2", got)
	}
}

// The state of forgotten exporters goes, too.
func TestSaveDeletesForgotten(t *testing.T) {
	state := newMemoryState()
	d := NewDecoder(DecoderOptions{State: state, Limits: Limits{Exporters: 16}})
	for i := range 100 {
		_ = d.Decode(flow.NewBatch(0), testTime+uint64(i), addrN(i, 1), v9(0, set(0, templateUsual)))
		if err := d.Save(); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(state.values); got > 16 {
		t.Errorf("got %d values kept, want at most 16", got)
	}
	for key := range state.values {
		if _, err := netip.ParseAddr(strings.TrimPrefix(key, statePrefix)); err != nil {
			t.Errorf("key %q: %v", key, err)
		}
	}
}

// State that cannot be read is no reason to stop.
func TestLoadRubbish(t *testing.T) {
	state := newMemoryState()
	for key, value := range map[string]string{
		"192.0.2.1": `{"version":1,"streams":[{"Domain":0,"Port":1,"Version":9,"templates":[
			{"id":300,"fields":[[8,4,0]]},{"id":3,"fields":[[8,4,0]]},{"id":301,"fields":[]},{"id":302,"fields":[[8,0,0]]},
			{"id":303,"scopes":9,"options":true,"fields":[[8,4,0]]},{"id":304,"scopes":-1,"fields":[[8,4,0]]}]}]}`,
		"192.0.2.2": `not JSON`,
		"192.0.2.3": `{"version":99}`,
		"nobody":    `{"version":1}`,
		"192.0.2.4": `{"version":1,"streams":[{"Version":77,"templates":[{"id":300,"fields":[[8,4,0]]}]}],"domains":[{"samplers":{"1":0}}]}`,
	} {
		state.values[statePrefix+key] = []byte(value)
	}
	d := NewDecoder(DecoderOptions{State: state})
	templates := 0
	for _, e := range d.all() {
		templates += e.templates
	}
	if templates != 1 {
		t.Errorf("got %d templates out of rubbish, want the good one", templates)
	}
}

// A collector that is stopped and started decodes data at once.
func TestCollectorRestart(t *testing.T) {
	state := newMemoryState()
	o := Options{Listen: []Listen{{"netflow", "127.0.0.1:0"}}, Sink: newMemorySink(), State: state}
	c, stop := startCollector(t, o)
	send(t, c, v9(0, set(0, templateUsual)))
	waitFor(t, "the template", func() bool { return c.Stats().Total.Templates == 1 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	sink := newMemorySink()
	o.Sink = sink
	c, _ = startCollector(t, o)
	send(t, c, v9(0, dataUsual))
	waitFor(t, "records", func() bool { return sink.len() == 5 })
}

// What is known of an exporter's domains, of a running decoder and of its state.
func TestDomains(t *testing.T) {
	state := newMemoryState()
	d := NewDecoder(DecoderOptions{State: state})
	for i, p := range [][]byte{
		v9(7, set(0, templateUsual, templateOf(301, 8, 4))), v9(7, dataUsual), ipfix(3, set(2, templateUsual)), datagram5(1),
	} {
		_ = d.Decode(flow.NewBatch(0), testTime+uint64(i), addrN(1, uint16(2000+i%2)), p)
	}
	if err := d.Save(); err != nil {
		t.Fatal(err)
	}
	want := []DomainStats{
		{Domain: 0, Version: 5, Streams: 1, LastReceived: testTime + 3},
		{Domain: 3, Version: 10, Templates: 1, Streams: 1, LastReceived: testTime + 2},
		{Domain: 7, Version: 9, Templates: 2, Streams: 2, LastReceived: testTime + 1},
	}
	if got := d.Stats().Exporters[0].Domains; !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	want = want[1:] // v5 has no templates
	want[1].Streams, want[1].LastReceived = 1, testTime
	saved, err := Domains(state)
	if got := saved[addrN(1, 0).Addr()]; err != nil || !slices.Equal(got, want) {
		t.Errorf("in the state: got  %+v, %v\nwant %+v", got, err, want)
	}
}
