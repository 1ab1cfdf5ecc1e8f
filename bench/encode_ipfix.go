package bench

import "weir/flow"

// encoderIPFIX writes IPFIX messages (RFC 7011, section 3):
//
//	header, 16 bytes: version 2, length 2, export time 4 (seconds), sequence 4
//	    (data records before this message), observation domain 4
//	set: ID 2, length 2, records, padding
type encoderIPFIX struct {
	templates
	sequence uint32 // data records sent
}

func (e *encoderIPFIX) overhead() (datagram, group int) { return 16, 7 }

func (e *encoderIPFIX) header(dst []byte, now uint64) []byte {
	dst = append(dst, 0, 10, 0, 0)
	dst = appendUint(dst, now/1000, 4)
	dst = appendUint(dst, uint64(e.sequence), 4)
	return appendUint(dst, uint64(e.exporter.Domain), 4)
}

// finish writes the length of the message that begins at the given place.
func (e *encoderIPFIX) finish(dst []byte, at int) []byte {
	n := len(dst) - at
	dst[at+2], dst[at+3] = byte(n>>8), byte(n)
	return dst
}

// announce sends the templates and, if the exporter samples, the options
// template and record that say so (RFC 5477: samplingPacketInterval and
// samplingPacketSpace).
func (e *encoderIPFIX) announce(dst []byte, now uint64) []byte {
	start := len(dst)
	dst = e.header(dst, now)
	at := len(dst)
	dst = append(dst, 0, 2, 0, 0) // set ID 2: templates
	dst = closeSet(e.appendTemplates(dst), at)
	if e.exporter.Sampling <= 1 {
		return e.finish(dst, start)
	}
	at = len(dst)
	dst = append(dst, 0, 3, 0, 0) // set ID 3: options templates
	dst = appendUint(dst, optionsTemplateID, 2)
	dst = append(dst, 0, 3, 0, 1)     // three fields, the first of them scope
	dst = append(dst, 0, 149, 0, 4)   // observationDomainId
	dst = append(dst, 0x01, 49, 0, 4) // 305 samplingPacketInterval
	dst = append(dst, 0x01, 50, 0, 4) // 306 samplingPacketSpace
	dst = closeSet(dst, at)
	at = len(dst)
	dst = appendUint(dst, optionsTemplateID, 2)
	dst = append(dst, 0, 0)
	dst = appendUint(dst, uint64(e.exporter.Domain), 4)
	dst = appendUint(dst, 1, 4)
	dst = appendUint(dst, uint64(e.exporter.Sampling)-1, 4)
	e.sequence++
	return e.finish(closeSet(dst, at), start)
}

func (e *encoderIPFIX) encode(dst []byte, groups *[kindCount][]flow.Record, now uint64) []byte {
	start := len(dst)
	dst = e.appendDataSets(e.header(dst, now), groups)
	e.sequence += uint32(countRecords(groups))
	return e.finish(dst, start)
}
