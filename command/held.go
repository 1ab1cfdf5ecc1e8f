package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"time"

	"weir/flow"
	"weir/query"
	"weir/retention/audit"
	"weir/store"
)

// A holder is a backend of the quarantine.
type holder interface {
	backend
	Held(ctx context.Context) (*heldReport, error)
	DropHeld(ctx context.Context, req dropHeldRequest) ([]heldRow, error)
}

// The paths of what only the quarantine's daemon answers (protocol.go).
const (
	pathHeld     = "/quarantine"
	pathDropHeld = "/quarantine/drop"
)

// A heldReport is what is in quarantine.
type heldReport struct {
	Rows    []heldRow     `json:"rows"` // ascending by hour and exporter
	Keep    time.Duration `json:"keep"` // ns; 0: for ever
	Damaged []string      `json:"damaged,omitempty"`
}

// A heldRow is what one exporter sent in one hour.
type heldRow struct {
	Hour     string `json:"hour"`     // as store.Hour writes it
	Exporter string `json:"exporter"` // "" where records have none
	Name     string `json:"name"`     // "" for what the configuration does not know
	Group    string `json:"group"`
	Records  uint64 `json:"records"`
	Goes     string `json:"goes"` // when it is deleted; "" for never
}

// A dropHeldRequest says what is to be deleted. All zero: everything.
type dropHeldRequest struct {
	Hour     string `json:"hour,omitempty"`     // "": of every hour
	Exporter string `json:"exporter,omitempty"` // address, prefix, name or a list in brackets, as in filters; "": of every exporter
}

// takes reports whether an hour is meant.
func (r dropHeldRequest) takes(h store.Hour) bool { return r.Hour == "" || r.Hour == h.String() }

// A heldArchive is the quarantine in the hands of this process, and the archive
// around it, whose audit log notes who looks.
type heldArchive struct {
	*audited
	around backend
}

// Close implements backend.
func (a *heldArchive) Close() error { return errors.Join(a.audited.Close(), a.around.Close()) }

// auditedIn returns the backend of an archive whose audit log is in another one.
func auditedIn(around *store.Store, l *local) *audited {
	return &audited{l, audit.New(around, l.now)}
}

// openHeld opens the quarantine of the archive in data, as openBackend does.
func openHeld(ctx context.Context, data string, mode openMode, std *Std) (holder, error) {
	around, err := openBackend(ctx, data, mode, std)
	if err != nil {
		return nil, err
	}
	dir := quarantineDir(data)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		none := &storeError{fmt.Sprintf("there is no quarantine in %s: no collector has set records aside there (scope: in its configuration)", data)}
		return nil, errors.Join(none, around.Close())
	}
	main, ours := around.(*audited)
	if !ours { // a collector runs, and has the quarantine too
		if err := around.Close(); err != nil {
			return nil, err
		}
		b, err := openBackend(ctx, dir, mode, std)
		if err != nil {
			return nil, err
		}
		return b.(holder), nil // all backends but those of tests are
	}
	s, err := openStore(dir, mode)
	if err != nil {
		return nil, errors.Join(err, around.Close())
	}
	known, err := knownIn(ctx, s)
	if err != nil {
		return nil, errors.Join(err, s.Close(), around.Close())
	}
	kept, err := readKept(s)
	if err != nil {
		return nil, errors.Join(err, s.Close(), around.Close())
	}
	return &heldArchive{auditedIn(main.store, &local{store: s, now: std.Now, known: known, elements: kept}), around}, nil
}

// handleHeld adds the routes of the quarantine.
func handleHeld(mux *http.ServeMux, s *server, q *audited) {
	handle(mux, s, pathHeld, func(ctx context.Context, _ struct{}) (any, error) { return q.Held(ctx) })
	handle(mux, s, pathDropHeld, func(ctx context.Context, req dropHeldRequest) (any, error) { return q.DropHeld(ctx, req) })
}

// Held implements holder.
func (l *local) Held(ctx context.Context) (*heldReport, error) {
	keep, _, err := l.policy()
	if err != nil {
		return nil, err
	}
	report := &heldReport{Keep: keep}
	err = l.eachHeld(ctx, 0, ^store.Hour(0), func(b *store.Bucket, counts map[flow.Addr]uint64, damage error) error {
		report.Rows = append(report.Rows, l.heldRows(b.Hour(), counts, keep)...)
		if damage != nil {
			report.Damaged = append(report.Damaged, damage.Error())
		}
		return nil
	})
	return report, err
}

// eachHeld calls fn for every bucket from from to to with the number of records by exporter, the
// zero Addr where they have none, and what of it is damaged.
func (l *local) eachHeld(ctx context.Context, from, to store.Hour, fn func(b *store.Bucket, counts map[flow.Addr]uint64, damage error) error) error {
	v, err := l.store.View(from, to)
	if err != nil {
		return err
	}
	defer v.Close()
	for _, b := range v.Buckets() {
		counts, damage := map[flow.Addr]uint64{}, error(nil)
		for i := range b.Blocks() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := countBlock(b, i, counts); store.IsDamage(err) {
				damage = errors.Join(damage, err)
			} else if err != nil {
				return err
			}
		}
		if err := fn(b, counts, damage); err != nil {
			return err
		}
	}
	return nil
}

func countBlock(b *store.Bucket, i int, counts map[flow.Addr]uint64) error {
	block, err := b.Block(i)
	if err != nil {
		return err
	}
	return block.CountExporters(counts)
}

