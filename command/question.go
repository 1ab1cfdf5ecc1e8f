package command

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/urfave/cli/v2"

	"weir/flow"
	"weir/query"
)

// The paths of the questions whose answer is one value (protocol.go).
const (
	pathSeries = "/series"
	pathSeen   = "/seen"
	pathPeers  = "/peers"
	pathStats  = "/stats"
)

// questions are the part of a backend whose answers are one value.
type questions interface {
	Series(ctx context.Context, req query.SeriesRequest) (*query.SeriesResult, query.Summary, error)
	Seen(ctx context.Context, req query.SeenRequest) (*query.SeenResult, query.Summary, error)
	Peers(ctx context.Context, req query.PeersRequest) (*query.PeersResult, query.Summary, error)
	Stats(ctx context.Context, req query.StatsRequest) (*query.StatsResult, query.Summary, error)
}

// A valueAnswer is such an answer as it crosses the socket.
type valueAnswer[Result any] struct {
	Result  *Result
	Summary query.Summary
}

// handleQuestions adds the routes of the questions.
func handleQuestions(mux *http.ServeMux, s *server) {
	handleQuestion(mux, s, pathSeries, s.backend.Series)
	handleQuestion(mux, s, pathSeen, s.backend.Seen)
	handleQuestion(mux, s, pathPeers, s.backend.Peers)
	handleQuestion(mux, s, pathStats, s.backend.Stats)
}

func handleQuestion[Request, Result any](mux *http.ServeMux, s *server, path string, answer func(context.Context, Request) (*Result, query.Summary, error)) {
	handleSums(mux, s, path, func(ctx context.Context, req Request) (any, error) {
		result, summary, err := answer(ctx, req)
		if err != nil {
			return nil, err
		}
		return valueAnswer[Result]{result, summary}, nil
	})
}

func askValue[Result any](ctx context.Context, r *remote, path string, req any) (*Result, query.Summary, error) {
	var a valueAnswer[Result]
	if err := r.ask(ctx, path, req, &a, nil); err != nil {
		return nil, query.Summary{}, err
	}
	return a.Result, a.Summary, nil
}

// Series implements backend.
func (l *local) Series(ctx context.Context, req query.SeriesRequest) (*query.SeriesResult, query.Summary, error) {
	return judged(ctx, l, req.Window, req.Exporter, req.Filter, func(a query.Archive) (*query.SeriesResult, query.Summary, error) {
		return query.SeriesWith(ctx, a, req, l.parse())
	})
}

// Seen implements backend.
func (l *local) Seen(ctx context.Context, req query.SeenRequest) (*query.SeenResult, query.Summary, error) {
	return judged(ctx, l, req.Window, "", "", func(a query.Archive) (*query.SeenResult, query.Summary, error) {
		return query.Seen(ctx, a, req)
	})
}

// Peers implements backend.
func (l *local) Peers(ctx context.Context, req query.PeersRequest) (*query.PeersResult, query.Summary, error) {
	return judged(ctx, l, req.Window, req.Exporter, req.Filter, func(a query.Archive) (*query.PeersResult, query.Summary, error) {
		return query.PeersWith(ctx, a, req, l.parse())
	})
}

// Stats implements backend.
func (l *local) Stats(ctx context.Context, req query.StatsRequest) (*query.StatsResult, query.Summary, error) {
	return judged(ctx, l, req.Window, req.Exporter, req.Filter, func(a query.Archive) (*query.StatsResult, query.Summary, error) {
		return query.StatsWith(ctx, a, req, l.parse())
	})
}

// Series implements backend.
func (r *remote) Series(ctx context.Context, req query.SeriesRequest) (*query.SeriesResult, query.Summary, error) {
	return askValue[query.SeriesResult](ctx, r, pathSeries, req)
}

// Seen implements backend.
func (r *remote) Seen(ctx context.Context, req query.SeenRequest) (*query.SeenResult, query.Summary, error) {
	return askValue[query.SeenResult](ctx, r, pathSeen, req)
}

// Peers implements backend.
func (r *remote) Peers(ctx context.Context, req query.PeersRequest) (*query.PeersResult, query.Summary, error) {
	return askValue[query.PeersResult](ctx, r, pathPeers, req)
}

// Stats implements backend.
func (r *remote) Stats(ctx context.Context, req query.StatsRequest) (*query.StatsResult, query.Summary, error) {
	return askValue[query.StatsResult](ctx, r, pathStats, req)
}

// A place is where and how a question is put: options that commands share.
type place struct {
	dir      string
	timing   bool
	coverage bool
	quiet    bool // no head line
}

// placeOf returns the place that flags, environment or defaults name.
func placeOf(c *cli.Context, std *Std) (place, error) {
	dir, err := dataDir(c, std)
	return place{dir, c.Bool("timing"), c.Bool("coverage"), c.Bool("quiet")}, err
}

// question puts one question to the archive and writes its answer.
func question[Result any](ctx context.Context, std *Std, at place, w query.Window, format string,
	ask func(ctx context.Context, b backend) (*Result, query.Summary, error), write func(out *streamWriter, r *Result, s query.Summary) error) error {
	b, err := openBackend(ctx, at.dir, modeRead, std)
	if err != nil {
		return err
	}
	defer b.Close()
	wait := startProgress(std)
	defer wait.end()
	result, summary, err := ask(wait.watched(ctx), b)
	wait.end()
	if err != nil {
		return err
	}
	out := newStream(std.Out, nil)
	defer out.Close()
	if at.quiet {
		out.skip = headLines(format)
	}
	err = write(out, result, summary)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return quietPipe(err)
	}
	if at.timing {
		noteTiming(std, summary)
	}
	return conclude(std, ending{w, format, at.coverage}, summary)
}

// questionWords are what completes the values of flags of the questions, nil for
// flags that it does not know.
func questionWords(name, flag string) []string {
	switch name + " " + flag {
	case "series output":
		return seriesFormats
	case "series by":
		return seriesSums
	case "series step":
		return []string{"10s", "1m", "5m", "15m", "1h", "1d"}
	case "series group":
		return append(groupFieldNames(), query.LabelFieldNames(false)...)
	case "series distinct":
		return []string{"addr", "src_addr", "dst_addr"}
	case "peers by":
		return query.PeerOrders
	case "seen by":
		return seenOrders
	case "status output":
		return statusFormats
	case "coverage output":
		return coverageFormats
	case "coverage step":
		return []string{"1h", "2h", "3h", "4h", "6h", "8h", "12h", "1d"}
	case "stats output":
		return append(slices.Clone(outputFormats), formatNfdump)
	case "export format":
		return exportFormats
	case "export side":
		return exportSides
	case "export anonymise":
		return []string{anonCryptoPAn, anonTruncate + "/24,/56"}
	case "purge holds":
		return holdsWays
	case "stats per":
		return []string{"hour"}
	}
	return nil
}

// rfc3339 writes ms since the epoch for programs, "" for none.
func rfc3339(ms uint64) string {
	if ms == 0 {
		return ""
	}
	return string(flow.AppendTime(nil, ms))
}

// portName writes a port with its protocol: "tcp/443".
func portName(proto uint8, port uint16) string {
	name := protoName(uint64(proto))
	if name == "" {
		name = fmt.Sprint(proto)
	}
	return fmt.Sprintf("%s/%d", name, port)
}
