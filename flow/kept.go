package flow

import (
	"slices"
	"strings"
)

// A KeptElement is an information element that is kept beside the fields of the
// record, in a slot of its own.
type KeptElement struct {
	Field      Field       `json:"field"`                // the slot
	Enterprise uint32      `json:"enterprise,omitempty"` // private enterprise number; 0: IANA
	Number     uint16      `json:"number"`
	Name       string      `json:"name"`              // of the column, such as "application_id"
	Element    string      `json:"element,omitempty"` // name in the registry, such as "applicationId"; "": none
	Alias      string      `json:"alias"`             // by number, such as "cisco_12235"
	Type       ElementType `json:"type,omitempty"`
	Since      uint64      `json:"since"`           // ms since the Unix epoch: when it was first kept
	Until      uint64      `json:"until,omitempty"` // ms: no record received later has it; 0: it is being kept
}

// Same reports whether both are one element, whatever their type.
func (e *KeptElement) Same(o *KeptElement) bool {
	return e.Enterprise == o.Enterprise && e.Number == o.Number
}

// A Kept is what the slots of an archive hold. It does not change. A nil Kept
// holds nothing.
type Kept struct {
	elements []KeptElement
	slots    [FieldCount]int8 // place in elements, from 1; 0: the slot is free
}

// NewKept returns what the elements say, of which no two have one slot.
func NewKept(elements []KeptElement) *Kept {
	k := &Kept{elements: slices.Clone(elements)}
	for i := range k.elements {
		if f := k.elements[i].Field; f.IsKept() {
			k.slots[f] = int8(i + 1)
		}
	}
	return k
}

// All returns all elements; they must not be changed.
func (k *Kept) All() []KeptElement {
	if k == nil {
		return nil
	}
	return k.elements
}

// Active returns the elements that are being kept.
func (k *Kept) Active() []KeptElement {
	var list []KeptElement
	for _, e := range k.All() {
		if e.Until == 0 {
			list = append(list, e)
		}
	}
	return list
}

// Of returns the element in a slot, nil if there is none.
func (k *Kept) Of(f Field) *KeptElement {
	if k == nil || f >= FieldCount || k.slots[f] == 0 {
		return nil
	}
	return &k.elements[k.slots[f]-1]
}

// Find returns the element of that name, nil if there is none: the column's, the
// registry's in either manner, the alias, or that of the slot, whatever the case.
// Of several under one name in the registry or one alias, the one that is being
// kept counts.
func (k *Kept) Find(name string) *KeptElement {
	if name == "" {
		return nil
	}
	for i := range k.All() {
		e := &k.elements[i]
		if strings.EqualFold(e.Name, name) || name == e.Field.String() {
			return e
		}
	}
	var found *KeptElement
	for i := range k.All() {
		e := &k.elements[i]
		known := e.Element != "" && (strings.EqualFold(e.Element, name) || strings.EqualFold(ColumnName(e.Element), name)) || strings.EqualFold(e.Alias, name)
		if known && (found == nil || e.Until == 0) {
			found = e
		}
	}
	return found
}

// Field returns the field of that name, kept or not, and false if there is none.
func (k *Kept) Field(name string) (Field, bool) {
	if f, ok := ParseField(name); ok && !f.IsKept() {
		return f, true
	}
	if e := k.Find(name); e != nil {
		return e.Field, true
	}
	return fieldNone, false
}

// Name returns the name of a field, kept or not.
func (k *Kept) Name(f Field) string {
	if e := k.Of(f); e != nil {
		return e.Name
	}
	return f.String()
}

// Names returns the names of all columns of kept elements.
func (k *Kept) Names() []string {
	var list []string
	for i := range k.All() {
		list = append(list, k.elements[i].Name)
	}
	return list
}

// ColumnName returns the name that a column has for an element of the registry:
// applicationId becomes application_id, flowEndDeltaMicroseconds
// flow_end_delta_microseconds, bgpNextHopIPv4Address bgp_next_hop_ipv4_address.
func ColumnName(element string) string {
	element = strings.NewReplacer("IPv4", "Ipv4", "IPv6", "Ipv6", "VRFname", "VrfName").Replace(element)
	upper := func(i int) bool { return i < len(element) && element[i] >= 'A' && element[i] <= 'Z' }
	lower := func(i int) bool { return i < len(element) && element[i] >= 'a' && element[i] <= 'z' }
	var b strings.Builder
	for i := range len(element) {
		if upper(i) && i > 0 && (!upper(i-1) || lower(i+1)) && element[i-1] != '_' {
			b.WriteByte('_')
		}
		b.WriteByte(element[i])
	}
	return strings.ToLower(b.String())
}
