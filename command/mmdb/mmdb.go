// Package mmdb reads files in the MaxMind DB format: what country an address is
// in, which AS it belongs to and who holds that. weir bundles no such file; the user points at one.
//
// Open maps a file into memory and checks that it knows something of use; its
// methods may be called by several goroutines until Close. A file with damage is
// an error where the damage is met, never a panic. It is the only package that
// knows the library and the names of things inside such files.
package mmdb

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"strconv"

	"github.com/oschwald/maxminddb-golang/v2"

	"weir/flow"
)

// A Kind is something that a file may know of an address.
type Kind uint8

const (
	Country Kind = iota // ISO 3166 code of two letters
	ASName              // the organisation that holds the AS
	ASN                 // the number of the AS, in decimal
)

// keys are where the kinds stand in a record, in the order in which they are
// tried: MaxMind's own layout, then that of others who use the format. A key may
// hold the text itself or a map with the text under code.
var keys = [...][]string{
	Country: {"country", "registered_country", "country_code"},
	ASName:  {"autonomous_system_organization", "as_name", "asn_name", "organization"},
	ASN:     {"autonomous_system_number", "asn", "as_number"},
}

const code = "iso_code"

// A File is an open file.
type File struct {
	name   string
	reader *maxminddb.Reader
	knows  [len(keys)]bool
}

// sampled bounds how many networks Open looks at to see what a file knows.
const sampled = 2000

// ErrKnowsNothing says that a file has neither countries nor AS.
var ErrKnowsNothing = errors.New("the file knows neither countries nor AS")

// Open opens the file of that name.
func Open(name string) (*File, error) {
	reader, err := maxminddb.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	f := &File{name: name, reader: reader}
	if err := f.sample(); err != nil {
		reader.Close()
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return f, nil
}

// Close closes the file.
func (f *File) Close() error { return f.reader.Close() }

// Knows reports whether the file has that kind.
func (f *File) Knows(kind Kind) bool { return f.knows[kind] }

// sample finds out what the file knows.
func (f *File) sample() error {
	n := 0
	for result, err := range f.networks() {
		if err != nil {
			return err
		}
		for kind := range keys {
			text, err := value(result, Kind(kind))
			if err != nil {
				return err
			}
			f.knows[kind] = f.knows[kind] || text != ""
		}
		if n++; n == sampled || f.knows == [len(keys)]bool{true, true, true} {
			break
		}
	}
	if f.knows == [len(keys)]bool{} {
		return ErrKnowsNothing
	}
	return nil
}

// networks returns the networks that have a record. A tree has one leaf more
// than nodes; one that has more leads back into itself, and would go on for
// longer than anybody waits.
func (f *File) networks() iter.Seq2[maxminddb.Result, error] {
	return func(yield func(maxminddb.Result, error) bool) {
		leaves := uint(0)
		for result := range f.reader.Networks(maxminddb.IncludeNetworksWithoutData()) {
			err := result.Err()
			if leaves++; err == nil && leaves > f.reader.Metadata.NodeCount+1 {
				err = errors.New("the search tree leads back into itself")
			}
			if err == nil && !result.Found() {
				continue
			}
			if !yield(result, err) || err != nil {
				return
			}
		}
	}
}

// value returns what a record says of a kind, "" if nothing.
func value(result maxminddb.Result, kind Kind) (string, error) {
	for _, key := range keys[kind] {
		var v any
		if err := result.DecodePath(&v, key); err != nil {
			return "", err
		}
		if m, ok := v.(map[string]any); ok {
			v = m[code]
		}
		if text := asText(v); text != "" {
			return text, nil
		}
	}
	return "", nil
}

// asText returns a text or a number of a record as text, "" for anything else
// and for zero, which is no AS.
func asText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case uint64:
		if v > 0 {
			return strconv.FormatUint(v, 10)
		}
	}
	return ""
}

// Find returns what the file says of an address, "" if nothing.
func (f *File) Find(kind Kind, a flow.Addr) (string, error) {
	result := f.reader.Lookup(a.Netip())
	if err := result.Err(); err != nil {
		return "", fmt.Errorf("read %s: %w", f.name, err)
	}
	if !result.Found() {
		return "", nil
	}
	text, err := value(result, kind)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", f.name, err)
	}
	return text, nil
}

// All calls yield with every network that the file knows something of. Networks
// do not overlap. The places where the format repeats the IPv4 networks among
// the IPv6 ones are left out.
func (f *File) All(kind Kind, yield func(p flow.Prefix, text string)) error {
	texts := map[uintptr]string{} // by offset: records are shared by many networks
	for result, err := range f.networks() {
		if err != nil {
			return fmt.Errorf("read %s: %w", f.name, err)
		}
		text, ok := texts[result.Offset()]
		if !ok {
			var err error
			if text, err = value(result, kind); err != nil {
				return fmt.Errorf("read %s: %w", f.name, err)
			}
			texts[result.Offset()] = text
		}
		p, ok := prefix(result.Prefix())
		if text != "" && ok {
			yield(p, text)
		}
	}
	return nil
}

// prefix returns p as weir holds it, and false if it has no such form.
func prefix(p netip.Prefix) (flow.Prefix, bool) {
	addr, bits := p.Addr(), p.Bits()
	if addr.Is4In6() {
		if bits < 96 {
			return flow.Prefix{}, false
		}
		addr, bits = addr.Unmap(), bits-96
	}
	out, err := flow.PrefixFrom(flow.AddrFromNetip(addr), bits)
	return out, err == nil
}
