package bench

import (
	"cmp"
	"slices"
	"time"

	"weir/flow"
)

// An Incident is a known event to plant in the traffic: the flows are the
// truth that an analyst's answer must match. Incidents say nothing of AS
// numbers, interfaces and the like, which follow from the addresses.
type Incident struct {
	Exporter int    // index of the exporter that sees it
	Flows    []Flow // in any order; each is exported two seconds after its End
}

// plant sorts the flows of all incidents by their export time.
func (g *Generator) plant(incidents []Incident) {
	for _, in := range incidents {
		for _, f := range in.Flows {
			g.planted = append(g.planted, seen{Flow: f, src: hostOf(f.Src), dst: hostOf(f.Dst), exporter: in.Exporter})
		}
	}
	slices.SortStableFunc(g.planted, func(a, b seen) int { return cmp.Compare(a.End, b.End) })
}

// exportDelay is the time from a planted flow's end to its export, in ms.
const exportDelay = 2000

func (g *Generator) nextPlanted() (seen, bool) {
	if len(g.planted) == 0 || g.planted[0].End+exportDelay > g.now {
		return seen{}, false
	}
	s := g.planted[0]
	g.planted = g.planted[1:]
	return s, true
}

func ms(t time.Time) uint64 { return uint64(t.UnixMilli()) }

// Beacon returns a host's regular short calls to a controller: n of them, one
// every interval with up to a tenth of it as jitter, each with its answer.
func Beacon(seed uint64, from, controller flow.Addr, port uint16, start time.Time, interval time.Duration, n int) Incident {
	r := rng{mix(seed)}
	var in Incident
	for i := range n {
		at := ms(start) + uint64(i)*uint64(interval.Milliseconds()) + r.below(uint64(interval.Milliseconds()/10)+1)
		call := Flow{
			Src: from, Dst: controller, SrcPort: uint16(49152 + r.below(16384)), DstPort: port, Proto: protoTCP,
			TCPFlags: flagSYN | flagACK | flagPSH | flagFIN, Packets: 6, Bytes: 620, Start: at, End: at + 340,
		}
		answer := call.reverse()
		answer.TCPFlags, answer.Packets, answer.Bytes, answer.Start, answer.End = call.TCPFlags, 5, 480, at+20, at+340
		in.Flows = append(in.Flows, call, answer)
	}
	return in
}

// Scan returns a scan of n consecutive addresses from first on, ten a second:
// one SYN each. The targets in answers accept the connection and a short
// session follows.
func Scan(scanner, first flow.Addr, port uint16, start time.Time, n int, answers ...flow.Addr) Incident {
	var in Incident
	target := first
	for i := range n {
		at := ms(start) + uint64(i)*100
		probe := Flow{
			Src: scanner, Dst: target, SrcPort: 40000, DstPort: port, Proto: protoTCP,
			TCPFlags: flagSYN, Packets: 1, Bytes: 44, Start: at, End: at,
		}
		if slices.Contains(answers, target) {
			probe.TCPFlags = flagSYN | flagACK | flagPSH | flagFIN
			probe.Packets, probe.Bytes, probe.End = 22, 3100, at+4200
			answer := probe.reverse()
			answer.TCPFlags, answer.Packets, answer.Bytes, answer.Start, answer.End = probe.TCPFlags, 20, 4800, at+1, at+4200
			in.Flows = append(in.Flows, answer)
		}
		in.Flows = append(in.Flows, probe)
		target = target.Next()
	}
	return in
}

// Exfiltration returns an upload of so many bytes over TLS, reported once a
// minute for as long as it lasts.
func Exfiltration(from, to flow.Addr, start time.Time, lasts time.Duration, bytes uint64) Incident {
	var in Incident
	parts := max(uint64(lasts/time.Minute), 1)
	for i := range parts {
		at := ms(start) + i*60_000
		share := bytes / parts
		if i == parts-1 {
			share = bytes - share*(parts-1)
		}
		up := Flow{
			Src: from, Dst: to, SrcPort: 51515, DstPort: 443, Proto: protoTCP, TCPFlags: flagACK | flagPSH,
			Packets: max(share/1400, 1), Bytes: share, Start: at, End: at + 59_999,
		}
		down := up.reverse()
		down.TCPFlags, down.Packets, down.Start, down.End = flagACK, max(up.Packets/2, 1), at, up.End
		down.Bytes = down.Packets * 52
		in.Flows = append(in.Flows, up, down)
	}
	return in
}

// Flood returns a reflected DNS flood: n answers from as many resolvers to one
// victim within the given time.
func Flood(seed uint64, victim flow.Addr, start time.Time, lasts time.Duration, n int) Incident {
	r := rng{mix(seed)}
	var in Incident
	for range n {
		at := ms(start) + r.below(uint64(lasts.Milliseconds()))
		packets := r.between(200, 900)
		in.Flows = append(in.Flows, Flow{
			Src: outsideHost(1<<42|r.next()>>24, false).addr, Dst: victim, SrcPort: 53, DstPort: uint16(r.between(1024, 65535)),
			Proto: protoUDP, Packets: packets, Bytes: packets * 1378, Start: at, End: at + 900,
		})
	}
	return in
}

// Translated returns one conversation of an inside host with a web server
// through a translator: who was behind the public address and port then.
func Translated(inside, public, server flow.Addr, insidePort, publicPort uint16, start time.Time) Incident {
	at := ms(start)
	out := Flow{
		Src: inside, Dst: server, SrcPort: insidePort, DstPort: 443, Proto: protoTCP,
		TCPFlags: flagSYN | flagACK | flagPSH | flagFIN, Packets: 14, Bytes: 2100, Start: at, End: at + 8000,
		NATSrc: public, NATDst: server, NATSrcPort: publicPort, NATDstPort: 443,
	}
	back := out.reverse()
	back.TCPFlags, back.Packets, back.Bytes, back.Start, back.End = out.TCPFlags, 18, 21_400, at+15, at+8000
	return Incident{Flows: []Flow{out, back}}
}
