package command

import (
	"io/fs"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// A socketPolicy says who may ask the collector.
type socketPolicy struct {
	Mode  fs.FileMode // of the socket
	Group string      // that it belongs to; "": the collector's own
}

// defaultSocketMode lets the owner alone ask.
const defaultSocketMode fs.FileMode = 0o600

// readAudit reads the value of audit:.
func (c *config) readAudit(v *yaml.Node) error {
	return readMapping(v, []entryKey{
		{"require", func(v *yaml.Node) error {
			list, err := texts(v)
			if err != nil {
				return err
			}
			slices.Sort(list)
			c.Audit.Require = slices.Compact(list)
			return checkRequirements(c.Audit.Require)
		}},
		{"keep", func(v *yaml.Node) error {
			span, err := text(v)
			if err != nil {
				return err
			}
			if span == keepForever {
				c.Audit.Keep = 0
				return nil
			}
			c.Audit.Keep, err = parseDuration(span)
			return err
		}},
	})
}

// readSocket reads the value of socket:.
func (c *config) readSocket(v *yaml.Node) error {
	given := false
	err := readMapping(v, []entryKey{
		{"group", storeName(&c.Socket.Group)},
		{"mode", func(v *yaml.Node) error {
			digits, err := text(v)
			if err != nil {
				return err
			}
			mode, err := strconv.ParseUint(digits, 8, 9)
			if err != nil || mode&0o600 != 0o600 || mode&0o111 != 0 {
				return usagef("%q is no mode of a socket", digits).withHint("write 0600 for its owner, or 0660 for its group too")
			}
			c.Socket.Mode, given = fs.FileMode(mode), true
			return nil
		}},
	})
	if err == nil && c.Socket.Group != "" && !given {
		c.Socket.Mode = 0o660
	}
	return err
}
