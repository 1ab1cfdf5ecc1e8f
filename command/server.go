package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"weir/flow"
	"weir/query"
)

// Bounds of the query server.
const (
	maxQuestions    = 8                // answered at once; more wait for their turn
	maxSums         = 2                // of them, those that keep a group for each value in memory
	maxWaiting      = 64               // waiting; more are refused
	maxQuestionSize = 32 << 20         // bytes of a question; a list of addresses can be long
	clientPatience  = 10 * time.Minute // how long a client may leave its answer unread
)

// A server answers on the daemon's socket.
type server struct {
	backend backend
	held    *audited // the quarantine, if it is what is asked about; else nil
	log     *slog.Logger
	slots   chan struct{} // a token for each question being answered
	sums    chan struct{} // a token for each of them that sums up groups
	memory  int64         // bytes that the groups of one question may take; 0: the query's own bound
	queue   chan struct{} // a token for each question accepted
	glance  chan struct{} // a token for the question of handleNow being answered
	counts  *questionCounts
	routes  *atomic.Pointer[http.Handler] // nil handler: run has not made them
}

func newServer(b backend, log *slog.Logger) *server {
	return &server{
		backend: b, log: log, memory: sumMemory(systemMemory()), sums: make(chan struct{}, maxSums),
		slots: make(chan struct{}, maxQuestions), queue: make(chan struct{}, maxQuestions+maxWaiting),
		glance: make(chan struct{}, 1), counts: newQuestionCounts(),
		routes: new(atomic.Pointer[http.Handler]),
	}
}

// replace answers from now on what comes with another backend, and another
// quarantine if that is what is asked about. What is being answered goes on.
func (s *server) replace(b backend, held *audited) {
	next := *s
	next.backend, next.held = b, held
	routes := next.handler()
	s.routes.Store(&routes)
}

// run serves l until ctx is done; then it cancels what is being answered and
// returns when all of it has ended.
func (s *server) run(ctx context.Context, l net.Listener) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var active sync.WaitGroup
	first := s.handler()
	s.routes.CompareAndSwap(nil, &first)
	h := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			active.Add(1)
			defer active.Done()
			(*s.routes.Load()).ServeHTTP(w, r)
		}),
		BaseContext:       func(net.Listener) context.Context { return work },
		ConnContext:       withPeer,
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		cancel()
		grace, done := context.WithTimeout(context.Background(), 2*time.Second)
		defer done()
		if h.Shutdown(grace) != nil {
			h.Close()
		}
	}()
	err := h.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		<-stopped
		active.Wait()
		return nil
	}
	return fmt.Errorf("serve questions: %w", err)
}

// handler returns the routes. Each calls the backend as the command would.
func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathHello, s.hello)
	mux.HandleFunc("POST "+pathFlows, s.flows)
	mux.HandleFunc("POST "+pathTail, s.tail)
	mux.HandleFunc("POST "+pathImport, s.importCaptures)
	mux.HandleFunc("POST "+pathBackup, s.backup)
	handleSums(mux, s, pathTop, func(ctx context.Context, req query.TopRequest) (any, error) {
		if s.memory > 0 && (req.MaxBytes <= 0 || req.MaxBytes > s.memory) {
			req.MaxBytes = s.memory
		}
		result, summary, err := s.backend.Top(ctx, req)
		if err != nil {
			return nil, err
		}
		return toWire(result, summary), nil
	})
	handleQuestions(mux, s)
	handleAnonKeys(mux, s)
	handleExported(mux, s)
	handle(mux, s, pathExplain, func(ctx context.Context, req query.ExplainRequest) (any, error) {
		return s.backend.Explain(ctx, req)
	})
	handle(mux, s, pathNames, func(ctx context.Context, req namesRequest) (any, error) {
		return s.backend.Names(ctx, req)
	})
	handle(mux, s, pathBuckets, func(ctx context.Context, _ struct{}) (any, error) {
		return s.backend.Buckets(ctx)
	})
	handle(mux, s, pathGrid, func(ctx context.Context, req query.GridRequest) (any, error) {
		return s.backend.Grid(ctx, req)
	})
	handle(mux, s, pathExporters, func(ctx context.Context, req exportersRequest) (any, error) {
		return s.backend.Exporters(ctx, req)
	})
	handleNow(mux, s, pathStatus, func(ctx context.Context, _ struct{}) (any, error) {
		return s.backend.Status(ctx)
	})
	handle(mux, s, pathCheck, func(ctx context.Context, req checkRequest) (any, error) {
		return s.backend.Check(ctx, req.Repair)
	})
	handle(mux, s, pathAudit, func(ctx context.Context, req auditRequest) (any, error) {
		return s.backend.AuditEntries(ctx, req)
	})
	handle(mux, s, pathAuditVerify, func(ctx context.Context, head string) (any, error) {
		return s.backend.VerifyAudit(ctx, head)
	})
	handle(mux, s, pathRetention, func(ctx context.Context, _ struct{}) (any, error) {
		return s.backend.Retention(ctx)
	})
	handle(mux, s, pathConfirm, func(ctx context.Context, _ struct{}) (any, error) {
		return s.backend.ConfirmRetention(ctx)
	})
	if b, ok := s.backend.(purger); ok {
		handle(mux, s, pathPurge, func(ctx context.Context, req purgeRequest) (any, error) { return b.Purge(ctx, req) })
	}
	handlePurgeEnder(mux, s)
	handleHolds(mux, s)
	if b, ok := s.backend.(*audited); ok && s.held == nil {
		handleNow(mux, s, pathReload, func(ctx context.Context, _ struct{}) (any, error) { return b.Reload(ctx) })
	}
	if s.held != nil {
		handleHeld(mux, s, s.held)
	}
	return s.checkProtocol(mux)
}

