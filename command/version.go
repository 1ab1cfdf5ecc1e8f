package command

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// version is the release; the build's revision is added where Go recorded it.
const version = "0.1.0"

func versionCommand() *command {
	return &command{
		name:     "version",
		usage:    "print weir's version",
		examples: []example{{"weir version", "what to quote in a report"}},
		prepare: func(c *cli.Context, _ *Std) (runner, error) {
			return runVersion, noArgs(c)
		},
	}
}

func runVersion(_ context.Context, std *Std) error {
	_, err := fmt.Fprintf(std.Out, "weir %s%s %s %s/%s\n", version, revision(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// revision returns " (commit)" as the Go tool stamped it, "" where it did not.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	commit, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = ", modified"
		}
	}
	if commit == "" {
		return ""
	}
	return " (" + commit[:min(12, len(commit))] + dirty + ")"
}
