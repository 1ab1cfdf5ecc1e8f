package collector

import (
	"encoding/binary"
	"errors"

	"weir/flow"
)

// sets decodes the sets (v9: flowsets) of a datagram in their order. A set
// whose length is wrong ends the walk; what was decoded before stands. The
// first error is returned, all are counted.
//
//	| set id | length, this header included | records ... | padding |
func (e *exporter) sets(b *flow.Batch, s *stream, h *header, rest []byte, d *Decoder) error {
	var first error
	note := func(err error) {
		if err != nil {
			e.noteError(err)
			if first == nil {
				first = err
			}
		}
	}
	for len(rest) >= 4 {
		id, length := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
		if length < 4 {
			if !allZero(rest) {
				note(decodeErrorf(ReasonSetLength, "set %d of %d bytes", id, length))
			}
			return first
		}
		cut := length > len(rest)
		if cut {
			note(decodeErrorf(ReasonTruncated, "set %d of %d bytes in %d", id, length, len(rest)))
			length = len(rest)
		}
		note(e.set(b, s, h, id, rest[4:length], d))
		rest = rest[length:]
	}
	if !allZero(rest) {
		note(decodeErrorf(ReasonTrailing, "%d bytes after the last set", len(rest)))
	}
	return first
}

// set decodes one set.
func (e *exporter) set(b *flow.Batch, s *stream, h *header, id uint16, body []byte, d *Decoder) error {
	templates, options := uint16(0), uint16(1)
	if h.version == 10 {
		templates, options = 2, 3
	}
	switch {
	case id == templates || id == options:
		return readTemplates(h.version, id == options, body, func(t *template) {
			e.stats.Templates++
			if e.define(s, t, h.received, d) {
				e.recover(b, t.id, d)
			}
		}, func(withdrawn uint16) { e.withdraw(s, withdrawn, id == options, d) })
	case id < 256:
		return decodeErrorf(ReasonSetID, "set id %d", id)
	}
	if len(body) == 0 {
		return nil
	}
	t := e.template(s, id, len(body))
	if t == nil {
		e.hold(s, h, id, body, d)
		return nil
	}
	return e.dataSet(b, s, t, h, body, d)
}

// dataSet decodes the records of a set whose template is known.
func (e *exporter) dataSet(b *flow.Batch, s *stream, t *template, h *header, body []byte, d *Decoder) error {
	t.used = h.received
	if t.options {
		return e.optionsSet(s, t, body, d)
	}
	p := t.compiled(d.kept)
	if !p.isFlow {
		n, rest := wholeRecords(t, body)
		e.stats.Errors[ReasonNoFlow] += uint64(n)
		e.skippedLists(t, n)
		e.account.size.add(n, n)
		return leftOver(n, t.minLen, body[len(body)-rest:])
	}
	h.template = t.id
	dec := &e.work
	dec.begin(b, h, s.domain)
	version := flow.VersionNF9
	if h.version == 10 {
		version = flow.VersionIPFIX
	}
	before := b.Len()
	var err error
	if p.varying {
		err = dec.varyingSet(p, body, version)
	} else {
		err = dec.fixedSet(p, body, version)
	}
	e.stats.Records += uint64(b.Len() - before)
	e.skippedLists(t, b.Len()-before)
	e.account.size.add(b.Len()-before, b.Len()-before)
	e.rows(b, before, h, dec.mixed)
	e.watchRecords(s.domain, t, b, before, d)
	if p.ownInterval() && b.Len() > before {
		e.saidInterval(s.domain, uint32(b.GetNum(flow.SamplingInterval, before)), h.received)
	}
	e.stats.Errors[ReasonTime] += dec.badTimes
	e.stats.Errors[ReasonValue] += dec.badValues
	e.stats.Errors[ReasonCut] += dec.cutTexts
	return err
}

// skippedLists counts the lists in records that were decoded without them.
func (e *exporter) skippedLists(t *template, records int) {
	e.stats.Errors[ReasonList] += uint64(records * t.lists)
}

// leftOver returns an error if what is left behind the n records of a set is more
// than padding. Padding is shorter than the shortest record and, to align with 4
// or 8 bytes, than 8 bytes; more than that, not zero, is a record that was cut or
// a layout that has changed.
func leftOver(n, shortest int, rest []byte) error {
	if n > 0 && len(rest) < min(8, shortest) || allZero(rest) {
		return nil
	}
	return decodeErrorf(ReasonRecord, "%d bytes are left of a set of records of at least %d", len(rest), shortest)
}

// fixedSet decodes the records of a template of fixed layout, all at once.
func (d *decoding) fixedSet(p *plan, body []byte, version uint64) error {
	n := len(body) / p.recLen
	if p.recLen < 4 { // padding could be taken for records
		for n > 0 && len(body)-(n-1)*p.recLen < 4 && allZero(body[(n-1)*p.recLen:]) {
			n--
		}
	}
	d.body, d.n, d.recLen, d.refs = body[:n*p.recLen], n, p.recLen, p.refs
	if n > 0 {
		d.base = d.b.GrowFor(n, p.whole)
		d.common(version)
		d.run(p)
	}
	return leftOver(n, p.recLen, body[n*p.recLen:])
}

// varyingSet decodes the records of a template with variable-length fields, one
// at a time: the same steps, with offsets found anew for each record.
func (d *decoding) varyingSet(p *plan, body []byte, version uint64) error {
	if cap(d.located) < len(p.refs) {
		d.located = make([]ref, len(p.refs))
	}
	refs := d.located[:len(p.refs)]
	start := d.b.Len()
	for len(body) >= p.recLen && !(len(body) < 4 && allZero(body)) {
		length, ok := p.locate(body, refs)
		if !ok {
			break
		}
		d.body, d.recLen, d.n, d.refs = body[:length], length, 1, refs
		d.base = d.b.Grow(1)
		d.run(p)
		body = body[length:]
	}
	if d.n = d.b.Len() - start; d.n > 0 {
		d.base = start
		d.common(version)
	}
	return leftOver(d.n, p.recLen, body)
}

// noteError counts an error under its reason.
func (e *exporter) noteError(err error) {
	var d *DecodeError
	if errors.As(err, &d) {
		e.count(d.Reason)
	}
}