// checkProtocol refuses clients of another protocol; hello answers anyone.
func (s *server) checkProtocol(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(protocolHeader, protocolVersion)
		if r.URL.Path != pathHello && r.Header.Get(protocolHeader) != protocolVersion {
			http.Error(w, "this collector speaks "+protocolHeader+" "+protocolVersion, http.StatusUpgradeRequired)
			return
		}
		asked := readCaller(peerOf(r.Context()), r.Header)
		next.ServeHTTP(w, r.WithContext(withCaller(r.Context(), asked)))
	})
}

func (s *server) hello(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(marshal(hello{Protocol: protocolVersion, Version: version, PID: os.Getpid()}))
}

// handle adds a route whose answer is one value.
func handle[Request any](mux *http.ServeMux, s *server, path string, answer func(context.Context, Request) (any, error)) {
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		out := newAnswer(w, s.counts.begin(path))
		defer out.close()
		var req Request
		if err := readQuestion(w, r, &req); err != nil {
			out.end(nil, err)
			return
		}
		release, err := s.turn(r.Context())
		if err != nil {
			out.end(nil, err)
			return
		}
		defer release()
		out.end(answer(query.WithDedupBytes(out.watched(r.Context()), s.memory), req))
	})
}

// handleNow adds a route like handle, of a question about the collector itself:
// it is answered however many others wait, and not counted among them.
func handleNow[Request any](mux *http.ServeMux, s *server, path string, answer func(context.Context, Request) (any, error)) {
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		out := newAnswer(w, func(bool) {})
		defer out.close()
		var req Request
		if err := readQuestion(w, r, &req); err != nil {
			out.end(nil, err)
			return
		}
		select {
		case s.glance <- struct{}{}:
			defer func() { <-s.glance }()
			out.end(answer(r.Context(), req))
		case <-r.Context().Done():
		}
	})
}

