package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"weir/flow"
	"weir/query"
	"weir/store"
)

// errUnknownQuestion is what comes back from a daemon that does not know a path.
var errUnknownQuestion = errors.New("the collector that runs here is of another weir and does not know this question; restart it with this one")

// A remote is the backend that asks the daemon.
type remote struct {
	client *http.Client
	pid    int // the daemon's process
}

// helloTimeout bounds how long a daemon may take to say that it is there.
const helloTimeout = 5 * time.Second

// connect returns the daemon of dir. Its error satisfies noDaemon if none is
// there.
func connect(ctx context.Context, dir string) (*remote, error) {
	r := &remote{client: &http.Client{Transport: &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dialSocket(ctx, dir) },
		DisableCompression: true,
	}}}
	daemon, err := r.hello(ctx)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, &storeError{fmt.Sprintf("no permission to ask the collector on %s; run weir as the user that the collector runs as",
			filepath.Join(dir, socketName))}
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return nil, fmt.Errorf("the collector on %s does not answer", filepath.Join(dir, socketName))
	case err != nil:
		return nil, err
	case daemon.Protocol != protocolVersion:
		return nil, protocolMismatch(daemon)
	}
	r.pid = daemon.PID
	return r, nil
}

func (r *remote) hello(ctx context.Context) (hello, error) {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	var h hello
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://weir"+pathHello, nil)
	if err != nil {
		return h, err
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return h, fmt.Errorf("ask the collector: %w", err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&h); err != nil {
		return h, fmt.Errorf("ask the collector: %w", err)
	}
	return h, nil
}

// Close implements backend.
func (r *remote) Close() error {
	r.client.CloseIdleConnections()
	return nil
}

// An eachFrame takes the flows or the groups of an answer, a frame each. What it
// is given is valid during the call.
type eachFrame func(kind byte, frame []byte) error

// ask posts a question and reads its answer: the frames of flows and groups go to
// each, the result to result.
func (r *remote) ask(ctx context.Context, path string, question, result any, each eachFrame) error {
	return r.post(ctx, path, bytes.NewReader(marshal(question)), result, each)
}

func (r *remote) post(ctx context.Context, path string, body io.Reader, result any, each eachFrame) error {
	// The request ends with this call, whatever it returns: that is how the
	// daemon learns that nobody waits for the rest.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://weir"+path, body)
	if err != nil {
		return err
	}
	req.Header.Set(protocolHeader, protocolVersion)
	setCaller(ctx, req.Header)
	resp, err := r.client.Do(req)
	if err != nil {
		return askError(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return errUnknownQuestion
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("the collector refused the question: %s", bytes.TrimSpace(text))
	}
	err = readAnswer(resp.Body, result, each, reportsOf(ctx))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func askError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("ask the collector: %w", err)
}

// readAnswer reads the frames of an answer up to its last.
func readAnswer(body io.Reader, result any, each eachFrame, report reports) error {
	in := newFrameReader(body)
	for {
		kind, frame, err := in.next()
		if errors.Is(err, io.EOF) {
			return errors.New("the collector stopped in the middle of its answer; ask again")
		}
		if err != nil {
			return fmt.Errorf("read the collector's answer: %w", err)
		}
		if kind == frameObject {
			end, err := readObject(frame, result, report)
			if end || err != nil {
				return err
			}
			continue
		}
		if each == nil {
			return errors.New("the collector answered with flows to a question about something else")
		}
		if err := each(kind, frame); err != nil {
			return err
		}
	}
}

// eachFlow returns what hands the flows of an answer to emit.
func eachFlow(emit func(*flow.Record) error) eachFrame {
	var record flow.Record
	return func(kind byte, frame []byte) error {
		if kind != frameFlow {
			return fmt.Errorf("read the collector's answer: a frame of kind %q among flows", kind)
		}
		if err := record.ParseBinary(frame); err != nil {
			return fmt.Errorf("read the collector's answer: %w", err)
		}
		return emit(&record)
	}
}

// readObject reads a frame that is no flow or group. end says that it is the last.
func readObject(text []byte, result any, report reports) (end bool, err error) {
	var a answerObject
	if err := json.Unmarshal(text, &a); err != nil {
		return true, fmt.Errorf("read the collector's answer: %w", err)
	}
	switch {
	case a.Error != nil:
		return true, a.Error
	case a.Progress != nil:
		if report.asked != nil {
			report.asked(*a.Progress)
		}
		return false, nil
	case a.Copied != nil:
		if report.copied != nil {
			report.copied(*a.Copied)
		}
		return false, nil
	case result == nil || a.Result == nil:
		return true, nil
	}
	if err := json.Unmarshal(a.Result, result); err != nil {
		return true, fmt.Errorf("read the collector's answer: %w", err)
	}
	return true, nil
}

// Flows implements backend.
func (r *remote) Flows(ctx context.Context, req query.FlowsRequest, emit func(*flow.Record) error) (query.Summary, error) {
	var summary query.Summary
	err := r.ask(ctx, pathFlows, req, &summary, eachFlow(emit))
	return summary, err
}

// Top implements backend.
func (r *remote) Top(ctx context.Context, req query.TopRequest) (*query.TopResult, query.Summary, error) {
	var w wireTop
	if err := r.ask(ctx, pathTop, req, &w, w.add); err != nil {
		return nil, query.Summary{}, err
	}
	result, summary := w.result()
	return result, summary, nil
}

// Explain implements backend.
func (r *remote) Explain(ctx context.Context, req query.ExplainRequest) (*query.Plan, error) {
	plan := new(query.Plan)
	return plan, r.ask(ctx, pathExplain, req, plan, nil)
}

// Buckets implements backend.
func (r *remote) Buckets(ctx context.Context) (list []store.BucketInfo, err error) {
	err = r.ask(ctx, pathBuckets, struct{}{}, &list, nil)
	return list, err
}

// Backup implements backend.
func (r *remote) Backup(ctx context.Context, req backupRequest) (*backupReport, error) {
	report := new(backupReport)
	return report, r.ask(ctx, pathBackup, req, report, nil)
}

// Retention implements backend.
func (r *remote) Retention(ctx context.Context) (*retentionReport, error) {
	report := new(retentionReport)
	return report, r.ask(ctx, pathRetention, struct{}{}, report, nil)
}

// ConfirmRetention implements backend.
func (r *remote) ConfirmRetention(ctx context.Context) (*retentionReport, error) {
	report := new(retentionReport)
	return report, r.ask(ctx, pathConfirm, struct{}{}, report, nil)
}

// Import implements backend. When ctx is cancelled the daemon is told so and
// says what it kept.
func (r *remote) Import(ctx context.Context, files captures) (*importResult, error) {
	result := new(importResult)
	body, w := io.Pipe()
	go func() { w.CloseWithError(sendFrames(ctx, w, files)) }()
	defer body.Close()
	err := r.post(context.WithoutCancel(ctx), pathImport, body, result, nil)
	return result, err
}
