package command

import (
	"context"
	"errors"
	"time"

	"weir/query"
)

// pathGrid is where the daemon answers how complete its hours are.
const pathGrid = "/grid"

// Grid implements backend.
func (l *local) Grid(ctx context.Context, req query.GridRequest) (*query.Grid, error) {
	keep, known, err := l.policy()
	if err != nil {
		return nil, err
	}
	if !known {
		keep = 0 // nothing is dropped where no collector ever ran
	}
	a, err := l.archive(ctx, req.Window)
	if err != nil {
		return nil, err
	}
	now := epochMS(l.now())
	req.Known, req.Keep, req.Now, req.Options = l.known, a.keptFor(keep, req.Window, now), now, l.parse()
	req.Live, req.Copied, req.Usual = l.daemon != nil, l.copied, l.usual()
	grid, err := l.ledgersOf(a).Grid(ctx, req)
	return grid, errors.Join(err, a.end())
}

// Grid implements backend.
func (r *remote) Grid(ctx context.Context, req query.GridRequest) (*query.Grid, error) {
	grid := new(query.Grid)
	return grid, r.ask(ctx, pathGrid, req, grid, nil)
}

// day is how far back the commands look that say how exporters do.
const day = 24 * time.Hour
