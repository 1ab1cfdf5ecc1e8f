package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"weir/flow"
	"weir/query"
	"weir/store"
)

// A fakeBackend answers as its functions say.
type fakeBackend struct {
	backend
	flows  func(ctx context.Context, req query.FlowsRequest, emit func(*flow.Record) error) (query.Summary, error)
	top    func(req query.TopRequest) (*query.TopResult, query.Summary, error)
	files  func(ctx context.Context, files captures) (*importResult, error)
	backup func(dest string) error
}

func (f *fakeBackend) Names(context.Context, namesRequest) (*query.Names, error) {
	return &query.Names{}, nil
}

func (f *fakeBackend) Flows(ctx context.Context, req query.FlowsRequest, emit func(*flow.Record) error) (query.Summary, error) {
	return f.flows(ctx, req, emit)
}

func (f *fakeBackend) Top(_ context.Context, req query.TopRequest) (*query.TopResult, query.Summary, error) {
	return f.top(req)
}

func (f *fakeBackend) Import(ctx context.Context, files captures) (*importResult, error) {
	return f.files(ctx, files)
}

func (f *fakeBackend) Backup(_ context.Context, req backupRequest) (*backupReport, error) {
	return new(backupReport), f.backup(req.Dest)
}

// serve runs a server of b in a new directory and returns its client.
func serve(t *testing.T, b backend) (*remote, string) {
	t.Helper()
	return serveIn(t, b, t.TempDir())
}

func serveIn(t *testing.T, b backend, dir string) (*remote, string) {
	t.Helper()
	l, err := listenSocket(dir, socketPolicy{Mode: defaultSocketMode})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- newServer(b, slog.New(slog.DiscardHandler)).run(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("serve: %v", err)
			}
		case <-time.After(patience):
			t.Error("the server did not stop")
		}
		if _, err := os.Lstat(filepath.Join(dir, socketName)); err == nil {
			t.Error("the socket is still there")
		}
	})
	r, err := connect(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, dir
}

func TestRemoteFlows(t *testing.T) {
	const n = 5000
	want := query.FlowsRequest{Filter: "port 53", Window: query.Window{From: 1, To: 2}, Limit: 3, Order: "-bytes"}
	r, _ := serve(t, &fakeBackend{flows: func(_ context.Context, req query.FlowsRequest, emit func(*flow.Record) error) (query.Summary, error) {
		if !reflect.DeepEqual(req, want) {
			t.Errorf("got request %+v, want %+v", req, want)
		}
		record := testRecord()
		for i := range n {
			record.SetNum(flow.Bytes, uint64(i))
			if err := emit(record); err != nil {
				return query.Summary{}, err
			}
		}
		return query.Summary{RowsMatched: n, Damaged: []string{"x"}}, nil
	}})
	got := 0
	summary, err := r.Flows(context.Background(), want, func(record *flow.Record) error {
		expected := testRecord()
		expected.SetNum(flow.Bytes, uint64(got))
		if *record != *expected {
			t.Fatalf("record %d: got %s", got, record.AppendJSON(nil))
		}
		got++
		return nil
	})
	if err != nil || got != n || summary.RowsMatched != n || len(summary.Damaged) != 1 {
		t.Errorf("got %d records, %+v, %v", got, summary, err)
	}
}

// What went wrong in the daemon must look as if it had gone wrong here.
func TestRemoteErrors(t *testing.T) {
	syntax := &query.SyntaxError{Text: "port x", Pos: 5, Message: "expected a port"}
	for _, want := range []error{
		errors.New("something"), usagef("wrong").withHint("right"), syntax, &storeError{"no store"},
		&incompleteError{"damage"}, fmt.Errorf("open: %w", store.ErrInUse), context.Canceled,
	} {
		r, _ := serve(t, &fakeBackend{flows: func(_ context.Context, _ query.FlowsRequest, emit func(*flow.Record) error) (query.Summary, error) {
			if err := emit(testRecord()); err != nil {
				return query.Summary{}, err
			}
			return query.Summary{}, want
		}})
		_, err := r.Flows(context.Background(), query.FlowsRequest{}, func(*flow.Record) error { return nil })
		if err == nil || err.Error() != want.Error() || exitStatus(err) != exitStatus(want) {
			t.Errorf("got %v with status %d, want %v with %d", err, exitStatus(err), want, exitStatus(want))
		}
	}
}

