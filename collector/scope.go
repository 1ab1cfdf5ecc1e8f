package collector

import (
	"errors"
	"slices"
	"sync"

	"weir/flow"
	"weir/flow/ledger"
)

// A Treatment is what is done with records of which no address is in our
// networks.
type Treatment uint8

// The treatments.
const (
	Keep     Treatment = iota // store them like others
	SetAside                  // put them in quarantine
	Refuse                    // forget them
)

// treatmentNames are the treatments as the configuration names them.
var treatmentNames = []string{Keep: "keep", SetAside: "quarantine", Refuse: "refuse"}

// Treatments returns the names of the treatments.
func Treatments() []string { return slices.Clone(treatmentNames) }

// String returns the treatment's name, as ParseTreatment reads it.
func (t Treatment) String() string { return treatmentNames[min(int(t), len(treatmentNames)-1)] }

// ParseTreatment returns the treatment of that name.
func ParseTreatment(name string) (Treatment, bool) {
	i := slices.Index(treatmentNames, name)
	return Treatment(max(i, 0)), i >= 0
}

// A Scope says which records are ours: those of which an address is in one of
// our networks. The addresses are source and destination, what NAT made of
// them, and the ends of a tunnel. A record without any cannot be told and is
// ours.
type Scope struct {
	Networks *flow.PrefixSet
	Default  Treatment            // of exporters without a group, and of groups that Groups lacks
	Groups   map[string]Treatment // by the group of the exporter
	Aside    Sink                 // takes what is set aside; needed if anything is
	Implied  bool                 // nobody asked for it, networks are merely known: complaints are rarer, and say how to end them
}

// scopeFields are the addresses by which a record is ours.
var scopeFields = [...]flow.Field{flow.SrcAddr, flow.DstAddr, flow.NATSrcAddr, flow.NATDstAddr, flow.TunSrcAddr, flow.TunDstAddr}

// ScopeFields returns the addresses by which a record is ours.
func ScopeFields() []flow.Field { return scopeFields[:] }

// SetsAside reports whether there are exporters whose records are set aside.
func (s *Scope) SetsAside() bool {
	for _, t := range s.Groups {
		if t == SetAside {
			return true
		}
	}
	return s.Default == SetAside
}

func (s *Scope) check() error {
	switch {
	case s.Networks == nil || s.Networks.Empty():
		return errors.New("scope without networks")
	case s.SetsAside() && s.Aside == nil:
		return errors.New("scope sets records aside and has no place for them")
	}
	return nil
}

// Usual reports whether exporters of a group are meant to have records that are
// not ours: the group was named to keep them.
func (s *Scope) Usual(group string) bool {
	_, usual := s.treatment(group)
	return usual
}

// treatment returns what is done with a group's records that are not ours, and
// whether it is meant to have such records.
func (s *Scope) treatment(group string) (t Treatment, usual bool) {
	if t, named := s.Groups[group]; named && group != "" {
		return t, t == Keep
	}
	return s.Default, false
}

// A sieve is the memory that it takes to sort the records of a datagram.
type sieve struct {
	side  []side
	kept  *flow.Batch
	aside *flow.Batch
}

// A side is on which side of the border of our networks a record lies.
type side uint8

const (
	unknown side = iota // no address yet
	outside
	inside
)

type sievePool struct{ pool sync.Pool }

func (p *sievePool) get() *sieve {
	if s, ok := p.pool.Get().(*sieve); ok {
		return s
	}
	return &sieve{kept: flow.NewBatch(0), aside: flow.NewBatch(0)}
}

func (p *sievePool) put(s *sieve) {
	s.kept.Reset()
	s.aside.Reset()
	p.pool.Put(s)
}

// sort finds the side of each row of b from row from on, and returns how many
// are outside.
func (s *sieve) sort(b *flow.Batch, from int, networks *flow.PrefixSet) int {
	n := b.Len() - from
	s.side = slices.Grow(s.side[:0], n)[:n]
	clear(s.side)
	ours := 0
	for _, f := range scopeFields {
		if ours == n {
			return 0
		}
		present := b.Present(f)
		if present == nil {
			continue
		}
		for i, a := range b.Addr(f)[from:] {
			if row := from + i; s.side[i] == inside || present[row>>6]>>(row&63)&1 == 0 {
				continue
			}
			s.side[i] = outside
			if networks.Contains(a) {
				s.side[i] = inside
				ours++
			}
		}
	}
	out := 0
	for _, side := range s.side {
		if side == outside {
			out++
		}
	}
	return out
}

// split takes the rows outside out of b and puts them into aside.
func (s *sieve) split(b *flow.Batch, from int) {
	for lo := 0; lo < len(s.side); {
		hi := lo + 1
		for hi < len(s.side) && (s.side[hi] == outside) == (s.side[lo] == outside) {
			hi++
		}
		into := s.kept
		if s.side[lo] == outside {
			into = s.aside
		}
		into.AppendRows(b, from+lo, from+hi)
		lo = hi
	}
	b.Truncate(from)
	b.AppendRows(s.kept, 0, s.kept.Len())
}

// sift looks at the records of an exporter from row from on, and takes those
// that are not ours out of b if that is what is to be done with them. The
// exporter's mutex is held.
func (p *Policy) sift(e *exporter, b *flow.Batch, from int, received uint64) {
	if p == nil || e.rule.of.scope == nil || from == b.Len() {
		return
	}
	s := p.sieves.get()
	defer p.sieves.put(s)
	n := b.Len() - from
	out := s.sort(b, from, e.rule.of.scope.Networks)
	if out > 0 {
		e.stats.more[ledger.OutOfScope] += uint64(out)
		p.treat(e, s, b, from, uint64(out))
	}
	p.notice(e, uint64(n), uint64(out), received)
}

// treat does with the out rows that are not ours what the exporter's rule says.
func (p *Policy) treat(e *exporter, s *sieve, b *flow.Batch, from int, out uint64) {
	switch e.rule.treatment {
	case Refuse:
		s.split(b, from)
		e.stats.more[ledger.Refused] += out
	case SetAside:
		s.split(b, from)
		if err := e.rule.of.scope.Aside.Append(s.aside); err != nil {
			e.stats.more[ledger.Refused] += out // they are nowhere
			if p.asideErrors.Add(1)%1000 == 1 {
				p.log.Error("records could not be set aside and are lost", "exporter", e.addr, "records", out, "error", err)
			}
			return
		}
		e.stats.more[ledger.SetAside] += out
	}
}
