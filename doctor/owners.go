package doctor

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// descriptor is a file descriptor of a process.
type descriptor struct {
	pid, fd int
}

// findDescriptors looks through the processes that may be looked at for those
// that hold sockets, and returns one descriptor for each. Several processes may
// hold the same one; that of pid is preferred.
func findDescriptors(inodes map[uint32]bool, pid int) (found map[uint32]descriptor, err error) {
	found = map[uint32]descriptor{}
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, p := range processes {
		id, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		dir := filepath.Join("/proc", p.Name(), "fd")
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // gone, or another user's
		}
		for _, e := range entries {
			inode, ok := socketInode(filepath.Join(dir, e.Name()))
			if !ok || !inodes[inode] {
				continue
			}
			if _, has := found[inode]; has && id != pid {
				continue
			}
			if fd, err := strconv.Atoi(e.Name()); err == nil {
				found[inode] = descriptor{id, fd}
			}
		}
	}
	return found, nil
}

// socketInode reads a link such as "socket:[4026]".
func socketInode(path string) (uint32, bool) {
	target, err := os.Readlink(path)
	if err != nil {
		return 0, false
	}
	text, ok := strings.CutPrefix(target, "socket:[")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 32)
	return uint32(n), err == nil
}

// ownerOf names a process; a field that can't be read stays empty.
func ownerOf(pid int) Owner {
	o := Owner{PID: pid}
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	name, _ := os.ReadFile(filepath.Join(dir, "comm"))
	o.Name = strings.TrimSpace(string(name))
	stat, _ := os.ReadFile(filepath.Join(dir, "stat"))
	if _, rest, ok := strings.Cut(string(stat), ") "); ok {
		o.Stopped = strings.HasPrefix(rest, "T") || strings.HasPrefix(rest, "t")
	}
	return o
}

// optionsOf reads the options of a socket of another process. It takes a copy of
// the descriptor, which disturbs nobody.
func optionsOf(d descriptor, group netip.Addr, index int, all []Membership) (*Options, error) {
	process, err := unix.PidfdOpen(d.pid, 0)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", d.pid, err)
	}
	defer unix.Close(process)
	fd, err := unix.PidfdGetfd(process, d.fd, 0)
	if err != nil {
		return nil, fmt.Errorf("copy a descriptor of process %d: %w", d.pid, err)
	}
	defer unix.Close(fd)
	return readOptions(fd, group, index, all), nil
}

// describe fills in who holds the sockets, and what they joined.
func (s *Snapshot) describe() {
	inodes := map[uint32]bool{}
	for _, k := range s.Sockets {
		inodes[k.Inode] = true
	}
	found, err := findDescriptors(inodes, s.Question.PID)
	if err != nil {
		s.uncheck(FacilityOwners, err)
		return
	}
	memberships := s.askable()
	for i := range s.Sockets {
		k := &s.Sockets[i]
		d, ok := found[k.Inode]
		if !ok {
			continue
		}
		k.Owner = ownerOf(d.pid)
		if k.Options, err = optionsOf(d, s.Question.Group, s.Link.Index, memberships); err != nil {
			s.uncheck(FacilityOptions, err)
		}
	}
	if hidden := len(inodes) - len(found); hidden > 0 && os.Geteuid() != 0 {
		err := fmt.Errorf("%d sockets belong to others: run as root", hidden)
		s.uncheck(FacilityOwners, err)
		s.uncheck(FacilityOptions, err)
	}
}

// maxOptions bounds the memberships that sockets are asked for, one by one. Each
// takes about a microsecond.
const maxOptions = 1_000_000

// askable are the memberships that each socket is asked for: all, from which its
// own are counted, or those of the group alone if that were too many.
func (s *Snapshot) askable() []Membership {
	if len(s.Sockets)*len(s.Memberships) <= maxOptions {
		return s.Memberships
	}
	var list []Membership
	for _, m := range s.Memberships {
		if m.Group == s.Question.Group {
			list = append(list, m)
		}
	}
	return list
}
