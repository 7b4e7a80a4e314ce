package snoop

import (
	"net/netip"
	"slices"
	"time"
)

// report acts on a report or a leave. A message of which every record was
// refused counts as an error; of the others, the records are counted.
func (t *Table) report(a *arrival) reason {
	m := &a.message
	if !m.protocol.sourceAware() {
		r := record{kind: isExclude, group: m.group} // RFC 9776 section 7.3.2
		if m.kind == messageLeave {
			r.kind = toInclude
		}
		return t.settle(a, t.record(a, r))
	}
	addrLen := 4
	if m.protocol == MLDv2 {
		addrLen = 16
	}
	var worst reason
	useful := m.count == 0
	rest := m.records
	for range m.count {
		var r record
		r, rest, _ = nextRecord(rest, addrLen) // checked by the parser
		why := t.settle(a, t.record(a, r))
		if why == accepted {
			useful = true
		} else if worst == accepted {
			worst = why
		}
	}
	if useful {
		return accepted
	}
	return worst
}

// settle counts what became of a record, and returns accepted if the record
// alone is no reason to call its message bad.
func (t *Table) settle(a *arrival, why reason) reason {
	if why == accepted {
		return accepted
	}
	a.port.counters.records[why]++
	if why.harmless() {
		return accepted
	}
	return why
}

// record acts on one record.
func (t *Table) record(a *arrival, r record) reason {
	if why := t.checkRecord(a, &r); why != accepted {
		return why
	}
	list, ok := t.readSources(r.sources, r.group.BitLen()/8)
	if !ok {
		return badSource
	}
	key := GroupKey{a.segment.vlan, r.group}
	m := t.find(key, a.port.id)
	if m == nil {
		return t.join(a, key, r.kind, list)
	}
	return t.update(a, m, r.kind, list)
}

// checkRecord decides what can be decided without the table.
func (t *Table) checkRecord(a *arrival, r *record) reason {
	if !r.kind.known() {
		return unknownRecord
	}
	if why := checkGroup(r.group); why != accepted {
		return why
	}
	if !t.allowed(r.group) {
		t.refuseGroup(a, r.group, notAllowed)
		return notAllowed
	}
	if !sourceSpecific(r.group) {
		return accepted
	}
	if !a.message.protocol.sourceAware() {
		t.keepSources(a, r)
		return ssmVersion // RFC 4604 section 2.2.2
	}
	if r.kind.excludes() {
		return ssmExclude
	}
	return accepted
}

// keepSources refreshes the sources that a port has of an SSM group, for a report
// that can't name them: an old query, forged perhaps, took the host's new
// version from it, and the host still wants what it wanted. It adds nothing.
func (t *Table) keepSources(a *arrival, r *record) {
	m := t.find(GroupKey{a.segment.vlan, r.group}, a.port.id)
	if m == nil || a.message.kind != messageReport {
		return
	}
	for i := range m.sources {
		s := &m.sources[i]
		s.run(t.span(m).later(s.expires))
	}
	t.timers.schedule(&m.timer, m.deadline())
}

// checkGroup refuses groups that are never learnt: every port gets them, or
// they never leave a host.
func checkGroup(g netip.Addr) reason {
	if !g.IsMulticast() {
		return badGroup
	}
	if g.Is4() {
		if b := g.As4(); b[0] == 224 && b[1] == 0 && b[2] == 0 {
			return linkLocalGroup
		}
		return accepted
	}
	if g == allNodes6 {
		return linkLocalGroup
	}
	if b := g.As16(); b[1]&0x0f <= 1 {
		return badScope
	}
	return accepted
}

// sourceSpecific reports whether g is in an SSM range: 232/8, ff3x::/32.
func sourceSpecific(g netip.Addr) bool {
	if g.Is4() {
		return g.As4()[0] == 232
	}
	b := g.As16()
	return b[1]&0xf0 == 0x30 && b[2] == 0 && b[3] == 0
}

// readSources returns the addresses in b, sorted and without duplicates, in
// scratch space; ok is false if one of them can't send.
func (t *Table) readSources(b []byte, addrLen int) (list []netip.Addr, ok bool) {
	t.list = t.list[:0]
	for ; len(b) > 0; b = b[addrLen:] {
		s := addrFrom(b[:addrLen])
		if s.IsUnspecified() || s.IsMulticast() {
			return nil, false
		}
		t.list = append(t.list, s)
	}
	slices.SortFunc(t.list, netip.Addr.Compare)
	t.list = slices.Compact(t.list)
	return t.list, true
}

// find returns the port's membership of the group, or nil.
func (t *Table) find(key GroupKey, p Port) *member {
	g := t.groups[key]
	if g == nil {
		return nil
	}
	if i, ok := g.find(p); ok {
		return g.members[i]
	}
	return nil
}

