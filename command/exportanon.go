package command

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/flow"
	"weir/flow/anon"
	"weir/query"
)

// The methods of --anonymise, and the sides of --side.
const (
	anonCryptoPAn = "crypto-pan"
	anonTruncate  = "truncate"

	sideOurs   = "ours"
	sideTheirs = "theirs"
	sideBoth   = "both"
)

// exportSides are the values of --side.
var exportSides = []string{sideOurs, sideTheirs, sideBoth}

// anonOptions say what an export hides.
type anonOptions struct {
	method string // "": addresses stay
	cut    anon.Truncate
	side   string
	ticket string // whose key; "" with a file
	key    []byte // of --key-file; nil: the case's
	round  uint64 // ms; 0: times stay
}

// anonFlags returns the checked options.
func anonFlags(c *cli.Context, columns []column) (o anonOptions, err error) {
	if c.IsSet("round") {
		span, err := parseDuration(c.String("round"))
		if err != nil {
			return o, prefixUsage("--round", err)
		}
		o.round = uint64(span.Milliseconds())
	}
	if !c.IsSet("anonymise") {
		for _, flag := range []string{"side", "key-file"} {
			if c.IsSet(flag) {
				return o, usagef("--%s goes with --anonymise", flag)
			}
		}
		return o, nil
	}
	for _, column := range columns {
		if _, ok := query.ParseLabelField(column.name); ok {
			return o, usagef("--fields: %s tells of whom an address is, which --anonymise is to hide", column.name)
		}
	}
	if o.side = sideBoth; c.IsSet("side") {
		o.side = c.String("side")
	}
	if err := oneOf("--side", o.side, exportSides); err != nil {
		return o, err
	}
	return o, o.parse(c)
}

// parse reads the method and its key.
func (o *anonOptions) parse(c *cli.Context) (err error) {
	text := c.String("anonymise")
	if text != anonCryptoPAn {
		if c.IsSet("key-file") {
			return usagef("--key-file goes with --anonymise %s", anonCryptoPAn)
		}
		o.method = anonTruncate
		o.cut, err = parseTruncate(text)
		return err
	}
	o.method = anonCryptoPAn
	if c.IsSet("key-file") {
		o.key, err = readKeyFile(c.String("key-file"))
		return err
	}
	o.ticket = strings.TrimSpace(c.String("case"))
	return checkCase(o.ticket)
}

// parseTruncate parses "truncate/24,/56": the bits that are kept of IPv4 and of
// IPv6.
func parseTruncate(text string) (t anon.Truncate, err error) {
	wrong := usagef("--anonymise: no %q", text).withHint("it is %s, or %s/24,/56 with the bits that stay of IPv4 and IPv6", anonCryptoPAn, anonTruncate)
	rest, ok := strings.CutPrefix(text, anonTruncate+"/")
	v4, v6, both := strings.Cut(rest, ",/")
	if !ok || !both {
		return t, wrong
	}
	for _, part := range []struct {
		text string
		most uint64
		bits *int
	}{{v4, 32, &t.V4}, {v6, 128, &t.V6}} {
		n, err := strconv.ParseUint(part.text, 10, 8)
		if err != nil || n > part.most {
			return t, wrong
		}
		*part.bits = int(n)
	}
	return t, nil
}

// readKeyFile reads a key. What is wrong with it is said without what it says.
func readKeyFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, usagef("--key-file: %v", err)
	}
	defer f.Close()
	var text [2*anon.KeySize + 3]byte // a line's end, and a byte too many
	n := 0
	for n < len(text) {
		more, err := f.Read(text[n:])
		if n += more; err != nil {
			break
		}
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text[:n])))
	if err != nil || len(key) != anon.KeySize {
		return nil, usagef("--key-file: %s does not hold %d hexadecimal digits and nothing else", name, 2*anon.KeySize).
			withHint("openssl rand -hex %d makes a key", anon.KeySize)
	}
	return key, nil
}

