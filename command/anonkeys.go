package command

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"weir/flow/anon"
)

// anonKeyPrefix begins the names of the state values that hold keys; the case
// follows.
const anonKeyPrefix = "anon/key/"

// maxCase bounds the text of a case that has a key, in bytes.
const maxCase = 200

// The paths of what the daemon answers about keys (protocol.go).
const (
	pathAnonKey     = "/anon/key"
	pathAnonKeys    = "/anon/keys"
	pathAnonDestroy = "/anon/destroy"
)

// An anonKey is a case's key for Crypto-PAn as the archive keeps it.
type anonKey struct {
	Case string `json:"case,omitempty"` // in lists
	Key  []byte `json:"key,omitempty"`  // never in lists
	Made string `json:"made"`           // when
	User string `json:"user"`           // for whose export
	New  bool   `json:"new,omitempty"`  // it was made for this export; not kept
}

// anonKeys are what a backend does with the keys of cases.
type anonKeys interface {
	// AnonKey returns the key of the case that the caller names, and makes one
	// at first use.
	AnonKey(ctx context.Context) (*anonKey, error)
	AnonKeys(ctx context.Context) ([]anonKey, error)
	DestroyAnonKey(ctx context.Context, ticket string) error
}

// AnonKey implements backend. Two exports at once get the same key.
func (l *local) AnonKey(ctx context.Context) (*anonKey, error) {
	c := callerOf(ctx)
	if err := checkCase(c.ticket); err != nil {
		return nil, err
	}
	l.first().keys.Lock()
	defer l.first().keys.Unlock()
	text, err := l.store.GetState(anonKeyPrefix + c.ticket)
	if err != nil {
		return nil, fmt.Errorf("read the key of %s: %w", c.ticket, err)
	}
	if text != nil {
		var k anonKey
		if err := json.Unmarshal(text, &k); err != nil {
			return nil, fmt.Errorf("read the key of %s: %w", c.ticket, err)
		}
		if len(k.Key) != anon.KeySize {
			return nil, fmt.Errorf("read the key of %s: it has %d bytes, not %d", c.ticket, len(k.Key), anon.KeySize)
		}
		return &k, nil
	}
	k := &anonKey{Key: make([]byte, anon.KeySize), Made: showTime(l.now()), User: c.who.User}
	rand.Read(k.Key) // never fails
	// On disk before anything is made with it: a package whose key is lost
	// could not be followed up.
	if err := l.store.PutState(anonKeyPrefix+c.ticket, marshal(k)); err != nil {
		return nil, fmt.Errorf("keep the key of %s: %w", c.ticket, err)
	}
	if err := l.store.Flush(); err != nil {
		return nil, fmt.Errorf("keep the key of %s: %w", c.ticket, err)
	}
	k.New = true
	return k, nil
}

// checkCase refuses what cannot be the name of a key.
func checkCase(ticket string) error {
	switch {
	case ticket == "":
		return usagef("the key is that of a case").withHint("add --case REF, or give a key with --key-file FILE")
	case len(ticket) > maxCase || printable(ticket) != ticket:
		return usagef("a case with a key has up to %d bytes of printable text", maxCase)
	}
	return nil
}

// AnonKeys implements backend.
func (l *local) AnonKeys(context.Context) (list []anonKey, err error) {
	err = l.store.ScanState(anonKeyPrefix, func(name string, value []byte) error {
		var k anonKey
		ticket := strings.TrimPrefix(name, anonKeyPrefix)
		if err := json.Unmarshal(value, &k); err != nil {
			return fmt.Errorf("read the key of %s: %w", ticket, err)
		}
		list = append(list, anonKey{Case: ticket, Made: k.Made, User: k.User})
		return nil
	})
	return list, err
}

// DestroyAnonKey implements backend.
func (l *local) DestroyAnonKey(_ context.Context, ticket string) error {
	l.first().keys.Lock()
	defer l.first().keys.Unlock()
	text, err := l.store.GetState(anonKeyPrefix + ticket)
	switch {
	case err != nil:
		return fmt.Errorf("read the key of %s: %w", ticket, err)
	case text == nil:
		return usagef("there is no key of a case %q", ticket).withHint("weir anon-keys lists them")
	}
	if err := l.store.DeleteState(anonKeyPrefix + ticket); err != nil {
		return fmt.Errorf("destroy the key of %s: %w", ticket, err)
	}
	if err := l.store.Flush(); err != nil {
		return fmt.Errorf("destroy the key of %s: %w", ticket, err)
	}
	if err := l.renewCheckpoints(); err != nil {
		return fmt.Errorf("destroy the key of %s in the checkpoints: %w", ticket, err)
	}
	return nil
}

// AnonKey implements backend. A group may be let in to ask (the socket's mode);
// the key that undoes what leaves the house is for the owner of the archive.
func (a *audited) AnonKey(ctx context.Context) (key *anonKey, err error) {
	err = a.act(ctx, "hand out the key of the case for an anonymised export", func() (uint64, error) {
		if uid := callerOf(ctx).who.UID; uid != 0 && uid != os.Geteuid() {
			return 0, errors.New("the key of a case is only for the user that the collector runs as; run weir as that user, or give a key with --key-file FILE")
		}
		key, err = a.local.AnonKey(ctx)
		return 0, err
	})
	return key, err
}

