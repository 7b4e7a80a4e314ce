package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// pinDir is the directory in a BPF file system where a datapath outlives its
// agent: maps/NAME, links/NAME. One agent at a time holds its lock.
type pinDir struct {
	path  string
	lock  *os.File
	fresh bool // nothing was pinned when it was opened
}

// openPinDir makes the directory if need be and takes its lock.
// Returns ErrInUse if another agent holds it, ErrNotBPFFS if it is on another
// kind of file system.
func openPinDir(path string) (*pinDir, error) {
	if err := CheckDir(path); err != nil {
		return nil, err
	}
	for _, sub := range []string{"", "maps", "links"} {
		if err := os.MkdirAll(filepath.Join(path, sub), 0o700); err != nil {
			return nil, fmt.Errorf("make pin directory: %w", err)
		}
	}
	lock, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open pin directory: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", path, ErrInUse)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	pinned, err := os.ReadDir(filepath.Join(path, "maps"))
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("list pins: %w", err)
	}
	return &pinDir{path: path, lock: lock, fresh: len(pinned) == 0}, nil
}

// CheckDir returns ErrNotBPFFS if pins can't be made in the directory. It looks at
// the nearest one that exists: in another file system it could not even be made.
func CheckDir(path string) error {
	var fs unix.Statfs_t
	at := filepath.Clean(path)
	err := unix.Statfs(at, &fs)
	for errors.Is(err, unix.ENOENT) && at != filepath.Dir(at) {
		at = filepath.Dir(at)
		err = unix.Statfs(at, &fs)
	}
	if err != nil {
		return fmt.Errorf("stat %s: %w", at, err)
	}
	if int64(fs.Type) != unix.BPF_FS_MAGIC {
		return fmt.Errorf("%s: %w", path, ErrNotBPFFS)
	}
	return nil
}

func (p *pinDir) mapPath(name string) string  { return filepath.Join(p.path, "maps", name) }
func (p *pinDir) linkPath(name string) string { return filepath.Join(p.path, "links", name) }

// Close gives up the lock; the pins stay.
func (p *pinDir) Close() error { return p.lock.Close() }

// removeLink ends a pinned link; one that is not there is no error. Without the
// pin alone the kernel would end it some time later.
func (p *pinDir) removeLink(name string) error {
	path := p.linkPath(name)
	if l, err := link.LoadPinnedLink(path, nil); err == nil {
		// Refused where the interface is gone, and by tracing links.
		_ = l.Detach()
		l.Close()
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("unpin link %s: %w", name, err)
	}
	return nil
}

// remove deletes every pin and the directory itself.
func (p *pinDir) remove() error {
	return os.RemoveAll(p.path)
}

// loadMap opens the pinned map or, if there is none, makes and pins it.
func (p *pinDir) loadMap(spec *ebpf.MapSpec) (m *ebpf.Map, adopted bool, err error) {
	path := p.mapPath(spec.Name)
	m, err = ebpf.LoadPinnedMap(path, nil)
	if err == nil {
		if err := compatible(m, spec); err != nil {
			m.Close()
			return nil, false, fmt.Errorf("adopt %s: %w", path, err)
		}
		return m, true, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, false, fmt.Errorf("open %s: %w", path, err)
	}
	m, err = ebpf.NewMap(spec)
	if err != nil {
		return nil, false, fmt.Errorf("make map %s: %w", spec.Name, explain(err))
	}
	if err := m.Pin(path); err != nil {
		m.Close()
		return nil, false, fmt.Errorf("pin map %s: %w", spec.Name, err)
	}
	return m, false, nil
}

// compatible checks everything but the size, which a pinned map keeps.
func compatible(m *ebpf.Map, spec *ebpf.MapSpec) error {
	if m.Type() != spec.Type || m.KeySize() != spec.KeySize || m.ValueSize() != spec.ValueSize {
		return fmt.Errorf("%w: %s is a %v with keys of %d and values of %d bytes",
			ErrIncompatiblePins, spec.Name, m.Type(), m.KeySize(), m.ValueSize())
	}
	return nil
}