// join makes a member of a port that was none, if the record asks for that.
func (t *Table) join(a *arrival, key GroupKey, kind recordType, list []netip.Addr) reason {
	if kind == block || !kind.excludes() && len(list) == 0 {
		return notMember
	}
	if why := t.room(key, a.port, len(list)); why != accepted {
		t.refuseGroup(a, key.Group, why)
		return why
	}
	m := t.addMember(key, a.segment, a.port)
	m.note(a.message.protocol, t.now, t.timing(m).olderHost())
	m.apply(kind, list, t.span(m), &t.merged)
	if _, why := t.sawHost(m, a.host, t.now); why != accepted {
		a.port.counters.records[why]++
	}
	t.fill.sources += len(m.sources)
	t.changed(m, true, true)
	t.memberEvent(m, ActionJoined, "report", a.cause())
	t.timers.schedule(&m.timer, m.deadline())
	return accepted
}

// update applies a record to a member.
func (t *Table) update(a *arrival, m *member, kind recordType, list []netip.Addr) reason {
	kind, list, ignored := m.asOlder(kind, list, t.now)
	if ignored {
		return olderHost
	}
	leaves := leaving(kind, list)
	if a.message.kind == messageReport {
		before := m.compat(t.now)
		m.note(a.message.protocol, t.now, t.timing(m).olderHost())
		if m.compat(t.now) != before {
			t.out.members.add(m.key())
		}
	}
	kind, list, why := t.fit(m, kind, list)
	if why != accepted {
		t.refuseGroup(a, m.group.key.Group, why)
	}
	if kind == 0 {
		return why
	}
	alone := leaves && why == accepted && t.leavesAlone(m, a.host, t.now)
	before := len(m.sources)
	out := m.apply(kind, list, t.span(m), &t.merged)
	t.fill.sources += len(m.sources) - before
	action := t.trackHost(a, m, kind, list)
	if alone {
		t.leaveNow(a, m, out)
		return why
	}
	t.changed(m, out.forwarding, out.state)
	switch {
	case out.forwarding:
		t.memberEvent(m, ActionChanged, "report", a.cause())
	case action != "":
		t.memberEvent(m, ActionChanged, action, a.cause())
	}
	if kind.excludes() {
		m.leave = nil // it is wanted again
	}
	t.lastMember(a, m, out)
	t.timers.schedule(&m.timer, m.deadline())
	return why
}

// trackHost notes what the record says about its host, and returns what
// changed, if anything.
func (t *Table) trackHost(a *arrival, m *member, kind recordType, list []netip.Addr) string {
	i, known := m.findHost(a.host)
	switch {
	case kind == toInclude && len(list) == 0:
		if !known {
			return ""
		}
		t.forgetHost(m, i)
		return "host_left"
	case kind.excludes(), kind != block && len(list) > 0:
		isNew, why := t.sawHost(m, a.host, t.now)
		if why != accepted {
			a.port.counters.records[why]++
		}
		if isNew {
			return "host_joined"
		}
	case known:
		m.hosts[i].last = t.now
	}
	return ""
}

// leaving reports whether the record takes something away.
func leaving(kind recordType, list []netip.Addr) bool {
	return kind == toInclude || kind == toExclude || kind == block && len(list) > 0
}

// asOlder changes a record to what it means while a host of an older version
// is there, RFC 9776 section 7.3.2.
func (m *member) asOlder(kind recordType, list []netip.Addr, now time.Duration) (recordType, []netip.Addr, bool) {
	p := m.compat(now)
	if p.sourceAware() {
		return kind, list, false
	}
	switch {
	case kind == block, kind == toInclude && p == IGMPv1:
		return 0, nil, true
	case kind == toExclude:
		return kind, nil, false
	}
	return kind, list, false
}

// note remembers the version of a report.
func (m *member) note(p Protocol, now, olderHost time.Duration) {
	switch p {
	case IGMPv1:
		m.v1Until = now + olderHost
	case IGMPv2, MLDv1:
		m.v2Until = now + olderHost
	}
}

// fit bounds a record by the source limits, the member's and the table's. What
// is there is kept and refreshed, and nothing new comes in; kind 0 means that
// nothing is left to do.
func (t *Table) fit(m *member, kind recordType, list []netip.Addr) (recordType, []netip.Addr, reason) {
	own, room := t.cfg.Limits.SourcesPerGroup, t.cfg.Limits.TotalSources-t.fill.sources
	if kind.excludes() {
		// The new list takes the place of the old one.
		why := tooMany(len(list), own, len(list)-len(m.sources), room)
		if why == accepted {
			return kind, list, accepted
		}
		if m.mode == Exclude {
			m.expires = t.span(m).later(m.expires)
			m.lowered = false
		}
		return 0, nil, why
	}
	if kind == block && m.mode == Include || len(m.sources)+len(list) <= own && len(list) <= room {
		return kind, list, accepted
	}
	isFresh := func(s netip.Addr) bool { _, ok := m.findSource(s); return !ok }
	fresh := 0
	for _, s := range list {
		if isFresh(s) {
			fresh++
		}
	}
	why := tooMany(len(m.sources)+fresh, own, fresh, room)
	if why == accepted {
		return kind, list, accepted
	}
	if kind == toInclude {
		kind = allow // refresh, take nothing away
	}
	return kind, slices.DeleteFunc(list, isFresh), why
}

// tooMany says which limit a member breaks that would list so many sources, of
// which so many are added to the table.
func tooMany(listed, own, added, room int) reason {
	switch {
	case listed > own:
		return sourceLimit
	case added > 0 && added > room:
		return totalSourceLimit
	}
	return accepted
}
