package collector

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/snoop"
)

// settle brings the kernel up to date with what the domains' tables say, sends
// their queries and tells their events. Errors are those of the kernel's
// interface, and fatal; a full table is not: it is counted and told.
func (a *Agent) settle(now time.Duration) error {
	var errs []error
	for _, d := range a.domains {
		errs = append(errs, a.settleDomain(d, now))
	}
	errs = append(errs, a.attachNew())
	// A leave, for one, is due long before what was waited for.
	if a.deadline() < a.waiting {
		a.hurry()
	}
	return errors.Join(errs...)
}

func (a *Agent) settleDomain(d *domain, now time.Duration) error {
	a.followStatic(d, now)
	if d.changed {
		err := a.dp.Tables.SetDomain(d.id, d.policy())
		if errors.Is(err, bpf.ErrTableFull) && a.reclaim() {
			err = a.dp.Tables.SetDomain(d.id, d.policy())
		}
		if errors.Is(err, bpf.ErrTableFull) {
			a.log.Error("domain has no room in the tables; it goes on as it was", "domain", d.cfg.Name, "error", err)
			a.tablesFull++
		} else if err != nil {
			return fmt.Errorf("domain %s: %w", d.cfg.Name, err)
		}
		d.changed = false
	}
	dirty, err := a.settleSegments(d)
	if err != nil {
		return err
	}
	generations, err := a.settleGroups(d, dirty, now)
	if err != nil {
		return err
	}
	a.tellEvents(d, generations)
	refused, err := d.keepMembers(a.journal)
	if err != nil {
		return fmt.Errorf("domain %s: keep members: %w", d.cfg.Name, err)
	}
	if refused > 0 {
		a.log.Warn("members table is full: some members would be forgotten by a restart", "domain", d.cfg.Name, "members", refused)
		a.membersRefused += uint64(refused)
	}
	for _, f := range d.table.TakeTransmit() {
		if err := a.transmit.send(f); err != nil {
			a.log.Debug("query not sent", "domain", d.cfg.Name, "error", err)
			if p := a.ports[uint32(f.Port)]; p != nil {
				p.unsent++
			}
		}
	}
	return nil
}

// settleSegments writes querier state and router ports. It returns the groups
// to write: those that changed and, where routers changed, all of the VLAN.
func (a *Agent) settleSegments(d *domain) ([]snoop.GroupKey, error) {
	dirty := slices.Clone(d.table.TakeDirty())
	routers := slices.Clone(d.table.TakeDirtyRouters())
	vlans := append(slices.Clone(d.table.TakeDirtyVLANs()), routers...)
	slices.Sort(vlans)
	watched := d.table.VLANs()
	for _, v := range slices.Compact(vlans) {
		key := bpf.SegmentKey{Domain: d.id, VLAN: bpf.VLAN(v)}
		if _, ok := slices.BinarySearch(watched, v); !ok {
			if err := a.dp.Tables.DeleteSegment(key); err != nil {
				return nil, fmt.Errorf("domain %s: %w", d.cfg.Name, err)
			}
			continue
		}
		seg := bpf.Segment{
			QuerierV4: d.table.Snooping(v, false),
			QuerierV6: d.table.Snooping(v, true),
			Routers:   toIndexes(d.table.RouterPorts(v)),
		}
		if err := a.dp.Tables.SetSegment(key, seg); err != nil {
			if !errors.Is(err, bpf.ErrTableFull) {
				return nil, fmt.Errorf("domain %s: %w", d.cfg.Name, err)
			}
			a.log.Warn("segment table is full: the VLAN floods what nobody joined", "domain", d.cfg.Name)
			a.tablesFull++
		}
	}
	if len(routers) == 0 && !d.resample {
		return dirty, nil
	}
	for g := range d.table.Groups() {
		if d.resample || slices.Contains(routers, g.VLAN) {
			dirty = append(dirty, g.GroupKey)
		}
	}
	d.resample = false
	slices.SortFunc(dirty, func(a, b snoop.GroupKey) int {
		if c := int(a.VLAN) - int(b.VLAN); c != 0 {
			return c
		}
		return a.Group.Compare(b.Group)
	})
	return slices.Compact(dirty), nil
}

