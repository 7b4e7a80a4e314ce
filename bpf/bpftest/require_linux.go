// Package bpftest helps to test kernel programs: it says whether tests may use
// the kernel at all, makes network namespaces with veth pairs in them, builds
// frames, and sends and captures them.
package bpftest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

const bpffs = "/sys/fs/bpf"

// Require skips the test without the rights or the kernel for BPF. With
// REQUIRE_BPF=1 it fails then, so that a test run can't be empty by mistake.
func Require(t testing.TB) {
	t.Helper()
	err := probe()
	if err == nil {
		return
	}
	if os.Getenv("REQUIRE_BPF") == "1" {
		t.Fatalf("BPF is required: %v", err)
	}
	t.Skipf("no BPF: %v", err)
}

// probe loads the smallest program.
func probe() error {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type:         ebpf.SchedCLS,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
		License:      "GPL",
	})
	if err != nil {
		return err
	}
	return prog.Close()
}

// PinDir returns a new directory in a BPF file system, which is mounted if need
// be. What is in it goes with the test.
func PinDir(t testing.TB) string {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(bpffs, &fs); err != nil || fs.Type != unix.BPF_FS_MAGIC {
		if err := unix.Mount("bpf", bpffs, "bpf", 0, ""); err != nil {
			t.Fatalf("mount BPF file system: %v", err)
		}
	}
	dir, err := os.MkdirTemp(bpffs, "fanlight-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove pins: %v", err)
		}
	})
	return filepath.Join(dir, "pins")
}
