package command

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// The flag library stops at the first argument: a flag after it would silently
// become an argument, and a global flag counts only before the command. Users
// type flags where they think of them. So the command line is put in order
// here, by the definitions, before the library sees it:
//
//	weir --data X query 'port 53' --last 2h
//	weir query --data=X --last=2h -- 'port 53'
//
// Whatever looks like a flag and is none is refused by name; only after "--" is
// it an argument. A word such as -5 is a number, and "-" is standard input.

// An invocation is a command line in order.
type invocation struct {
	path    []*command // the command and, if it has commands of its own, the one under it
	flags   []flagValue
	args    []string
	help    bool
	version bool
}

// A flagValue is one flag as given, under its main name.
type flagValue struct {
	name  string
	value string
	given string // as typed, for messages
}

// name returns the command's name with spaces: "retention confirm".
func (in *invocation) name() string {
	words := make([]string, len(in.path))
	for i, c := range in.path {
		words[i] = c.name
	}
	return strings.Join(words, " ")
}

// last returns the innermost command.
func (in *invocation) last() *command { return in.path[len(in.path)-1] }

// argv returns the command line in the only order the flag library reads right.
func (in *invocation) argv() []string {
	argv := []string{"weir"}
	for _, c := range in.path {
		argv = append(argv, c.name)
	}
	for _, f := range in.flags {
		argv = append(argv, "--"+f.name+"="+f.value)
	}
	return append(append(argv, "--"), in.args...)
}

// parseArgs puts args, without the program's name, in order.
func parseArgs(defs []*command, args []string) (*invocation, error) {
	in := &invocation{}
	rest := args
	for len(rest) > 0 {
		word := rest[0]
		rest = rest[1:]
		switch {
		case word == "--":
			if err := in.addArgs(defs, rest); err != nil {
				return nil, err
			}
			rest = nil
		case looksLikeFlag(word):
			used, err := in.addFlag(defs, word, rest)
			if err != nil {
				return nil, err
			}
			rest = rest[used:]
		default:
			if err := in.addWord(defs, word); err != nil {
				return nil, err
			}
		}
	}
	return in, in.check()
}

// looksLikeFlag reports whether word can only be meant as a flag.
func looksLikeFlag(word string) bool {
	if len(word) < 2 || word[0] != '-' {
		return false
	}
	return word[1] < '0' || word[1] > '9'
}

// addArgs adds what follows "--": arguments, after the command's name if none
// was given before.
func (in *invocation) addArgs(defs []*command, words []string) error {
	for _, word := range words {
		if len(in.path) > 0 {
			in.args = append(in.args, word)
		} else if err := in.addWord(defs, word); err != nil {
			return err
		}
	}
	return nil
}

// addWord adds a word that is no flag: the command's name, the name of one of
// its commands, or an argument.
func (in *invocation) addWord(defs []*command, word string) error {
	if len(in.path) == 0 {
		c := find(defs, word)
		if c == nil {
			return unknownCommand("weir", word, defs)
		}
		in.path = append(in.path, c)
		return nil
	}
	if within := in.last().commands; len(within) > 0 && len(in.args) == 0 {
		if c := find(within, word); c != nil {
			in.path = append(in.path, c)
			return nil
		}
		if !in.last().both {
			return unknownCommand("weir "+in.name(), word, within)
		}
	}
	in.args = append(in.args, word)
	return nil
}

func unknownCommand(under, word string, defs []*command) error {
	e := usagef("%s has no command %q", under, word)
	if near := nearest(word, names(defs)); near != "" {
		return e.withHint("did you mean %q?", near)
	}
	return e.withHint("its commands are %s", strings.Join(names(defs), ", "))
}

// addFlag adds the flag that word begins. It returns how many words after it
// belong to it: 1 for a value that stands apart, else 0.
func (in *invocation) addFlag(defs []*command, word string, rest []string) (int, error) {
	switch word {
	case "-h", "-help", "--help":
		in.help = true
		return 0, nil
	case "-version", "--version":
		in.version = true
		return 0, nil
	}
	name, value, hasValue := splitFlag(word)
	flag := findFlag(in.flagsInReach(defs), name)
	if flag == nil && !hasValue && !strings.HasPrefix(word, "--") {
		flag, value, hasValue = in.attached(defs, name)
	}
	if flag == nil {
		return 0, in.unknownFlag(defs, word, name)
	}
	f := flagValue{name: flagNames(flag)[0], value: value, given: givenFlag(word)}
	used := 0
	if !hasValue {
		if !takesValue(flag) {
			f.value = "true"
		} else if len(rest) == 0 || in.isFlag(defs, rest[0]) {
			return 0, missingValue(f.given, rest)
		} else {
			f.value, used = rest[0], 1
		}
	} else if !takesValue(flag) && value != "true" && value != "false" {
		return 0, usagef("flag %s is true or false, not %q", f.given, value)
	}
	in.flags = append(in.flags, f)
	return used, nil
}

