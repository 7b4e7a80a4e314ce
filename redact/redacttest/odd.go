package redacttest

import (
	"math"
	"net/netip"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
)

// HostileName is what somebody might call an interface to break a format.
const HostileName = "p0\n|CEF:0| src=1.2.3.4\x00\t\"\\\r\xff^x act=x"

// OddEvents returns events of each kind and action that encoders may trip over:
// with hostile names, with next to nothing, with an Ethernet address but no
// address, and with the largest numbers.
func OddEvents() []bpf.Event {
	var events []bpf.Event
	for _, e := range Events() {
		hostile := e
		hostile.GroupName = HostileName
		hostile.Interface, hostile.Domain = HostileName, "a=b|c\\d\te\u2028f\u0085\u009b]"
		onlyMAC := e
		onlyMAC.Host, onlyMAC.HostMAC = netip.Addr{}, bpf.MAC{2, 0, 0, 0, 0xab, 0xcd}
		events = append(events, hostile, onlyMAC, bpf.Event{Kind: e.Kind, Action: e.Action, Time: e.Time})
	}
	largest := Replication(math.MaxUint64)
	largest.Packets, largest.Bytes, largest.Time = math.MaxUint64, math.MaxUint64, time.Unix(0, math.MaxInt64)
	return append(events, largest)
}
