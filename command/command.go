package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// Std is what a command reads, writes and asks of the world. Tests hand in
// their own.
type Std struct {
	In  io.Reader
	Out io.Writer // answers
	Err io.Writer // everything else

	OutTerminal bool // Out is a terminal: answers may be coloured
	ErrTerminal bool // Err is a terminal: progress may be shown

	Now    func() time.Time
	Getenv func(name string) string

	// Hangups begins to deliver the signal SIGHUP in place of ending by it, until
	// stop is called; nil: it is not looked at. Gone reports whether the terminal
	// that Err was is there no more; nil: it is.
	Hangups func() (hangups <-chan os.Signal, stop func())
	Gone    func() bool
}

// SystemStd returns the process's own standard files, clock and environment.
func SystemStd() *Std {
	std := &Std{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		OutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		ErrTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		Now:         time.Now,
		Getenv:      os.Getenv,
		Hangups:     hangups,
	}
	std.Gone = func() bool { return std.ErrTerminal && !term.IsTerminal(int(os.Stderr.Fd())) }
	return std
}

// hangups is Std.Hangups of the process itself. A signal that comes while one
// waits is the same one.
func hangups() (<-chan os.Signal, func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// color reports whether answers are coloured: on a terminal, unless NO_COLOR
// (no-color.org) or a dumb terminal says otherwise.
func (s *Std) color() bool {
	return s.OutTerminal && s.Getenv("NO_COLOR") == "" && s.Getenv("TERM") != "dumb"
}

// A runner does a command's work. Its options are checked already.
type runner func(ctx context.Context, std *Std) error

// A command is the definition of one command: what runs it, checks its
// arguments, prints its help and completes its words.
type command struct {
	name     string
	usage    string // one line, lower case, no full stop
	args     string // the arguments as help shows them, such as "[FILTER]"
	about    string // paragraphs for its help
	flags    []cli.Flag
	examples []example
	commands []*command // commands under this one
	both     bool       // a word that is none of them is an argument
	hidden   bool

	// words returns the words that complete argument number n (from 0).
	words func(n int) []string

	// prepare turns flags and arguments into what is to be run; a mistake in
	// them is a *usageError. It does not touch the archive, but to learn what is
	// kept there where a word is no field's (keptIn).
	prepare func(c *cli.Context, std *Std) (runner, error)
}

// An example is a command line that help shows and the tests check.
type example struct {
	line  string
	about string
}

// A definition makes a command, so that one can be had without the others.
type definition struct {
	name string // of the command
	make func() *command
}

// definitions are of all commands, in the order help lists them.
func definitions() []definition {
	return []definition{
		{"collect", collectCommand},
		{"query", queryCommand},
		{tailName, tailCommand},
		{"top", topCommand},
		{"series", seriesCommand},
		{"peers", peersCommand},
		{"seen", seenCommand},
		{"stats", statsCommand},
		{"coverage", coverageCommand},
		{"exporters", exportersCommand},
		{"status", statusCommand},
		{"buckets", bucketsCommand},
		{"import", importCommand},
		{"export", exportCommand},
		{"verify", verifyCommand},
		{"anon-keys", anonKeysCommand},
		{inspectName, inspectCommand},
		{"relay", relayCommand},
		{"backup", backupCommand},
		{"check", checkCommand},
		{"audit", auditCommand},
		{"retention", retentionCommand},
		{"quarantine", quarantineCommand},
		{holdName, holdCommand},
		{"purge", purgeCommand},
		{"reload", reloadCommand},
		{"explain", explainCommand},
		{"demo", demoCommand},
		{"generate", generateCommand},
		{"completion", completionCommand},
		{"man-pages", manPagesCommand},
		{"version", versionCommand},
		{"help", helpCommand},
	}
}

// commands returns all commands in the order help lists them.
func commands() []*command { return made(definitions()) }

// commandsFor returns the commands that args can be about: where they begin with
// the name of one, that alone. The flags of all others are hundreds, and would be
// made by every process anew.
func commandsFor(args []string) []*command {
	list := definitions()
	if len(args) > 0 {
		if i := slices.IndexFunc(list, func(d definition) bool { return d.name == args[0] }); i >= 0 {
			list = list[i : i+1]
		}
	}
	return made(list)
}

func made(list []definition) []*command {
	defs := make([]*command, len(list))
	for i, d := range list {
		defs[i] = d.make()
	}
	addCaseFlags(defs)
	return defs
}

// addCaseFlags lets every command say what for. Those that open no archive have
// no audit log to note it in, and say so in their help: a script may give the
// flags to all that it runs.
func addCaseFlags(defs []*command) {
	for _, d := range defs {
		addCaseFlags(d.commands)
		opens := slices.ContainsFunc(d.flags, func(f cli.Flag) bool { return flagNames(f)[0] == "data" })
		if opens || d.prepare != nil {
			d.flags = append(slices.Clone(d.flags), caseFlags(opens)...)
		}
	}
}

// Exists reports whether there is a command of that name, or under the commands
// named before it, with the flags that are named as they are typed: --repair.
func Exists(name ...string) bool {
	defs := commands()
	var last *command
	for _, word := range name {
		if flag, is := strings.CutPrefix(word, "--"); is {
			if last == nil || findFlag(last.flags, flag) == nil {
				return false
			}
			continue
		}
		if last = find(defs, word); last == nil {
			return false
		}
		defs = last.commands
	}
	return last != nil
}

// Main runs the command line args, of which the first is the program's name,
// and returns the exit status. When ctx is cancelled the command stops.
func Main(ctx context.Context, args []string, std *Std) int {
	if len(args) > 1 && args[1] == completeWord {
		writeCandidates(std.Out, complete(commands(), args[2:]))
		return exitOK
	}
	err := dispatch(ctx, commandsFor(args[min(1, len(args)):]), args, std)
	if err != nil && ctx.Err() != nil && context.Cause(ctx) != nil && exitStatus(err) == exitFailure {
		err = fmt.Errorf("%w: %w", context.Canceled, err)
	}
	printError(std.Err, err)
	return exitStatus(err)
}

// dispatch finds the command that args mean and runs it.
func dispatch(ctx context.Context, defs []*command, args []string, std *Std) error {
	run, err := prepare(defs, args, std)
	if err != nil {
		return err
	}
	return quietPipe(run(ctx, std))
}

// prepare checks args and returns what they ask for.
func prepare(defs []*command, args []string, std *Std) (runner, error) {
	in, err := parseArgs(defs, args[min(1, len(args)):])
	if err != nil {
		return nil, err
	}
	switch {
	case in.help:
		return helpRunner(defs, in.path), nil
	case in.version:
		return runVersion, nil
	case len(in.path) == 0:
		return func(_ context.Context, std *Std) error {
			writeOverview(std.Err, defs)
			return usagef("no command given").withHint("try: weir demo")
		}, nil
	}
	run, err := prepareCommand(in, std)
	if err != nil {
		return nil, err
	}
	return asCaller(in, run), nil
}

// prepareCommand hands the ordered command line to the flag library, whose
// action leaves behind the runner.
func prepareCommand(in *invocation, std *Std) (run runner, err error) {
	app := &cli.App{
		Metadata: map[string]any{stdKey: std},
		Name:     "weir", HideHelp: true, HideHelpCommand: true, HideVersion: true,
		DisableSliceFlagSeparator: true,
		Writer:                    io.Discard, ErrWriter: io.Discard,
		ExitErrHandler: func(*cli.Context, error) {},
	}
	app.Commands = []*cli.Command{in.build(std, &run)}
	if err := app.Run(in.argv()); err != nil {
		return nil, err
	}
	if run == nil {
		return nil, usagef("weir %s needs a command: %s", in.name(), strings.Join(names(in.last().commands), ", "))
	}
	return run, nil
}

// build returns the flag library's form of what is asked for: of the commands
// those that are named, of the flags those that are given. The others read as
// unset without it, as no flag here has a value by default, and it looks up each
// that it has. The innermost command's action stores the prepared runner in run.
func (in *invocation) build(std *Std, run *runner) *cli.Command {
	d := in.last()
	c := &cli.Command{
		Name: d.name, Flags: in.givenFlags(), HideHelp: true, HideHelpCommand: true,
		OnUsageError: func(_ *cli.Context, err error, _ bool) error { return usagef("%v", err) },
		Action: func(c *cli.Context) (err error) {
			if d.prepare == nil {
				return nil
			}
			if *run, err = d.prepare(c, std); err != nil {
				return err
			}
			*run, err = withTimeout(c, withKnown(c, *run))
			return err
		},
	}
	for _, above := range slices.Backward(in.path[:len(in.path)-1]) {
		c = &cli.Command{Name: above.name, HideHelp: true, HideHelpCommand: true, Subcommands: []*cli.Command{c}}
	}
	return c
}

// names returns the names of the commands that are not hidden.
func names(defs []*command) []string {
	var list []string
	for _, d := range defs {
		if !d.hidden {
			list = append(list, d.name)
		}
	}
	return list
}

// noArgs refuses arguments of a command that takes none.
func noArgs(c *cli.Context) error {
	if c.NArg() == 0 {
		return nil
	}
	return usagef("weir %s takes no argument, got %q", c.Command.Name, c.Args().First())
}
