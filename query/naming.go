package query

import (
	"strings"
	"sync"

	"weir/flow"
)

// A LabelKind is what a table of Labels gives names of.
type LabelKind string

// The kinds of names that addresses have. Each makes three fields of a flow:
// src_org and dst_org, and org for either end.
const (
	KindOrg     LabelKind = "org"     // organisations, from networks: in the configuration
	KindCountry LabelKind = "country" // ISO 3166 codes of two letters, from a MaxMind-format file
	KindASName  LabelKind = "asname"  // organisations that hold an AS, from such a file
	KindASN     LabelKind = "asn"     // numbers of AS in decimal, from such a file, whatever exporters say
)

// LabelKinds are all kinds.
var LabelKinds = []LabelKind{KindOrg, KindCountry, KindASName, KindASN}

// what says in an error what is missing where a kind has no names.
func (k LabelKind) what() string {
	if k == KindOrg {
		return "networks in the configuration, the collector's or that of --config FILE"
	}
	if k == KindCountry {
		return "a file that knows countries: --mmdb FILE"
	}
	return "a file that knows AS: --mmdb FILE"
}

// A LabelField is a field that is the name of an address.
type LabelField struct {
	Kind  LabelKind
	Field flow.Field // the address that has the name
	Other flow.Field // the address at the other end, for a field of either end; 0: none
}

// ParseLabelField returns the field of that name: src_org, dst_org or org and
// their like.
func ParseLabelField(name string) (f LabelField, ok bool) {
	f = LabelField{Field: flow.SrcAddr}
	rest, src := strings.CutPrefix(name, "src_")
	if !src {
		var dst bool
		if rest, dst = strings.CutPrefix(name, "dst_"); dst {
			f.Field = flow.DstAddr
		} else {
			f.Other = flow.DstAddr
		}
	}
	for _, kind := range LabelKinds {
		if rest == string(kind) {
			f.Kind = kind
			return f, true
		}
	}
	return LabelField{}, false
}

// LabelFieldNames returns the names of all such fields; with either those of
// either end too.
func LabelFieldNames(either bool) []string {
	var list []string
	for _, kind := range LabelKinds {
		list = append(list, "src_"+string(kind), "dst_"+string(kind))
		if either {
			list = append(list, string(kind))
		}
	}
	return list
}

// Names are what a question may call things by.
type Names struct {
	Organisations []Organisation     `json:"organisations,omitempty"`
	Exporters     *Labels            `json:"exporters,omitempty"` // by the addresses that they send from; nil: none has a name
	Interfaces    []InterfaceName    `json:"interfaces,omitempty"`
	Kept          []flow.KeptElement `json:"kept,omitempty"`   // elements that the archive keeps, or has kept
	Labels        LabelTables        `json:"labels,omitempty"` // guarded by mu once Names are in use

	// Load makes a table that Labels lacks when it is first asked for; it
	// returns nil if there is none. It may be nil.
	Load func(kind LabelKind) (*Labels, error) `json:"-"`

	mu sync.Mutex
}

// LabelTables are tables by what they give names of.
type LabelTables map[LabelKind]*Labels

// An Organisation is who a name of KindOrg belongs to.
type Organisation struct {
	Name    string `json:"name"`
	Owner   string `json:"owner,omitempty"`
	Contact string `json:"contact,omitempty"`
}

// An InterfaceName is the name of an exporter's interface.
type InterfaceName struct {
	Exporter flow.Addr `json:"exporter"`
	Index    uint64    `json:"index"` // ifIndex
	Name     string    `json:"name"`
}

// Table returns the names of a kind, nil if there are none.
func (n *Names) Table(kind LabelKind) (*Labels, error) {
	if n == nil {
		return nil, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := n.Labels[kind]; l != nil || n.Load == nil {
		return l, nil
	}
	l, err := n.Load(kind)
	if err != nil || l == nil {
		return nil, err
	}
	if n.Labels == nil {
		n.Labels = LabelTables{}
	}
	n.Labels[kind] = l
	return l, nil
}

// exporters returns what exporters are called; the table is empty if none has a
// name.
func (n *Names) exporters() *Labels {
	if n == nil || n.Exporters == nil {
		return &Labels{}
	}
	return n.Exporters
}

// table returns the names of a kind, those of the request before the others. A
// kind without names is an error about the given field.
func (t LabelTables) table(field string, kind LabelKind, n *Names) (*Labels, error) {
	if l := t[kind]; l != nil {
		return l, nil
	}
	l, err := n.Table(kind)
	if err != nil {
		return nil, err
	}
	if l == nil {
		return nil, &RequestError{Part: "field", Text: field, Expected: kind.what()}
	}
	return l, nil
}
