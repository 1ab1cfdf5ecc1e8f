package command

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/query"
)

// completeWord is the hidden first argument by which the shells' scripts ask
// for candidates: weir __complete WORD... where the last WORD is the one being
// typed, empty if it is just begun.
const completeWord = "__complete"

// The candidate that tells the shells' scripts to offer file names.
const completeFiles = ":files"

// filterWords are the words of the filter language that completion offers
// beside the fields' names.
var filterWords = []string{
	"and", "or", "not", "any", "src", "dst", "ip", "host", "net", "port", "proto", "tcp", "udp", "icmp", "icmp6",
	"ipv4", "ipv6", "inet", "inet6", "in", "out", "if", "as", "flags", "tos", "bytes", "packets", "duration",
	"router", "next", "vlan", "mask", "mac",
}

// groupBy are the values of --by.
var groupBy = []string{"bytes", "packets", "flows", "records", "bps", "pps", "bpp", "distinct"}

// complete returns the candidates for the last of words. It answers anything,
// however wrong what was typed so far is, with a list that may be empty.
func complete(defs []*command, words []string) []string {
	words = joinAssignments(words)
	current := ""
	if len(words) > 0 {
		current = words[len(words)-1]
		words = words[:len(words)-1]
	}
	at := readBefore(defs, words)
	switch {
	case at.flag != nil:
		return at.values(at.flag, "", current)
	case !at.ended && strings.HasPrefix(current, "-") && strings.Contains(current, "="):
		return at.assignment(current)
	case !at.ended && strings.HasPrefix(current, "-"):
		return withPrefix(at.flagWords(), current)
	case len(at.in.path) == 0:
		return withPrefix(names(defs), current)
	}
	return at.arguments(current)
}

// A completion is what the words before the one being typed mean.
type completion struct {
	defs  []*command
	in    invocation
	flag  cli.Flag // the flag whose value is being typed
	ended bool     // "--" was seen
}

// readBefore reads the words before the one being typed as parseArgs does, but
// passes over what is wrong.
func readBefore(defs []*command, words []string) *completion {
	at := &completion{defs: defs}
	for _, word := range words {
		switch {
		case at.flag != nil:
			at.flag = nil // this word was its value
		case at.ended || !looksLikeFlag(word) && word != "--":
			// An unknown command leaves the path as it is.
			_ = at.in.addWord(defs, word)
		case word == "--":
			at.ended = true
		default:
			name, _, hasValue := splitFlag(word)
			if f := findFlag(at.in.flagsInReach(defs), name); f != nil && takesValue(f) && !hasValue {
				at.flag = f
			}
		}
	}
	return at
}

// joinAssignments undoes what bash does to --flag=value: it hands over three
// words.
func joinAssignments(words []string) []string {
	var joined []string
	for i := 0; i < len(words); i++ {
		if words[i] == "=" && len(joined) > 0 && strings.HasPrefix(joined[len(joined)-1], "--") {
			joined[len(joined)-1] += "="
			if i+1 < len(words) {
				i++
				joined[len(joined)-1] += words[i]
			}
			continue
		}
		joined = append(joined, words[i])
	}
	return joined
}

// flagWords returns the flags that may stand here, as they are typed.
func (at *completion) flagWords() []string {
	list := []string{"--help"}
	for _, name := range allNames(at.in.flagsInReach(at.defs)) {
		if word := dashed(name); !slices.Contains(list, word) {
			list = append(list, word)
		}
	}
	slices.Sort(list)
	return list
}

// assignment completes the value in --flag=value.
func (at *completion) assignment(current string) []string {
	name, value, _ := splitFlag(current)
	f := findFlag(at.in.flagsInReach(at.defs), name)
	if f == nil {
		return nil
	}
	return at.values(f, current[:len(current)-len(value)], value)
}

// values completes the value of flag f; lead stands before it in the same word.
func (at *completion) values(f cli.Flag, lead, value string) []string {
	if words := questionWords(at.in.name(), flagNames(f)[0]); words != nil {
		return led(lead, withPrefix(words, value))
	}
	var list []string
	switch flagNames(f)[0] {
	case "output":
		list = outputFormats
		if name := at.in.name(); name == "query" || name == "tail" {
			list = append(slices.Clone(list), layoutNames()...)
		} else if name == inspectName {
			list = []string{formatTable, formatJSON}
		}
	case "by":
		list = groupBy
	case "fields":
		head, _ := cutLast(value, ",")
		lead, value, list = lead+head, value[len(head):], append(fieldNames(), query.LabelFieldNames(false)...)
	case "distinct":
		list = groupFieldNames()
	case "split-by":
		list = splitFields
	case "order":
		list = orderWords()
	case "last", "retention":
		list = []string{"30m", "2h", "1d", "7d", "30d", "90d"}
	case "for":
		list = []string{"30s", "2m", "10m"}
	case "listen":
		list = defaultListen()
	case "log-format":
		list = logFormats
	case "log-level":
		list = logLevels
	case "data", "config", "mmdb", "dir", "file", "keep", "write":
		return []string{completeFiles}
	}
	return led(lead, withPrefix(list, value))
}

// arguments completes an argument of the command.
func (at *completion) arguments(current string) []string {
	last := at.in.last()
	if len(last.commands) > 0 && len(at.in.args) == 0 {
		if found := withPrefix(names(last.commands), current); !last.both || len(found) > 0 {
			return found
		}
	}
	if last.words == nil {
		return nil
	}
	list := last.words(len(at.in.args))
	if slices.Contains(list, completeFiles) {
		return []string{completeFiles}
	}
	// A filter may be one quoted word: complete the last word inside it. A list
	// of fields has commas.
	head, tail := cutLast(current, " ,(")
	return led(head, withPrefix(list, tail))
}

// cutLast splits text behind its last byte that is in cuts.
func cutLast(text, cuts string) (head, tail string) {
	i := strings.LastIndexAny(text, cuts) + 1
	return text[:i], text[i:]
}

func withPrefix(list []string, prefix string) []string {
	var found []string
	for _, word := range list {
		if strings.HasPrefix(word, prefix) {
			found = append(found, word)
		}
	}
	return found
}

func led(lead string, list []string) []string {
	if lead == "" {
		return list
	}
	out := make([]string, len(list))
	for i, word := range list {
		out[i] = lead + word
	}
	return out
}

// filterAndFields are the words a filter is made of.
func filterAndFields(int) []string {
	return append(append(slices.Clone(filterWords), fieldNames()...), query.LabelFieldNames(true)...)
}

// writeCandidates writes one candidate a line.
func writeCandidates(w io.Writer, list []string) {
	for _, word := range list {
		fmt.Fprintln(w, word)
	}
}
