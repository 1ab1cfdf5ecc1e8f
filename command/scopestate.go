package command

import (
	"encoding/json"
	"fmt"

	"weir/collector"
	"weir/store"
)

// scopeKey is where the collector writes down what it does with records that are
// not ours, for commands that open the archive themselves.
const scopeKey = "collect/scope"

// A scopeState is a scope as it is written down, without its networks.
type scopeState struct {
	Default string            `json:"default"`
	Groups  map[string]string `json:"groups,omitempty"`
	Implied bool              `json:"implied,omitempty"`
}

// writeScope writes down a scope; nil: the collector does not look.
func writeScope(s *store.Store, scope *collector.Scope) error {
	var state *scopeState
	if scope != nil {
		state = &scopeState{Default: scope.Default.String(), Groups: map[string]string{}, Implied: scope.Implied}
		for group, t := range scope.Groups {
			state.Groups[group] = t.String()
		}
	}
	if err := s.PutState(scopeKey, marshal(state)); err != nil {
		return fmt.Errorf("write down the scope: %w", err)
	}
	return nil
}

// readScope returns the scope that the last collector wrote down, without its
// networks; nil if it did not look.
func readScope(s *store.Store) (*collector.Scope, error) {
	var state *scopeState
	text, err := s.GetState(scopeKey)
	if err == nil && text != nil {
		err = json.Unmarshal(text, &state)
	}
	if err != nil {
		return nil, fmt.Errorf("read the scope: %w", err)
	}
	if state == nil {
		return nil, nil
	}
	scope := &collector.Scope{Groups: map[string]collector.Treatment{}, Implied: state.Implied}
	scope.Default, _ = collector.ParseTreatment(state.Default)
	for group, name := range state.Groups {
		scope.Groups[group], _ = collector.ParseTreatment(name)
	}
	return scope, nil
}

// usual returns what tells groups whose exporters are meant to have records that
// are not ours; nil where nobody looks.
func (l *local) usual() func(group string) bool {
	if l.scope == nil {
		return nil
	}
	return l.scope.Usual
}
