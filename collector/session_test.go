package collector

import (
	"net/netip"
	"testing"

	"weir/flow"
)

// A session decodes messages of connections.
type session struct {
	t   *testing.T
	d   *Decoder
	src netip.AddrPort
	at  uint64
}

// records returns how many records the messages of a connection give.
func (s *session) records(conn uint64, messages ...[]byte) int {
	s.t.Helper()
	b := flow.NewBatch(0)
	for _, m := range messages {
		s.at++
		if err := s.d.message(b, s.at, s.src, conn, m); err != nil {
			s.t.Error(err)
		}
	}
	return b.Len()
}

func (s *session) want(what string, got, want int) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("%s: got %d, want %d", what, got, want)
	}
}

func newSession(t *testing.T) *session {
	return &session{t, NewDecoder(DecoderOptions{}), addrN(1, 4000), testTime}
}

// Over a connection, a withdrawal withdraws, of its kind and what it names.
func TestWithdrawalOverAConnection(t *testing.T) {
	options := wire(400, 2, 1, 149, 4, 34, 4)
	for _, c := range []struct {
		name          string
		withdrawal    []byte
		flows, stands int // records decoded afterwards; templates left
	}{
		{"one", set(2, wire(300, 0)), 0, 1},
		{"all", set(2, wire(2, 0)), 0, 1},
		{"all, padded", set(2, wire(2, 0, uint32(0))), 0, 1},
		{"another", set(2, wire(301, 0)), 5, 2},
		{"as options", set(3, wire(300, 0)), 5, 2},
		{"the options", set(3, wire(400, 0)), 5, 1},
		{"all options", set(3, wire(3, 0)), 5, 1},
		{"withdrawn and defined anew", set(2, wire(300, 0), templateUsual), 5, 2},
	} {
		s := newSession(t)
		s.records(7, ipfix(0, set(2, templateUsual), set(3, options)))
		s.want(c.name+": records", s.records(7, ipfix(0, c.withdrawal), ipfix(0, dataUsual)), c.flows)
		e := s.d.all()[0]
		s.want(c.name+": templates", e.templates, c.stands)
		s.want(c.name+": counted", int(s.d.Stats().Total.Error(ReasonWithdrawal)), 1)
		checkDecoder(t, s.d, flow.NewBatch(0), 0)
	}
}

// Data behind a withdrawal wait for a template of their own connection; when it
// ends they are dropped, and counted.
func TestTemplatesEndWithTheirConnection(t *testing.T) {
	s := newSession(t)
	s.want("connection 1", s.records(1, ipfix(0, set(2, templateUsual)), ipfix(0, dataUsual)), 5)
	s.want("connection 2 without a template", s.records(2, ipfix(0, dataUsual)), 0)
	s.want("a datagram without a template", s.records(0, ipfix(0, dataUsual)), 0)
	s.want("waiting", int(s.d.Stats().Total.SetsWaiting), 2)
	s.want("connection 2, recovered", s.records(2, ipfix(0, set(2, templateUsual))), 5)
	s.d.disconnected(s.src, 2)
	s.want("connection 1 goes on", s.records(1, ipfix(0, dataUsual)), 5)
	s.records(1, ipfix(0, set(2, wire(300, 0))))
	s.want("behind a withdrawal", s.records(1, ipfix(0, dataUsual), ipfix(0, dataUsual)), 0)
	s.d.disconnected(s.src, 1)
	s.d.disconnected(addrN(99, 1), 1) // of whom nothing came
	st := s.d.Stats().Total
	s.want("dropped", int(st.SetsDropped), 2)
	s.want("counted", int(st.Error(ReasonNoTemplate)), 2)
	s.want("the datagram's set waits on", int(st.SetsWaiting), 1)
	e := s.d.all()[0]
	s.want("streams", len(e.streams), 1)
	s.want("templates", e.templates, 0)
	checkDecoder(t, s.d, flow.NewBatch(0), 0)
}

// Two connections may mean different things by one template id, and neither is
// a conflict.
func TestConnectionsDoNotDispute(t *testing.T) {
	s := newSession(t)
	record := wire(uint32(0x01010101), uint32(0x02020202))
	s.records(1, ipfix(0, set(2, templateOf(256, 8, 4, 12, 4))))
	s.records(2, ipfix(0, set(2, templateOf(256, 12, 4, 8, 4))))
	for conn, want := range map[uint64]string{1: "1.1.1.1", 2: "2.2.2.2"} {
		b := flow.NewBatch(0)
		if err := s.d.message(b, s.at, s.src, conn, ipfix(0, set(256, record))); err != nil {
			t.Fatal(err)
		}
		wantAddr(t, b, 0, flow.SrcAddr, want)
	}
	s.want("conflicts", int(s.d.Stats().Total.Error(ReasonTemplateConflict)), 0)
}

