package snoop

import "time"

// timed is what a timer wakes. It schedules itself anew if it has to.
type timed interface {
	fire(t *Table, now time.Duration)
}

// timer is a place in the heap. Its zero value is not queued.
type timer struct {
	at    time.Duration
	index int // place in the heap plus one
	owner timed
}

// timers is a four-ary heap by time.
type timers struct{ heap []*timer }

// schedule makes tm fire at or before at. A timer that is due earlier already
// is left where it is: its owner will find that nothing is due yet and schedule
// again. So pushing a deadline out, which every report does, costs nothing.
func (h *timers) schedule(tm *timer, at time.Duration) {
	if at == never {
		return
	}
	if tm.index == 0 {
		tm.at = at
		h.heap = append(h.heap, tm)
		tm.index = len(h.heap)
		h.up(tm.index - 1)
		return
	}
	if at < tm.at {
		tm.at = at
		h.up(tm.index - 1)
	}
}

// cancel takes tm out.
func (h *timers) cancel(tm *timer) {
	if tm.index == 0 {
		return
	}
	i, last := tm.index-1, len(h.heap)-1
	h.swap(i, last)
	h.heap[last] = nil
	h.heap = h.heap[:last]
	tm.index = 0
	if i < last {
		h.up(i)
		h.down(i)
	}
	if cap(h.heap) > 1024 && len(h.heap) < cap(h.heap)/4 {
		h.heap = append(make([]*timer, 0, cap(h.heap)/2), h.heap...)
	}
}

// due takes out the first timer that is due at now, or returns nil.
func (h *timers) due(now time.Duration) *timer {
	if len(h.heap) == 0 || h.heap[0].at > now {
		return nil
	}
	tm := h.heap[0]
	h.cancel(tm)
	return tm
}

func (h *timers) swap(i, j int) {
	h.heap[i], h.heap[j] = h.heap[j], h.heap[i]
	h.heap[i].index, h.heap[j].index = i+1, j+1
}

func (h *timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 4
		if h.heap[parent].at <= h.heap[i].at {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *timers) down(i int) {
	for {
		least, first := i, 4*i+1
		for child := first; child < min(first+4, len(h.heap)); child++ {
			if h.heap[child].at < h.heap[least].at {
				least = child
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}
