package collector

import "time"

// A prompt saves what exporters newly defined at once, and not only when it is
// time anyway: a collector that is killed a moment after a new template, and
// exporters that send the next one in half an hour, would lose all between. It
// is the keeper's.
type prompt struct {
	c     *Collector
	due   <-chan time.Time // when to save; nil: nothing is new
	rests time.Time        // not before
}

// How long a prompt rests after it saved, so that a flood of invented templates
// takes a small part of the time, and after it could not.
const (
	promptRest   = 50 * time.Millisecond
	promptShare  = 20 // times what saving took
	promptFailed = time.Second
)

// ask says that there is something new.
func (p *prompt) ask() {
	if p.due == nil {
		p.due = time.After(time.Until(p.rests))
	}
}

// save saves it and has it on disk.
func (p *prompt) save() {
	p.due = nil
	select {
	case <-p.c.decoder.fresh: // what is announced by now is saved with the rest
	default:
	}
	begun := time.Now()
	err := p.c.save()
	if durable, ok := p.c.o.State.(interface{ SyncState() error }); ok && err == nil {
		if err = durable.SyncState(); err != nil {
			p.c.o.Logger.Error("save templates", "error", err)
		}
	}
	rest := max(promptRest, promptShare*time.Since(begun))
	if err != nil {
		rest = promptFailed
	}
	p.rests = time.Now().Add(rest)
}
