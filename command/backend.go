package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
	"time"

	"weir/flow"
	"weir/index"
	"weir/query"
	"weir/retention/audit"
	"weir/store"
)

// A backend answers questions about one archive: the daemon that collects into
// it, or the archive itself opened by this process.
type backend interface {
	questions
	anonKeys
	Flows(ctx context.Context, req query.FlowsRequest, emit func(*flow.Record) error) (query.Summary, error)
	Tail(ctx context.Context, req query.TailRequest, emit func(*flow.Record) error, missed func(n uint64)) error
	Top(ctx context.Context, req query.TopRequest) (*query.TopResult, query.Summary, error)
	Explain(ctx context.Context, req query.ExplainRequest) (*query.Plan, error)
	Names(ctx context.Context, req namesRequest) (*query.Names, error)
	Buckets(ctx context.Context) ([]store.BucketInfo, error)
	Grid(ctx context.Context, req query.GridRequest) (*query.Grid, error)
	Exporters(ctx context.Context, req exportersRequest) (*exporterList, error)
	Status(ctx context.Context) (*statusReport, error)
	Import(ctx context.Context, files captures) (*importResult, error)
	Backup(ctx context.Context, req backupRequest) (*backupReport, error)
	Check(ctx context.Context, repair bool) (*index.Report, error)
	AuditEntries(ctx context.Context, req auditRequest) ([]auditLine, error)
	VerifyAudit(ctx context.Context, head string) (*audit.Proof, error)
	Retention(ctx context.Context) (*retentionReport, error)
	ConfirmRetention(ctx context.Context) (*retentionReport, error)
	Close() error
}

// An openMode says what a command means to do with an archive.
type openMode uint8

const (
	modeRead   openMode = iota // ask
	modeWrite                  // change; the archive must exist
	modeCreate                 // change; made if it does not exist
)

// How long to wait for an archive that another process has locked without
// answering on the socket: a daemon that is just starting or stopping, or
// another weir command that reads the archive by itself.
const (
	lockWait  = 5 * time.Second
	lockRetry = 50 * time.Millisecond
)

// openBackend returns the daemon of the archive in dir if one answers, else the
// archive itself.
func openBackend(ctx context.Context, dir string, mode openMode, std *Std) (backend, error) {
	dir, err := resolveDir(dir, std)
	if err != nil {
		return nil, err
	}
	if err := checkDir(dir, mode); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(lockWait)
	for {
		b, err := openOnce(ctx, dir, mode, std)
		if !errors.Is(err, store.ErrInUse) {
			return b, err
		}
		if time.Now().After(deadline) {
			return nil, &storeError{fmt.Sprintf("the archive in %s is in use by another process, which does not answer on its socket %s; wait for it or stop it",
				dir, socketName)}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockRetry):
		}
	}
}

func openOnce(ctx context.Context, dir string, mode openMode, std *Std) (backend, error) {
	b, err := connect(ctx, dir)
	if err == nil {
		return b, nil
	}
	if !noDaemon(err) {
		return nil, err
	}
	if err := checkOwner(dir); err != nil {
		return nil, err
	}
	s, err := openStore(dir, mode)
	if err != nil {
		return nil, err
	}
	l := &local{store: s, now: std.Now}
	if copied, err := store.ReadListing(store.Disk(), dir); err == nil && copied != nil {
		l.copied = epochMS(copied.Made)
	}
	if l.known, err = knownIn(ctx, s); err != nil {
		fmt.Fprintf(std.Err, "weir: %v; the answer does without\n", err)
	}
	if l.elements, err = readKept(s); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if l.scope, err = readScope(s); err != nil {
		fmt.Fprintf(std.Err, "weir: %v; the answer does without\n", err)
	}
	if names := exporterNames(l.known); names != nil {
		l.names = &query.Names{Exporters: names}
	}
	if l.holds, err = newHolds(ctx, s, nil, std.Now, slog.New(slog.DiscardHandler), nil); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	for _, text := range l.holds.said {
		fmt.Fprintf(std.Err, "weir: %s\n", text)
	}
	a := newAudited(l)
	if err := a.catchUp(ctx, std); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// importFlush is how often an import has written what is not yet a block. Only a
// crash needs that, and the capture is still there after it; but one that is read
// from a pipe may never end. Twice a second, as for what comes from the network,
// nearly every row of a capture of many hours would be written twice.
const importFlush = 10 * time.Second

// openStore opens the archive in dir, as far as this user may.
func openStore(dir string, mode openMode) (*store.Store, error) {
	o := store.Options{Existing: mode != modeCreate}
	if mode == modeCreate {
		o.FlushEvery = importFlush
	}
	s, err := store.Open(dir, o)
	if mode == modeRead && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)) {
		// What is there can be listed; records are not read without a note of it.
		s, err = store.Open(dir, store.Options{ReadOnly: true})
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, &storeError{fmt.Sprintf("%v; run weir as the user that owns the archive", err)}
	}
	return s, err
}

// checkOwner refuses an archive of another user: what this process writes there
// would not be the owner's, whose collector could then not start.
func checkOwner(dir string) error {
	uid, known := ownerOf(dir)
	if !known || uid == os.Geteuid() {
		return nil
	}
	return &storeError{fmt.Sprintf("the archive in %s belongs to user %s; run weir as that user: sudo -u %s weir …", dir, userName(uid), userName(uid))}
}

// checkDir refuses a directory that is not there before anything is made in it.
func checkDir(dir string, mode openMode) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && mode == modeCreate:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return &storeError{fmt.Sprintf("there is no archive in %s; weir collect makes one, --data DIR names another", dir)}
	case err != nil:
		return &storeError{err.Error()}
	case !info.IsDir():
		return &storeError{fmt.Sprintf("%s is not a directory; --data names the archive's directory", dir)}
	}
	return nil
}