// AnonKeys implements backend.
func (a *audited) AnonKeys(ctx context.Context) (list []anonKey, err error) {
	err = a.act(ctx, "list the keys", func() (uint64, error) {
		list, err = a.local.AnonKeys(ctx)
		return uint64(len(list)), err
	})
	return list, err
}

// DestroyAnonKey implements backend.
func (a *audited) DestroyAnonKey(ctx context.Context, ticket string) error {
	return a.act(ctx, "destroy the key of "+printable(ticket), func() (uint64, error) {
		return 0, a.local.DestroyAnonKey(ctx, ticket)
	})
}

// AnonKey implements backend.
func (r *remote) AnonKey(ctx context.Context) (*anonKey, error) {
	key := new(anonKey)
	return key, r.ask(ctx, pathAnonKey, struct{}{}, key, nil)
}

// AnonKeys implements backend.
func (r *remote) AnonKeys(ctx context.Context) (list []anonKey, err error) {
	err = r.ask(ctx, pathAnonKeys, struct{}{}, &list, nil)
	return list, err
}

// DestroyAnonKey implements backend.
func (r *remote) DestroyAnonKey(ctx context.Context, ticket string) error {
	return r.ask(ctx, pathAnonDestroy, ticket, nil, nil)
}

// handleAnonKeys adds the routes of keys.
func handleAnonKeys(mux *http.ServeMux, s *server) {
	handle(mux, s, pathAnonKey, func(ctx context.Context, _ struct{}) (any, error) { return s.backend.AnonKey(ctx) })
	handle(mux, s, pathAnonKeys, func(ctx context.Context, _ struct{}) (any, error) { return s.backend.AnonKeys(ctx) })
	handle(mux, s, pathAnonDestroy, func(ctx context.Context, ticket string) (any, error) {
		return nil, s.backend.DestroyAnonKey(ctx, ticket)
	})
}

func anonKeysCommand() *command {
	return &command{
		name:  "anon-keys",
		usage: "list the keys of anonymised exports, destroy one",
		args:  "[destroy CASE]",
		about: `
weir export --anonymise crypto-pan makes a random key for each --case at its first use and keeps it in the archive, so that a
later export of the same case has the same pseudonyms. Lists which cases have one, never the keys. Whoever has the key can
undo the pseudonyms; when it is destroyed nobody can, apart from who finds it in an older backup of the archive.`,
		flags: []cli.Flag{dataFlag(), outputFlag()},
		examples: []example{
			{"weir anon-keys", "which cases have a key, since when"},
			{"weir anon-keys destroy IR-2026-017", "the pseudonyms of that case become final"},
		},
		commands: []*command{{
			name:     "destroy",
			usage:    "destroy the key of a case",
			args:     "CASE",
			about:    "Later exports of the case get a new key, and other pseudonyms.",
			flags:    []cli.Flag{dataFlag()},
			examples: []example{{"weir anon-keys destroy IR-2026-017 --reason 'case closed'", "with the reason in the audit log"}},
			prepare: func(c *cli.Context, std *Std) (runner, error) {
				dir, err := dataDir(c, std)
				if err != nil {
					return nil, err
				}
				if c.NArg() != 1 {
					return nil, usagef("name one case").withHint("weir anon-keys lists those that have a key")
				}
				ticket := strings.TrimSpace(c.Args().First())
				return func(ctx context.Context, std *Std) error { return runDestroyAnonKey(ctx, std, dir, ticket) }, nil
			},
		}},
		prepare: func(c *cli.Context, std *Std) (runner, error) {
			dir, format, err := archiveAndFormat(c, std)
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, std *Std) error { return runAnonKeys(ctx, std, dir, format) }, noArgs(c)
		},
	}
}

// runAnonKeys lists the cases that have a key.
func runAnonKeys(ctx context.Context, std *Std, dir, format string) error {
	b, err := openBackend(ctx, dir, modeRead, std)
	if err != nil {
		return err
	}
	defer b.Close()
	list, err := b.AnonKeys(ctx)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		fmt.Fprintln(std.Err, "weir: no case has a key; weir export --anonymise crypto-pan makes one")
	}
	switch format {
	case formatJSON:
		for _, k := range list {
			if _, err := std.Out.Write(append(marshal(k), '\n')); err != nil {
				return err
			}
		}
		return nil
	case formatCSV:
		rows := [][]string{{"case", "made", "user"}}
		for _, k := range list {
			rows = append(rows, []string{k.Case, k.Made, k.User})
		}
		return newCSV(std.Out).WriteAll(rows)
	}
	out := newStream(std.Out, nil)
	defer out.Close()
	t := newTable(out, []tableColumn{{name: "case"}, {name: "made"}, {name: "user"}}, std.color())
	for _, k := range list {
		if err := t.row([]string{printable(k.Case), k.Made, printable(k.User)}); err != nil {
			return err
		}
	}
	if err := t.finish(); err != nil {
		return err
	}
	return out.Close()
}

// runDestroyAnonKey destroys the key of a case.
func runDestroyAnonKey(ctx context.Context, std *Std, dir, ticket string) error {
	b, err := openBackend(ctx, dir, modeWrite, std)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := b.DestroyAnonKey(ctx, ticket); err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.Out, "the key of %s is destroyed\n", printable(ticket))
	return err
}
