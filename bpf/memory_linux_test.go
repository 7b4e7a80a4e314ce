package bpf

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// TestMemoryIsAsTheReadmeSays: the kernel charges for the maps at their default
// sizes what the README promises, and the blocks of port lists are as many.
func TestMemoryIsAsTheReadmeSays(t *testing.T) {
	if major, minor := kernelVersion(t); major < 6 || major == 6 && minor < 4 {
		t.Skip("before 6.4 the kernel tells what maps would take if they were full")
	}
	r := newRig(t, 1, func(o *Options) { o.Settings = DefaultSettings() })
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(b)
	said := regexp.MustCompile(`All in all (\d+) MiB, and (\d+\.\d) MiB more per CPU`).FindStringSubmatch(readme)
	if said == nil {
		t.Fatal("the README does not say what all tables take")
	}
	fixed, err := strconv.ParseFloat(said[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	perCPU, err := strconv.ParseFloat(said[2], 64)
	if err != nil {
		t.Fatal(err)
	}
	var total uint64
	for _, m := range r.d.maps {
		total += charged(t, m)
	}
	for _, ring := range r.d.rings {
		total += charged(t, ring)
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		t.Fatal(err)
	}
	want := fixed + perCPU*float64(cpus)
	if got := float64(total) / (1 << 20); got < want*0.9 || got > want*1.1 {
		t.Errorf("the tables take %.2f MiB with %d CPUs, the README says %.2f", got, cpus, want)
	}
	blocks := r.d.maps["chunks"].MaxEntries() - 1 // the first is never used
	if said := fmt.Sprintf("%d,%03d blocks", blocks/1000, blocks%1000); !strings.Contains(readme, said) {
		t.Errorf("the README does not say that port lists have %s", said)
	}
}

func kernelVersion(t *testing.T) (major, minor int) {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	release := unix.ByteSliceToString(u.Release[:])
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		t.Fatalf("kernel release %q: %v", release, err)
	}
	return major, minor
}

// charged is what the kernel says that a map takes.
func charged(t *testing.T, m *ebpf.Map) uint64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", m.FD()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "memlock:"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(v), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("the kernel does not say what the map takes")
	return 0
}
