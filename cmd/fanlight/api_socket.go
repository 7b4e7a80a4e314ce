package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// listenSocket makes the socket with mode 0600, or 0660 for a group. What a dead
// agent left is removed; a living one is an error.
func (c apiConfig) listenSocket() (net.Listener, error) {
	path := c.path()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := removeDeadSocket(path); err != nil {
		return nil, err
	}
	old := syscall.Umask(0o177) // no moment in which others may connect
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil || c.Group == "" {
		return l, err
	}
	if err := c.shareWithGroup(path); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (c apiConfig) shareWithGroup(path string) error {
	g, err := user.LookupGroup(c.Group)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return err
	}
	return errors.Join(os.Chown(path, -1, gid), os.Chmod(path, 0o660))
}

// errSocketInUse: somebody answers on the socket.
var errSocketInUse = errors.New("another agent answers")

// removeDeadSockets removes the sockets that fit the pattern and that nobody
// answers on, and returns their paths.
func removeDeadSockets(pattern string) (removed []string, err error) {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, path := range paths {
		switch err := removeDeadSocket(path); {
		case err == nil:
			removed = append(removed, path)
		case !errors.Is(err, errSocketInUse):
			errs = append(errs, err)
		}
	}
	return removed, errors.Join(errs...)
}

func removeDeadSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is no socket", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return fmt.Errorf("%w at %s: give this one another api.socket", errSocketInUse, path)
	}
	return os.Remove(path)
}
