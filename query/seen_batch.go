package query

import (
	"slices"

	"weir/flow"
	"weir/store"
)

// A seenBatch is what the rows of several blocks say of addresses, before it is
// added to what is known of them. That is more than the caches of a processor
// hold, in several places for each address: they are fetched once for a batch,
// not for every block.
type seenBatch struct {
	notes  []seenNote  // the first is none, and empty
	chains []seenChain // by place in seenQuery.addrs
	roles  []portRole  // of the notes, one after the other
	v4     []addr4     // their peers, likewise
	v6     []addr6
	counts roleCounts
}

// A seenNote is what a block says of an address as source or destination.
type seenNote struct {
	hour    store.Hour
	source  bool
	ends    uint32 // rows that have the address at this end
	records uint32 // of them, those that are not of the source as well
	roles   uint32 // where its roles end: there is one for each record
	v4, v6  uint32 // where its peers end
	next    uint32 // of the same address; 0: there is none
}

// A seenChain is the first and the last note of an address, 0 if there is none.
type seenChain struct{ first, last uint32 }

// maxBatchRows is how many rows make a batch: 13 hours of 20,000, in 5 to 15 MB.
const maxBatchRows = 1 << 18

// reset makes an empty batch for n addresses.
func (b *seenBatch) reset(n int) {
	b.chains = sized(b.chains, n)
	clear(b.chains)
	b.empty()
}

func (b *seenBatch) empty() {
	b.notes = append(b.notes[:0], seenNote{})
	b.roles, b.v4, b.v6 = b.roles[:0], b.v4[:0], b.v6[:0]
}

// newRoles appends n roles and returns them: they are those of the next notes.
func (b *seenBatch) newRoles(n int) []portRole {
	at := len(b.roles)
	b.roles = slices.Grow(b.roles, n)[:at+n]
	return b.roles[at:]
}

// peer appends a peer of the next note.
func (b *seenBatch) peer(a flow.Addr) {
	if a.Is4() {
		b.v4 = append(b.v4, addr4(a.As4()))
	} else {
		b.v6 = append(b.v6, addr6(a))
	}
}

// note appends a note of an address, whose roles and peers are there.
func (b *seenBatch) note(addr int32, n seenNote) {
	at := uint32(len(b.notes))
	n.roles = b.notes[at-1].roles + n.records
	n.v4, n.v6 = uint32(len(b.v4)), uint32(len(b.v6))
	b.notes = append(b.notes, n)
	chain := &b.chains[addr]
	if chain.first == 0 {
		chain.first = at
	} else {
		b.notes[chain.last].next = at
	}
	chain.last = at
}

// addTo adds the notes to tallies and leaves none.
func (b *seenBatch) addTo(p *seenPart, q *seenQuery) {
	if len(b.notes) == 1 {
		return
	}
	for addr := range b.chains {
		if at := b.chains[addr].first; at != 0 {
			b.addChain(p.tally(addr), at, q)
			b.chains[addr] = seenChain{}
		}
	}
	b.empty()
}

// addChain adds the notes of an address to its tally.
func (b *seenBatch) addChain(t *seenTally, at uint32, q *seenQuery) {
	for at != 0 {
		before, n := &b.notes[at-1], &b.notes[at]
		t.see(n, q.hours)
		for _, a := range b.v4[before.v4:n.v4] {
			t.peers.add4(a, q.exact)
		}
		for _, a := range b.v6[before.v6:n.v6] {
			t.peers.add6(a, q.exact)
		}
		b.counts.count(b.roles[before.roles:n.roles])
		at = n.next
	}
	b.counts.addTo(t)
}
