package command

import (
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
	dst = flow.AppendTime(dst, ms)
	dst[len(dst)-len("T15:04:05.000Z")] = ' '
	return dst
}

// humanMillis writes a span of ms in seconds.
func humanMillis(ms uint64) string { return string(appendMillis(nil, ms)) }

func appendMillis(dst []byte, ms uint64) []byte {
	return appendThree(append(appendUint(dst, ms/1000), '.'), ms%1000)
}

// appendThree appends v, which is less than 1000, in three digits.
func appendThree(dst []byte, v uint64) []byte {
	return flow.AppendPair(append(dst, byte('0'+v/100)), v%100)
}

// protoName returns the usual name of an IP protocol, "" if it has none here.
func protoName(proto uint64) string { return query.ProtoName(proto) }

// flagLetters are the TCP flags from bit 7 down: CWR, ECE, URG, ACK, PSH, RST,
// SYN, FIN.
const flagLetters = "CEUAPRSF"

// humanFlags writes TCP flags as nfdump does: a letter where set, else a dot.
func humanFlags(flags uint64) string { return string(appendFlags(nil, flags)) }

func appendFlags(dst []byte, flags uint64) []byte {
	if flags > 0xff {
		return strconv.AppendUint(append(dst, "0x"...), flags, 16)
	}
	for i := range flagLetters {
		if flags>>(7-i)&1 != 0 {
			dst = append(dst, flagLetters[i])
		} else {
			dst = append(dst, '.')
		}
	}
	return dst
}

// appendHuman appends a present field for people.
func appendHuman(dst []byte, r *flow.Record, f flow.Field) []byte {
	switch f {
	case flow.Proto, flow.TunProto:
		if name := protoName(r.Num(f)); name != "" {
			return append(dst, name...)
		}
	case flow.TCPFlags:
		return appendFlags(dst, r.Num(f))
	case flow.Bytes, flow.Packets, flow.ReverseBytes, flow.ReversePackets, flow.PostBytes, flow.PostPackets:
		return query.AppendCount(dst, r.Num(f))
	}
	if f.Kind() == flow.KindTime {
		return appendHumanTime(dst, r.Num(f))
	}
	return r.AppendValue(dst, f)
}
