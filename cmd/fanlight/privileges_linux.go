package main

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kept are the capabilities that an agent goes on with: CAP_BPF to write tables,
// CAP_NET_ADMIN to attach to ports that appear later. Its sockets are open, its
// programs are loaded and its thread is in the ports' namespace by then.
var kept = []capability{capBPF, capNetAdmin}

// confine gives up all capabilities but those kept, for good and on every
// thread, and keeps other processes of the same user out of this one's memory.
// Returns ENOTSUP, and changes nothing, in a binary with cgo.
func confine() error {
	has, err := effective()
	if err != nil {
		return err
	}
	var set uint64
	for _, c := range kept {
		set |= 1 << c.bit & has
	}
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("refuse new privileges: %w", errno)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid memory dumps: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	sets := [2]unix.CapUserData{
		{Effective: uint32(set), Permitted: uint32(set)},
		{Effective: uint32(set >> 32), Permitted: uint32(set >> 32)},
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets)), 0)
	if errno != 0 {
		return fmt.Errorf("drop capabilities: %w", errno)
	}
	return nil
}
