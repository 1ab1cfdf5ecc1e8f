package query

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"weir/flow"
)

// files returns an Include over texts.
func files(texts map[string]string) func(string) (io.ReadCloser, error) {
	return func(name string) (io.ReadCloser, error) {
		text, ok := texts[name]
		if !ok {
			return nil, fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
		}
		return io.NopCloser(strings.NewReader(text)), nil
	}
}

func TestListFiles(t *testing.T) {
	include := files(map[string]string{
		"c2.txt":    "\ufeff# indicators\n192.0.2.1\n\n198.51.100.0/24 # a net\n2001:db8::/32, 2001:db8:1::5\r\n10.0.0.1-10.0.0.9\n",
		"ports.txt": "80\n443 8000-8100\n",
		"empty.txt": "# nothing\n",
		"sub.nf":    "src ip in @c2.txt\n# or\nor port 53",
		"loop.nf":   "@include loop.nf",
		"name.txt":  "192.0.2.1\nwww.example.net\n",
		"bad.txt":   "192.0.2.1\n10.0.0.0/8\n192.0.2.1] or any or ip in [192.0.2.2\n",
		"mixed.txt": "80\n443\n192.0.2.1\n",
	})
	for _, c := range []struct{ text, want string }{
		{"src ip in @c2.txt", "src_addr in [10.0.0.1-10.0.0.9 192.0.2.1 198.51.100.0/24 2001:db8::/32]"},
		{"dst port in @ports.txt and proto tcp", "dst_port in [80 443 8000-8100] and proto = 6"},
		{"src ip in @empty.txt", "src_addr in []"},
		{"@include sub.nf and proto tcp", "src_addr in [10.0.0.1-10.0.0.9 192.0.2.1 198.51.100.0/24 2001:db8::/32] or (src_port = 53 or dst_port = 53) and proto = 6"},
		{"any # not in @nowhere.txt", "any"},
	} {
		f, err := Parse(c.text, ParseOptions{Include: include})
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got := f.String(); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.want)
		}
		again, err := Parse(f.Source(), ParseOptions{})
		if err != nil || again.String() != c.want {
			t.Errorf("%s: the expanded text %q gives %v, %v", c.text, f.Source(), again, err)
		}
	}
	for _, c := range []struct {
		text, file string
		line       int
		message    string
	}{
		{"src ip in @name.txt", "name.txt", 2, `expected an address, found "www.example.net"; host names are not looked up`},
		{"src ip in @bad.txt", "bad.txt", 3, "expected an address, a prefix, a number or a range"},
		{"src port in @mixed.txt", "mixed.txt", 3, `expected a port from 0 to 65535 or a service's name, found "192.0.2.1"`},
	} {
		_, err := Parse(c.text, ParseOptions{Include: include})
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.File != c.file || syntax.Line != c.line || syntax.Message != c.message {
			t.Errorf("%s: %v, want %s, line %d: %s", c.text, err, c.file, c.line, c.message)
		}
	}
	if _, err := Parse("ip in @nowhere.txt", ParseOptions{Include: include}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a list that is not there: %v", err)
	}
	if _, err := Parse("@include loop.nf", ParseOptions{Include: include}); err == nil || !strings.Contains(err.Error(), "include each other") {
		t.Errorf("a file that includes itself: %v", err)
	}
}

// TestLongItems has items that are longer than any range: they are refused, wherever
// they stand, and hyphens in them are not tried one by one.
func TestLongItems(t *testing.T) {
	const port = `expected a port from 0 to 65535 or a service's name, found "`
	zeros := strings.Repeat("0", 60)
	include := files(map[string]string{"long.txt": "80\n" + strings.Repeat("1-", 1<<14) + "1\n"})
	for _, c := range []struct{ text, want, err string }{
		{"dst port " + zeros + "1-" + zeros + "2", "dst_port in [1-2]", ""},
		{"dst port " + zeros + zeros + "1-" + zeros + "2", "", port + zeros + `…"`},
		{"dst port " + strings.Repeat("1-", 1<<21) + "1", "", port + strings.Repeat("1-", 30) + `…"`},
		{"dst port in [80 " + strings.Repeat("1-", 1<<21) + "1]", "", port + strings.Repeat("1-", 30) + `…"`},
		{"dst port in @long.txt", "", "long.txt, line 2: " + port + strings.Repeat("1-", 30) + `…"`},
		{"received " + strings.Repeat("2025-", 1<<20) + "1", "", `expected a time`},
	} {
		f, err := Parse(c.text, ParseOptions{Include: include})
		switch {
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%.80s: got %v, want %s", c.text, err, c.err)
		case c.err == "" && (err != nil || f.String() != c.want):
			t.Errorf("%.80s: got %v, %v, want %s", c.text, f, err, c.want)
		}
	}
}

// TestLongList parses and matches a list of 50,000 addresses.
func TestLongList(t *testing.T) {
	var b strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&b, "10.%d.%d.%d\n", i>>15, i>>7&0xff, i<<1&0xff)
	}
	f, err := Parse("ip in @list", ParseOptions{Include: files(map[string]string{"list": b.String()})})
	if err != nil {
		t.Fatal(err)
	}
	var r flow.Record
	r.SetAddr(flow.DstAddr, flow.AddrFrom4(0x0a000104))
	if !f.Match(&r) {
		t.Error("an address of the list does not match")
	}
	r.SetAddr(flow.DstAddr, flow.AddrFrom4(0x0a000105))
	if f.Match(&r) {
		t.Error("an address between those of the list matches")
	}
}