// handleSums adds a route like handle, of a question that takes much memory:
// few of them are answered at once, so that the collector keeps its own.
func handleSums[Request any](mux *http.ServeMux, s *server, path string, answer func(context.Context, Request) (any, error)) {
	handle(mux, s, path, func(ctx context.Context, req Request) (any, error) {
		select {
		case s.sums <- struct{}{}:
			defer func() { <-s.sums }()
			return answer(ctx, req)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
}

func (s *server) flows(w http.ResponseWriter, r *http.Request) {
	out := newAnswer(w, s.counts.begin(pathFlows))
	defer out.close()
	var req query.FlowsRequest
	if err := readQuestion(w, r, &req); err != nil {
		out.end(nil, err)
		return
	}
	release, err := s.turn(r.Context())
	if err != nil {
		out.end(nil, err)
		return
	}
	defer release()
	if req.Dedup { // which keeps records
		select {
		case s.sums <- struct{}{}:
			defer func() { <-s.sums }()
		case <-r.Context().Done():
			return
		}
	}
	summary, err := s.backend.Flows(query.WithDedupBytes(out.watched(r.Context()), s.memory), req, out.flow)
	out.end(summary, err)
}

// importCaptures stores the captures that the request's body carries.
func (s *server) importCaptures(w http.ResponseWriter, r *http.Request) {
	out := newAnswer(w, s.counts.begin(pathImport))
	defer out.close()
	result, err := s.backend.Import(r.Context(), newFramedCaptures(r.Body))
	out.end(result, err)
}

func readQuestion(w http.ResponseWriter, r *http.Request, req any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestionSize))
	if err := dec.Decode(req); err != nil {
		return usagef("the question cannot be read: %v", err)
	}
	// Reading to the end lets the server notice when the client goes away.
	_, err := io.Copy(io.Discard, r.Body)
	return err
}

// turn waits until a question may be answered. release ends it.
func (s *server) turn(ctx context.Context) (release func(), err error) {
	select {
	case s.queue <- struct{}{}:
	default:
		return nil, fmt.Errorf("the collector has %d questions waiting already; ask again later", maxWaiting)
	}
	select {
	case s.slots <- struct{}{}:
		return func() { <-s.slots; <-s.queue }, nil
	case <-ctx.Done():
		<-s.queue
		return nil, ctx.Err()
	}
}

// An answer is the stream of frames that a question gets.
type answer struct {
	stream   *streamWriter
	frame    []byte
	answered bool
	ended    func(answered bool)
}

// newAnswer begins an answer. It is not a success yet: that is in its last
// frame. ended is called when it closes.
func newAnswer(w http.ResponseWriter, ended func(answered bool)) *answer {
	w.Header().Set("Content-Type", "application/octet-stream")
	control := http.NewResponseController(w)
	return &answer{stream: newStream(deadlineWriter{w, control}, func() { _ = control.Flush() }), ended: ended}
}

// A deadlineWriter gives the client a bounded time for each write, so that one
// that stopped reading does not hold the hours it reads for ever.
type deadlineWriter struct {
	w       io.Writer
	control *http.ResponseController
}

func (d deadlineWriter) Write(p []byte) (int, error) {
	_ = d.control.SetWriteDeadline(time.Now().Add(clientPatience)) // a client in the tests has none
	return d.w.Write(p)
}

func (a *answer) flow(r *flow.Record) error {
	a.frame = r.AppendBinary(beginFrame(a.frame[:0], frameFlow))
	return a.send(a.frame)
}

// send sends a frame that beginFrame began.
func (a *answer) send(frame []byte) error {
	if err := endFrame(frame); err != nil {
		return err
	}
	_, err := a.stream.Write(frame)
	return err
}

// object sends what is no flow or group.
func (a *answer) object(o answerObject) error {
	return a.send(append(beginFrame(nil, frameObject), marshal(o)...))
}

// watched returns a context with which a question tells the client how far it
// is, now and then.
func (a *answer) watched(ctx context.Context) context.Context {
	last := time.Now()
	return query.WithProgress(ctx, func(p query.Progress) {
		if now := time.Now(); now.Sub(last) >= progressEvery {
			last = now
			a.progress(p)
		}
	})
}

func (a *answer) progress(p query.Progress) {
	_ = a.object(answerObject{Progress: &p}) // the client may be gone
}

// A framed is a result of which parts are frames of their own, before its last.
type framed interface {
	frames(write func(frame []byte) error) error
}

// end sends the last frame, after those that the result is.
func (a *answer) end(result any, err error) {
	if f, ok := result.(framed); ok && err == nil {
		err = f.frames(a.send)
	}
	if err == nil {
		err = a.object(answerObject{Result: marshal(result)})
		a.answered = err == nil
	}
	if err != nil {
		_ = a.object(answerObject{Error: &remoteError{Status: exitStatus(err), Message: err.Error()}}) // the client may be gone
	}
}

func (a *answer) close() {
	_ = a.stream.Close()
	a.ended(a.answered)
}

// tail shows what comes in until the client goes away. It is no question that
// takes its turn: it would never give it back. The tails have their own bound.
func (s *server) tail(w http.ResponseWriter, r *http.Request) {
	out := newAnswer(w, func(bool) {}) // nor does it count among questions
	defer out.close()
	var req query.TailRequest
	if err := readQuestion(w, r, &req); err != nil {
		out.end(nil, err)
		return
	}
	err := s.backend.Tail(r.Context(), req, out.flow, func(n uint64) {
		out.progress(query.Progress{Missed: n})
		_ = out.stream.Flush() // its error comes back from the next write
	})
	if r.Context().Err() != nil { // the client does not read this if it is it that went away
		err = errors.New("the collector stopped")
	}
	out.end(nil, err)
}
