package spool

import (
	"errors"
	"os"
	"time"
)

// keep writes the cursor and syncs from time to time, until Close.
func (s *Spool) keep() {
	cursor := time.NewTicker(cursorInterval)
	defer cursor.Stop()
	var syncs <-chan time.Time
	if s.cfg.Sync.interval > 0 {
		ticker := time.NewTicker(s.cfg.Sync.interval)
		defer ticker.Stop()
		syncs = ticker.C
	}
	for {
		select {
		case <-s.done:
			return
		case <-cursor.C:
			s.saveCursor() // counts its failures; the next second tries again
		case <-syncs:
			s.sync()
		}
	}
}

// saveCursor writes the cursor if it moved.
func (s *Spool) saveCursor() error {
	s.saving.Lock()
	defer s.saving.Unlock()
	s.mu.Lock()
	cursor := s.cursor()
	s.mu.Unlock()
	if cursor == s.saved {
		return nil
	}
	if err := writeCursor(s.cfg.Dir, cursor, !s.cfg.Sync.never()); err != nil {
		s.mu.Lock()
		s.stats.CursorFailures++
		s.mu.Unlock()
		return err
	}
	s.saved = cursor
	return nil
}

// sync syncs what was written since the last time.
func (s *Spool) sync() {
	s.mu.Lock()
	segments := s.unsynced
	s.unsynced = nil
	s.mu.Unlock()
	for _, seg := range segments {
		s.syncSegment(seg)
	}
}

// syncSegment seals a segment that can't be synced: after a failure the kernel
// may say that all is well though it is not.
func (s *Spool) syncSegment(seg *segment) {
	err := seg.file.Sync()
	if err == nil || errors.Is(err, os.ErrClosed) { // closed: delivered or dropped in the meantime
		return
	}
	s.mu.Lock()
	seg.sealed = true
	s.mu.Unlock()
	s.syncFailed()
}

func (s *Spool) syncFailed() {
	s.mu.Lock()
	s.stats.SyncFailures++
	s.mu.Unlock()
}
