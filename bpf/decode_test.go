package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

type plainNames struct{}

func (plainNames) Domain(id uint32) string         { return fmt.Sprint("domain", id) }
func (plainNames) Interface(ifindex uint32) string { return fmt.Sprint("if", ifindex) }

func rawOf[T any](v *T) []byte {
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))...)
}

func replicationRecord() wireEvent {
	return wireEvent{
		TimeNs: 5e9, Seq: 7, Packets: 10, Bytes: 1000, Copies: 20, CopyBytes: 2000, Failures: 3, BeforeNs: 4e9,
		Source: toWire(netip.MustParseAddr("192.0.2.1")), Group: toWire(netip.MustParseAddr("239.1.1.1")),
		Domain: 2, Vlan: 5 << 16, Ifindex: 9, Fanout: 2, PrevFanout: 1, Generation: 4, Cpu: 1,
		Kind: uint8(wireEventKindEVENT_REPLICATION), Action: uint8(wireEventActionACTION_FANOUT), Version: LayoutVersion,
	}
}

func TestDecodeEvent(t *testing.T) {
	wall := time.Unix(1000, 0)
	replication := replicationRecord()
	packet := replication
	packet.Kind, packet.Action, packet.Reason = uint8(KindDrop), uint8(wireEventActionACTION_PACKET), uint8(wireDropReasonDROP_TTL)
	lost := packet
	lost.Action, lost.Reason, lost.Suppressed = uint8(wireEventActionACTION_COPY), uint8(wireCopyFailureCOPY_RING_FULL), 6
	foreign := packet
	foreign.Action, foreign.Reason = 200, 200
	common := Event{
		Time: wall.Add(5 * time.Second), Ring: 1, Seq: 7, Domain: "domain2", VLAN: MakeVLAN(5, 0),
		Source: netip.MustParseAddr("192.0.2.1"), Group: netip.MustParseAddr("239.1.1.1"), Interface: "if9",
		Packets: 10, Bytes: 1000,
	}
	with := func(change func(*Event)) Event { ev := common; change(&ev); return ev }
	for _, row := range []struct {
		name string
		raw  []byte
		want Event
	}{
		{"replication", rawOf(&replication), with(func(ev *Event) {
			ev.Kind, ev.Action, ev.FanOut, ev.PrevFanOut = KindReplication, "fanout", 2, 1
			ev.Copies, ev.CopyBytes, ev.Failures = 20, 2000, 3
		})},
		{"dropped packet", rawOf(&packet), with(func(ev *Event) { ev.Kind, ev.Action, ev.Reason = KindDrop, "packet", "ttl" })},
		{"lost copy", rawOf(&lost), with(func(ev *Event) {
			ev.Kind, ev.Action, ev.Reason, ev.Packets, ev.Failures, ev.Suppressed = KindDrop, "copy", "ring_full", 0, 10, 6
		})},
		{"unknown numbers", rawOf(&foreign), with(func(ev *Event) { ev.Kind, ev.Action, ev.Reason = KindDrop, "unknown", "unknown" })},
		{"longer than known", append(rawOf(&packet), 1, 2, 3), with(func(ev *Event) { ev.Kind, ev.Action, ev.Reason = KindDrop, "packet", "ttl" })},
	} {
		t.Run(row.name, func(t *testing.T) {
			var ev Event
			change, err := decodeEvent(row.raw, wall, plainNames{}, &ev)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, ev, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			want := Change{Domain: 2, Generation: 4, At: 5 * time.Second, Before: 4 * time.Second}
			if change != want {
				t.Errorf("change %+v, want %+v", change, want)
			}
		})
	}
}

func TestDecodeBadRecords(t *testing.T) {
	old := replicationRecord()
	old.Version++
	odd := replicationRecord()
	odd.Kind = 77
	good := replicationRecord()
	for name, raw := range map[string][]byte{
		"empty":         nil,
		"short":         rawOf(&good)[:unsafe.Sizeof(good)-1],
		"other version": rawOf(&old),
		"unknown kind":  rawOf(&odd),
	} {
		var ev Event
		if _, err := decodeEvent(raw, time.Time{}, plainNames{}, &ev); !errors.Is(err, ErrBadRecord) {
			t.Errorf("event, %s: %v, want %v", name, err, ErrBadRecord)
		}
	}
	long := wireControl{Len: 5}
	huge := wireControl{Len: 1<<32 - 1}
	for name, raw := range map[string][]byte{
		"empty":                   nil,
		"short":                   rawOf(&long)[:31],
		"longer than it is":       append(rawOf(&long), 1, 2, 3, 4),
		"longer than anything is": append(rawOf(&huge), 1, 2, 3, 4),
	} {
		if _, err := decodeMessage(raw); !errors.Is(err, ErrBadRecord) {
			t.Errorf("message, %s: %v, want %v", name, err, ErrBadRecord)
		}
	}
}

func TestDecodeMessage(t *testing.T) {
	w := wireControl{TimeNs: 5, Ifindex: 3, Vlan: 7 << 16, Len: 2, Truncated: 1, SrcMac: [6]uint8{2, 1}}
	got, err := decodeMessage(append(rawOf(&w), 0x45, 0, 9, 9))
	want := Message{At: 5, Ifindex: 3, VLAN: MakeVLAN(7, 0), SrcMAC: MAC{2, 1}, IP: []byte{0x45, 0}, Truncated: true}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestAddresses(t *testing.T) {
	for _, s := range []string{"192.0.2.1", "239.255.255.255", "2001:db8::1", "ff02::1"} {
		a := netip.MustParseAddr(s)
		if got := fromWire(toWire(a)); got != a {
			t.Errorf("%v came back as %v", a, got)
		}
	}
	if got := fromWire(toWire(netip.Addr{})); got.IsValid() {
		t.Errorf("no address came back as %v", got)
	}
}

func FuzzDecodeEvent(f *testing.F) {
	good := replicationRecord()
	f.Add(rawOf(&good))
	f.Add(rawOf(&good)[:100])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var ev Event
		_, err := decodeEvent(raw, time.Unix(0, 0), plainNames{}, &ev)
		if err != nil && !errors.Is(err, ErrBadRecord) {
			t.Errorf("error of another kind: %v", err)
		}
		if err == nil && (ev.Kind.String() == "unknown" || ev.Action == "" || ev.Domain == "") {
			t.Errorf("incomplete event of kind %v, action %q, domain %q", ev.Kind, ev.Action, ev.Domain)
		}
	})
}

func FuzzDecodeMessage(f *testing.F) {
	w := wireControl{Len: 4}
	f.Add(append(rawOf(&w), 1, 2, 3, 4))
	f.Add(rawOf(&w))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := decodeMessage(raw)
		if err != nil && !errors.Is(err, ErrBadRecord) {
			t.Errorf("error of another kind: %v", err)
		}
		if len(m.IP) > len(raw) {
			t.Errorf("%d bytes out of %d", len(m.IP), len(raw))
		}
	})
}