// What connections defined is not saved: they do not outlive the collector.
func TestConnectionsAreNotSaved(t *testing.T) {
	state := newMemoryState()
	d := NewDecoder(DecoderOptions{State: state})
	if err := d.message(flow.NewBatch(0), testTime, addrN(1, 1), 3, ipfix(0, set(2, templateUsual))); err != nil {
		t.Fatal(err)
	}
	if err := d.Save(); err != nil {
		t.Fatal(err)
	}
	domains, err := Domains(state)
	if err != nil || len(domains) != 0 {
		t.Errorf("got %v, %v saved, want nothing", domains, err)
	}
}

// Lists in records are skipped to the byte, and counted.
func TestListsAreSkipped(t *testing.T) {
	basic := wire(uint8(255), 300, make([]byte, 300))
	multi := wire(uint8(7), []byte{255, 1, 0, 0, 4, 1, 2})
	record := func(i int) []byte {
		return wire(uint32(0x0a000000+i), basic, uint32(0x14000000+i), multi, uint8(0))
	}
	template := set(2, templateOf(300, 8, 4, 291, 0xffff, 12, 4, 293, 0xffff, 292, 0xffff))
	d := NewDecoder(DecoderOptions{})
	b, errs := decodeAll(d, addrN(1, 1), ipfix(0, template), ipfix(0, set(300, repeat(3, record))))
	wantRows(t, "lists", b, 3)
	if len(errs) > 0 {
		t.Error(errs)
	}
	wantAddr(t, b, 2, flow.SrcAddr, "10.0.0.2")
	wantAddr(t, b, 2, flow.DstAddr, "20.0.0.2")
	st := d.Stats().Total
	if got := st.Error(ReasonList); got != 9 || st.BadDatagrams != 0 {
		t.Errorf("got %d lists and %d bad datagrams, want 9 and 0", got, st.BadDatagrams)
	}
}

// Lists in options data, and in records that are no flows, are counted as well.
func TestListsBesideFlows(t *testing.T) {
	list := wire(uint8(3), []byte{1, 2, 3})
	d := NewDecoder(DecoderOptions{})
	_, errs := decodeAll(d, addrN(1, 1),
		ipfix(0, set(3, wire(400, 3, 1, 149, 4, 34, 4, 292, 0xffff)), set(2, templateOf(401, 291, 0xffff))),
		ipfix(0, set(400, wire(uint32(0), uint32(100), list)), set(401, list, list)))
	if len(errs) > 0 {
		t.Error(errs)
	}
	st := d.Stats().Total
	if st.Error(ReasonList) != 3 || st.Error(ReasonNoFlow) != 2 || st.OptionsRecords != 1 {
		t.Errorf("got %d lists, %d records that are no flows, %d of options, want 3, 2, 1",
			st.Error(ReasonList), st.Error(ReasonNoFlow), st.OptionsRecords)
	}
}

// Options data with several scopes mean what their scopes say together: an
// interface of a line card names the interface, a template of an exporting
// process has the interval.
func TestSeveralScopes(t *testing.T) {
	names := wire(400, 4, 3, 144, 4, 141, 4, 10, 4, 82, 8)    // exporting process, line card, interface: name
	rates := wire(401, 3, 2, 144, 4, 145, 2, 34, 4)           // exporting process, template: interval
	byIf := wire(402, 4, 2, 149, 4, 10, 4, 50, 4, 83, 0xffff) // domain, interface: interval, description
	d := NewDecoder(DecoderOptions{State: newMemoryState()})
	b, errs := decodeAll(d, addrN(1, 1),
		ipfix(0, set(3, names, rates, byIf), set(2, templateUsual, templateOf(301, usualFields...))),
		ipfix(0, set(400, wire(uint32(1), uint32(2), uint32(77), "xe-0/0/7")),
			set(401, wire(uint32(1), 300, uint32(1000))),
			set(402, wire(uint32(0), uint32(10), uint32(50), uint8(6), "uplink"))),
		ipfix(0, set(300, usualRecord(0)), set(301, usualRecord(0))))
	wantRows(t, "records", b, 2)
	if len(errs) > 0 {
		t.Error(errs)
	}
	names77 := savedInterfaces(t, d, addrN(1, 1).Addr())
	if len(names77) != 2 || names77[0] != (Interface{10, "", "uplink"}) || names77[1] != (Interface{77, "xe-0/0/7", ""}) {
		t.Errorf("got interfaces %v", names77)
	}
	// usualRecord comes in by interface 10, and that is asked before the template.
	for row, want := range []uint64{50, 50} {
		if got := b.GetNum(flow.SamplingInterval, row); got != want {
			t.Errorf("record %d: got 1 in %d, want %d", row, got, want)
		}
	}
	e := d.all()[0]
	for _, m := range e.domains {
		if m.templates[300] != 1000 || m.interfaces[10] != 50 || m.system != 0 {
			t.Errorf("got tables %v, %v, %d", m.templates, m.interfaces, m.system)
		}
	}
}