func TestSyntaxErrorText(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"proto tcp and dst prt 53", `filter: expected what the condition is about, such as "ip" or "port", found "prt" (did you mean "port"?)
  proto tcp and dst prt 53
                    ^`},
		{"any and\n(port 80 or\tport foo)", `filter: expected a port from 0 to 65535 or a service's name, found "foo"
  (port 80 or port foo)
                   ^`},
		{strings.Repeat("any and ", 20) + "port x" + strings.Repeat(" and any", 20), `filter: expected a port from 0 to 65535 or a service's name, found "x"
  …y and any and any and any and any and any and any and port x and any and any and any and any and any and any and any a…
                                                              ^`},
		{"any \x1b[31m", "filter: expected \"and\", \"or\" or the end, found \"\\x1b\"\n  any ?[31m\n      ^"},
		{"port \xff", "filter: expected a port from 0 to 65535 or a service's name, found \"\\xff\"\n  port ?\n       ^"},
		{"port ‘53’", "filter: expected a port from 0 to 65535 or a service's name, found \"‘\"\n  port ‘53’\n       ^"},
	} {
		_, err := Parse(c.text, ParseOptions{})
		if err == nil || err.Error() != c.want {
			t.Errorf("%q\n got %v\nwant %s", c.text, err, c.want)
		}
	}
}

// TestHostileFilters checks that text made to hurt is refused. One that cost more
// than its length would not end within the time of all tests.
func TestHostileFilters(t *testing.T) {
	for name, text := range map[string]string{
		"parentheses": strings.Repeat("(", 1<<20),
		"not":         strings.Repeat("not ", 1<<18) + "any",
		"conditions":  strings.Repeat("any and ", 1<<17) + "any",
		"chain":       strings.Repeat("any or not ", 1<<16) + "any",
		"length":      strings.Repeat(" ", maxTextBytes+1),
	} {
		if _, err := Parse(text, ParseOptions{}); err == nil {
			t.Errorf("%s: no error", name)
		} else if len(err.Error()) > 1000 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
	nested := strings.Repeat("(", maxDepth-1) + "any" + strings.Repeat(")", maxDepth-1)
	if _, err := Parse(nested, ParseOptions{}); err != nil {
		t.Errorf("%d parentheses: %v", maxDepth-1, err)
	}
}

func TestExporterNames(t *testing.T) {
	prefix := func(v4 uint32, length int) flow.Prefix {
		p, err := flow.PrefixFrom(flow.AddrFrom4(v4), length)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	o := ParseOptions{Names: &Names{Exporters: NewLabels([]LabelledPrefix{
		{prefix(0xc0000201, 32), "edge-1"}, {prefix(0xc0000205, 32), "edge-1"}, {prefix(0xcb007100, 30), "ring"}, {prefix(0xcb007101, 32), "core"},
	})}}
	for text, want := range map[string]string{
		"exporter edge-1":         "exporter in [192.0.2.1 192.0.2.5]",
		"exporter RING":           "exporter in [203.0.113.0 203.0.113.2/31]", // what is core's is not ring's
		"exporter ip 192.0.2.9":   "exporter = 192.0.2.9",
		"not router ip 'edge-1'":  "not (exporter in [192.0.2.1 192.0.2.5] or agent in [192.0.2.1 192.0.2.5])",
		"exporter in [192.0.2.9]": "exporter = 192.0.2.9",
	} {
		f, err := Parse(text, o)
		if err != nil || f.String() != want {
			t.Errorf("%s: %v, %v, want %s", text, f, err, want)
		}
	}
	if _, err := Parse("exporter edge-2", o); err == nil {
		t.Error("an exporter without a name was found")
	}
	for text, want := range map[string]bool{"edge-1": true, "192.0.2.0/24": true, "[ring 192.0.2.5]": true, "ring": false} {
		is, err := ParseExporter(text, o)
		if err != nil || is(flow.AddrFrom4(0xc0000205)) != want {
			t.Errorf("%s: %v, want that 192.0.2.5 is meant: %v", text, err, want)
		}
	}
	for _, text := range []string{"", "edge-2", "edge-1 or any", "[edge-1]or(any)", "edge-1)or(any"} {
		if _, err := ParseExporter(text, o); err == nil {
			t.Errorf("ParseExporter(%q) is taken", text)
		}
	}
}

// TestAbsentIsFalse pins what a condition on a field that a record lacks is.
func TestAbsentIsFalse(t *testing.T) {
	var r flow.Record
	r.SetNum(flow.Bytes, 0)
	for text, want := range map[string]bool{
		"src as 0": false, "not src as 0": true, "src as != 0": true, "src as < 100": false, "bytes 0": true,
		"ip 0.0.0.0": false, "ipv4": false, "ipv6": false, "port 0": false, "not port 0": true, "duration 0": false,
		"bpp 0": false, "flows 1": true, "any": true, "not any": false, "sampled": false, "not sampled": true,
		"mpls eos >= 0": false, "port in pblock": false, "flags 0": false, "ttl equal": false,
	} {
		f, err := Parse(text, ParseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Match(&r); got != want {
			t.Errorf("%s is %v where the fields are absent, want %v", text, got, want)
		}
	}
}
