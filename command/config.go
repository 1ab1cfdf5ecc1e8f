package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"weir/flow"
	"weir/flow/ledger"
)

// A config is the content of the file that --config names, of the collector or
// of a question. Keys that are also flags have their names; what a flag says
// goes before what the file says.
type config struct {
	Data      string
	Listen    []string
	Forward   []netip.AddrPort // other collectors that get each datagram
	Retention string
	MaxDisk   string
	Metrics   string // where they are scraped from
	Networks  []networkEntry
	Known     ledger.Directory   // the exporters of exporters:
	Only      bool               // what others send is refused
	Scope     *scopeConfig       // nil: whose addresses records have does not matter
	MMDB      []string           // names of MaxMind-format files
	Kept      []flow.KeptElement // elements of keep:, without slots
	KeepSaid  bool               // there is a keep:
	Audit     auditPolicy
	Socket    socketPolicy
	Holds     holdPolicy
	TLS       tlsFiles
	Log       logOptions
}

// newConfig is what an empty file says.
func newConfig() *config {
	return &config{Audit: auditPolicy{Keep: defaultAuditKeep}, Socket: socketPolicy{Mode: defaultSocketMode}}
}

// configKeys are the keys of the file. Each stores its value in the config.
var configKeys = []struct {
	name  string
	store func(c *config, value *yaml.Node) error
}{
	{"data", func(c *config, v *yaml.Node) error { return v.Decode(&c.Data) }},
	{"listen", func(c *config, v *yaml.Node) error {
		if v.Kind == yaml.ScalarNode {
			c.Listen = []string{v.Value}
		} else if err := v.Decode(&c.Listen); err != nil {
			return err
		}
		_, err := parseListen(c.Listen)
		return unnamed("listen", err)
	}},
	{"forward", func(c *config, v *yaml.Node) error {
		list, err := texts(v)
		if err == nil {
			c.Forward, err = parseTargets(list)
		}
		return err
	}},
	{"retention", func(c *config, v *yaml.Node) error {
		err := v.Decode(&c.Retention)
		if err == nil && c.Retention != "" {
			_, err = parseRetention(c.Retention)
		}
		return unnamed("retention", err)
	}},
	{"max_disk", func(c *config, v *yaml.Node) (err error) {
		if c.MaxDisk, err = text(v); err == nil {
			_, err = parseMaxDisk(c.MaxDisk)
		}
		return unnamed("max-disk", err)
	}},
	{"metrics", func(c *config, v *yaml.Node) (err error) {
		if c.Metrics, err = text(v); err == nil {
			_, err = parseMetricsAddr(c.Metrics)
		}
		return unnamed("metrics", err)
	}},
	{"networks", func(c *config, v *yaml.Node) error { return c.readNetworks(v) }},
	{"exporters", func(c *config, v *yaml.Node) error { return c.readExporters(v) }},
	{"scope", func(c *config, v *yaml.Node) error { return c.readScope(v) }},
	{"audit", func(c *config, v *yaml.Node) error { return c.readAudit(v) }},
	{"holds", func(c *config, v *yaml.Node) error { return c.readHolds(v) }},
	{"socket", func(c *config, v *yaml.Node) error { return c.readSocket(v) }},
	{"tls", func(c *config, v *yaml.Node) error { return c.readTLS(v) }},
	{"log", func(c *config, v *yaml.Node) error { return c.readLog(v) }},
	{"keep", func(c *config, v *yaml.Node) error { c.KeepSaid = true; return c.readKeep(v) }},
	{"mmdb", func(c *config, v *yaml.Node) (err error) { c.MMDB, err = texts(v); return err }},
}

// unnamed takes the name of a flag off an error: the key's goes before it.
func unnamed(flag string, err error) error {
	if u, ok := err.(*usageError); ok {
		return &usageError{msg: strings.TrimPrefix(u.msg, flag+": "), hint: u.hint}
	}
	return err
}

// readConfig reads the file of that name. An unknown key, a key given twice and
// a value of the wrong shape are refused with their line.
func readConfig(name string) (*config, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, usagef("read the configuration: %v", err)
	}
	return parseConfig(name, text)
}

func parseConfig(name string, text []byte) (*config, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return newConfig(), nil
	} else if err != nil {
		return nil, usagef("%s:%s", name, yamlSyntax(err))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, usagef("%s: more than one document", name)
	}
	root := doc.Content[0]
	if root.Tag == "!!null" {
		return newConfig(), nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, usagef("%s:%d: not a list of keys and values", name, root.Line).withHint("write one key a line, such as retention: 90d")
	}
	return readKeys(name, root)
}

func readKeys(name string, root *yaml.Node) (*config, error) {
	c := newConfig()
	lines := make(map[string]int)
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if line, twice := lines[key.Value]; twice {
			return nil, usagef("%s:%d: %s is given twice, first in line %d", name, key.Line, key.Value, line)
		}
		lines[key.Value] = key.Line
		if err := readKey(c, key, value); err != nil {
			return nil, atLine(name, key.Line, err)
		}
	}
	if err := c.check(); err != nil {
		return nil, atLine(name, root.Line, err)
	}
	return c, nil
}

// atLine says where in a file a mistake is, in the given line if it does not
// know better.
func atLine(name string, line int, err error) error {
	if at, ok := err.(*lined); ok {
		line, err = at.line, at.err
	}
	return prefixUsage(fmt.Sprintf("%s:%d", name, line), err)
}

func readKey(c *config, key, value *yaml.Node) error {
	var known []string
	for _, k := range configKeys {
		known = append(known, k.name)
		if k.name != key.Value {
			continue
		}
		err := k.store(c, value)
		switch err.(type) {
		case *lined, *usageError:
			return lineError(value, within(key.Value, err))
		}
		if err != nil {
			return usagef("%s: %s", key.Value, yamlMessage(err))
		}
		return nil
	}
	return unknownKey(key.Value, known)
}

func unknownKey(key string, known []string) error {
	e := usagef("unknown key %q", key)
	if near := nearest(key, known); near != "" {
		return e.withHint("did you mean %q?", near)
	}
	return e.withHint("the keys are %s", strings.Join(known, ", "))
}

// yamlSyntax returns the parser's message about text that is no YAML, behind the
// number of its line if it has one.
func yamlSyntax(err error) string {
	message := yamlMessage(err)
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		return rest
	}
	return " " + message
}

// yamlMessage returns the parser's message on one line without its own prefix.
func yamlMessage(err error) string {
	var list *yaml.TypeError
	if errors.As(err, &list) && len(list.Errors) > 0 {
		return list.Errors[0]
	}
	return strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", " "), "yaml: ")
}
