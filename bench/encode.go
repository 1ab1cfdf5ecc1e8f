package bench

import "weir/flow"

// maxPayload bounds the UDP payload of a datagram, so that it fits an MTU of
// 1,500 through a tunnel or two.
const maxPayload = 1400

// An encoder writes the export datagrams of one exporter.
type encoder interface {
	// slot returns in which of a datagram's groups a record of kind k goes,
	// and how many bytes it takes there.
	slot(k kind) (group kind, size int)
	// overhead is the size of a datagram's header, and of a group's.
	overhead() (datagram, group int)
	// announce appends a datagram with what a collector must know before it
	// can decode records, or nothing if the format has no such thing.
	announce(dst []byte, now uint64) []byte
	// encode appends a datagram that holds the records, by group.
	encode(dst []byte, groups *[kindCount][]flow.Record, now uint64) []byte
}

func newEncoder(e *Exporter, boot uint64) encoder {
	switch e.Format {
	case NetFlow5:
		return &encoderV5{exporter: e, boot: boot}
	case SFlow5:
		return &encoderSFlow{exporter: e, boot: boot}
	}
	t := templates{exporter: e, boot: boot}
	for k := range kindCount {
		t.layouts[k] = e.layout(k)
		t.sizes[k] = sizeOf(t.layouts[k])
	}
	if e.Format == IPFIX {
		return &encoderIPFIX{templates: t}
	}
	return &encoderV9{templates: t}
}

// templates is what NetFlow v9 and IPFIX have in common.
type templates struct {
	exporter *Exporter
	boot     uint64 // when the exporter started, ms since the Unix epoch
	layouts  [kindCount][]element
	sizes    [kindCount]int
}

func (t *templates) slot(k kind) (kind, int) { return k, t.sizes[k] }

// appendTemplates appends the template records of all kinds, without the set
// header (RFC 3954, section 5.2; RFC 7011, section 3.4.1).
func (t *templates) appendTemplates(dst []byte) []byte {
	for k, els := range t.layouts {
		dst = appendUint(dst, uint64(templateID(kind(k))), 2)
		dst = appendUint(dst, uint64(len(els)), 2)
		for _, el := range els {
			dst = appendUint(dst, uint64(el.id), 2)
			dst = appendUint(dst, uint64(el.size), 2)
		}
	}
	return dst
}

// appendDataSets appends one data set for each group that has records, padded
// to four bytes.
func (t *templates) appendDataSets(dst []byte, groups *[kindCount][]flow.Record) []byte {
	for k := range groups {
		if len(groups[k]) == 0 {
			continue
		}
		at := len(dst)
		dst = appendUint(dst, uint64(templateID(kind(k))), 2)
		dst = append(dst, 0, 0)
		for i := range groups[k] {
			dst = appendRecord(dst, &groups[k][i], t.layouts[k], t.boot)
		}
		dst = closeSet(dst, at)
	}
	return dst
}

// closeSet pads the set that begins at the given place and writes its length.
func closeSet(dst []byte, at int) []byte {
	for (len(dst)-at)%4 != 0 {
		dst = append(dst, 0)
	}
	n := len(dst) - at
	dst[at+2], dst[at+3] = byte(n>>8), byte(n)
	return dst
}
