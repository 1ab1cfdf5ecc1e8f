package bench

import "weir/flow"

// encoderV9 writes NetFlow v9 (RFC 3954, section 5):
//
//	header, 20 bytes: version 2, count 2 (records of all kinds), sysUptime 4,
//	    unix_secs 4, sequence 4 (datagrams), source ID 4
//	set: ID 2, length 2, records, padding to four bytes
type encoderV9 struct {
	templates
	sequence uint32 // datagrams sent
}

func (e *encoderV9) overhead() (datagram, group int) { return 20, 7 }

func (e *encoderV9) header(dst []byte, count int, now uint64) []byte {
	// The header tells whole seconds; a router whose uptime counts from them
	// gives times that are exact to the millisecond.
	second := now / 1000
	dst = append(dst, 0, 9)
	dst = appendUint(dst, uint64(count), 2)
	dst = appendUint(dst, second*1000-e.boot, 4)
	dst = appendUint(dst, second, 4)
	dst = appendUint(dst, uint64(e.sequence), 4)
	dst = appendUint(dst, uint64(e.exporter.Domain), 4)
	e.sequence++
	return dst
}

// announce sends the templates and, if the exporter samples, the options
// template and record that say so (RFC 3954, section 6.1).
func (e *encoderV9) announce(dst []byte, now uint64) []byte {
	count := int(kindCount)
	if e.exporter.Sampling > 1 {
		count += 2
	}
	dst = e.header(dst, count, now)
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0) // set ID 0: templates
	dst = closeSet(e.appendTemplates(dst), at)
	if e.exporter.Sampling <= 1 {
		return dst
	}
	at = len(dst)
	dst = append(dst, 0, 1, 0, 0) // set ID 1: options templates
	dst = appendUint(dst, optionsTemplateID, 2)
	dst = append(dst, 0, 4, 0, 8) // bytes of the scope fields and of the option fields
	dst = append(dst, 0, 1, 0, 4) // scope: system
	dst = append(dst, 0, 34, 0, 4, 0, 35, 0, 1)
	dst = closeSet(dst, at)
	at = len(dst)
	dst = appendUint(dst, optionsTemplateID, 2)
	dst = append(dst, 0, 0)
	dst = append(dst, 0, 0, 0, 0) // the system itself
	dst = appendUint(dst, uint64(e.exporter.Sampling), 4)
	dst = append(dst, 2) // random
	return closeSet(dst, at)
}

func (e *encoderV9) encode(dst []byte, groups *[kindCount][]flow.Record, now uint64) []byte {
	return e.appendDataSets(e.header(dst, countRecords(groups), now), groups)
}

func countRecords(groups *[kindCount][]flow.Record) int {
	n := 0
	for k := range groups {
		n += len(groups[k])
	}
	return n
}
