// Command weir collects a network's flow records, keeps them and answers
// questions about them. "weir help" says how; package command is the program.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"weir/command"
)

func main() { os.Exit(run()) }

func run() int {
	// A closed pipe is an error to handle, not a signal to die by.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks the command to end; a second one, as nobody listens
	// for it any more, ends the process.
	context.AfterFunc(ctx, stop)
	return command.Main(ctx, os.Args, command.SystemStd())
}
