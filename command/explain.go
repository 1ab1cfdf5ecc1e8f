package command

import (
	"context"
	"strings"

	"github.com/urfave/cli/v2"
)

func explainCommand() *command {
	return &command{
		name:  "explain",
		usage: "say how a filter is understood",
		args:  "FILTER",
		about: `
Prints the filter with every primitive spelled out by the fields that it looks at, in the order in which it binds.`,
		flags: []cli.Flag{filterFileFlag()},
		examples: []example{
			{"weir explain 'src port 53 or port 443 and not host 192.0.2.1'", "not binds tightest, then and, then or"},
		},
		words: filterAndFields,
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			text, err := rawFilter(c, std, 0)
			if err != nil {
				return nil, err
			}
			if text == "" {
				return nil, usagef("name a filter to explain").withHint("try: weir explain 'port 53'")
			}
			f, err := parseFilter(text)
			if err != nil {
				return nil, err
			}
			return func(_ context.Context, std *Std) error {
				_, err := std.Out.Write([]byte(strings.TrimSpace(f.String()) + "\n"))
				return err
			}, nil
		},
	}
}
