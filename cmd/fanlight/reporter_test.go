package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/lab"
)

// untilReporter waits until the host has reported the group since the last query:
// before that Linux sends no leave of the old versions, and the same wish would
// show in one network and not in the other.
func (f *fabric) untilReporter(t *testing.T, host string, group netip.Addr) {
	t.Helper()
	for deadline := time.Now().Add(patience); !isReporter(t, f.Host(host), group); {
		if time.Now().After(deadline) {
			t.Fatalf("%s has not reported %s", host, group)
		}
		time.Sleep(5 * time.Millisecond) // between two looks
	}
}

// isReporter reads from /proc/net whether the host was the last one to report
// the group.
func isReporter(t *testing.T, h *lab.Host, group netip.Addr) (is bool) {
	t.Helper()
	file, name := "igmp", fmt.Sprintf("%08X", binary.NativeEndian.Uint32(group.AsSlice()[:4]))
	if group.Is6() {
		file, name = "igmp6", fmt.Sprintf("%x", group.As16())
	}
	var b []byte
	err := h.Namespace().Do(func() (err error) {
		b, err = os.ReadFile("/proc/thread-self/net/" + file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		switch fields := strings.Fields(line); {
		case len(fields) == 4 && fields[0] == name: // group, users, timer, reporter
			is = fields[3] == "1"
		case len(fields) == 6 && fields[2] == name: // index, device, group, users, flags, timer
			const lastReporter = 0x02
			flags, err := strconv.ParseUint(fields[4], 16, 32)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			is = flags&lastReporter != 0
		}
	}
	return is
}
