package live

import "sync"

const (
	// maxViewers bounds the pages that follow at once.
	maxViewers = 16
	// maxBehind is how many frames a viewer may be behind.
	maxBehind = 8
)

// hub hands the same frames to every viewer.
type hub struct {
	counts *counts
	// arrived tells that somebody waits for a snapshot.
	arrived chan struct{}

	mu      sync.Mutex
	viewers map[*viewer]bool
}

// viewer is one page. frames is closed when it fell behind.
type viewer struct {
	frames  chan []byte
	current bool // had a snapshot; guarded by hub.mu
}

func newHub(c *counts) *hub {
	return &hub{counts: c, arrived: make(chan struct{}, 1), viewers: map[*viewer]bool{}}
}

// join adds a viewer, if there is a place.
func (h *hub) join() (v *viewer, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.viewers) >= maxViewers {
		h.counts.ended(refusedViewer)
		return nil, false
	}
	v = &viewer{frames: make(chan []byte, maxBehind)}
	h.viewers[v] = true
	h.counts.viewers(len(h.viewers))
	select {
	case h.arrived <- struct{}{}:
	default:
	}
	return v, true
}

func (h *hub) leave(v *viewer, outcome string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.viewers, v)
	h.counts.viewers(len(h.viewers))
	h.counts.ended(outcome)
}

// waiting reports whether there are viewers, and whether one of them has had no
// snapshot yet.
func (h *hub) waiting() (some, fresh bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for v := range h.viewers {
		fresh = fresh || !v.current
	}
	return len(h.viewers) > 0, fresh
}

// send gives changes to those who had a snapshot, and the snapshot to the
// others if there is one. A viewer that has no room is dropped.
func (h *hub) send(changes, snapshot []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for v := range h.viewers {
		frame := changes
		if !v.current {
			if frame = snapshot; frame == nil {
				continue // came after the last look
			}
			v.current = true
		}
		select {
		case v.frames <- frame:
		default:
			delete(h.viewers, v)
			close(v.frames)
		}
	}
}
