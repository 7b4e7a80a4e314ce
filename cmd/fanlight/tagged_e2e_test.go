package main

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
)

// taggedFlow is a stream in a VLAN, written and counted frame by frame: so it
// needs no VLAN devices.
type taggedFlow struct {
	vlan    uint16
	group   netip.Addr
	at      *lab.Host // that joined
	member  *lab.RawConn
	report  []byte
	counter *lab.FrameCounter // at the member
	other   *lab.FrameCounter // at somebody else
	sent    atomic.Uint64
	stop    chan struct{}
	done    chan error
}

// joinTagged makes a host a member of the group in the VLAN, by reports that it
// repeats as if it were asked.
func joinTagged(t *testing.T, vlan uint16, group netip.Addr, at, other *lab.Host) *taggedFlow {
	t.Helper()
	f := &taggedFlow{vlan: vlan, group: group, at: at, stop: make(chan struct{}), done: make(chan error, 2)}
	var err error
	if f.member, err = at.Raw(""); err != nil {
		t.Fatal(err)
	}
	f.report = frame.IGMP{SrcMAC: frame.MAC(at.MAC), Src: at.Addr4, Tags: []frame.Tag{{VLAN: vlan}}}.
		Wrap(frame.IGMPv3(frame.Record{Type: frame.ChangeToExclude, Group: group}))
	if f.counter, err = at.CountFrames("", f.mine); err != nil {
		t.Fatal(err)
	}
	if f.other, err = other.CountFrames("", f.mine); err != nil {
		t.Fatal(err)
	}
	go f.repeat()
	return f
}

// port is the UDP port that tells the flow from those of other VLANs, where the
// kernel has taken the tag out.
func (f *taggedFlow) port() uint16 { return 5000 + f.vlan }

func (f *taggedFlow) mine(b []byte) bool {
	return len(b) > 38 && b[12] == 0x08 && b[23] == frame.ProtocolUDP && binary.BigEndian.Uint16(b[36:]) == f.port()
}

func (f *taggedFlow) repeat() {
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := f.member.Write(f.report); err != nil {
			f.done <- err
			return
		}
		select {
		case <-f.stop:
			f.done <- nil
			return
		case <-tick.C:
		}
	}
}

// send writes frames at the rate until finish.
func (f *taggedFlow) send(t *testing.T, from *lab.Host, rate int) {
	t.Helper()
	raw, err := from.Raw("")
	if err != nil {
		t.Fatal(err)
	}
	src, dst := netip.AddrPortFrom(from.Addr4, 4000), netip.AddrPortFrom(f.group, f.port())
	udp := frame.UDP{SrcPort: 4000, DstPort: f.port()}.Wrap(src.Addr(), dst.Addr(), lab.Payload(uint32(f.vlan), 0, 64))
	one := frame.Ethernet{Dst: frame.GroupMAC(f.group), Src: frame.MAC(from.MAC), Tags: []frame.Tag{{VLAN: f.vlan}}}.
		Wrap(frame.Packet(src.Addr(), dst.Addr(), frame.ProtocolUDP, udp))
	go func() {
		start := time.Now()
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-f.stop:
				f.done <- nil
				return
			case <-tick.C:
			}
			due := uint64(time.Since(start).Seconds() * float64(rate))
			batch := make([][]byte, min(due-f.sent.Load(), 64))
			for i := range batch {
				batch[i] = one
			}
			n, err := raw.WriteBatch(batch)
			f.sent.Add(uint64(n))
			// A frame that finds the backlog full is not sent.
			if err != nil && !errors.Is(err, unix.ENOBUFS) {
				f.done <- err
				return
			}
		}
	}()
}

// finish ends the flow and the membership.
func (f *taggedFlow) finish(t *testing.T) {
	t.Helper()
	close(f.stop)
	for range 2 {
		if err := <-f.done; err != nil {
			t.Fatal(err)
		}
	}
}

// verify demands every frame at the member, and none elsewhere.
func (f *taggedFlow) verify(t *testing.T, out *outcome) {
	t.Helper()
	if got := f.counter.Count(); got.Frames != f.sent.Load() || got.Missed != 0 {
		out.wrong("VLAN %d at %s: sent %d frames, got %+v", f.vlan, f.at.Name, f.sent.Load(), got)
	}
	if got := f.other.Count(); got.Frames != 0 {
		out.wrong("VLAN %d: %d frames reached a host that did not join", f.vlan, got.Frames)
	}
	t.Logf("VLAN %d: %d frames to %s", f.vlan, f.sent.Load(), f.at.Name)
}
