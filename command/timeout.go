package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"
)

func timeoutFlag() cli.Flag {
	return &cli.StringFlag{Name: "timeout", Usage: "give up after a `SPAN` of time: 30s, 5m", DefaultText: "none"}
}

// A timeoutError says that a question was given up.
type timeoutError struct {
	after time.Duration
	live  bool // it was no question, but a look at what comes in
}

func (e *timeoutError) Error() string {
	if e.live {
		return fmt.Sprintf("ended after the %v of --timeout", e.after)
	}
	return fmt.Sprintf("gave up after the %v of --timeout; ask with a shorter window, a narrower filter or more time", e.after)
}

// withTimeout returns run with the bound that --timeout sets, if it does. The
// time counts from when the question is put, after what was typed is understood.
func withTimeout(c *cli.Context, run runner) (runner, error) {
	if !c.IsSet("timeout") {
		return run, nil
	}
	after, err := parseDuration(c.String("timeout"))
	if err != nil {
		return nil, prefixUsage("--timeout", err)
	}
	if after <= 0 {
		return nil, usagef("--timeout: it must be longer than nothing").withHint("try: --timeout 30s")
	}
	return func(ctx context.Context, std *Std) error {
		bounded, cancel := context.WithTimeout(ctx, after)
		defer cancel()
		err := run(bounded, std)
		if err != nil && ctx.Err() == nil && errors.Is(bounded.Err(), context.DeadlineExceeded) {
			return &timeoutError{after, c.Command.Name == tailName}
		}
		return err
	}, nil
}
