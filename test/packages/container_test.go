package packages_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// givenCapabilities are those of docs/install.md and of the chart.
var givenCapabilities = []int{unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_PERFMON}

func given() (set uint64) {
	for _, c := range givenCapabilities {
		set |= 1 << c
	}
	return set
}

// container is what a runtime gives to a process: a root, mounts, a network
// namespace, and few capabilities.
type container struct{ root, etc, netns string }

// start starts the command inside. It does so on a thread that is not used for
// anything else, because that thread goes in itself.
func (c container) start(cmd *exec.Cmd) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if err := c.enter(); err != nil {
			done <- err
			return
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: c.root}
		cmd.Dir = "/"
		done <- cmd.Start()
	}()
	return <-done
}

func (c container) enter() error {
	netns, err := os.Open(c.netns)
	if err != nil {
		return err
	}
	defer netns.Close()
	if err := unix.Setns(int(netns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	if err := errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, "")); err != nil {
		return fmt.Errorf("leave mount namespace: %w", err)
	}
	if err := c.mount(); err != nil {
		return err
	}
	for cap := range unix.CAP_LAST_CAP + 1 {
		if given()&(1<<cap) != 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(cap), 0, 0, 0); err != nil {
			return fmt.Errorf("drop capability %d: %w", cap, err)
		}
	}
	return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}

func (c container) mount() error {
	if err := unix.Mount(c.root, c.root, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount root: %w", err)
	}
	for _, m := range []struct {
		from, at, kind string
		flags          uintptr
	}{
		{"/proc", "proc", "", unix.MS_BIND | unix.MS_REC},
		{"/sys", "sys", "", unix.MS_BIND | unix.MS_REC},
		{c.etc, "etc/fanlight", "", unix.MS_BIND},
		{"tmpfs", "run/fanlight", "tmpfs", 0},
	} {
		at := filepath.Join(c.root, m.at)
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.from, at, m.kind, m.flags, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	return unix.Mount("", c.root, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
}