func missingValue(given string, rest []string) error {
	e := usagef("flag %s needs a value", given)
	if len(rest) > 0 {
		return e.withHint("write %s=%s if %s is the value", given, rest[0], rest[0])
	}
	return e
}

// attached splits a short flag from its value in one word: -n5, -ojson.
func (in *invocation) attached(defs []*command, name string) (cli.Flag, string, bool) {
	if len(name) < 2 {
		return nil, "", false
	}
	flag := findFlag(in.flagsInReach(defs), name[:1])
	if flag == nil || !takesValue(flag) || !attachable(name[1:]) {
		return nil, "", false
	}
	return flag, name[1:], true
}

// attachable reports whether text after a short flag is a value rather than a
// misspelled long flag with one dash: a number or an output format.
func attachable(text string) bool {
	return text[0] >= '0' && text[0] <= '9' || slices.Contains(outputFormats, text)
}

// isFlag reports whether word is a flag that exists, so that it cannot be meant
// as the value of the flag before it.
func (in *invocation) isFlag(defs []*command, word string) bool {
	if !looksLikeFlag(word) {
		return word == "--"
	}
	name, _, _ := splitFlag(word)
	return name == "h" || name == "help" || findFlag(in.flagsInReach(defs), name) != nil
}

// splitFlag takes a flag apart: "--last=2h" is last, 2h. One dash will do.
func splitFlag(word string) (name, value string, hasValue bool) {
	name = strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-")
	return strings.Cut(name, "=")
}

func givenFlag(word string) string {
	given, _, _ := strings.Cut(word, "=")
	return given
}

// flagsInReach returns the flags that may stand here: those of the command, or
// those of every command while none is named yet.
func (in *invocation) flagsInReach(defs []*command) []cli.Flag {
	if len(in.path) > 0 {
		return commandFlags(in.path)
	}
	return allFlags(defs)
}

// commandFlags returns the flags of the innermost command and of the commands
// under it, which may be named later.
func commandFlags(path []*command) []cli.Flag {
	last := path[len(path)-1]
	return append(slices.Clone(last.flags), allFlags(last.commands)...)
}

func allFlags(defs []*command) []cli.Flag {
	var flags []cli.Flag
	for _, d := range defs {
		flags = append(flags, d.flags...)
		flags = append(flags, allFlags(d.commands)...)
	}
	return flags
}

// check refuses flags that the command does not have; they may have been given
// before its name.
func (in *invocation) check() error {
	if len(in.path) == 0 || in.help {
		return nil
	}
	for _, f := range in.flags {
		if findFlag(in.last().flags, f.name) == nil {
			return in.unknownFlag(in.path, f.given, f.name)
		}
	}
	return nil
}

func (in *invocation) unknownFlag(defs []*command, word, name string) error {
	where, flags := "weir", allFlags(defs)
	if len(in.path) > 0 {
		where, flags = "weir "+in.name(), in.last().flags
	}
	e := usagef("%s has no flag %s", where, givenFlag(word))
	if near := nearest(name, allNames(flags)); near != "" {
		return e.withHint("did you mean %s?", dashed(near))
	}
	return e.withHint("%s --help lists its flags; after -- it is an argument", where)
}

// dashed writes a flag's name as it is typed.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// allNames returns the names and aliases of flags.
func allNames(flags []cli.Flag) []string {
	var list []string
	for _, f := range flags {
		list = append(list, flagNames(f)...)
	}
	return append(list, "help")
}

// flagNames returns a flag's name and its aliases. The library's own method
// looks for commas in each with a regular expression, which takes longer than
// all else that is done with a flag.
func flagNames(f cli.Flag) []string {
	switch f := f.(type) {
	case *cli.StringFlag:
		return append([]string{f.Name}, f.Aliases...)
	case *cli.BoolFlag:
		return append([]string{f.Name}, f.Aliases...)
	}
	return f.Names()
}

// findFlag returns the flag of that name or alias.
func findFlag(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(flagNames(f), name) {
			return f
		}
	}
	return nil
}

// givenFlags returns the definitions of the flags that are given.
func (in *invocation) givenFlags() []cli.Flag {
	return slices.DeleteFunc(slices.Clone(in.last().flags), func(f cli.Flag) bool {
		return !slices.ContainsFunc(in.flags, func(v flagValue) bool { return v.name == flagNames(f)[0] })
	})
}

func takesValue(f cli.Flag) bool {
	doc, ok := f.(cli.DocGenerationFlag)
	return ok && doc.TakesValue()
}

// find returns the command of that name.
func find(defs []*command, name string) *command {
	for _, d := range defs {
		if d.name == name {
			return d
		}
	}
	return nil
}
