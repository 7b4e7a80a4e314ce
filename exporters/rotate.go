package exporters

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// rotatedTime is the part of a rotated file's name that sorts by time:
// events.jsonl becomes events.jsonl.20261122T213405.123456789Z.
const rotatedTime = "20060102T150405.000000000Z"

var rotatedName = regexp.MustCompile(`^\.[0-9]{8}T[0-9]{6}\.[0-9]{9}Z(\.gz|\.zst)?(\.tmp)?$`)

// isDue reports whether the file must make room before so many bytes more.
func (l *logFile) isDue(size int64, more int) bool {
	if size == 0 {
		return false
	}
	return l.rotate.MaxSize > 0 && size+int64(more) > int64(l.rotate.MaxSize) ||
		l.rotate.MaxAge > 0 && l.now().Sub(l.begun) >= l.rotate.MaxAge
}

// turnOver gives the file its rotated name and begins a new one. If the rename
// fails the old one stays in use, which is counted; if there is no new file, it
// returns an error and the next Export tries to make one.
func (l *logFile) turnOver() error {
	if !l.isOurs() {
		return l.reopen() // somebody else rotated
	}
	if !l.rotate.Sync.never() {
		if err := l.file.Sync(); err != nil {
			return fmt.Errorf("sync log file: %w", err)
		}
	}
	if err := renameToTime(l.path, l.now()); err != nil {
		l.counts.rotateFailed.Add(1)
		return nil
	}
	l.counts.rotated.Add(1)
	old := l.file
	l.file, l.torn = nil, false
	err := errors.Join(old.Close(), l.reopen())
	if !l.rotate.Sync.never() {
		err = errors.Join(err, syncDir(l.path))
	}
	l.keeper.wake()
	return err
}

// isOurs reports whether the path still names the open file.
func (l *logFile) isOurs() bool {
	at, err := os.Lstat(l.path)
	if err != nil {
		return false
	}
	open, err := l.file.Stat()
	return err == nil && os.SameFile(at, open)
}

// renameToTime gives path a name by time that nothing has yet.
func renameToTime(path string, at time.Time) error {
	for {
		err := renameNew(path, path+"."+at.UTC().Format(rotatedTime))
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		at = at.Add(1)
	}
}

// renameNew renames without ever replacing a file.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOSYS) {
		return err
	}
	if err := os.Link(from, to); err != nil { // a file system without that flag
		return err
	}
	return os.Remove(from)
}

// begunAt is when a file was made, as far as the file system knows.
func begunAt(f *os.File, info fs.FileInfo) time.Time {
	var st unix.Statx_t
	err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &st)
	if err != nil || st.Mask&unix.STATX_BTIME == 0 {
		return info.ModTime()
	}
	return time.Unix(st.Btime.Sec, int64(st.Btime.Nsec))
}

// rotatedFiles returns the rotated files of path, oldest first.
func rotatedFiles(path string) (files []string, err error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	for _, e := range entries { // ReadDir sorts by name, and so by time
		rest, ours := strings.CutPrefix(e.Name(), filepath.Base(path))
		if ours && e.Type().IsRegular() && rotatedName.MatchString(rest) {
			files = append(files, filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
	return files, nil
}

func syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}
