package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// uncheck records why a facility could not be looked at. The first reason stays.
func (s *Snapshot) uncheck(f Facility, err error) {
	if err == nil {
		return
	}
	if _, has := s.Unchecked[f]; has {
		return
	}
	why := err.Error()
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		why += ": run as root"
	}
	s.Unchecked[f] = why
}

// gather looks at everything, in the namespace of the calling thread. A facility
// that is missing ends up in Unchecked.
func gather(ctx context.Context, q Question, prefix string) (*Snapshot, error) {
	s := &Snapshot{Question: q, Prefix: prefix, Unchecked: map[Facility]string{}}
	if err := s.checkProcess(); err != nil {
		return nil, err
	}
	var err error
	if s.Links, err = readLinks(); err != nil {
		return nil, err
	}
	s.readMemberships()
	s.RouteToGroup, err = routeTo(q.Group)
	s.uncheck(FacilityRoutes, err)
	s.Addresses, err = readAddresses()
	s.uncheck(FacilityRoutes, err)
	if s.Link, err = s.choose(); err != nil {
		return nil, err
	}
	if q.Window < q.QueryInterval {
		s.Unchecked[FacilityQuerier] = fmt.Sprintf("no query in %v says nothing: they come every %v; watch longer with --for", q.Window, q.QueryInterval)
	}
	s.observe(ctx)
	s.readState()
	return s, nil
}

func (s *Snapshot) checkProcess() error {
	if s.Question.PID == 0 {
		return nil
	}
	if _, err := os.Stat("/proc/" + strconv.Itoa(s.Question.PID)); err != nil {
		return fmt.Errorf("%w: there is no process %d", ErrQuestion, s.Question.PID)
	}
	return nil
}

func (s *Snapshot) readMemberships() {
	lists, filters, parse := "igmp", "mcfilter", parseIGMP
	if s.v6() {
		lists, filters, parse = "igmp6", "mcfilter6", parseIGMP6
	}
	var err error
	s.Memberships, err = readNet(lists, parse)
	s.uncheck(FacilityMembers, err)
	s.Filters, err = readNet(filters, parseFilters)
	s.uncheck(FacilityMembers, err)
	s.DeviceGroups, err = readNet("dev_mcast", parseDeviceGroups)
	s.uncheck(FacilityMembers, err)
}

// choose returns the interface that was asked for; else the one that joined the
// group, else the one of the route to it, else the only one that there is.
func (s *Snapshot) choose() (Link, error) {
	var names []string
	var usable []Link
	for _, l := range s.Links {
		if l.Name == s.Question.Interface {
			return l, nil
		}
		names = append(names, l.Name)
		if !l.Loopback && l.Up {
			usable = append(usable, l)
		}
	}
	if s.Question.Interface != "" {
		return Link{}, fmt.Errorf("%w: there is no interface %q: there are %s", ErrQuestion, s.Question.Interface, strings.Join(names, ", "))
	}
	var members []Link
	for _, l := range s.Links {
		if s.joinedAt(l.Index) != nil {
			members = append(members, l)
		}
	}
	onRoute := func(l Link) bool { return s.RouteToGroup.Found && l.Index == s.RouteToGroup.Index }
	switch {
	case len(members) == 1:
		return members[0], nil
	case slices.ContainsFunc(s.Links, onRoute):
		return s.Links[slices.IndexFunc(s.Links, onRoute)], nil
	case len(members) > 0:
		return members[0], nil
	case len(usable) == 1:
		return usable[0], nil
	}
	return Link{}, fmt.Errorf("%w: nothing tells at which interface: say --interface, one of %s", ErrQuestion, strings.Join(names, ", "))
}

// moment is what is read at the beginning and at the end of the window.
type moment struct {
	totals   totals
	sockets  []Socket
	rules    []DropRule
	policies []DropPolicy
	links    []Link
	agent    *AgentView
}

func (s *Snapshot) moment(ctx context.Context) (m moment) {
	var err error
	m.totals, err = readTotals()
	s.uncheck(FacilityCounters, err)
	m.sockets, err = readSockets(s.v6())
	s.uncheck(FacilitySockets, err)
	m.rules, m.policies, err = readFirewall(s.v6())
	s.uncheck(FacilityFirewall, err)
	m.links, err = readLinks()
	s.uncheck(FacilityInterface, err)
	if s.Question.Agent == nil {
		return m
	}
	view, err := s.Question.Agent(ctx)
	if err != nil {
		s.uncheck(FacilityAgent, err)
		return m
	}
	m.agent = &view
	return m
}

