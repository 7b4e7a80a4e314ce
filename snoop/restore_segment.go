package snoop

import (
	"fmt"
	"slices"
	"time"
)

// SegmentState is what outlives the agent of a VLAN.
type SegmentState struct {
	// SnoopingV4 and SnoopingV6 are what [Table.Snooping] said.
	SnoopingV4, SnoopingV6 bool
	Routers                []Port // what [Table.RouterPorts] said
}

// RestoreSegment brings back a VLAN from before a restart, so that neither what
// nobody joined is flooded until a querier is known again, nor routers miss
// anything until they speak again. Both end after the time that a querier may
// be silent. The ports must be there; others are left out.
func (t *Table) RestoreSegment(v VLAN, state SegmentState, now time.Duration) error {
	t.Advance(now)
	s := t.segments[v]
	if s == nil {
		if len(t.segments) >= t.cfg.Limits.VLANs {
			return fmt.Errorf("restore VLAN %d: %v", v, vlanLimit)
		}
		s = t.addSegment(v)
	}
	for _, f := range []*family{s.v4, s.v6} {
		if snooping := state.SnoopingV4 && !f.v6 || state.SnoopingV6 && f.v6; snooping {
			f.assumedUntil = t.now + f.timing.otherQuerier()
			t.timers.schedule(&f.timer, f.assumedUntil)
			t.out.vlans.add(v)
		}
	}
	for _, id := range state.Routers {
		p := t.ports[id]
		if p == nil || p.info.Router || s.routers[id] != nil || slices.Contains(t.cfg.RouterGuard, id) {
			continue
		}
		r := &router{segment: s, port: id}
		r.owner = r
		r.until[byQuery] = t.now + s.v4.timing.otherQuerier()
		s.routers[id] = r
		t.out.routers.add(v)
		t.timers.schedule(&r.timer, r.end())
	}
	return nil
}
