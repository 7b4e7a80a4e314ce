package main

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

// addr is netip.MustParseAddr under a name that fits tables.
func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// patience bounds every wait for a condition.
const patience = 20 * time.Second

// newNet makes a network of plain hosts.
func newNet(t testing.TB, names ...string) *lab.Net {
	t.Helper()
	return labtest.New(t, labtest.Hosts(names...)...)
}

// listen joins as cfg says until the test ends.
func listen(t testing.TB, h *lab.Host, cfg lab.ListenConfig) *lab.Receiver {
	t.Helper()
	if cfg.Port == 0 {
		cfg.Port = 5000
	}
	r, err := h.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil && !errors.Is(err, lab.ErrClosed) {
			t.Error(err)
		}
	})
	return r
}

// send sends the stream and returns how many datagrams that were.
func send(t testing.TB, h *lab.Host, cfg lab.SendConfig) uint64 {
	t.Helper()
	if cfg.Port == 0 {
		cfg.Port = 5000
	}
	sent, err := h.Send(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return sent
}

// wantAll fails unless the receiver gets exactly n datagrams, each of them once
// and intact.
func wantAll(t testing.TB, who string, r *lab.Receiver, n uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := r.Wait(ctx, n)
	report := r.Report()
	got := report.Total()
	if err != nil || report.Datagrams != n || got.Distinct != n || got.Duplicated+got.Missing+report.Corrupt+report.Dropped != 0 {
		t.Errorf("%s got %d datagrams, want %d: %+v, %d corrupt, %d dropped by the socket (%v)",
			who, report.Datagrams, n, got, report.Corrupt, report.Dropped, err)
	}
}

// quiet waits until nothing is under way, so that counts are final.
func quiet(t testing.TB, n *lab.Net) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := n.WaitQuiet(ctx, 60*time.Millisecond); err != nil {
		t.Fatal(err)
	}
}

// watchGroup counts the frames to the group that reach the host's device,
// joined or not.
func watchGroup(t testing.TB, h *lab.Host, group netip.Addr) *lab.FrameCounter {
	t.Helper()
	to := frame.GroupMAC(group)
	f, err := h.CountFrames("", func(b []byte) bool { return len(b) >= 6 && [6]byte(b[:6]) == to })
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// rawSender opens a raw connection of the host until the test ends.
func rawSender(t testing.TB, h *lab.Host) *lab.RawConn {
	t.Helper()
	c, err := h.Raw("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// sendFrames sends all frames.
func sendFrames(t testing.TB, c *lab.RawConn, frames ...[]byte) {
	t.Helper()
	for len(frames) > 0 {
		n, err := c.WriteBatch(frames)
		if err != nil {
			t.Fatal(err)
		}
		frames = frames[n:]
	}
}

// joined waits until the group has n members on the metrics page.
func (a *agent) joined(group netip.Addr, n int) {
	a.t.Helper()
	a.waitMembers(group.String(), n)
}

// noSources starts lists of addresses.
var noSources []netip.Addr

// waitEvent waits until an event line holds all the words.
func (a *agent) waitEvent(words ...string) {
	a.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		b, err := os.ReadFile(a.events)
		if err != nil {
			a.t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
				return
			}
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("no event with %q in:\n%s", words, b)
		}
		time.Sleep(5 * time.Millisecond) // between two looks at the condition
	}
}

// portLink returns the host's port in the switch.
func portLink(t testing.TB, n *lab.Net, h *lab.Host) netlink.Link {
	t.Helper()
	l, err := n.Switch().Handle().LinkByName(h.Port)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