// observe watches the wire for the window, and compares what was before and
// after it.
func (s *Snapshot) observe(ctx context.Context) {
	g, index := s.Question.Group, s.Link.Index
	wire, delivery, heard := newWatch(g, index), newWatch(g, index), newWatch(g, index)
	before := s.moment(ctx)
	captures := s.open(wire, delivery, heard)
	began := time.Now()
	s.watch(ctx, captures)
	now := time.Now()
	s.Wire = wire.result(now, min(now.Sub(began), s.Question.Window))
	s.Delivered, s.Heard = delivery.result(now, 0).Streams, heard.result(now, 0).Queries
	for _, c := range captures {
		s.Wire.Missed += c.missed()
		unix.Close(c.fd)
	}
	s.compare(before, s.moment(ctx))
}

// watch takes in packets for the window. The wire starts last and stops first: so
// what it sees, the others could see, too, however busy the host is.
func (s *Snapshot) watch(ctx context.Context, captures []*capture) {
	var group errgroup.Group
	for _, c := range captures {
		s.uncheck(FacilityWire, c.start())
		group.Go(func() error { c.run(); return nil })
	}
	wait(ctx, s.Question.Window)
	for _, c := range slices.Backward(captures) {
		s.uncheck(FacilityWire, c.stop())
	}
	group.Wait() // never an error
}

// open opens all captures that it may, the wire last.
func (s *Snapshot) open(wire, delivery, heard *watch) (captures []*capture) {
	for _, c := range []struct {
		open     func(*watch) (*capture, error)
		watch    *watch
		facility Facility
	}{{openDelivery, delivery, FacilityDelivery}, {openQueries, heard, FacilityDelivery}, {openWire, wire, FacilityWire}} {
		opened, err := c.open(c.watch)
		s.uncheck(c.facility, err)
		if err == nil {
			captures = append(captures, opened)
		}
	}
	return captures
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (s *Snapshot) compare(before, after moment) {
	d := after.totals.since(before.totals)
	s.Counters, s.SoftnetDropped = d.counters, d.softnetDropped
	s.Sockets = socketsSince(before.sockets, after.sockets)
	s.DropRules, s.DropPolicies = rulesSince(before.rules, after.rules), after.policies
	for _, l := range after.links {
		if l.Index != s.Link.Index {
			continue
		}
		was := s.Link
		if at := slices.IndexFunc(before.links, func(b Link) bool { return b.Index == l.Index }); at >= 0 {
			was = before.links[at]
		}
		s.Link = l
		s.Link.Received, s.Link.Missed = rise(was.Received, l.Received), rise(was.Missed, l.Missed)
	}
	if a, b := after.agent, before.agent; a != nil && b != nil {
		s.Agent = &AgentDelta{*a, rise(b.Dropped, a.Dropped), rise(b.Failed, a.Failed)}
	}
}

// readState reads what needs no window, as it is at its end.
func (s *Snapshot) readState() {
	s.Sysctls = sysctlsOf(s.Link.Name)
	s.readMemberships()
	s.describe()
	var err error
	s.UDPMemory, s.UDPMemoryLimit, err = readUDPMemory()
	if os.IsNotExist(err) {
		err = errors.New("its limit shows in the host's first namespace only")
	}
	s.uncheck(FacilityMemory, err)
	if sources := s.sources(); len(sources) > 0 {
		s.RouteToSource, err = routeTo(sources[0])
		s.uncheck(FacilityRoutes, err)
	}
	s.Programs, err = readPrograms(s.Link)
	s.uncheck(FacilityPrograms, err)
	tables := "ip_tables_names"
	if s.v6() {
		tables = "ip6_tables_names"
	}
	s.LegacyTables, err = readNames(tables)
	s.uncheck(FacilityLegacy, err)
	if len(s.LegacyTables) > 0 {
		s.Unchecked[FacilityLegacy] = "its rules are not read: see 'iptables-legacy -vnL'; it has the tables " + strings.Join(s.LegacyTables, ", ")
	}
	if master := s.link(s.Link.Master); s.Link.Master != 0 && master.Kind == "bridge" {
		s.Bridge, err = readBridge(master, s.Link, s.Question.Group, func(index int) string { return s.link(index).Name })
		s.uncheck(FacilityBridge, err)
	}
}