// An anonymiser changes records before they are written.
type anonymiser struct {
	options anonOptions
	addrs   anon.Map      // nil: addresses and all that goes with them stay
	numbers *anon.Numbers // nil as addrs
	ours    *query.Labels // what belongs to us; nil where both sides are treated alike
}

// open returns what does what the options say, nil if that is nothing.
func (o anonOptions) open(ctx context.Context, std *Std, n *naming, b backend) (*anonymiser, error) {
	a := &anonymiser{options: o}
	switch {
	case o.method == "" && o.round == 0:
		return nil, nil
	case o.method == "":
		return a, nil
	case o.side != sideBoth:
		m, err := newNamer(ctx, n, b, []query.LabelKind{query.KindOrg}, false)
		if err != nil {
			return nil, err
		}
		if a.ours = m.table(query.KindOrg); a.ours == nil {
			return nil, usagef("--side %s: nothing here says which addresses are ours", o.side).
				withHint("give them under networks: in the configuration, and it with --config FILE")
		}
	}
	key := o.key
	if o.method == anonTruncate {
		// Interfaces and MAC addresses have no prefix to be cut to. Nobody
		// keeps this key.
		key = make([]byte, anon.KeySize)
		rand.Read(key) // never fails
		a.addrs = o.cut
	} else {
		var err error
		if key == nil {
			k, err := b.AnonKey(ctx)
			if err != nil {
				return nil, err
			}
			if key = k.Key; k.New {
				fmt.Fprintf(std.Err, "weir: the case %s had no key; one is made, which weir anon-keys lists\n", printable(o.ticket))
			}
		}
		if a.addrs, err = anon.NewCryptoPAn(key); err != nil {
			return nil, err
		}
	}
	a.numbers = anon.NewNumbers(key)
	return a, nil
}

// What of a record is hidden. Addresses of hosts and of the way to them by
// side; what belongs to the network's devices always.
var (
	hostAddrs   = []flow.Field{flow.SrcAddr, flow.DstAddr, flow.NextHop, flow.BGPNextHop, flow.NATSrcAddr, flow.NATDstAddr, flow.TunSrcAddr, flow.TunDstAddr}
	deviceAddrs = []flow.Field{flow.Exporter, flow.Agent}
	interfaces  = []flow.Field{flow.InIf, flow.OutIf}
	macAddrs    = []flow.Field{flow.SrcMAC, flow.DstMAC, flow.PostSrcMAC, flow.PostDstMAC}
	roundTimes  = []flow.Field{flow.Received, flow.Start, flow.End}
)

// record changes a record.
func (a *anonymiser) record(r *flow.Record) {
	if a.options.round > 0 {
		for _, f := range roundTimes {
			if r.Has(f) {
				r.SetNum(f, r.Num(f)-r.Num(f)%a.options.round)
			}
		}
	}
	if a.addrs == nil {
		return
	}
	for _, f := range interfaces { // before their exporter has another address
		if r.Has(f) {
			r.SetNum(f, a.numbers.Interface(r.Addr(flow.Exporter), r.Num(f)))
		}
	}
	for _, f := range macAddrs {
		if r.Has(f) {
			r.SetNum(f, a.numbers.MAC(r.Num(f)))
		}
	}
	for _, f := range deviceAddrs {
		if r.Has(f) {
			r.SetAddr(f, a.addrs.Addr(r.Addr(f)))
		}
	}
	for _, f := range hostAddrs {
		if r.Has(f) && a.hides(r.Addr(f)) {
			r.SetAddr(f, a.addrs.Addr(r.Addr(f)))
		}
	}
}

// hides reports whether an address is of a side that is hidden.
func (a *anonymiser) hides(addr flow.Addr) bool {
	return a.ours == nil || (a.ours.Find(addr) != 0) == (a.options.side == sideOurs)
}

