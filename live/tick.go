package live

import (
	"context"
	"encoding/json"
	"time"
)

const (
	// interval is the time between two looks at the agent.
	interval = 500 * time.Millisecond
	// shortest is how soon the next one comes if there is a change to tell.
	shortest = 200 * time.Millisecond
)

// frame is what happened since the last one; a snapshot is all there is.
type frame struct {
	Time time.Time `json:"time"`
	// Seconds is over how long rates were measured; 0: they are not known yet.
	Seconds float64 `json:"seconds"`
	Groups  []row   `json:"groups"`
	Gone    []int   `json:"gone,omitempty"` // numbers of groups
	Losses  []loss  `json:"losses"`
	// Changes are events as docs/events.md describes them, oldest first.
	Changes []json.RawMessage `json:"changes,omitempty"`
	Missing uint64            `json:"missing_changes,omitempty"` // there were too many
	Error   string            `json:"error,omitempty"`           // why nothing is known now
}

// snapshot is the first frame that a viewer gets.
type snapshot struct {
	frame
	Version  string   `json:"version"`
	Interval int64    `json:"interval_ms"`
	Reasons  []Reason `json:"reasons"`
}

// tick looks at the agent again and again while there are viewers, until ctx is
// done.
func (s *Server) tick(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.hub.arrived:
			s.follow(ctx)
		}
	}
}

// follow ticks until nobody looks any more.
func (s *Server) follow(ctx context.Context) {
	defer s.latest.Store(nil)
	b := newBoard(s.deps.Policy)
	_, next, _ := s.timeline.since(0)
	for {
		pause := time.After(shortest)
		due := time.After(interval)
		some, fresh := s.hub.waiting()
		if !some {
			return
		}
		renamed := b.stale()
		if renamed {
			b = newBoard(s.deps.Policy)
		}
		f := s.look(b)
		f.Changes, next, f.Missing = s.timeline.since(next)
		var whole []byte
		if fresh || renamed {
			whole = s.snapshot(b, f, next)
		}
		if renamed { // nothing that viewers know is called so any more
			s.hub.send(whole, whole)
		} else {
			s.hub.send(event("tick", f), whole)
		}
		select {
		case <-ctx.Done():
			return
		case <-pause:
		}
		select {
		case <-ctx.Done():
			return
		case <-due:
		case <-s.timeline.changed:
		}
	}
}

// look reads the agent once.
func (s *Server) look(b *board) (f frame) {
	view, err := s.deps.View()
	if err != nil {
		return frame{Time: time.Now(), Groups: []row{}, Losses: []loss{}, Error: err.Error()}
	}
	f.Time = view.Time
	var places map[int]int
	f.Groups, f.Gone, places = b.update(&view)
	f.Seconds = b.times[len(b.times)-1].Sub(b.times[0]).Seconds()
	f.Losses = b.lossesOf(&view)
	s.latest.Store(&moment{view: view, places: places})
	return f
}

// snapshot is all that the board holds, with the changes up to number next.
func (s *Server) snapshot(b *board, f frame, next uint64) []byte {
	f.Groups, f.Gone, f.Missing = b.all(), nil, 0
	f.Changes = s.timeline.before(next)
	return event("snapshot", snapshot{f, s.deps.Version, interval.Milliseconds(), s.deps.Reasons})
}

// event writes a server-sent event.
func event(name string, data any) []byte {
	body, err := json.Marshal(data)
	if err != nil {
		panic(err) // these types always can
	}
	out := make([]byte, 0, len(body)+len(name)+16)
	out = append(append(out, "event: "...), name...)
	out = append(append(out, "\ndata: "...), body...)
	return append(out, '\n', '\n')
}
