package collector

import (
	"net/netip"

	"github.com/netsampler/goflow2/v2/decoders/netflow"

	"weir/flow"
)

// A Watch is told what a Decoder reads by templates, for who looks over its
// shoulder. Its functions may be nil. They are called with the exporter locked:
// they must not call the Decoder, and several goroutines may call them at once.
type Watch struct {
	// Records: the rows of b from from on were decoded by a template.
	Records func(by TemplateKey, b *flow.Batch, from int)

	// Options: a record of options data was read. The values' bytes are valid
	// until it returns.
	Options func(by TemplateKey, values []OptionValue)
}

// A TemplateKey names a template of an observation domain.
type TemplateKey struct {
	Exporter netip.Addr
	Domain   uint32
	Version  uint16 // 9 or 10
	Template uint16
}

// An OptionValue is one value of a record of options data.
type OptionValue struct {
	Element Element
	Scope   bool   // it says what the others apply to
	Bytes   []byte // as they came
}

// V9Scope returns the name of a scope type of NetFlow v9 (RFC 3954, section 6.1),
// which are numbers of their own, or "".
func V9Scope(number uint16) string {
	if number > v9ScopeLast {
		return ""
	}
	return [v9ScopeLast + 1]string{"", "System", "Interface", "Line Card", "Cache", "Template"}[number]
}

// watchRecords tells the Watch of the rows of b from from on.
func (e *exporter) watchRecords(m *domain, t *template, b *flow.Batch, from int, d *Decoder) {
	if d.watch == nil || d.watch.Records == nil || b.Len() == from {
		return
	}
	d.watch.Records(TemplateKey{e.addr, m.key.Domain, m.key.Version, t.id}, b, from)
}

// watchOptions tells the Watch of one record of options data.
func (e *exporter) watchOptions(m *domain, t *template, r *netflow.OptionsDataRecord, d *Decoder) {
	if d.watch == nil || d.watch.Options == nil {
		return
	}
	values := make([]OptionValue, 0, len(r.ScopesValues)+len(r.OptionsValues))
	add := func(fields []netflow.DataField, scope bool) {
		for _, f := range fields {
			value, ok := f.Value.([]byte)
			if !ok {
				continue
			}
			values = append(values, OptionValue{elementOf(t.version, wireField{id: f.Type, pen: f.Pen}), scope, value})
		}
	}
	add(r.ScopesValues, true)
	add(r.OptionsValues, false)
	d.watch.Options(TemplateKey{e.addr, m.key.Domain, m.key.Version, t.id}, values)
}