// settleGroups writes the groups and returns the generation of each change.
func (a *Agent) settleGroups(d *domain, dirty []snoop.GroupKey, now time.Duration) (map[snoop.GroupKey]uint32, error) {
	again := maps.Clone(d.unplaced)
	for _, k := range dirty {
		delete(again, k)
	}
	dirty = slices.AppendSeq(dirty, maps.Keys(again))
	generations := make(map[snoop.GroupKey]uint32, len(dirty))
	for _, k := range dirty {
		key := d.key(k)
		fw, fanOut, ok := d.forwarding(k)
		delete(d.unplaced, k)
		if !ok {
			if err := a.dp.Tables.DeleteGroup(key); err != nil {
				return nil, fmt.Errorf("domain %s: %w", d.cfg.Name, err)
			}
			delete(d.groups, key)
			continue
		}
		generation, err := a.setGroup(d, k, fw)
		if errors.Is(err, bpf.ErrTableFull) {
			a.refuseGroup(d, k)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("domain %s: %w", d.cfg.Name, err)
		}
		d.groups[key] = fanOut
		generations[k] = generation
	}
	return generations, nil
}

// setGroup writes a group. If there is no room, counters go that nothing counts
// any more; if that is not enough, the group goes without those routers that
// are no members: a forged router must not take the room of subscribers.
func (a *Agent) setGroup(d *domain, k snoop.GroupKey, fw bpf.Forwarding) (generation uint32, err error) {
	key := d.key(k)
	generation, err = a.dp.Tables.SetGroup(key, fw)
	if !errors.Is(err, bpf.ErrTableFull) {
		return generation, err
	}
	if a.reclaim() {
		if generation, err = a.dp.Tables.SetGroup(key, fw); !errors.Is(err, bpf.ErrTableFull) {
			return generation, err
		}
	}
	if len(d.table.RouterPorts(k.VLAN)) > 0 {
		members, _, _ := d.subscribers(k)
		if generation, err = a.dp.Tables.SetGroup(key, members); err == nil {
			a.log.Warn("pairs table is full: router ports miss a group", "domain", d.cfg.Name)
			a.tablesFull++
		}
	}
	return generation, err
}

// reclaim makes room in the pairs table; it reports whether there is more now.
func (a *Agent) reclaim() bool {
	n, err := a.dp.Tables.Reclaim()
	if err != nil {
		a.log.Error("counters of members that left can't be given up", "error", err)
	}
	return n > 0
}

// refuseGroup tells that the kernel has no room for the group's new list; the
// old one goes on. It is tried again with every later change.
func (a *Agent) refuseGroup(d *domain, k snoop.GroupKey) {
	d.unplaced[k] = true
	a.tablesFull++
	a.pipe.tell(bpf.Event{
		Kind: bpf.KindMembership, Action: snoop.ActionRefused, Reason: "table_full",
		Domain: d.cfg.Name, VLAN: bpf.VLAN(k.VLAN), Group: k.Group,
	})
}

// tellEvents passes on what the domain's table noticed, and starts the clocks of
// joins and leaves.
func (a *Agent) tellEvents(d *domain, generations map[snoop.GroupKey]uint32) {
	written := bpf.Now()
	for _, e := range d.table.TakeEvents() {
		ev := bpf.Event{
			Action: e.Action, Reason: e.Reason, Domain: d.cfg.Name, VLAN: bpf.VLAN(e.VLAN), Group: e.Group,
			Interface: a.names.Interface(uint32(e.Port)), Host: e.Host, HostMAC: e.HostMAC,
			Protocol: e.Protocol, FilterMode: e.FilterMode, Sources: e.Sources, Suppressed: e.Suppressed,
		}
		switch e.Kind {
		case snoop.KindMembership:
			ev.Kind = bpf.KindMembership
			k := snoop.GroupKey{VLAN: e.VLAN, Group: e.Group}
			a.latency.start(d.key(k), e.Action, generations[k], e.ReceivedAt, written)
		default:
			ev.Kind = bpf.KindQuerier
		}
		a.pipe.tell(ev)
	}
}
