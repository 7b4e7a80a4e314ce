package bpf

import (
	"errors"
	"fmt"
	"time"
	"unsafe"
)

// ErrBadRecord: a ring record has a size, kind or version that is not ours.
var ErrBadRecord = errors.New("bad ring record")

// Names resolves the kernel's numbers.
type Names interface {
	Domain(id uint32) string
	Interface(ifindex uint32) string
}

// A Change is what a replication event says beyond its [Event], for the agent's
// own measurements.
type Change struct {
	Domain     uint32
	Generation uint32        // of the group's port list
	At         time.Duration // first packet under it, CLOCK_MONOTONIC
	Before     time.Duration // the stream's packet before that one, 0 if none
}

// decodeEvent fills ev from a ring record. Times are turned into wall-clock
// time by adding wall. Returns ErrBadRecord.
func decodeEvent(raw []byte, wall time.Time, names Names, ev *Event) (Change, error) {
	if len(raw) < int(unsafe.Sizeof(wireEvent{})) {
		return Change{}, fmt.Errorf("%w: %d bytes", ErrBadRecord, len(raw))
	}
	w := (*wireEvent)(unsafe.Pointer(unsafe.SliceData(raw)))
	if w.Version != LayoutVersion {
		return Change{}, fmt.Errorf("%w: version %d", ErrBadRecord, w.Version)
	}
	*ev = Event{
		Time:       wall.Add(time.Duration(w.TimeNs)),
		Ring:       w.Cpu,
		Seq:        w.Seq,
		Domain:     names.Domain(w.Domain),
		VLAN:       VLAN(w.Vlan),
		Source:     fromWire(w.Source),
		Group:      fromWire(w.Group),
		Interface:  names.Interface(w.Ifindex),
		Action:     nameOf(actionNames[:], w.Action),
		Packets:    w.Packets,
		Bytes:      w.Bytes,
		Suppressed: w.Suppressed,
	}
	switch w.Kind {
	case uint8(KindReplication):
		ev.Kind = KindReplication
		ev.FanOut, ev.PrevFanOut = w.Fanout, w.PrevFanout
		ev.Copies, ev.CopyBytes, ev.Failures = w.Copies, w.CopyBytes, w.Failures
	case uint8(KindDrop):
		ev.Kind = KindDrop
		ev.Reason = DropReason(w.Reason).String()
		if w.Action == uint8(wireEventActionACTION_COPY) {
			ev.Reason = CopyFailure(w.Reason).String()
			ev.Failures, ev.Packets = w.Packets, 0
		}
	default:
		return Change{}, fmt.Errorf("%w: kind %d", ErrBadRecord, w.Kind)
	}
	return Change{
		Domain:     w.Domain,
		Generation: w.Generation,
		At:         time.Duration(w.TimeNs),
		Before:     time.Duration(w.BeforeNs),
	}, nil
}

// A Message is an IGMP, MLD or PIM packet as it came in on a port.
type Message struct {
	At        time.Duration // CLOCK_MONOTONIC
	Ifindex   uint32
	VLAN      VLAN
	SrcMAC    MAC
	Direction Direction // of what is observed
	IP        []byte    // from the IP header on; valid until the next read
	Truncated bool
}

// decodeMessage returns a view into raw. Returns ErrBadRecord.
func decodeMessage(raw []byte) (Message, error) {
	const header = int(unsafe.Sizeof(wireControl{}))
	if len(raw) < header {
		return Message{}, fmt.Errorf("%w: message of %d bytes", ErrBadRecord, len(raw))
	}
	w := (*wireControl)(unsafe.Pointer(unsafe.SliceData(raw)))
	if int(w.Len) > len(raw)-header {
		return Message{}, fmt.Errorf("%w: message says %d bytes, has %d", ErrBadRecord, w.Len, len(raw)-header)
	}
	return Message{
		At:        time.Duration(w.TimeNs),
		Ifindex:   w.Ifindex,
		VLAN:      VLAN(w.Vlan),
		SrcMAC:    w.SrcMac,
		Direction: Direction(w.Direction),
		IP:        raw[header : header+int(w.Len)],
		Truncated: w.Truncated != 0,
	}, nil
}
