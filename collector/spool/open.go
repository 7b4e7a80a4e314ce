package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	segmentSuffix = ".spool"
	// lastNumber keeps numbers from ever wrapping, whatever a file says.
	lastNumber = 1 << 62
)

// Open opens the spool in a directory, which it creates if need be and locks.
// What is left of an earlier spool waits for delivery again; what is torn at
// its end is cut off. Damage further ahead is found when it is read, so that
// Open reads one segment, not all. Files that are not a spool's are left alone,
// see [Spool.Foreign].
func Open(cfg Config) (_ *Spool, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	s := &Spool{cfg: cfg.withDefaults(), more: make(chan struct{}, 1), done: make(chan struct{})}
	if err := os.Mkdir(cfg.Dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make directory of spool: %w", err)
	}
	if s.dir, err = lockDir(cfg.Dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			for _, seg := range s.segments {
				seg.file.Close()
			}
			s.dir.Close()
		}
	}()
	if err := s.recover(); err != nil {
		return nil, err
	}
	s.keeper.Go(s.keep)
	return s, nil
}

// lockDir opens the directory and locks it until it is closed.
func lockDir(path string) (*os.File, error) {
	dir, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("open directory of spool: %w", err)
	}
	info, err := dir.Stat()
	if err == nil && info.Mode().Perm()&0o022 != 0 {
		err = fmt.Errorf("%s may be written by others: mode %s, want 0700", path, info.Mode().Perm())
	}
	if err == nil {
		err = syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("%w: %s", ErrInUse, path)
	}
	if err != nil {
		dir.Close()
		return nil, fmt.Errorf("lock directory of spool: %w", err)
	}
	return dir, nil
}

// recover finds what an earlier spool left.
func (s *Spool) recover() error {
	if err := s.openSegments(); err != nil {
		return err
	}
	s.next = 1
	cursor, hasCursor, err := readCursor(s.cfg.Dir)
	if err != nil {
		return err
	}
	if len(s.segments) > 0 {
		s.pos = s.segments[0].first
		if err := s.recoverEnd(); err != nil {
			return err
		}
	}
	if hasCursor && cursor <= lastNumber {
		s.pos, s.saved = cursor, cursor
	}
	if s.pos = max(s.pos, 1); s.pos > s.next { // a power cut took what was delivered already
		s.next = s.pos
		s.seal()
	}
	s.stats.Recovered = s.next - s.pos
	s.remove(s.trim(true))
	return nil
}

// openSegments opens all in their order.
func (s *Spool) openSegments() error {
	entries, err := os.ReadDir(s.cfg.Dir) // sorted, so the oldest is first
	if err != nil {
		return fmt.Errorf("read directory of spool: %w", err)
	}
	for _, e := range entries {
		if first, ok := segmentNumber(e); ok {
			if err := s.openSegment(filepath.Join(s.cfg.Dir, e.Name()), first); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(filepath.Join(s.cfg.Dir, cursorTmp)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what a crash left: %w", err)
	}
	return nil
}

func (s *Spool) openSegment(path string, first uint64) error {
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("open segment of spool: %w", err)
	}
	seg := &segment{file: file, path: path, first: first, sealed: true}
	s.segments = append(s.segments, seg)
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("open segment of spool: %w", err)
	}
	if seg.size = info.Size(); seg.size < segmentHeader { // killed while it was made
		s.segments = s.segments[:len(s.segments)-1]
		return s.discard(seg)
	}
	var head [segmentHeader]byte
	if _, err := file.ReadAt(head[:], 0); err != nil {
		return fmt.Errorf("read segment of spool: %w", err)
	}
	if seg.salt, err = parseSegmentHeader(head[:]); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	s.bytes += seg.size
	return nil
}

func (s *Spool) discard(seg *segment) error {
	if err := errors.Join(seg.file.Close(), os.Remove(seg.path)); err != nil {
		return fmt.Errorf("remove empty segment of spool: %w", err)
	}
	return nil
}

// recoverEnd finds the end of the last segment, cuts off what is torn there,
// and lets Append go on behind it.
func (s *Spool) recoverEnd() error {
	seg := s.segments[len(s.segments)-1]
	s.next = seg.first
	end := int64(segmentHeader)
	for off := end; off < seg.size; {
		f, at, err := findFrame(seg.file, seg.salt, off, seg.size)
		if err != nil {
			return fmt.Errorf("read segment of spool: %w", err)
		}
		if at == seg.size {
			s.lose(Torn, 1) // how many there were is not known
			break
		}
		if f.first < s.next || f.end() > lastNumber { // as the reader sees it
			off = at + 1
			continue
		}
		if at+f.size() > seg.size {
			s.lose(Torn, f.end()-s.next)
			break
		}
		s.next = f.end()
		off = at + f.size()
		end = off
	}
	s.bytes -= seg.size - end
	torn := end < seg.size
	seg.size = end
	if end == segmentHeader {
		s.segments = s.segments[:len(s.segments)-1]
		s.bytes -= end
		return s.discard(seg)
	}
	seg.sealed = torn && seg.file.Truncate(end) != nil
	return nil
}

// segmentNumber returns the number in the name of a segment.
func segmentNumber(e fs.DirEntry) (first uint64, ok bool) {
	digits, ok := strings.CutSuffix(e.Name(), segmentSuffix)
	if !ok || len(digits) != 16 || !e.Type().IsRegular() || digits != strings.ToLower(digits) {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 16, 64)
	return first, err == nil && first > 0 && first <= lastNumber
}

func segmentName(first uint64) string { return fmt.Sprintf("%016x"+segmentSuffix, first) }

// Foreign returns the names of the files in the directory that are not the
// spool's. It never touches them.
func (s *Spool) Foreign() ([]string, error) {
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("read directory of spool: %w", err)
	}
	var names []string
	for _, e := range entries {
		if _, ours := segmentNumber(e); !ours && !slices.Contains([]string{cursorName, cursorTmp}, e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
