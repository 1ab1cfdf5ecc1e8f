package command

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"weir/flow"
	"weir/query"
)

// humanCount writes n for people.
func humanCount(n uint64) string { return query.CountText(n) }

// humanSpan writes a span for people.
func humanSpan(d time.Duration) string {
	return query.SpanText(query.Moment(max(d, 0).Milliseconds()))
}

// plural writes an exact number of things: "1 hour", "2 hours". Where it need
// not be exact, query.Things is easier to read.
func plural[N int | int64 | uint64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// humanShare writes part of whole as a percentage, "" of nothing.
func humanShare(part, whole uint64) string {
	if whole == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f%%", 100*float64(part)/float64(whole))
}

// humanTime writes ms since the epoch for people, with its zone.
func humanTime(ms uint64) string { return string(appendHumanTime(nil, ms)) }

func appendHumanTime(dst []byte, ms uint64) []byte {
	begin := len(dst)
	dst = flow.AppendTime(dst, ms)
	dst[begin+bytes.IndexByte(dst[begin:], 'T')] = ' '
	return dst
}

// humanMillis writes a span of ms in seconds.
func humanMillis(ms uint64) string {
	return strconv.FormatFloat(float64(ms)/1000, 'f', 3, 64)
}

// protoName returns the usual name of an IP protocol, "" if it has none here.
func protoName(proto uint64) string { return query.ProtoName(proto) }

// flagLetters are the TCP flags from bit 7 down: CWR, ECE, URG, ACK, PSH, RST,
// SYN, FIN.
const flagLetters = "CEUAPRSF"

// humanFlags writes TCP flags as nfdump does: a letter where set, else a dot.
func humanFlags(flags uint64) string {
	if flags > 0xff {
		return "0x" + strconv.FormatUint(flags, 16)
	}
	b := []byte("........")
	for i := range b {
		if flags>>(7-i)&1 != 0 {
			b[i] = flagLetters[i]
		}
	}
	return string(b)
}

// humanValue writes a present field for people.
func humanValue(r *flow.Record, f flow.Field) string {
	switch f {
	case flow.Proto, flow.TunProto:
		if name := protoName(r.Num(f)); name != "" {
			return name
		}
	case flow.TCPFlags:
		return humanFlags(r.Num(f))
	case flow.Bytes, flow.Packets, flow.ReverseBytes, flow.ReversePackets, flow.PostBytes, flow.PostPackets:
		return humanCount(r.Num(f))
	}
	if f.Kind() == flow.KindTime {
		return humanTime(r.Num(f))
	}
	return string(r.AppendValue(nil, f))
}
