package main

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanlight-io/fanlight/collector"
)

// sharedAgent reads the agent's state once for all who ask at the same time:
// however many there are, the agent is held up no more often. What it returns
// is shared, and only to be read.
type sharedAgent struct {
	*collector.Agent
	views    shared[collector.View]
	groups   shared[[]collector.GroupSummary]
	statuses shared[collector.Status]
}

// View is [collector.Agent.View].
func (a *sharedAgent) View() (collector.View, error) {
	v, err := a.views.get(a.Agent.View)
	v.Groups = slices.Clone(v.Groups) // so that their order is the caller's
	return v, err
}

// Groups is [collector.Agent.Groups].
func (a *sharedAgent) Groups() ([]collector.GroupSummary, error) { return a.groups.get(a.Agent.Groups) }

// Status is [collector.Agent.Status].
func (a *sharedAgent) Status() (collector.Status, error) { return a.statuses.get(a.Agent.Status) }

// shared is a value that is read on demand, once for all who wait for it.
type shared[T any] struct {
	mu    sync.Mutex
	began time.Time // when value was read
	value T
	err   error

	askers atomic.Int64
}

// get returns a value that was read after the call.
func (s *shared[T]) get(read func() (T, error)) (T, error) {
	asked := time.Now()
	s.askers.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.began.After(asked) {
		s.began = time.Now()
		s.value, s.err = read()
	}
	value, err := s.value, s.err
	if s.askers.Add(-1) == 0 {
		var zero T // nobody needs it any more
		s.value, s.began = zero, time.Time{}
	}
	return value, err
}
