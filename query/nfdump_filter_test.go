package query

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
)

// What nfdump's filters of 1.7.5 and later lack or mean otherwise; see
// peer.NewFilters.
var (
	bothSides   = regexp.MustCompile(`src (or|and) dst ((?:(?i:ip)|host|net|port) (?:in \[[^\]]*\]|(?:(?:[<>=]+|gt|GE) )?[^ ()]+))`)
	familyWord  = regexp.MustCompile(`\binet(6?)\b`)
	prefixText  = regexp.MustCompile(`[0-9a-f.:]+/[0-9]+`)
	flagLetters = regexp.MustCompile(`flags ([AFRSPUX]+)\b`)
	everyList   = regexp.MustCompile(`((?:src |dst )?)ip in \[[0-9.]+/0\]`)
	filterWord  = regexp.MustCompile(`[()]|[^ ()]+`)
)

// newFilter puts a filter as nfdump 1.7.1 and weir mean it into what nfdump
// 1.7.5 and later mean by the same.
func newFilter(text string) string {
	text = newFlags(text)
	text = bothSides.ReplaceAllStringFunc(text, func(s string) string {
		m := bothSides.FindStringSubmatch(s)
		return "(src " + m[2] + " " + m[1] + " dst " + m[2] + ")"
	})
	text = familyWord.ReplaceAllStringFunc(text, func(s string) string {
		if s == "inet6" {
			return "ipv6"
		}
		return "ipv4"
	})
	text = strings.NewReplacer("&&", "and", "||", "or").Replace(text)
	text = everyList.ReplaceAllString(text, "${1}net 0.0.0.0/0")
	return prefixText.ReplaceAllStringFunc(text, func(s string) string {
		return netip.MustParsePrefix(s).Masked().String()
	})
}

// newFlags says of letters behind a not that any of them is set, and writes them
// in an order that is no word of the language ("AS" is).
func newFlags(text string) string {
	var b strings.Builder
	end := 0
	for _, m := range flagLetters.FindAllStringSubmatchIndex(text, -1) {
		letters := strings.ReplaceAll(text[m[2]:m[3]], "AS", "SA")
		b.WriteString(text[end:m[0]])
		if negated(text[:m[0]]) {
			any := strings.Split(strings.ReplaceAll(letters, "X", "FSRPAU"), "")
			b.WriteString("(flags " + strings.Join(any, " or flags ") + ")")
		} else {
			b.WriteString("flags " + letters)
		}
		end = m[1]
	}
	return b.String() + text[end:]
}

// negated reports whether an odd number of nots is about the condition that
// begins where text ends.
func negated(text string) bool {
	odd := []bool{false} // for each open parenthesis and the whole
	not := false         // before the next condition
	for _, word := range filterWord.FindAllString(text, -1) {
		top := odd[len(odd)-1]
		switch word {
		case "not":
			not = !not
			continue
		case "(":
			odd = append(odd, top != not)
		case ")":
			odd = odd[:len(odd)-1]
		}
		not = false
	}
	return odd[len(odd)-1] != not
}

func TestNewFilter(t *testing.T) {
	for _, c := range []struct{ old, want string }{
		{"flags AS and not flags SA", "flags SA and not (flags S or flags A)"},
		{"not (proto tcp and not (flags AF or inet6))", "not (proto tcp and not (flags AF or ipv6))"},
		{"(not not (flags AF)) and not (any or flags X)",
			"(not not (flags AF)) and not (any or (flags F or flags S or flags R or flags P or flags A or flags U))"},
		{"not any and flags AF or flags > 15", "not any and flags AF or flags > 15"},
		{"src or dst port in [1 2,3] and src and dst IP 10.0.0.1", "(src port in [1 2,3] or dst port in [1 2,3]) and (src IP 10.0.0.1 and dst IP 10.0.0.1)"},
		{"(src and dst port GE 443) and net 10.1.2.3/12", "((src port GE 443 and dst port GE 443)) and net 10.0.0.0/12"},
		{"src ip in [10.1.2.3/0] && any || src or dst ip in [10.1.2.3/0]", "src net 0.0.0.0/0 and any or (src net 0.0.0.0/0 or dst net 0.0.0.0/0)"},
	} {
		if got := newFilter(c.old); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.old, got, c.want)
		}
	}
}
