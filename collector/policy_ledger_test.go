package collector

import (
	"reflect"
	"testing"

	"weir/flow"
	"weir/flow/ledger"
)

// TestPolicyInLedger checks that the ledger of each hour says what a policy did:
// to the exporter's records, to its sampling interval, and to strangers.
func TestPolicyInLedger(t *testing.T) {
	l, aside := newMemoryLedger(), newMemorySink()
	scope := scopeOf(t, 4, aside)
	scope.Groups["core"] = SetAside
	p, _ := newPolicy(t, PolicyOptions{Known: testKnown, Only: true, Scope: scope})
	d := NewDecoder(DecoderOptions{Ledger: l, Known: testKnown, Policy: p})
	b := flow.NewBatch(0)
	const hours = 2
	for hour := range uint64(hours) {
		for range 3 + hour {
			for _, from := range []string{"192.0.2.1", "203.0.113.1", "198.51.100.1"} {
				_ = d.Decode(b, testTime+hour*hourMS, sender(from), datagram5(10))
			}
		}
		d.book.alive(0, testTime+hour*hourMS, 0)
		for range 2 { // a second look changes nothing
			d.book.refusals(p)
		}
		if err := d.book.flush(testTime+hour*hourMS, true); err != nil {
			t.Fatal(err)
		}
	}
	for hour := range uint64(hours) {
		n := 3 + hour // datagrams of each
		at := testHour + uint32(hour)
		for from, want := range map[string]map[ledger.Counter]uint64{
			"192.0.2.1":   {ledger.Records: 10 * n, ledger.OutOfScope: 6 * n, ledger.SetAside: 6 * n, ledger.Refused: 0},
			"203.0.113.1": {ledger.Records: 10 * n, ledger.OutOfScope: 6 * n, ledger.SetAside: 0, ledger.Refused: 6 * n},
		} {
			e := l.entry(at, keyOf(sender(from), 0, uint16(flow.VersionNF5)))
			for c, count := range want {
				if got := e.Get(c); got != count {
					t.Errorf("hour %d, %s: %v is %d, want %d", hour, from, c, got, count)
				}
			}
			interval := uint32(0)
			if from == "192.0.2.1" {
				interval = 500
			}
			if want := []ledger.Interval{{N: interval, Records: 10 * n}}; !reflect.DeepEqual(e.Intervals, want) {
				t.Errorf("hour %d, %s: intervals %v, want %v", hour, from, e.Intervals, want)
			}
		}
		hosts := l.hosts(at)
		if want := []ledger.Drop{{Where: "198.51.100.1", Count: n}}; len(hosts) != 1 || !reflect.DeepEqual(hosts[0].Senders, want) || hosts[0].Others != (ledger.Drop{}) {
			t.Errorf("hour %d: hosts %+v, want refused %v", hour, hosts, want)
		}
	}
	if want := 7 * 6; aside.len() != want {
		t.Errorf("%d records set aside, want %d", aside.len(), want)
	}
}
