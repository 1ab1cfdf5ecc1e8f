package query

import "testing"

// TestNamesGoBothWays checks that every number with a name has one name that is
// given back, and not by chance one of several.
func TestNamesGoBothWays(t *testing.T) {
	for _, table := range []struct {
		what  string
		names map[string]uint64
		usual map[uint64]string
		name  func(uint64) string
	}{{"port", serviceNames, usualPorts, ServiceName}, {"protocol", protoNames, usualProtos, ProtoName}} {
		count := map[uint64]int{}
		for _, n := range table.names {
			count[n]++
		}
		for n, times := range count {
			name := table.name(n)
			if back, ok := table.names[name]; !ok || back != n {
				t.Errorf("%s %d is called %q, which is %d", table.what, n, name, back)
			}
			if times > 1 && table.usual[n] == "" {
				t.Errorf("%s %d has %d names and none is the usual one", table.what, n, times)
			}
		}
	}
	if ServiceName(443) != "https" || ProtoName(6) != "tcp" || ServiceName(40000) != "" || ProtoName(253) != "" {
		t.Errorf("got %q, %q, %q, %q", ServiceName(443), ProtoName(6), ServiceName(40000), ProtoName(253))
	}
}
