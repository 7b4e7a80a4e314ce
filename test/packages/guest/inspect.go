package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// checkPrivileges compares each thread of the process with what unit and
// documentation promise.
func checkPrivileges(pid int) error {
	u, err := user.Lookup("fanlight")
	if err != nil {
		return err
	}
	const held = 1<<unix.CAP_BPF | 1<<unix.CAP_NET_ADMIN
	const named = held | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_PERFMON
	want := map[string]string{
		"CapInh": mask(0), "CapPrm": mask(held), "CapEff": mask(held), "CapBnd": mask(named), "CapAmb": mask(0),
		"NoNewPrivs": "1", "Seccomp": "2",
		"Uid": strings.Join([]string{u.Uid, u.Uid, u.Uid, u.Uid}, "\t"),
		"Gid": strings.Join([]string{u.Gid, u.Gid, u.Gid, u.Gid}, "\t"),
	}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) == 0 {
		return fmt.Errorf("process %d has the threads %v, %v", pid, threads, err)
	}
	for _, path := range threads {
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // ended meanwhile
		}
		if err != nil {
			return err
		}
		seen := 0
		for line := range strings.Lines(string(raw)) {
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":\t")
			w, ok := want[key]
			if ok && value != w {
				return fmt.Errorf("%s: %s is %s, want %s", path, key, value, w)
			}
			if ok {
				seen++
			}
		}
		if seen != len(want) {
			return fmt.Errorf("%s has %d of %d keys", path, seen, len(want))
		}
	}
	return checkNamed(named)
}

func mask(set uint64) string { return fmt.Sprintf("%016x", set) }

// checkNamed reads from the unit what it names.
func checkNamed(named uint64) error {
	for _, p := range []string{"CapabilityBoundingSet", "AmbientCapabilities"} {
		text, err := property(p)
		if err != nil {
			return err
		}
		var set uint64
		for _, name := range strings.Fields(text) {
			bit, ok := map[string]int{
				"cap_bpf": unix.CAP_BPF, "cap_net_admin": unix.CAP_NET_ADMIN, "cap_net_raw": unix.CAP_NET_RAW, "cap_perfmon": unix.CAP_PERFMON,
			}[name]
			if !ok {
				return fmt.Errorf("%s names %s", p, name)
			}
			set |= 1 << bit
		}
		if set != named {
			return fmt.Errorf("%s is %s", p, text)
		}
	}
	return nil
}

// checkSight looks at what the process can reach: of the BPF file system its own
// directory, and no file that it could write but its own.
func checkSight(pid int) error {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		return err
	}
	defer f.Close()
	var bpf, writable []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		at, options := fields[4], strings.Split(fields[5], ",")
		kind := fields[slices.Index(fields, "-")+1]
		if kind == "bpf" {
			bpf = append(bpf, at)
		}
		if slices.Contains(options, "rw") {
			writable = append(writable, at)
		}
	}
	if !slices.Contains(bpf, "/sys/fs/bpf/fanlight") {
		return fmt.Errorf("mounts of the BPF file system: %v", bpf)
	}
	for _, at := range []string{"/", "/etc", "/usr", "/boot"} {
		if slices.Contains(writable, at) {
			return fmt.Errorf("%s is mounted writable", at)
		}
	}
	entries, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "root/sys/fs/bpf"))
	if err != nil || len(entries) != 1 {
		return fmt.Errorf("the service sees %v in /sys/fs/bpf, %v", entries, err)
	}
	return nil
}

// volatile is what the package manager and the machine write by themselves, and
// backups of the users' table: the user fanlight stays, so that no later user
// gets its files.
var volatile = []string{"/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/opt", "/var/log/journal", "/var/cache", "/var/lib/systemd", "/var/lib/dpkg", "/var/lib/logrotate", "/var/log/dpkg.log", "/etc/passwd-", "/etc/shadow-", "/etc/group-", "/etc/gshadow-"}

// listFiles returns all paths but the volatile ones.
func listFiles() (map[string]bool, error) {
	all := map[string]bool{}
	err := filepath.WalkDir("/", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if slices.Contains(volatile, path) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		all[path] = true
		return nil
	})
	return all, err
}
