// Package mmdbtest writes files in the MaxMind DB format for tests, since none
// may be bundled. It is the least that the format's version 2.0
// (https://maxmind.github.io/MaxMind-DB/) allows: an IPv6 tree with records of
// 24 bits, IPv4 under ::/96.
//
//	search tree        6 bytes a node: where bit 0 leads, where bit 1 leads
//	16 zero bytes
//	data section       maps and strings
//	"\xab\xcd\xefMaxMind.com" and a map of metadata
package mmdbtest

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Bytes returns a file that says of prefixes, which alternate with records, what
// the records say. A more specific prefix comes after the one that it is in.
func Bytes(entries ...any) []byte {
	w := &dbWriter{nodes: []treeNode{{}}}
	for i := 0; i < len(entries); i += 2 {
		w.insert(netip.MustParsePrefix(entries[i].(string)), entries[i+1])
	}
	return w.bytes()
}

// Write writes such a file into a directory of the test's own and returns its
// name.
func Write(t testing.TB, entries ...any) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "test.mmdb")
	if err := os.WriteFile(name, Bytes(entries...), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// Country is a record as MaxMind's files of countries have it.
func Country(code string) any {
	return map[string]any{
		"continent": map[string]any{"code": "EU"},
		"country":   map[string]any{"iso_code": code, "names": map[string]any{"en": "Country " + code}},
	}
}

// AS is a record as MaxMind's files of AS have it.
func AS(number uint32, name string) any {
	return map[string]any{"autonomous_system_number": number, "autonomous_system_organization": name}
}

// A treeNode leads somewhere for each bit: to a node (positive), to data at
// offset -n-1 (negative), or nowhere (0, the root, to which nothing leads).
type treeNode [2]int

type dbWriter struct {
	nodes []treeNode
	data  bytes.Buffer
}

// insert says what a prefix leads to; more specific prefixes must come later.
func (w *dbWriter) insert(p netip.Prefix, record any) {
	offset := w.data.Len()
	encode(&w.data, record)
	addr := p.Addr().As16()
	bits := p.Bits()
	if p.Addr().Is4() {
		clear(addr[:12])
		bits += 96
	}
	at := 0
	for i := range bits {
		bit := addr[i/8] >> (7 - i%8) & 1
		if i == bits-1 {
			w.nodes[at][bit] = -offset - 1
			return
		}
		next := w.nodes[at][bit]
		if next <= 0 { // split: both halves lead to where the whole did
			w.nodes = append(w.nodes, treeNode{next, next})
			next = len(w.nodes) - 1
			w.nodes[at][bit] = next
		}
		at = next
	}
}

// encode appends a value: map (type 7), string (2), uint16 (5), uint32 (6),
// uint64 (extended type 9) or array (extended type 11).
func encode(b *bytes.Buffer, v any) {
	control := func(kind, size int) {
		extra := -1
		if size >= 29 {
			size, extra = 29, size-29 // sizes from 285 on are not needed here
		}
		if kind > 7 {
			b.Write([]byte{byte(size), byte(kind - 7)})
		} else {
			b.WriteByte(byte(kind<<5 | size))
		}
		if extra >= 0 {
			b.WriteByte(byte(extra))
		}
	}
	number := func(kind int, n uint64) {
		bytes := binary.BigEndian.AppendUint64(nil, n)
		for len(bytes) > 0 && bytes[0] == 0 {
			bytes = bytes[1:]
		}
		control(kind, len(bytes))
		b.Write(bytes)
	}
	switch v := v.(type) {
	case string:
		control(2, len(v))
		b.WriteString(v)
	case uint16:
		number(5, uint64(v))
	case uint32:
		number(6, uint64(v))
	case uint64:
		number(9, v)
	case []any:
		control(11, len(v))
		for _, item := range v {
			encode(b, item)
		}
	case map[string]any:
		var keys []string
		for key := range v {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		control(7, len(keys))
		for _, key := range keys {
			encode(b, key)
			encode(b, v[key])
		}
	default:
		panic("encode: no such type")
	}
}

// bytes returns the file.
func (w *dbWriter) bytes() []byte {
	var b bytes.Buffer
	for _, n := range w.nodes {
		for _, to := range n {
			record := len(w.nodes) // nothing there
			switch {
			case to > 0:
				record = to
			case to < 0:
				record = len(w.nodes) + 16 + -to - 1
			}
			b.Write([]byte{byte(record >> 16), byte(record >> 8), byte(record)})
		}
	}
	b.Write(make([]byte, 16))
	b.Write(w.data.Bytes())
	b.WriteString("\xab\xcd\xefMaxMind.com")
	encode(&b, map[string]any{
		"node_count": uint32(len(w.nodes)), "record_size": uint16(24), "ip_version": uint16(6), "database_type": "Test",
		"languages": []any{}, "binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0),
		"build_epoch": uint64(1_795_305_600), "description": map[string]any{"en": "a test"},
	})
	return b.Bytes()
}
