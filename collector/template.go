package collector

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/netsampler/goflow2/v2/decoders/netflow"
)

// A template is the layout of later records, as an exporter defined it. It is
// guarded by its exporter's mutex; the plan, once made, never changes.
type template struct {
	id      uint16
	version uint16
	options bool
	scopes  int         // leading fields that are scopes, of an options template
	fields  []wireField // scopes first
	minLen  int         // bytes of the shortest record
	varying bool        // there are variable-length fields
	lists   int         // fields that are lists, which are skipped
	plan    *plan       // nil until the first data set, and for options templates
	used    uint64      // ms, when it was last defined or used
}

// size estimates the memory that a template takes, plan included.
func (t *template) size() int { return 512 + 64*len(t.fields) }

// same reports whether two definitions have the same layout.
func (t *template) same(o *template) bool {
	return t.version == o.version && t.options == o.options && t.scopes == o.scopes && slices.Equal(t.fields, o.fields)
}

// compiled returns the plan, which it makes the first time: a flood of
// templates without data costs no compiling.
func (t *template) compiled(kept keepers) *plan {
	if t.plan == nil {
		t.plan = compilePlan(t.version, t.fields, kept)
	}
	return t.plan
}

// fits reports whether a data set of that many bytes could have been written by
// this template. Sets end with at most 3 bytes of padding, or, by RFC 7011,
// section 3.3.1, less than a record.
func (t *template) fits(bytes int) bool {
	return bytes >= t.minLen && (t.varying || bytes%t.minLen <= 3)
}

// readTemplates calls define for every template of a template set, or options
// template set, and withdraw for every withdrawal, of one template or, by the id
// of the set, of all that such sets define (RFC 7011, section 8.1). It cuts the set into single template records and has goflow2
// parse each, because goflow2 allocates what a record announces before it looks
// at what there is, and accepts templates without fields, whose data it then
// decodes for ever.
//
//	template record           | id | field count | fields ... |
//	v9 options template       | id | scope bytes | option bytes | fields ... |
//	IPFIX options template    | id | field count | scope count | fields ... |
//	IPFIX withdrawal          | id, or that of the set | 0 |
//	field                     | type | length | enterprise number, if bit 15 (IPFIX) |
//
// The first error ends the set: where the next record begins is not known.
func readTemplates(version uint16, options bool, set []byte, define func(*template), withdraw func(id uint16)) error {
	for len(set) >= 4 {
		id := binary.BigEndian.Uint16(set)
		if version == 10 && set[2] == 0 && set[3] == 0 && (id >= 256 || id == templateSetID(options)) {
			withdraw(id)
			set = set[4:]
			continue
		}
		if id < 256 {
			if allZero(set) {
				return nil // padding
			}
			return decodeErrorf(ReasonTemplate, "template id %d", id)
		}
		size, err := templateSize(version, options, set)
		if err != nil {
			return err
		}
		t, err := parseTemplate(version, options, set[:size])
		if err != nil {
			return err
		}
		define(t)
		set = set[size:]
	}
	return nil
}

// templateSetID returns the id of IPFIX's sets of templates, or of options
// templates.
func templateSetID(options bool) uint16 {
	if options {
		return 3
	}
	return 2
}

// templateSize returns the length of the template record at the start of set.
func templateSize(version uint16, options bool, set []byte) (int, error) {
	id, count, pos := binary.BigEndian.Uint16(set), int(binary.BigEndian.Uint16(set[2:])), 4
	if options {
		if len(set) < 6 {
			return 0, decodeErrorf(ReasonTemplate, "options template %d is cut off", id)
		}
		second := int(binary.BigEndian.Uint16(set[4:]))
		pos = 6
		switch {
		case version == 9 && (count%4 != 0 || second%4 != 0):
			return 0, decodeErrorf(ReasonTemplate, "options template %d has lengths %d and %d", id, count, second)
		case version == 9:
			count = (count + second) / 4
		case second > count:
			return 0, decodeErrorf(ReasonTemplate, "options template %d has %d scopes of %d fields", id, second, count)
		}
	}
	for range count {
		if pos+4 > len(set) {
			return 0, decodeErrorf(ReasonTemplate, "template %d is cut off after %d bytes", id, len(set))
		}
		if version == 10 && set[pos]&0x80 != 0 {
			pos += 4
		}
		pos += 4
	}
	if pos > len(set) {
		return 0, decodeErrorf(ReasonTemplate, "template %d is cut off after %d bytes", id, len(set))
	}
	return pos, nil
}

// parseTemplate parses one whole template record.
func parseTemplate(version uint16, options bool, record []byte) (*template, error) {
	t := &template{id: binary.BigEndian.Uint16(record), version: version, options: options}
	if len(record) == 4 {
		return nil, decodeErrorf(ReasonTemplate, "template %d has no fields", t.id)
	}
	if err := t.parseFields(record); err != nil {
		return nil, &DecodeError{ReasonTemplate, err.Error()}
	}
	if err := t.measure(); err != nil {
		return nil, err
	}
	return t, nil
}

// Elements whose values are lists of other elements (RFC 6313): basicList,
// subTemplateList and subTemplateMultiList.
const (
	firstList = 291
	lastList  = 293
)

// measure finds the length of the shortest record, counts lists, and refuses a template whose
// records are empty or do not fit a datagram.
func (t *template) measure() error {
	for _, f := range t.fields {
		if t.version == 10 && f.pen == 0 && f.id >= firstList && f.id <= lastList {
			t.lists++
		}
		if f.len == variable {
			t.varying = true
			t.minLen++
		} else {
			t.minLen += int(f.len)
		}
	}
	if t.minLen == 0 || t.minLen > maxDatagram {
		return decodeErrorf(ReasonTemplate, "template %d describes records of %d bytes", t.id, t.minLen)
	}
	return nil
}

func (t *template) parseFields(record []byte) error {
	buf := bytes.NewBuffer(record)
	switch {
	case !t.options:
		records, err := netflow.DecodeTemplateSet(t.version, buf)
		if err != nil || len(records) != 1 {
			return err
		}
		t.addFields(records[0].Fields)
	case t.version == 9:
		records, err := netflow.DecodeNFv9OptionsTemplateSet(buf)
		if err != nil || len(records) != 1 {
			return err
		}
		t.scopes = len(records[0].Scopes)
		t.addFields(records[0].Scopes)
		t.addFields(records[0].Options)
	default:
		records, err := netflow.DecodeIPFIXOptionsTemplateSet(buf)
		if err != nil || len(records) != 1 {
			return err
		}
		t.scopes = len(records[0].Scopes)
		t.addFields(records[0].Scopes)
		t.addFields(records[0].Options)
	}
	return nil
}

// addFields takes fields over from goflow2, which leaves the enterprise bit in
// the element numbers of options templates.
func (t *template) addFields(fields []netflow.Field) {
	for _, f := range fields {
		id := f.Type
		if f.PenProvided {
			id &= 0x7fff
		}
		t.fields = append(t.fields, wireField{id, f.Length, f.Pen})
	}
}

func allZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}
