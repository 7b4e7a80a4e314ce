package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Append puts a batch behind all others. The payload is the caller's again at
// once. records is how many there are in it, oldest the time of the oldest or
// zero if that is not known.
//
// A batch that a full spool refuses counts in [Stats] as lost; the error is
// ErrFull. After any other error the caller has the batch still, to give it
// again or to count it: ErrTooLarge, ErrClosed, or one of the disk, which leaves
// the spool as it was. If only syncing fails, the batch is taken, and counted in
// SyncFailures.
func (s *Spool) Append(payload []byte, records int, oldest time.Time) error {
	if records < 1 || records > math.MaxUint32 {
		return fmt.Errorf("append %d records to spool: want 1 or more", records)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	err := s.append(payload, frame{records: uint32(records), oldest: nanoseconds(oldest)})
	if errors.Is(err, ErrFull) {
		s.mu.Lock()
		s.lose(FullNewest, uint64(records))
		s.mu.Unlock()
	}
	return err
}

func (s *Spool) append(payload []byte, f frame) error {
	need := frameHeader + int64(len(payload))
	if segmentHeader+need > int64(s.cfg.SegmentSize) {
		return ErrTooLarge
	}
	seg, err := s.room(need)
	if errors.Is(err, ErrFull) || errors.Is(err, ErrClosed) {
		return err
	}
	if seg == nil && err == nil {
		seg, err = s.newSegment()
	}
	if err != nil {
		return fmt.Errorf("append to spool: %w", err)
	}
	f.first = s.next // which only Append changes
	s.buf = appendFrame(s.buf[:0], seg.salt, f, payload)
	if _, err := seg.file.WriteAt(s.buf, seg.size); err != nil {
		return errors.Join(fmt.Errorf("append to spool: %w", err), s.takeBack(seg))
	}
	if s.cfg.Sync.everyBatch {
		s.syncSegment(seg)
	}
	s.mu.Lock()
	if !s.cfg.Sync.never() && !s.cfg.Sync.everyBatch && !slices.Contains(s.unsynced, seg) {
		s.unsynced = append(s.unsynced, seg)
	}
	seg.size += need
	s.bytes += need
	s.next = f.end()
	s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
	return nil
}

func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// room makes room for a frame, and returns the segment for it, or nil if a new
// one is to be made.
func (s *Spool) room(need int64) (*segment, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	seg := s.active()
	if seg != nil && (seg.size+need > int64(s.cfg.SegmentSize) || seg.isUnlinked()) {
		s.seal()
		seg = nil
	}
	old := s.trim(true)
	full := false
	for !full && s.bytes+need+segmentHeader > int64(s.cfg.MaxSize) {
		if s.cfg.WhenFull == DropNewest {
			full = true
			break
		}
		old = append(old, s.dropOldest())
		seg = s.active()
	}
	s.mu.Unlock()
	s.remove(old)
	if full {
		return nil, ErrFull
	}
	return seg, nil
}

// active returns the segment that is appended to, or nil. mu is held.
func (s *Spool) active() *segment {
	if n := len(s.segments); n > 0 && !s.segments[n-1].sealed {
		return s.segments[n-1]
	}
	return nil
}

// seal ends the last segment. mu is held.
func (s *Spool) seal() {
	if n := len(s.segments); n > 0 {
		s.segments[n-1].sealed = true
	}
}

// isUnlinked reports whether the file has no name any more: what is written to
// it would not survive the agent.
func (seg *segment) isUnlinked() bool {
	info, err := seg.file.Stat()
	if err != nil {
		return true
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink == 0
}

// dropOldest takes the oldest segment out, and counts what of it nobody has
// seen. An entry that the reader holds is not lost: it has it in memory.
func (s *Spool) dropOldest() *segment {
	seg := s.segments[0]
	s.segments = slices.Delete(s.segments, 0, 1)
	s.bytes -= seg.size
	end := s.next
	if len(s.segments) > 0 {
		end = s.segments[0].first
	}
	if end > s.pos {
		s.lose(FullOldest, end-s.pos)
		s.pos = end
	}
	return seg
}

// newSegment makes a file for what comes next.
func (s *Spool) newSegment() (*segment, error) {
	if err := s.checkDir(); err != nil {
		return nil, err
	}
	seg := &segment{path: filepath.Join(s.cfg.Dir, segmentName(s.next)), first: s.next, salt: rand.Uint32(), size: segmentHeader}
	// A file of that name can only hold what a failed write left there.
	file, err := os.OpenFile(seg.path, os.O_RDWR|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	seg.file = file
	if _, err := file.WriteAt(newSegmentHeader(seg.salt), 0); err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(seg.path))
	}
	if !s.cfg.Sync.never() {
		if err := syncDir(s.cfg.Dir); err != nil {
			s.syncFailed()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = append(s.segments, seg)
	s.bytes += segmentHeader
	return seg, nil
}

// checkDir locks the directory again if somebody removed it and made another.
func (s *Spool) checkDir() error {
	now, err := os.Stat(s.cfg.Dir)
	if err != nil {
		return err
	}
	before, err := s.dir.Stat()
	if err == nil && os.SameFile(now, before) {
		return nil
	}
	dir, err := lockDir(s.cfg.Dir)
	if err != nil {
		return err
	}
	s.dir.Close()
	s.dir = dir
	return nil
}

// takeBack cuts off what a failed write left. Where that is impossible, the
// segment ends here, and readers stop at its last whole frame.
func (s *Spool) takeBack(seg *segment) error {
	if seg.size > segmentHeader {
		err := seg.file.Truncate(seg.size)
		if err != nil {
			s.mu.Lock()
			s.seal()
			s.mu.Unlock()
		}
		return err
	}
	s.mu.Lock() // a segment without a frame would be in the way of the next one
	s.segments = s.segments[:len(s.segments)-1]
	s.bytes -= seg.size
	s.mu.Unlock()
	s.remove([]*segment{seg})
	return nil
}

// remove removes segments that are not needed any more. The cursor goes first,
// or a restart would take them for lost.
func (s *Spool) remove(old []*segment) {
	if len(old) == 0 {
		return
	}
	s.saveCursor() // counts its failures; the room is needed all the same
	for _, seg := range old {
		seg.file.Close()
		if err := os.Remove(seg.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.mu.Lock()
			s.stats.RemoveFailures++
			s.mu.Unlock()
		}
	}
}
