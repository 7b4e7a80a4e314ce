// Command init is the first and only process of a guest: it runs the tests of
// the kernel programs and fanlight's demo, says what came of it in one last
// line, and powers off.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	passed, skipped, err := run()
	result := "ok"
	if err != nil {
		result = "failed: " + strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	fmt.Printf("\nguest: kernel %s, %d tests passed, %d skipped, %s\n", release(), passed, skipped, result)
	unix.Sync()
	// Returning would panic the kernel, which ends the guest as well.
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func run() (passed, skipped int, err error) {
	for _, m := range []struct{ kind, at string }{
		{"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"}, {"bpf", "/sys/fs/bpf"}, {"tmpfs", "/tmp"}, {"tmpfs", "/run"},
	} {
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return 0, 0, fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	// Only the guest's own namespace shows a BPF file system that tests may use.
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return 0, 0, fmt.Errorf("make mounts private: %w", err)
	}
	if err := loadModules(); err != nil {
		return 0, 0, err
	}
	passed, skipped, err = runTests(os.Args[1:])
	if len(os.Args) > 1 {
		return passed, skipped, err // somebody looks at a few tests
	}
	return passed, skipped, errors.Join(err, runDemo())
}

func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

func loadModules() error {
	files, err := filepath.Glob("/modules/*.ko") // in order
	if err != nil {
		return err
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load %s: %w", file, err)
		}
	}
	return nil
}

// realTime are the tests of queues that must drain slower than a test runs:
// under emulation the clock is faster than the processor.
const realTime = "^(TestFullQdisc|TestLateLoss)$"

// runTests runs the test binary and counts its tests, without their subtests.
// The kernel hands it what stands behind "--" in its command line.
func runTests(args []string) (passed, skipped int, err error) {
	cmd := exec.Command("/bpf.test", append([]string{"-test.v", "-test.short", "-test.timeout=20m", "-test.skip=" + realTime}, args...)...)
	cmd.Dir = "/bpf"
	cmd.Env = []string{"REQUIRE_BPF=1", "PATH=/", "HOME=/root"}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "--- PASS"):
			passed++
		case strings.HasPrefix(line, "--- SKIP"):
			skipped++
		}
		if !strings.HasPrefix(strings.TrimSpace(line), "=== ") {
			fmt.Println(line)
		}
	}
	if _, err := io.Copy(os.Stdout, out); err != nil {
		return passed, skipped, err
	}
	if err := cmd.Wait(); err != nil {
		return passed, skipped, fmt.Errorf("tests: %w", err)
	}
	if passed == 0 {
		return 0, skipped, errors.New("tests: none passed")
	}
	return passed, skipped, nil
}

// runDemo forwards to real subscribers: it fails if its sums don't close.
func runDemo() error {
	cmd := exec.Command("/fanlight", "demo", "--for", "5s")
	cmd.Dir = "/tmp"
	cmd.Env = []string{"PATH=/", "HOME=/root"}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}
