package bench

import "weir/flow"

// encoderV5 writes NetFlow v5 (Cisco's NetFlow Export Datagram Format, tables
// B-3 and B-4):
//
//	header, 24 bytes: version 2, count 2, sysUptime 4, unix_secs 4, unix_nsecs 4,
//	    flow_sequence 4, engine_type 1, engine_id 1, sampling 2 (mode 2 bits, interval 14)
//	record, 48 bytes: srcaddr 4, dstaddr 4, nexthop 4, input 2, output 2, dPkts 4,
//	    dOctets 4, First 4, Last 4, srcport 2, dstport 2, pad 1, tcp_flags 1, prot 1,
//	    tos 1, src_as 2, dst_as 2, src_mask 1, dst_mask 1, pad 2
type encoderV5 struct {
	exporter *Exporter
	boot     uint64
	sequence uint32 // flows sent
}

func (e *encoderV5) slot(kind) (kind, int) { return kindV4, 48 }

func (e *encoderV5) overhead() (datagram, group int) { return 24, 0 }

func (e *encoderV5) announce(dst []byte, _ uint64) []byte { return dst }

func (e *encoderV5) encode(dst []byte, groups *[kindCount][]flow.Record, now uint64) []byte {
	records := groups[kindV4]
	dst = append(dst, 0, 5)
	dst = appendUint(dst, uint64(len(records)), 2)
	dst = appendUint(dst, now-e.boot, 4)
	dst = appendUint(dst, now/1000, 4)
	dst = appendUint(dst, now%1000*1e6, 4)
	dst = appendUint(dst, uint64(e.sequence), 4)
	dst = appendUint(dst, uint64(e.exporter.Domain), 2)
	sampling := uint64(0)
	if e.exporter.Sampling > 1 {
		sampling = 1<<14 | uint64(e.exporter.Sampling)&0x3fff
	}
	dst = appendUint(dst, sampling, 2)
	for i := range records {
		dst = e.appendRecord(dst, &records[i])
	}
	e.sequence += uint32(len(records))
	return dst
}

func (e *encoderV5) appendRecord(dst []byte, r *flow.Record) []byte {
	dst = appendUint(dst, uint64(r.Addr(flow.SrcAddr).As4()), 4)
	dst = appendUint(dst, uint64(r.Addr(flow.DstAddr).As4()), 4)
	dst = appendUint(dst, uint64(r.Addr(flow.NextHop).As4()), 4)
	dst = appendUint(dst, r.Num(flow.InIf), 2)
	dst = appendUint(dst, r.Num(flow.OutIf), 2)
	dst = appendUint(dst, r.Num(flow.Packets), 4)
	dst = appendUint(dst, r.Num(flow.Bytes), 4)
	dst = appendUint(dst, r.Num(flow.Start)-e.boot, 4)
	dst = appendUint(dst, r.Num(flow.End)-e.boot, 4)
	dst = appendUint(dst, r.Num(flow.SrcPort), 2)
	dst = appendUint(dst, r.Num(flow.DstPort), 2)
	dst = append(dst, 0, byte(r.Num(flow.TCPFlags)), byte(r.Num(flow.Proto)), byte(r.Num(flow.TOS)))
	dst = appendUint(dst, r.Num(flow.SrcAS), 2)
	dst = appendUint(dst, r.Num(flow.DstAS), 2)
	return append(dst, byte(r.Num(flow.SrcMask)), byte(r.Num(flow.DstMask)), 0, 0)
}
