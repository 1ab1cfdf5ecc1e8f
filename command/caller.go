package command

import (
	"context"
	"net/http"
	"os/user"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/retention/audit"
)

// A caller is on whose behalf something is asked or done, and what for: what the
// audit log says of it.
type caller struct {
	who     audit.Who
	command string // as typed, without flags: "query", "retention confirm"
	ticket  string // --case
	reason  string // --reason
	detail  string // what becomes of the answer, where that is more than to be shown
}

type callerKey struct{}

func withCaller(ctx context.Context, c caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// withCase returns a context whose caller asks for a case.
func withCase(ctx context.Context, ref string) context.Context {
	c := callerOf(ctx)
	c.ticket = ref
	return withCaller(ctx, c)
}

// callerOf returns the caller that a context carries.
func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// The headers by which a command tells the daemon what is asked for what. Who
// asks is not among them, but for the login before sudo: the kernel says it.
const (
	headerCommand = "Weir-Command"
	headerCase    = "Weir-Case"
	headerReason  = "Weir-Reason"
	headerLogin   = "Weir-Login"
	headerDetail  = "Weir-Detail"
)

// setCaller writes what the context carries into a request's headers. Text is
// quoted, so that it can hold anything.
func setCaller(ctx context.Context, h http.Header) {
	c := callerOf(ctx)
	for name, text := range map[string]string{headerCommand: c.command, headerCase: c.ticket, headerReason: c.reason, headerLogin: c.who.Login, headerDetail: c.detail} {
		if text != "" {
			h.Set(name, strconv.QuoteToASCII(text))
		}
	}
}

// readCaller reads what a request's headers say. The peer is whom the kernel
// says.
func readCaller(peer audit.Who, h http.Header) caller {
	text := func(name string) string {
		s, err := strconv.Unquote(h.Get(name))
		if err != nil {
			return ""
		}
		return s
	}
	c := caller{who: peer, command: text(headerCommand), ticket: text(headerCase), reason: text(headerReason), detail: text(headerDetail)}
	if c.who.Login == "" {
		c.who.Login = otherLogin(text(headerLogin), c.who)
	}
	return c
}

// asCaller runs a command on behalf of this process's user.
func asCaller(in *invocation, run runner) runner {
	return func(ctx context.Context, std *Std) error {
		c := caller{who: thisUser(std), command: in.name()}
		for _, f := range in.flags {
			switch f.name {
			case "case":
				c.ticket = strings.TrimSpace(f.value)
			case "reason":
				c.reason = strings.TrimSpace(f.value)
			}
		}
		return run(withCaller(ctx, c), std)
	}
}

// thisUser is the user of this process, and who logged in before sudo.
func thisUser(std *Std) audit.Who {
	who := processWho()
	if who.Login == "" {
		who.Login = otherLogin(std.Getenv("SUDO_USER"), who)
	}
	return who
}

// otherLogin returns a login, if it says more than the user does.
func otherLogin(login string, who audit.Who) string {
	if login == who.User || len(login) > 256 {
		return ""
	}
	return login
}

// userName returns the name of a user, or the number where there is none.
func userName(uid int) string {
	if uid < 0 {
		return "unknown"
	}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}

// caseFlags are what every command has. noted says that it opens an archive,
// whose audit log has them.
func caseFlags(noted bool) []cli.Flag {
	if !noted {
		return []cli.Flag{
			&cli.StringFlag{Name: "case", Usage: "taken as by other commands, and noted nowhere: this opens no archive (`REF`)"},
			&cli.StringFlag{Name: "reason", Usage: "likewise (`TEXT`)"},
		}
	}
	return []cli.Flag{
		&cli.StringFlag{Name: "case", Usage: "note the case `REF` in the audit log"},
		&cli.StringFlag{Name: "reason", Usage: "note the reason `TEXT` in the audit log"},
	}
}
