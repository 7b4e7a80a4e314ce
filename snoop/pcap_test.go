package snoop

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// readPcap returns the IP packets of a capture of Ethernet frames, with their
// times since the first.
func readPcap(t testing.TB, name string) (list []Packet) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var order binary.ByteOrder = binary.LittleEndian
	if b[0] == 0xa1 {
		order = binary.BigEndian
	}
	if order.Uint32(b) != 0xa1b2c3d4 || order.Uint32(b[20:]) != 1 {
		t.Fatalf("%s is no capture of Ethernet frames", name)
	}
	var first time.Duration
	for b = b[24:]; len(b) > 0; {
		at := time.Duration(order.Uint32(b))*time.Second + time.Duration(order.Uint32(b[4:]))*time.Microsecond
		captured, length := order.Uint32(b[8:]), order.Uint32(b[12:])
		frame := b[16 : 16+captured]
		b = b[16+captured:]
		if len(list) == 0 {
			first = at
		}
		if binary.BigEndian.Uint16(frame[12:]) != typeIPv4 {
			continue
		}
		list = append(list, Packet{
			At: at - first, SrcMAC: MAC(frame[6:]), IP: slices.Clone(frame[ethernetLen:]), Truncated: captured < length,
		})
	}
	return list
}

func replay(t *testing.T, name string) *testTable {
	tt := newTable(t, func(c *Config) { c.Querier = QuerierOff }, 1)
	for _, p := range readPcap(t, name) {
		tt.pass(p.At - tt.now)
		p.Port = 1
		tt.Receive(p, p.At)
	}
	checkTable(t, tt.Table)
	return tt
}

func shownGroups(tt *testTable) (list []string) {
	for m := range tt.Members() {
		list = append(list, m.Group.String()+" "+m.Protocol)
	}
	return list
}

func TestCaptureIGMPv1(t *testing.T) {
	tt := replay(t, "IGMP_V1.pcap")
	s := tt.Stats().Ports[1]
	want := map[MessageKind]uint64{{"query", "igmpv1"}: 3, {"report", "igmpv1"}: 24}
	if diff := cmp.Diff(want, s.Messages); diff != "" || len(s.Errors)+len(s.Flagged) != 0 {
		t.Errorf("errors %v, flagged %v, messages (-want +got):\n%s", s.Errors, s.Flagged, diff)
	}
	groups := []string{"224.0.1.24 igmpv1", "224.0.1.60 igmpv1", "239.255.255.250 igmpv1", "239.255.255.254 igmpv1"}
	if diff := cmp.Diff(groups, shownGroups(tt)); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func TestCaptureIGMPv2(t *testing.T) {
	tt := replay(t, "IGMP_V2.pcap")
	s := tt.Stats().Ports[1]
	// The querier of this capture sends without Router Alert.
	if diff := cmp.Diff(map[string]uint64{"no_router_alert": 4}, s.Flagged); diff != "" || len(s.Errors) != 0 {
		t.Errorf("errors %v, flagged (-want +got):\n%s", s.Errors, diff)
	}
	want := map[MessageKind]uint64{{"query", "igmpv2"}: 4, {"report", "igmpv2"}: 12, {"leave", "igmpv2"}: 2}
	if diff := cmp.Diff(want, s.Messages); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	// 225.1.1.3 and .4 were left; the querier asked, nobody answered.
	groups := []string{"225.1.1.5 igmpv2", "225.10.10.10 igmpv2", "239.255.255.250 igmpv2"}
	if diff := cmp.Diff(groups, shownGroups(tt)); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	if q, _ := tt.QuerierState(0); q.Address != addr("192.168.1.2") || q.Version != "igmpv2" {
		t.Errorf("querier %+v", q)
	}
}

func TestCapturePIM(t *testing.T) {
	tt := replay(t, "PIMv2_hellos.pcap")
	s := tt.Stats().Ports[1]
	if s.Messages[MessageKind{"hello", "pimv2"}] != s.Received() || s.Received() == 0 {
		t.Errorf("messages %v, errors %v", s.Messages, s.Errors)
	}
	last := tt.now
	tt.pass(105*time.Second - 1)
	if len(tt.RouterPorts(0)) != 1 {
		t.Errorf("no router port %v after the last hello", tt.now-last)
	}
	tt.pass(1)
	if len(tt.RouterPorts(0)) != 0 {
		t.Error("the holdtime is not kept")
	}
}
