package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ownerDir holds one journal per network. The owner keeps it locked; the kernel
// drops the lock when the owner dies, however it dies, and a process id that is
// given out again can't fool it.
const ownerDir = "/run/fanlight/lab"

// owner is the claim of this process on a network name. Its file tells which
// namespaces the network holds: "+NAME" before one is made, "-NAME" after it is
// removed. So a cleaner removes what the dead made, and nothing else.
type owner struct {
	file *os.File
}

// claim takes the name, and removes what a dead owner left under it.
func claim(name string) (*owner, error) {
	if err := os.MkdirAll(ownerDir, 0o700); err != nil {
		return nil, fmt.Errorf("claim name: %w", err)
	}
	file, err := lockJournal(name, os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("claim name: %w", err)
	}
	o := &owner{file: file}
	if _, err := removeJournaled(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if err := file.Truncate(0); err != nil {
		return nil, errors.Join(fmt.Errorf("claim name: %w", err), file.Close())
	}
	if err := o.write(fmt.Sprintf("pid %d", os.Getpid())); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return o, nil
}

// adds records a namespace that is about to be made.
func (o *owner) adds(namespace string) error { return o.write("+" + namespace) }

// removed records that a namespace is gone.
func (o *owner) removed(namespace string) error { return o.write("-" + namespace) }

func (o *owner) write(line string) error {
	if _, err := o.file.WriteString(line + "\n"); err != nil {
		return fmt.Errorf("record %q: %w", line, err)
	}
	return nil
}

// release gives the name up. The file goes first: once unlocked, it may be
// another's.
func (o *owner) release() error {
	return errors.Join(os.Remove(o.file.Name()), o.file.Close())
}

// CleanStale removes the namespaces of those networks whose names start with
// prefix and whose owners are dead, and returns the names of the namespaces.
// It never touches a network of a living process.
func CleanStale(prefix string) (removed []string, err error) {
	entries, err := os.ReadDir(ownerDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list lab networks: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		names, err := cleanStale(e.Name())
		removed = append(removed, names...)
		if err != nil {
			errs = append(errs, fmt.Errorf("clean network %s: %w", e.Name(), err))
		}
	}
	return removed, errors.Join(errs...)
}

func cleanStale(network string) ([]string, error) {
	file, err := lockJournal(network, 0)
	if errors.Is(err, ErrInUse) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	removed, err := removeJournaled(file)
	if err != nil {
		return removed, err
	}
	return removed, os.Remove(file.Name())
}

// lockJournal opens and locks the journal of a network. Returns ErrInUse if
// another holds the lock, fs.ErrNotExist if there is none and flag lacks O_CREATE.
func lockJournal(network string, flag int) (*os.File, error) {
	path := filepath.Join(ownerDir, network)
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|flag, 0o600)
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(ErrInUse, file.Close())
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
		}
		// Between open and lock the last owner may have removed the file.
		if isStillAt(file, path) {
			return file, nil
		}
		if err := file.Close(); err != nil {
			return nil, err
		}
	}
}

func isStillAt(file *os.File, path string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(opened, named)
}

// removeJournaled removes the namespaces that the journal calls alive.
func removeJournaled(file *os.File) (removed []string, err error) {
	names, err := aliveIn(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file.Name(), err)
	}
	var errs []error
	for _, name := range names {
		_, statErr := os.Lstat(filepath.Join(namespaceDir, name))
		if errors.Is(statErr, fs.ErrNotExist) {
			continue
		}
		if err := removeNamespaceFile(name); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, name)
	}
	return removed, errors.Join(errs...)
}

// aliveIn returns the names with a "+" that no later "-" takes back.
func aliveIn(journal io.ReadSeeker) ([]string, error) {
	if _, err := journal.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	var names []string
	alive := make(map[string]bool)
	lines := bufio.NewScanner(journal)
	for lines.Scan() {
		line := lines.Text()
		if len(line) < 2 || !validName.MatchString(line[1:]) {
			continue // "pid N", or a last line that was cut short
		}
		name := line[1:]
		switch line[0] {
		case '+':
			if !alive[name] {
				names = append(names, name)
			}
			alive[name] = true
		case '-':
			alive[name] = false
		}
	}
	out := names[:0]
	for _, name := range names {
		if alive[name] {
			alive[name] = false // once, even if it was added twice
			out = append(out, name)
		}
	}
	return out, lines.Err()
}
