package audit

import "fmt"

// A Proof is what Verify found.
type Proof struct {
	Entries  uint64   `json:"entries"`            // that can be read
	First    uint64   `json:"first"`              // number of the first, 0: the log is empty
	Last     uint64   `json:"last"`               // number of the last
	Head     string   `json:"head"`               // hash of the last entry, in hexadecimal
	Findings []string `json:"findings,omitempty"` // each changed, missing or moved entry
	HeadSeen bool     `json:"head_seen"`          // the hash that was asked for is in the chain
}

// Whole reports whether the chain is proven.
func (p *Proof) Whole() bool { return len(p.Findings) == 0 }

// Verify walks the whole chain. head is a hash that somebody noted earlier, in
// hexadecimal; if it is not "" and not in the chain, that is a finding: entries
// were cut off, or all was made anew.
func (l *Log) Verify(head string) (*Proof, error) {
	v := verifier{proof: &Proof{}, head: head, trims: map[uint64]string{}}
	if err := l.store.ScanAudit(0, v.step); err != nil {
		return nil, err
	}
	v.end()
	return v.proof, nil
}

// A verifier is where a Verify stands.
type verifier struct {
	proof    *Proof
	head     string
	next     uint64 // number that is expected
	previous string // hash that the next entry must name
	broken   bool   // the entry before is not what was written: what follows need not name it
	cut      string // what the first entry names that is not there
	trims    map[uint64]string
}

func (v *verifier) find(format string, args ...any) {
	v.proof.Findings = append(v.proof.Findings, fmt.Sprintf(format, args...))
}

func (v *verifier) step(number uint64, value []byte) error {
	e, hash, err := decode(value)
	switch {
	case v.next == 0:
		v.proof.First = number
	case number > v.next+1:
		v.find("entries %d to %d are missing", v.next, number-1)
		v.broken = true
	case number > v.next:
		v.find("entry %d is missing", v.next)
		v.broken = true
	}
	first := v.next == 0
	v.next, v.proof.Last, v.proof.Head = number+1, number, hash
	if hash != "" && hash == v.head {
		v.proof.HeadSeen = true
	}
	if err != nil {
		v.find("entry %d: %v", number, err)
		v.previous, v.broken = hash, true
		return nil
	}
	v.proof.Entries++
	switch {
	case e.Number != number:
		v.find("entry %d was written as number %d: it was moved", number, e.Number)
	case first:
		v.cut = e.Previous
	case e.Previous != v.previous && !v.broken:
		v.find("entry %d does not follow entry %d: one of them was replaced or moved", number, number-1)
	case e.Previous != v.previous:
		// What it followed is named already.
	}
	if e.Kind == KindTrim {
		v.trims[e.Of] = e.Removed
	}
	v.previous, v.broken = hash, false
	return nil
}

// end judges what only the whole chain tells.
func (v *verifier) end() {
	p := v.proof
	if first := p.First; first > 1 {
		if removed, ok := v.trims[first]; !ok || removed != v.cut {
			v.find("entries 1 to %d are missing, and no entry says that they were deleted for their age", first-1)
		}
	} else if first == 1 && v.cut != "" {
		v.find("entry 1 follows another")
	}
	if v.head != "" && !p.HeadSeen {
		v.find("the hash %s is not in the chain: entries were cut off its end, or it was made anew", v.head)
	}
}
