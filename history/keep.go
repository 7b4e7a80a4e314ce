package history

import (
	"os"
	"slices"
	"time"
)

// keep packs closed partitions, and removes what is too old, until the history
// is closed.
func (h *History) keep() {
	tick := time.NewTicker(keepInterval)
	defer tick.Stop()
	for {
		select {
		case <-h.stop:
			h.settle()
			return
		case <-h.wake:
		case <-tick.C:
			h.age()
		}
		h.settle()
	}
}

// age closes an open partition that is old, so that it reaches the disk, and
// drops what is too old.
func (h *History) age() {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if n := len(h.parts); n > 0 && now.Sub(h.parts[n-1].began) >= partAge {
		h.closePart(h.parts[n-1])
	}
	h.tidy(now)
}

// settle packs what was closed, to disk if there is one, and removes the files
// of what was dropped.
func (h *History) settle() {
	for p := h.toPack(); p != nil; p = h.toPack() {
		packed := pack(h.zip, p.frames) // those of a closed partition stay
		if h.disk == nil {
			h.packed(p, packed, "")
			continue
		}
		path, err := h.disk.write(p, packed)
		if err != nil {
			h.drop(p) // memory has not the room that the disk was meant to have
			continue
		}
		h.packed(p, packed, path)
	}
	h.mu.Lock()
	dead := h.dead
	h.dead = nil
	for i := range len(h.parts) - freshParts {
		if h.parts[i].kept() {
			h.parts[i].frames = nil
		}
	}
	h.mu.Unlock()
	for _, path := range dead {
		os.Remove(path) // one that stays is removed at the next start: it is too old by then
	}
}

func (h *History) toPack() *partition {
	h.mu.Lock()
	defer h.mu.Unlock()
	if places := h.unpacked(); len(places) > 0 {
		return h.parts[places[0]]
	}
	return nil
}

// packed puts the packed form in the place of the frames.
func (h *History) packed(p *partition, packed []byte, path string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.forgotten {
		if path != "" {
			h.dead = append(h.dead, path)
		}
		return
	}
	h.bytes -= p.bytes()
	p.size, p.path = int64(len(packed)), path
	if path == "" {
		p.packed = packed
	}
	h.bytes += p.bytes()
}

// drop forgets a partition though there would be room, and counts it.
func (h *History) drop(p *partition) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.parts, p); i >= 0 {
		h.lost += p.records
		h.forget(i)
	}
}
