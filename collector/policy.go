package collector

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"

	"weir/flow"
	"weir/flow/ledger"
)

// PolicyOptions say whose datagrams are taken, and what is changed in or done
// with their records.
type PolicyOptions struct {
	Known  ledger.Directory // the exporters that the configuration describes
	Only   bool             // refuse the datagrams of others
	Scope  *Scope           // what to do with records that are not ours; nil: they are not looked at
	Logger *slog.Logger     // for complaints, rate-limited; nil: none
}

// A Policy is what a Decoder is told about exporters. Make it with NewPolicy. It
// counts what it refuses; several goroutines, and Decoders, may use it at once.
// A nil Policy takes everything as it comes.
//
// What it says can be changed at any time with Change.
type Policy struct {
	rules   atomic.Pointer[ruleSet]
	sieves  sievePool
	refused refusals
	warned  warnings
	log     *slog.Logger

	asideErrors atomic.Uint64 // appends that Scope.Aside refused
}

// A ruleSet is what a Policy says between two changes. It does not change.
type ruleSet struct {
	known   ledger.Directory
	sources *flow.PrefixSet // of known
	only    bool
	scope   *Scope
}

// NewPolicy returns a Policy. Networks that records are compared with, and a
// place for records that are set aside, are needed where the options speak of
// them.
func NewPolicy(o PolicyOptions) (*Policy, error) {
	p := &Policy{log: o.Logger}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if err := p.Change(o); err != nil {
		return nil, err
	}
	return p, nil
}

// Change replaces what the options of NewPolicy said, the logger left out. Each
// datagram is treated by one set of rules, that before or that after. What was
// counted stays. After an error nothing has changed.
func (p *Policy) Change(o PolicyOptions) error {
	set, err := newRuleSet(o)
	if err == nil {
		p.rules.Store(set)
	}
	return err
}

func newRuleSet(o PolicyOptions) (*ruleSet, error) {
	if o.Scope != nil {
		if err := o.Scope.check(); err != nil {
			return nil, err
		}
	}
	var sources []flow.Prefix
	for _, e := range o.Known {
		for _, p := range e.Sources {
			prefix, err := flow.PrefixFrom(flow.AddrFromNetip(p.Addr()), p.Bits())
			if err != nil {
				return nil, fmt.Errorf("source of exporter %s: %w", e.Name, err)
			}
			sources = append(sources, prefix)
		}
	}
	return &ruleSet{known: o.Known, sources: flow.NewPrefixSet(sources), only: o.Only, scope: o.Scope}, nil
}

// A rule is what a Policy says of one exporter.
type rule struct {
	of        *ruleSet
	known     *ledger.Known // nil: the configuration does not describe it
	treatment Treatment     // of its records that are not ours
	usual     bool          // that it has such records is said to be usual
}

// group returns the group of the exporter, "" if it has none.
func (r *rule) group() string {
	if r.known == nil {
		return ""
	}
	return r.known.Group
}

// name returns what the exporter is called, "" if it has no name.
func (r *rule) name() string {
	if r.known == nil {
		return ""
	}
	return r.known.Name
}

// applyTo looks up the rule of an exporter, whose mutex is held, once for each
// set of rules.
func (p *Policy) applyTo(e *exporter) {
	if p == nil {
		return
	}
	set := p.rules.Load()
	if e.rule != nil && e.rule.of == set {
		return
	}
	e.rule = &rule{of: set}
	if set.sources.Contains(e.key) { // a flood of senders costs no search through all
		e.rule.known = set.known.Find(e.key)
	}
	if set.scope != nil {
		e.rule.treatment, e.rule.usual = set.scope.treatment(e.rule.group())
	}
}

// admits reports whether the datagrams of a sender are taken. One that is not is
// counted, under the hour in which it was received.
func (p *Policy) admits(sender netip.Addr, received uint64) bool {
	if p == nil {
		return true
	}
	if set := p.rules.Load(); !set.only || set.sources.Contains(flow.AddrFromNetip(sender)) {
		return true
	}
	switch p.refused.count(sender, received) {
	case firstOfSender:
		p.log.Warn("datagrams refused: the sender is no exporter of the configuration", "sender", sender)
	case firstOfOthers:
		p.log.Warn("datagrams refused: more senders than are told apart are no exporters of the configuration", "told_apart", ledger.MaxSenders)
	}
	return false
}

// override gives the records of the exporter from row from on the sampling
// interval that the configuration knows better.
func (e *exporter) override(b *flow.Batch, from int) {
	if e.rule == nil || e.rule.known == nil || e.rule.known.Sampling == 0 || from == b.Len() {
		return
	}
	intervals := b.Num(flow.SamplingInterval)[from:]
	for i := range intervals {
		intervals[i] = uint64(e.rule.known.Sampling)
	}
	b.Mark(flow.SamplingInterval, from, b.Len())
}
