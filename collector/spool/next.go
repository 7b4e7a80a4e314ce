package spool

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"
)

// Next returns the oldest batch that is not acknowledged, and waits for one if
// there is none. Until [Spool.Ack] it returns the same again. What is damaged
// is passed over and counted. The error is ErrClosed or that of ctx.
func (s *Spool) Next(ctx context.Context) (Entry, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Entry{}, err
		}
		switch e, err := s.take(); {
		case err != nil:
			return Entry{}, err
		case e.Records > 0:
			return e, nil
		}
		select {
		case <-ctx.Done():
		case <-s.done:
		case <-s.more:
		}
	}
}

// Ack says that an entry of Next was delivered, or given up: it does not come
// again. Segments that hold nothing else are removed. The cursor on disk
// follows within a second.
func (s *Spool) Ack(e Entry) {
	s.mu.Lock()
	if s.held.Records == 0 || e.first != s.held.first || s.closed {
		s.mu.Unlock()
		return
	}
	s.held = Entry{}
	old := s.trim(false)
	s.mu.Unlock()
	s.remove(old)
}

// place is where a reader goes on.
type place struct {
	seg   *segment
	off   int64
	limit int64  // where the segment's whole frames end
	seen  uint64 // the frames before end here; none that follows begins before
	pos   uint64 // frames that end here or before were delivered
	end   uint64 // of the segment
}

// place returns where the reader goes on; seg is nil if there is no segment. mu
// is held.
func (s *Spool) place() place {
	i := slices.Index(s.segments, s.at)
	if i < 0 {
		if s.at = nil; len(s.segments) == 0 {
			return place{}
		}
		i = 0
		s.goTo(s.segments[0])
	}
	return place{seg: s.at, off: s.off, limit: s.at.size, seen: s.seen, pos: s.pos, end: s.endOf(i)}
}

// goTo puts the reader at the beginning of a segment. mu is held.
func (s *Spool) goTo(seg *segment) { s.at, s.off, s.seen = seg, segmentHeader, seg.first }

// endOf returns the number behind the last record of a segment. mu is held.
func (s *Spool) endOf(i int) uint64 {
	if i+1 < len(s.segments) {
		return s.segments[i+1].first
	}
	return s.next
}

// find returns the next frame to deliver by its header, and the place where it
// is; ok is false if there is none in the segment.
func (p place) find() (f frame, _ place, ok bool, err error) {
	for p.seg != nil && p.off < p.limit {
		f, at, err := findFrame(p.seg.file, p.seg.salt, p.off, p.limit)
		switch p.off = at; {
		case err != nil:
			return f, p, false, err
		case at == p.limit:
			return f, p, false, nil
		case at+f.size() > p.limit || f.first < p.seen || f.end() > p.end:
			p.off++ // what is left of a torn write
		case f.end() <= p.pos:
			p.off += f.size()
			p.seen = f.end()
		default:
			return f, p, true, nil
		}
	}
	return f, p, false, nil
}

// peek returns the time of the next frame, as far as its header tells.
func (p place) peek() time.Time {
	if f, _, ok, err := p.find(); ok && err == nil {
		return f.time()
	}
	return time.Time{}
}

// take returns the held entry or the next one, and an empty one if there is
// none.
func (s *Spool) take() (Entry, error) {
	for {
		s.mu.Lock()
		p, held, closed := s.place(), s.held, s.closed
		s.mu.Unlock()
		switch {
		case closed:
			return Entry{}, ErrClosed
		case held.Records > 0 || p.seg == nil:
			return held, nil
		}
		f, p, ok, err := p.find()
		if errors.Is(err, os.ErrClosed) {
			continue // dropped in this moment
		}
		if err != nil || !ok { // what can't be read is passed over
			if s.pass(p) {
				continue
			}
			return Entry{}, nil
		}
		s.payload = slices.Grow(s.payload[:0], int(f.length))[:f.length]
		_, err = p.seg.file.ReadAt(s.payload, p.off+frameHeader)
		whole := err == nil && f.holds(s.payload)
		p.off += f.size()
		if e := s.hold(p, f, whole); e.Records > 0 {
			return e, nil
		}
	}
}

// hold moves the reader behind a frame, and makes an entry of it if it is
// whole and was not dropped in the meantime.
func (s *Spool) hold(p place, f frame, whole bool) Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at != p.seg || f.end() <= s.pos {
		return Entry{}
	}
	s.off, s.seen = p.off, f.end()
	if !whole {
		return Entry{} // the next frame's number tells what is missing
	}
	s.passTo(f.first)
	s.pos = f.end()
	s.held = Entry{Payload: s.payload, Records: int(f.records), Oldest: f.time(), first: f.first}
	return s.held
}

// passTo counts what is missing before a number. mu is held.
func (s *Spool) passTo(number uint64) {
	if number > s.pos {
		s.lose(Corrupt, number-s.pos)
		s.pos = number
	}
}

// pass moves the reader on from the end of a segment. It returns false if there
// is nothing behind it yet.
func (s *Spool) pass(p place) (more bool) {
	s.mu.Lock()
	i := slices.Index(s.segments, p.seg)
	if i < 0 || s.at != p.seg || p.seg.size > p.limit {
		s.mu.Unlock()
		return true
	}
	s.off, s.seen = p.limit, p.seen
	s.passTo(s.endOf(i))
	if more = i+1 < len(s.segments); more {
		s.goTo(s.segments[i+1])
	}
	old := s.trim(false)
	s.mu.Unlock()
	s.remove(old)
	return more
}

// cursor returns the number of the first record that is neither acknowledged
// nor lost. mu is held.
func (s *Spool) cursor() uint64 {
	if s.held.Records == 0 || len(s.segments) == 0 {
		return s.pos
	}
	return max(s.held.first, s.segments[0].first)
}

// trim takes out the segments that are not needed any more; the last one only
// if the caller knows that nobody writes to it now. mu is held.
func (s *Spool) trim(last bool) (old []*segment) {
	for len(s.segments) > 0 && s.endOf(0) <= s.cursor() && s.segments[0].sealed {
		if len(s.segments) == 1 && !last {
			break
		}
		old = append(old, s.segments[0])
		s.bytes -= s.segments[0].size
		s.segments = slices.Delete(s.segments, 0, 1)
	}
	return old
}
