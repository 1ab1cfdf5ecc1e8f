package collector

import (
	"cmp"
	_ "embed"
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RegistryDate is the day as of which elements.csv has IANA's registry of IPFIX
// information elements. What was assigned later has a number and no name here.
const RegistryDate = "2020-03-09"

// elementsCSV is the registry, and of Cisco's elements those of its firewalls
// and of its application recognition. It has a row for each element: enterprise
// number (0: IANA), number, name, abstract data type (RFC 7011, section 6.1).
//
//go:embed elements.csv
var elementsCSV string

// An Element names an information element.
type Element struct {
	Enterprise uint32 // private enterprise number; 0: IANA, or any v9 field type below 32768
	Number     uint16
}

// elementOf returns the element of a field of a template. NetFlow v9 field types
// from 32768 on are Cisco's.
func elementOf(version uint16, f wireField) Element {
	if version == 9 && f.id >= 0x8000 {
		return Element{penCisco, f.id & 0x7fff}
	}
	return Element{f.pen, f.id}
}

// String returns the number, with the enterprise before it where it is not IANA.
func (e Element) String() string {
	if e.Enterprise == penIANA {
		return strconv.Itoa(int(e.Number))
	}
	return fmt.Sprintf("%d/%d", e.Enterprise, e.Number)
}

// A Registry knows names and data types of information elements.
type Registry struct {
	elements map[Element]elementName
}

type elementName struct{ name, dataType string }

// NewRegistry returns the registry that weir brings with it.
func NewRegistry() *Registry {
	r := &Registry{elements: map[Element]elementName{}}
	rows, err := csv.NewReader(strings.NewReader(elementsCSV)).ReadAll()
	if err != nil {
		return r // the tests read it; an answer with numbers is better than none
	}
	for _, row := range rows[1:] {
		enterprise, err := strconv.ParseUint(row[0], 10, 32)
		number, numberErr := strconv.ParseUint(row[1], 10, 15)
		if err == nil && numberErr == nil {
			r.elements[Element{uint32(enterprise), uint16(number)}] = elementName{row[2], row[3]}
		}
	}
	return r
}

// Name returns the element's name, "" if the registry has none. Reverse elements
// (RFC 5103) are named as that RFC says, from the name of the element itself.
func (r *Registry) Name(e Element) string {
	if e.Enterprise == penReverse {
		name := r.elements[Element{penIANA, e.Number}].name
		if name == "" {
			return ""
		}
		return reversePrefix + strings.ToUpper(name[:1]) + name[1:]
	}
	return r.elements[e].name
}

// Type returns the element's abstract data type, "" if the registry has none.
func (r *Registry) Type(e Element) string {
	if e.Enterprise == penReverse {
		e.Enterprise = penIANA
	}
	return r.elements[e].dataType
}

// Find returns the element of that name, whatever its case, and false if the
// registry has none. Of equal names the one of IANA counts.
func (r *Registry) Find(name string) (Element, bool) {
	var found []Element
	for e := range r.elements {
		if strings.EqualFold(r.elements[e].name, name) {
			found = append(found, e)
		}
	}
	if len(found) > 0 {
		return slices.MinFunc(found, func(a, b Element) int {
			return cmp.Or(cmp.Compare(a.Enterprise, b.Enterprise), cmp.Compare(a.Number, b.Number))
		}), true
	}
	if len(name) > len(reversePrefix) && strings.EqualFold(name[:len(reversePrefix)], reversePrefix) {
		if e, ok := r.Find(name[len(reversePrefix):]); ok && e.Enterprise == penIANA {
			return Element{penReverse, e.Number}, true
		}
	}
	return Element{}, false
}

// reversePrefix begins the names of reverse elements.
const reversePrefix = "reverse"

// Names returns the names of all elements, sorted.
func (r *Registry) Names() []string {
	names := make([]string, 0, len(r.elements))
	for _, e := range r.elements {
		names = append(names, e.name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// maxShown bounds how much of a value is written out, in bytes.
const maxShown = 64

// Format writes a value of the element for people, by its data type. What does
// not have the length of its type, or has no type here, comes in hexadecimal.
func (r *Registry) Format(e Element, value []byte) string {
	kind := r.Type(e)
	switch {
	case kind == "string":
		return strconv.Quote(text(value))
	case kind == "ipv4Address" && len(value) == 4, kind == "ipv6Address" && len(value) == 16:
		a, _ := netip.AddrFromSlice(value)
		return a.String()
	case kind == "macAddress" && len(value) == 6:
		return net.HardwareAddr(value).String()
	case strings.HasPrefix(kind, "signed") && len(value) > 0 && len(value) <= 8:
		shift := 64 - 8*len(value)
		return strconv.FormatInt(int64(uintOf(value)<<shift)>>shift, 10)
	case kind == "float64" && len(value) == 8:
		return strconv.FormatFloat(math.Float64frombits(binary.BigEndian.Uint64(value)), 'g', -1, 64)
	case kind == "float64" && len(value) == 4, kind == "float32" && len(value) == 4:
		return strconv.FormatFloat(float64(math.Float32frombits(binary.BigEndian.Uint32(value))), 'g', -1, 32)
	case kind == "dateTimeSeconds" && len(value) == 4:
		return time.Unix(int64(uintOf(value)), 0).UTC().Format(time.RFC3339)
	case kind == "dateTimeMilliseconds" && len(value) == 8 && uintOf(value) <= maxTimeMS:
		return time.UnixMilli(int64(uintOf(value))).UTC().Format("2006-01-02T15:04:05.000Z")
	case strings.HasPrefix(kind, "unsigned") && len(value) > 0 && len(value) <= 8:
		return strconv.FormatUint(uintOf(value), 10)
	}
	return hexText(value)
}

func hexText(value []byte) string {
	if len(value) > maxShown {
		return "0x" + hex.EncodeToString(value[:maxShown]) + "…"
	}
	return "0x" + hex.EncodeToString(value)
}
