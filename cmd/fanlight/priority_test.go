package main

import (
	"errors"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// goFirst lets the test's threads go before everything else on the machine, so
// that a latency is ours and not that of other work. Threads that start later
// inherit it.
func goFirst(t testing.TB) {
	t.Helper()
	setPolicy(t, unix.SCHED_RR, 1)
	t.Cleanup(func() { setPolicy(t, unix.SCHED_NORMAL, 0) })
}

func setPolicy(t testing.TB, policy, priority uint32) {
	t.Helper()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			t.Fatal(err)
		}
		attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy, Priority: priority}
		err = unix.SchedSetAttr(id, &attr, 0)
		if errors.Is(err, unix.EPERM) {
			t.Logf("the machine keeps its order of work: %v", err)
			return
		}
		if err != nil && !errors.Is(err, unix.ESRCH) {
			t.Fatalf("set scheduling policy: %v", err)
		}
	}
}