// A question stops when the one who asked goes away.
func TestRemoteCancel(t *testing.T) {
	stopped := make(chan struct{})
	started := make(chan struct{}, 1)
	r, _ := serve(t, &fakeBackend{flows: func(ctx context.Context, _ query.FlowsRequest, _ func(*flow.Record) error) (query.Summary, error) {
		started <- struct{}{}
		<-ctx.Done()
		close(stopped)
		return query.Summary{}, ctx.Err()
	}})
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() {
		_, err := r.Flows(ctx, query.FlowsRequest{}, func(*flow.Record) error { return nil })
		result <- err
	}()
	<-started
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	select {
	case <-stopped:
	case <-time.After(patience):
		t.Fatal("the question goes on")
	}
}

// A reader that has seen enough ends the question too.
func TestRemoteEmitStops(t *testing.T) {
	stopped := make(chan error, 1)
	r, _ := serve(t, &fakeBackend{flows: func(ctx context.Context, _ query.FlowsRequest, emit func(*flow.Record) error) (query.Summary, error) {
		for {
			if err := emit(testRecord()); err != nil || ctx.Err() != nil {
				stopped <- errors.Join(err, ctx.Err())
				return query.Summary{}, err
			}
		}
	}})
	enough := errors.New("enough")
	if _, err := r.Flows(context.Background(), query.FlowsRequest{}, func(*flow.Record) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	select {
	case <-stopped:
	case <-time.After(patience):
		t.Fatal("the question goes on")
	}
}

func TestQuestionsTakeTurns(t *testing.T) {
	running := make(chan struct{}, 100)
	release := make(chan struct{})
	r, _ := serve(t, &fakeBackend{flows: func(ctx context.Context, _ query.FlowsRequest, _ func(*flow.Record) error) (query.Summary, error) {
		running <- struct{}{}
		select {
		case <-release:
		case <-ctx.Done():
		}
		return query.Summary{}, nil
	}})
	const asked = maxQuestions + 3
	done := make(chan error, asked)
	for range asked {
		go func() {
			_, err := r.Flows(context.Background(), query.FlowsRequest{}, func(*flow.Record) error { return nil })
			done <- err
		}()
	}
	for range maxQuestions {
		<-running
	}
	select {
	case <-running:
		t.Errorf("more than %d questions run at once", maxQuestions)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	for range asked {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Sums take memory: only few of them may run at once.
func TestSumsTakeTurns(t *testing.T) {
	running, release := make(chan struct{}, 100), make(chan struct{})
	r, _ := serve(t, &fakeBackend{top: func(req query.TopRequest) (*query.TopResult, query.Summary, error) {
		if bound := sumMemory(systemMemory()); req.MaxBytes != bound {
			t.Errorf("groups may take %d bytes, want %d", req.MaxBytes, bound)
		}
		running <- struct{}{}
		<-release
		return &query.TopResult{}, query.Summary{}, nil
	}})
	done := make(chan error, maxQuestions)
	for range maxQuestions {
		go func() {
			_, _, err := r.Top(context.Background(), query.TopRequest{})
			done <- err
		}()
	}
	for range maxSums {
		<-running
	}
	select {
	case <-running:
		t.Errorf("more than %d run at once", maxSums)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	for range maxQuestions {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestSumMemory(t *testing.T) {
	for memory, want := range map[uint64]int64{0: 0, 2 << 30: 256 << 20, 4 << 30: 512 << 20, 64 << 30: 1 << 30} {
		if got := sumMemory(memory); got != want {
			t.Errorf("of %d bytes: got %d, want %d", memory, got, want)
		}
	}
}

func TestRemoteTop(t *testing.T) {
	want := &query.TopResult{Fields: []string{"src_addr/24", "proto"}, By: "bytes", Groups: 9, Total: query.Sums{Records: 1 << 60, Bytes: 1<<64 - 1},
		Rows: []query.TopRow{{
			Key:  []query.Value{{Field: flow.SrcAddr, Present: true, Addr: flow.Addr{Hi: 1<<63 + 1, Lo: 3}, Bits: 24}, {Field: flow.Proto}},
			Sums: query.Sums{Flows: 5}, Share: 0.25, Distinct: 4,
		}}}
	r, _ := serve(t, &fakeBackend{top: func(query.TopRequest) (*query.TopResult, query.Summary, error) {
		return want, query.Summary{RowsMatched: 7}, nil
	}})
	got, summary, err := r.Top(context.Background(), query.TopRequest{})
	if err != nil || !reflect.DeepEqual(got, want) || summary.RowsMatched != 7 {
		t.Errorf("got %+v, %+v, %v, want %+v", got, summary, err, want)
	}
}

func TestSocket(t *testing.T) {
	t.Run("mode", func(t *testing.T) {
		_, dir := serve(t, &fakeBackend{})
		info, err := os.Stat(filepath.Join(dir, socketName))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("got %v, %v", info.Mode(), err)
		}
	})
	t.Run("long path", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 40))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		serveIn(t, &fakeBackend{}, dir)
	})
	t.Run("stale", func(t *testing.T) {
		dir := t.TempDir()
		l, err := listenSocket(dir, socketPolicy{Mode: defaultSocketMode})
		if err != nil {
			t.Fatal(err)
		}
		l.(*socketListener).UnixListener.Close() // as if killed: the file stays
		if _, err := connect(context.Background(), dir); !noDaemon(err) {
			t.Errorf("connect to a stale socket: %v", err)
		}
		serveIn(t, &fakeBackend{}, dir)
	})
	t.Run("none", func(t *testing.T) {
		if _, err := connect(context.Background(), t.TempDir()); !noDaemon(err) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("not a socket", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, socketName), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if l, err := listenSocket(dir, socketPolicy{Mode: defaultSocketMode}); err == nil {
			l.Close()
			t.Error("a file in the way was removed")
		}
	})
}

// Interrupting an import tells the daemon, which says what it kept.
func TestRemoteImportInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	r, _ := serve(t, &fakeBackend{files: func(_ context.Context, files captures) (*importResult, error) {
		_, in, err := files.Next()
		if err != nil {
			return nil, err
		}
		buf := make([]byte, 10)
		if _, err := io.ReadFull(in, buf); err != nil {
			return nil, err
		}
		cancel()
		_, err = io.Copy(io.Discard, in)
		return &importResult{Records: 10, Stopped: errors.Is(err, errInterrupted)}, nil
	}})
	endless := &fileCaptures{ctx: ctx, names: []string{"-"}, in: readFunc(func(p []byte) (int, error) { return len(p), nil })}
	result, err := r.Import(ctx, endless)
	if err != nil || result.Records != 10 || !result.Stopped {
		t.Errorf("got %+v, %v", result, err)
	}
}

func TestProgressText(t *testing.T) {
	at := &query.Progress{Buckets: 3, Total: 2160, Rows: 2_000_000, Matched: 7}
	if got, want := progressText(at, 2*time.Second), "3 of 2160 hours, 2.00M flows looked at (1.00M/s), 7 match, 2 s; Ctrl-C stops"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := progressText(nil, 2*time.Second), "waiting for its turn, 2 s; Ctrl-C stops"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The line of progress goes before rows come, and leaves nothing behind.
func TestProgressHides(t *testing.T) {
	var terminal bytes.Buffer
	p := &progress{out: &terminal, stop: make(chan struct{}), start: time.Now()}
	p.show()
	out := p.guard(&terminal, true)
	fmt.Fprintln(out, "row")
	p.show() // rows are on the terminal: nothing more between them
	p.end()
	p.end()
	if got := terminal.String(); !strings.HasSuffix(got, "\r\x1b[Krow\n") || strings.Count(got, "waiting") != 1 {
		t.Errorf("got %q", got)
	}
}

// What is asked is counted by kind, and so is how it ended.
func TestQuestionsAreCounted(t *testing.T) {
	counts := newQuestionCounts()
	for i, route := range []string{pathTop, pathTop, pathConfirm} {
		end := counts.begin(route)
		if _, open := counts.list(); open != 1 {
			t.Errorf("%d questions are open, want 1", open)
		}
		end(i != 1)
	}
	list, open := counts.list()
	if open != 0 || len(list) != 2 || list[0].Name != "retention_confirm" || list[1].Name != "top" || list[1].Answered != 1 || list[1].Failed != 1 {
		t.Errorf("%d open, %+v", open, list)
	}
	answered := uint64(0)
	for _, n := range list[1].Buckets {
		answered += n
	}
	if answered != 2 {
		t.Errorf("the histogram %v has %d questions, want 2", list[1].Buckets, answered)
	}
}
