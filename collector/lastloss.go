package collector

import (
	"net/netip"
	"sync"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
)

// lossKey is a group's loss for one reason.
type lossKey struct {
	domain string
	vlan   bpf.VLAN
	group  netip.Addr
	port   string // of a lost copy
	reason string
}

// maxLastLosses is above what the kernel's tables hold by default.
const maxLastLosses = 32768

// lastLosses knows when the last event about each loss was. It is safe for
// concurrent use.
type lastLosses struct {
	mu sync.Mutex
	at map[lossKey]time.Time
}

// see notes a drop event.
func (l *lastLosses) see(ev *bpf.Event) {
	k := lossKey{domain: ev.Domain, vlan: ev.VLAN, group: ev.Group, reason: ev.Reason}
	if ev.Action == "copy" {
		k.port = ev.Interface
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == nil || len(l.at) >= maxLastLosses {
		l.at = map[lossKey]time.Time{} // they come again with their next events
	}
	l.at[k] = ev.Time
}

// of returns when the last event about the group's loss was; zero if there was
// none.
func (l *lastLosses) of(g *GroupView, port, reason string) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at[lossKey{g.Domain, bpf.MakeVLAN(g.VLAN, g.InnerVLAN), g.Group, port, reason}]
}
