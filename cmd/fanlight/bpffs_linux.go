package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// bpffsRoot is where the BPF file system belongs.
const bpffsRoot = "/sys/fs/bpf"

func isBPFFS(path string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(path, &fs) == nil && int64(fs.Type) == unix.BPF_FS_MAGIC
}

// mountBPFFS mounts the BPF file system if it is not there. The function that
// it returns takes the mount away again unless somebody has begun to use it; it
// is nil if nothing was mounted.
func mountBPFFS() (undo func() error, err error) {
	if isBPFFS(bpffsRoot) {
		return nil, nil
	}
	if err := unix.Mount("bpf", bpffsRoot, "bpf", 0, "mode=0700"); err != nil {
		return nil, fmt.Errorf("mount a BPF file system on %s: %w", bpffsRoot, err)
	}
	return func() error {
		entries, err := os.ReadDir(bpffsRoot)
		if err != nil {
			return fmt.Errorf("list %s: %w", bpffsRoot, err)
		}
		for _, e := range entries {
			if e.IsDir() { // the kernel's own iterators are files
				return nil
			}
		}
		if err := unix.Unmount(bpffsRoot, 0); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("unmount %s: %w", bpffsRoot, err)
		}
		return nil
	}, nil
}
