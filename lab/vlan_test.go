package lab_test

import (
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

// A stream on a VLAN reaches the receiver on that VLAN only, and its frames
// carry the tags. The bridge floods: tags are payload to it.
func TestVLAN(t *testing.T) {
	tests := []struct {
		name, iface string
		tags        []frame.Tag
		size        int
	}{
		{"802.1Q", "eth0.100", []frame.Tag{{Type: frame.TypeVLAN, VLAN: 100}}, 1400},
		{"802.1Q second", "eth0.101", []frame.Tag{{Type: frame.TypeVLAN, VLAN: 101}}, 1400},
		{"802.1Q fragments", "eth0.100", []frame.Tag{{Type: frame.TypeVLAN, VLAN: 100}}, 20000},
		{"QinQ", "eth0.200.300", []frame.Tag{{Type: frame.TypeQinQ, VLAN: 200}, {Type: frame.TypeVLAN, VLAN: 300}}, 1400},
	}
	hosts := labtest.Hosts("pub", "sub")
	for i := range hosts {
		hosts[i].VLANs = []uint16{100, 101}
		hosts[i].QinQ = []lab.QinQ{{Outer: 200, Inner: 300}, {Outer: 200, Inner: 301}}
	}
	n := labtest.New(t, hosts...)
	bridge(t, n, lab.BridgeConfig{})
	ifaces := []string{"eth0", "eth0.100", "eth0.101", "eth0.200.300", "eth0.200.301"}

	for _, tt := range tests {
		for _, group := range groups {
			t.Run(tt.name+" "+group.String(), func(t *testing.T) {
				receivers := make(map[string]*lab.Receiver)
				for _, iface := range ifaces {
					receivers[iface] = listen(t, n.Host("sub"), lab.ListenConfig{Group: group, Interface: iface})
					defer receivers[iface].Close()
				}
				raw := openRaw(t, n.Host("sub"))
				defer raw.Close()
				raw.Filter(func(b []byte) bool { return frame.MAC(b[:6]) == frame.GroupMAC(group) && len(b) > 1000 })

				const count = 20
				_, err := n.Host("pub").Send(deadline(t), lab.SendConfig{
					Group: group, Port: port, Interface: tt.iface, Count: count, Size: tt.size,
				})
				if err != nil {
					t.Fatal(err)
				}
				if err := receivers[tt.iface].Wait(deadline(t), count); err != nil {
					t.Error(err)
				}
				if err := n.WaitQuiet(deadline(t), 50*time.Millisecond); err != nil {
					t.Error(err)
				}
				for _, iface := range ifaces {
					if iface == tt.iface {
						assertIntact(t, receivers[iface], count)
					} else if got := receivers[iface].Received(); got != 0 {
						t.Errorf("%s received %d datagrams of %s", iface, got, tt.iface)
					}
				}
				got := readFrame(t, raw)
				want := frame.Ethernet{Dst: frame.MAC(got[:6]), Src: frame.MAC(n.Host("pub").MAC), Tags: tt.tags, Type: typeOf(group)}.Wrap(nil)
				if string(got[:len(want)]) != string(want) {
					t.Errorf("frame starts with % x, want % x", got[:len(want)], want)
				}
			})
		}
	}
}
