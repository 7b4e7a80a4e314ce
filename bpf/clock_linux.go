package bpf

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now returns CLOCK_MONOTONIC, the clock of all kernel times here.
func Now() time.Duration {
	var ts unix.Timespec
	// Can't fail: the clock exists on every Linux.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return time.Duration(ts.Nano())
}

// monotonicEpoch returns the wall-clock time at which CLOCK_MONOTONIC was zero,
// as of now: it moves when the wall clock is set.
func monotonicEpoch() time.Time {
	return time.Now().Round(0).Add(-Now())
}
