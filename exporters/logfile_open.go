package exporters

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// openLog opens or makes the file for appending. A last line that a crash tore
// is cut off, so that each line stays a record.
func openLog(path string) (*os.File, error) {
	if err := checkParent(path); err != nil {
		return nil, err
	}
	// O_NONBLOCK so that a FIFO is refused below instead of blocking here.
	flags := os.O_RDWR | os.O_APPEND | os.O_CREATE | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	f, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("open log file %s: is a symbolic link: name the file itself", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open log file: %w", err)
	}
	if err := prepareLog(f); err != nil {
		return nil, errors.Join(fmt.Errorf("open log file %s: %w", path, err), f.Close())
	}
	return f, nil
}

func checkParent(path string) error {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open log file %s: directory %s is not there: make it first: %w", path, dir, fs.ErrNotExist)
	}
	if err != nil {
		return fmt.Errorf("open log file: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("open log file %s: %s is not a directory", path, dir)
	}
	return nil
}

func prepareLog(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if err := cutTornLine(f, info.Size()); err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if err := f.Chmod(0o600); err != nil {
		return fmt.Errorf("others may read it: %w", err)
	}
	return nil
}

// cutTornLine cuts off a last line without an end, if it is the beginning of a
// record: whatever else it is, it isn't ours to cut.
func cutTornLine(f *os.File, size int64) error {
	end, err := lastNewline(f, size)
	if err != nil || end == size {
		return err
	}
	start := make([]byte, min(size-end, 64))
	if _, err := f.ReadAt(start, end); err != nil {
		return err
	}
	if !beginsRecord(string(start)) {
		return errors.New("its last line is no record: move the file away")
	}
	return f.Truncate(end)
}

// beginsRecord reports whether a torn line may be the beginning of a record, in
// whatever format the file had before.
func beginsRecord(torn string) bool {
	for _, start := range lineStarts {
		n := min(len(start), len(torn))
		if start[:n] == torn[:n] {
			return true
		}
	}
	return false
}

// lastNewline returns the offset just behind the last newline.
func lastNewline(r io.ReaderAt, size int64) (int64, error) {
	var block [4096]byte
	for end := size; end > 0; {
		start := max(0, end-int64(len(block)))
		part := block[:end-start]
		if _, err := r.ReadAt(part, start); err != nil {
			return 0, err
		}
		for i := len(part) - 1; i >= 0; i-- {
			if part[i] == '\n' {
				return start + int64(i) + 1, nil
			}
		}
		end = start
	}
	return 0, nil
}