// coverage returns c with exporters as the package calls them, and without
// their names.
func (a *anonymiser) coverage(c *query.Coverage) *query.Coverage {
	if c == nil {
		return nil
	}
	hidden := *c
	hide := func(text string) string {
		addr, err := flow.ParseAddr(text)
		if err != nil {
			return "" // no address: nothing that could be told apart
		}
		return string(flow.AppendAddr(nil, a.addrs.Addr(addr)))
	}
	gaps := func(list []query.ExporterGap) (out []query.ExporterGap) {
		for _, g := range list {
			out = append(out, query.ExporterGap{Addr: hide(g.Addr), Last: g.Last})
		}
		return out
	}
	hidden.Missing, hidden.Silent, hidden.Quiet = gaps(c.Missing), gaps(c.Silent), nil
	for _, q := range c.Quiet {
		q.Addr, q.Name = hide(q.Addr), ""
		hidden.Quiet = append(hidden.Quiet, q)
	}
	if c.WorstLoss != nil {
		worst := *c.WorstLoss
		worst.Addr, worst.Name = hide(worst.Addr), ""
		hidden.WorstLoss = &worst
	}
	hidden.Templates, hidden.Clocks = nil, nil
	for _, t := range c.Templates {
		hidden.Templates = append(hidden.Templates, query.ExporterSets{Addr: hide(t.Addr), Sets: t.Sets})
	}
	for _, t := range c.Clocks {
		t.Addr, t.Name = hide(t.Addr), ""
		hidden.Clocks = append(hidden.Clocks, t)
	}
	hidden.Damaged = hideParts(c.Damaged, "a part of the ledger")
	return &hidden
}

// hideParts returns as many parts as there are, without their names: they may
// have addresses in them.
func hideParts(parts []string, name string) []string {
	return slices.Repeat([]string{name}, len(parts))
}

// A manifestAnon says what was hidden and how, and never the key.
type manifestAnon struct {
	Method     string `json:"method,omitempty"`     // "": addresses are as they were
	KeptV4     *int   `json:"kept_ipv4,omitempty"`  // first bits, of truncate
	KeptV6     *int   `json:"kept_ipv6,omitempty"`  // likewise
	Side       string `json:"side,omitempty"`       // whose addresses
	Key        string `json:"key,omitempty"`        // of what: the case, or a file
	MACs       string `json:"macs,omitempty"`       // what became of them
	Exporters  string `json:"exporters,omitempty"`  // likewise
	Interfaces string `json:"interfaces,omitempty"` // likewise
	RoundMS    uint64 `json:"times_rounded_ms,omitempty"`
}

// about says what the anonymiser does.
func (a *anonymiser) about() *manifestAnon {
	o := a.options
	m := &manifestAnon{Method: o.method, Side: o.side, RoundMS: o.round}
	if o.method == "" {
		return m
	}
	m.MACs, m.Interfaces, m.Exporters = "pseudonyms", "pseudonyms", "pseudonyms"
	if o.method == anonTruncate {
		m.KeptV4, m.KeptV6, m.Exporters = &o.cut.V4, &o.cut.V6, "truncated"
		return m
	}
	if m.Key = "of the case"; o.key != nil {
		m.Key = "given"
	}
	return m
}

// words says it for people.
func (m *manifestAnon) words() (lines []string) {
	whose := map[string]string{sideBoth: "all addresses", sideOurs: "addresses of our side", sideTheirs: "addresses of the other side"}[m.Side]
	switch {
	case m.Method == anonTruncate && m.KeptV4 != nil && m.KeptV6 != nil:
		lines = append(lines, fmt.Sprintf("%s are cut to /%d (IPv4) and /%d (IPv6)", whose, *m.KeptV4, *m.KeptV6))
	case m.Method != "":
		lines = append(lines, whose+" are replaced by pseudonyms that keep prefixes (Crypto-PAn)")
	}
	if m.Method != "" {
		lines = append(lines, "exporters are "+map[string]string{"truncated": "cut likewise", "pseudonyms": "replaced likewise"}[m.Exporters],
			"MAC addresses and interfaces are replaced by pseudonyms")
	}
	if m.RoundMS > 0 {
		lines = append(lines, "times of flows are rounded down to "+roundText(m.RoundMS))
	}
	return lines
}