// heldRows makes the rows of an hour.
func (l *local) heldRows(h store.Hour, counts map[flow.Addr]uint64, keep time.Duration) []heldRow {
	var rows []heldRow
	goes := ""
	if keep > 0 {
		goes = showMS(h.EndMS() + uint64(keep.Milliseconds()))
	}
	for _, addr := range sortedAddrs(counts) {
		row := heldRow{Hour: h.String(), Records: counts[addr], Goes: goes}
		if addr != (flow.Addr{}) {
			row.Exporter = addr.String()
		}
		if e := l.known.Find(addr); e != nil {
			row.Name, row.Group = e.Name, e.Group
		}
		rows = append(rows, row)
	}
	return rows
}

func sortedAddrs(counts map[flow.Addr]uint64) []flow.Addr {
	list := make([]flow.Addr, 0, len(counts))
	for addr := range counts {
		list = append(list, addr)
	}
	slices.SortFunc(list, func(a, b flow.Addr) int { return cmp.Compare(a.String(), b.String()) })
	return list
}

// DropHeld implements holder. It returns what is deleted.
func (l *local) DropHeld(ctx context.Context, req dropHeldRequest) ([]heldRow, error) {
	whose, err := l.heldBy(req.Exporter)
	if err != nil {
		return nil, err
	}
	keep, _, err := l.policy()
	if err != nil {
		return nil, err
	}
	var gone []heldRow
	for _, info := range l.store.Buckets() {
		if err := ctx.Err(); err != nil {
			return gone, err
		}
		if !req.takes(info.Hour) {
			continue
		}
		counts, err := l.dropHeldHour(ctx, info.Hour, whose)
		if err != nil {
			return gone, err
		}
		gone = append(gone, l.heldRows(info.Hour, counts, keep)...)
	}
	return gone, nil
}

// heldBy returns what tells whether an exporter is meant, nil if all are.
func (l *local) heldBy(text string) (func(flow.Addr) bool, error) {
	if text == "" {
		return nil, nil
	}
	names := l.names
	if names == nil {
		names = &query.Names{Exporters: exporterNames(l.known)}
	}
	return query.ParseExporter(text, query.ParseOptions{Names: names})
}

// dropHeldHour deletes the records of an hour, of the exporters that are meant
// if whose is not nil, and returns how many by exporter.
func (l *local) dropHeldHour(ctx context.Context, h store.Hour, whose func(flow.Addr) bool) (map[flow.Addr]uint64, error) {
	counts := map[flow.Addr]uint64{}
	if whose == nil {
		err := l.eachHeld(ctx, h, h, func(_ *store.Bucket, all map[flow.Addr]uint64, _ error) error {
			counts = all // what is damaged goes without being counted
			return nil
		})
		if err != nil {
			return nil, err
		}
		return counts, l.store.Drop(h)
	}
	blocks := map[int]map[flow.Addr]uint64{} // by number, because a removal may begin anew
	for {
		_, err := l.store.Remove(h, func(b *store.Block) ([]uint64, error) {
			exporters, err := b.Addr(flow.Exporter, nil)
			if err != nil {
				return nil, err
			}
			bits, gone := chosen(exporters, whose)
			blocks[b.Number()] = gone
			return bits, nil
		})
		if !errors.Is(err, store.ErrSealing) {
			for _, gone := range blocks {
				for addr, n := range gone {
					counts[addr] += n
				}
			}
			return counts, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockRetry): // a seal takes moments
		}
	}
}

// chosen returns the rows of the exporters that are meant, and how many by
// exporter.
func chosen(exporters []flow.Addr, whose func(flow.Addr) bool) (bits []uint64, counts map[flow.Addr]uint64) {
	bits, counts = make([]uint64, (len(exporters)+63)/64), map[flow.Addr]uint64{}
	meant := map[flow.Addr]bool{}
	for row, addr := range exporters {
		is, known := meant[addr]
		if !known {
			is = addr != (flow.Addr{}) && whose(addr)
			meant[addr] = is
		}
		if is {
			bits[row>>6] |= 1 << (row & 63)
			counts[addr]++
		}
	}
	return bits, counts
}

// DropHeld implements holder.
func (a *audited) DropHeld(ctx context.Context, req dropHeldRequest) (gone []heldRow, err error) {
	what := "all"
	if req.Hour != "" {
		what = "hour " + req.Hour
	}
	if req.Exporter != "" {
		what += " of exporter " + req.Exporter
	}
	err = a.act(ctx, "deletes from the quarantine: "+what, func() (uint64, error) {
		gone, err = a.local.DropHeld(ctx, req)
		return heldRecords(gone), err
	})
	return gone, err
}

// heldRecords returns the records of all rows.
func heldRecords(rows []heldRow) uint64 {
	n := uint64(0)
	for i := range rows {
		n += rows[i].Records
	}
	return n
}

// Held implements holder.
func (r *remote) Held(ctx context.Context) (*heldReport, error) {
	report := new(heldReport)
	return report, r.ask(ctx, pathHeld, struct{}{}, report, nil)
}

// DropHeld implements holder.
func (r *remote) DropHeld(ctx context.Context, req dropHeldRequest) (gone []heldRow, err error) {
	err = r.ask(ctx, pathDropHeld, req, &gone, nil)
	return gone, err
}
