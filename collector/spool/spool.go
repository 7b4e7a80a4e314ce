package spool

import (
	"errors"
	"os"
	"sync"
	"time"
)

// The errors that callers can tell apart. Those of the disk are wrapped as they
// are, so that errors.Is finds syscall.ENOSPC and the like.
var (
	// ErrInUse is that of Open for a directory that another process has locked.
	ErrInUse = errors.New("spool is in use by another process")
	// ErrVersion is that of Open for segments that another release wrote.
	ErrVersion = errors.New("segment has version")
	// ErrFull is that of Append if the policy is DropNewest.
	ErrFull = errors.New("spool is full")
	// ErrTooLarge is that of Append for a batch that fits into no segment.
	ErrTooLarge = errors.New("batch is larger than a segment of the spool")
	// ErrClosed is that of all methods after Close.
	ErrClosed = errors.New("spool is closed")
)

// cursorInterval is how much of what was acknowledged, in time, may be delivered
// again after a crash.
const cursorInterval = time.Second

// Spool is a queue of batches on disk. One goroutine may append while another
// takes, and any may ask for Stats.
type Spool struct {
	cfg    Config
	more   chan struct{} // something was appended
	done   chan struct{} // closed by Close
	keeper sync.WaitGroup

	writing sync.Mutex // held by Append and Close, over what they write
	dir     *os.File   // holds the lock of the directory
	buf     []byte     // the frame being written

	saving sync.Mutex // held while the cursor is written; before mu, behind writing
	saved  uint64     // the cursor on disk

	payload []byte // of the reader

	mu       sync.Mutex // guards what follows; nobody waits for the disk with it
	closed   bool
	segments []*segment // oldest first; the last is appended to unless it is sealed
	unsynced []*segment // written since the last sync
	bytes    int64
	next     uint64   // number of the next record
	pos      uint64   // what is below is acknowledged, lost, or held
	held     Entry    // Records is 0 if the reader has none
	at       *segment // where the reader goes on; nil: at the oldest
	off      int64
	seen     uint64 // where the frames before off end
	stats    Stats  // what is only counted
}

// segment is one file. It stays open, so that it can be read even if somebody
// removes the directory.
type segment struct {
	file   *os.File
	path   string
	first  uint64 // number of the first record
	salt   uint32
	size   int64 // up to the end of the last whole frame
	sealed bool  // not appended to any more
}

// Entry is a batch that waits for its delivery.
type Entry struct {
	Payload []byte // valid until the entry is acknowledged
	Records int
	Oldest  time.Time // as it was given to Append

	first uint64
}

// Reason is why records were lost.
type Reason uint8

// The reasons.
const (
	FullOldest Reason = iota // made room for newer ones
	FullNewest               // found no room
	Torn                     // were not written whole when the agent or the machine died
	Corrupt                  // were damaged or removed on disk
	NumReasons
)

var reasonNames = [NumReasons]string{"full_oldest", "full_newest", "torn", "corrupt"}

// String returns the reason as metrics have it.
func (r Reason) String() string { return reasonNames[r] }

// Stats tells about a spool. Its counts begin with Open.
type Stats struct {
	Bytes    int64 // on disk
	Segments int
	Waiting  uint64    // records that are not yet acknowledged; damaged ones until the reader has come to them
	Oldest   time.Time // of the oldest that waits; zero if none does or its time is not known

	Recovered uint64             // records that waited when the spool was opened
	Lost      [NumReasons]uint64 // records, each once

	SyncFailures   uint64 // batches stay readable, but may not survive a power cut
	CursorFailures uint64 // after a crash, more is delivered again
	RemoveFailures uint64 // of segments that are not needed any more
}

// Stats returns the state of now.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	stats := s.stats
	stats.Bytes, stats.Segments = s.bytes, len(s.segments)
	stats.Waiting, stats.Oldest = s.next-s.pos+uint64(s.held.Records), s.held.Oldest
	peek := s.held.Records == 0 && s.pos < s.next && !s.closed
	p := s.place()
	s.mu.Unlock()
	if peek {
		stats.Oldest = p.peek()
	}
	return stats
}

// lose counts n records. mu is held.
func (s *Spool) lose(why Reason, n uint64) { s.stats.Lost[why] += n }

// Close syncs, unless the policy is never, notes what was acknowledged, and
// gives the directory free. What waits is delivered after the next Open.
func (s *Spool) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.done)
	s.mu.Unlock()
	s.keeper.Wait()
	s.writing.Lock()
	defer s.writing.Unlock()

	s.mu.Lock()
	s.seal()
	old := s.trim(true)
	s.mu.Unlock()
	if !s.cfg.Sync.never() {
		s.sync()
	}
	err := s.saveCursor()
	s.remove(old)
	s.mu.Lock() // a reader may be on its way out
	for _, seg := range s.segments {
		err = errors.Join(err, seg.file.Close())
	}
	s.mu.Unlock()
	return errors.Join(err, s.dir.Close())
}
