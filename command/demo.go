package command

import (
	"context"

	"github.com/urfave/cli/v2"
)

func demoCommand() *command {
	return &command{
		name:  "demo",
		usage: "show it working, with nothing else, in ten seconds",
		about: `
Starts a collector on free ports of this host, with an archive in a temporary directory, sends it the datagrams of
recorded exporters and of six simulated routers, asks what an analyst would ask, and prints each command with its
answer. Nothing of it stays, unless --keep says where.`,
		flags: []cli.Flag{
			&cli.StringFlag{Name: "keep", Usage: "keep the archive in `DIR`, which must not exist or be empty"},
		},
		examples: []example{
			{"weir demo", "look"},
			{"weir demo --keep ./demo-data", "look, and go on asking: weir query --data ./demo-data"},
		},
		prepare: func(c *cli.Context, _ *Std) (runner, error) {
			o := demoOptions{keep: c.String("keep")}
			if o.keep != "" {
				if err := checkEmpty(o.keep); err != nil {
					return nil, err
				}
			}
			return func(ctx context.Context, std *Std) error { return runDemo(ctx, std, o) }, noArgs(c)
		},
	}
}

// demoOptions are the options of weir demo.
type demoOptions struct {
	keep string // where the archive stays; "" for nowhere
}

func runDemo(ctx context.Context, std *Std, o demoOptions) error { return nil }
