package bpf

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Errors of this package that callers may test for.
var (
	// ErrInUse: another agent runs on the same pins.
	ErrInUse = errors.New("another fanlight is using these pins; stop it first or give this one another bpffs directory")
	// ErrNotBPFFS: the pin directory is not in a BPF file system.
	ErrNotBPFFS = errors.New("not in a BPF file system; mount one with 'mount -t bpf bpf /sys/fs/bpf'")
	// ErrIncompatiblePins: the pins were made by a build with other layouts, or
	// for another network namespace.
	ErrIncompatiblePins = errors.New("incompatible pins; remove them with 'fanlight detach' and start again")
	// ErrTableFull: a table has no room for what was asked; nothing was changed.
	ErrTableFull = errors.New("table full")
	// ErrUnprivileged: the kernel refused for want of a capability.
	ErrUnprivileged = errors.New("not permitted: needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (or root)")
)

// explain turns the kernel's EPERM into what the operator lacks.
func explain(err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w: %w", ErrUnprivileged, unix.EPERM)
	}
	return err
}
