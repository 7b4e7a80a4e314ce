package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// namespaceDir is where iproute2 keeps named namespaces.
const namespaceDir = "/run/netns"

// inNamespace runs fn on a thread of its own inside the question's namespace.
// The thread ends with it, so no other goroutine finds itself there.
func inNamespace(q Question, fn func() error) error {
	path, err := namespacePath(q)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked
		if path != "" {
			if err := enter(path); err != nil {
				done <- err
				return
			}
		}
		done <- fn()
	}()
	return <-done
}

// namespacePath is empty for the caller's own namespace.
func namespacePath(q Question) (string, error) {
	switch {
	case strings.Contains(q.Netns, "/"):
		return q.Netns, nil
	case q.Netns != "":
		return filepath.Join(namespaceDir, q.Netns), nil
	case q.PID == 0:
		return "", nil
	}
	path := filepath.Join("/proc", strconv.Itoa(q.PID), "ns/net")
	theirs, err := os.Readlink(path)
	if os.IsNotExist(err) {
		return "", fmt.Errorf("%w: there is no process %d", ErrQuestion, q.PID)
	}
	if err != nil {
		return "", fmt.Errorf("%w of process %d: %w", ErrNamespace, q.PID, err)
	}
	if ours, err := os.Readlink("/proc/thread-self/ns/net"); err == nil && ours == theirs {
		return "", nil // needs no rights
	}
	return path, nil
}

func enter(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%w %s: %w", ErrNamespace, path, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("%w %s: %w", ErrNamespace, path, err)
	}
	return nil
}

// commandPrefix begins a command that must run inside the namespace.
func commandPrefix(q Question) string {
	path, err := namespacePath(q)
	switch {
	case err != nil || path == "":
		return ""
	case filepath.Dir(path) == namespaceDir:
		return "ip netns exec " + filepath.Base(path) + " "
	}
	return "nsenter --net=" + path + " "
}
