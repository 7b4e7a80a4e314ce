package collector

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/snoop"
)

// ErrNotRunning reports a question to an agent that is not ready yet, or no
// longer.
var ErrNotRunning = errors.New("the agent is not running")

// View is what an agent forwards at one moment: exact totals since the datapath
// was first loaded. Addresses are in clear, so only show it to who may see them.
type View struct {
	Time   time.Time    `json:"time"`
	Groups []GroupView  `json:"groups"` // by domain, VLAN and address
	Sinks  []SinkStatus `json:"sinks"`
}

// GroupView is one group of a domain's VLAN. Datagrams are counted, not frames;
// bytes are those of frames, without FCS.
type GroupView struct {
	Domain    string     `json:"domain"`
	VLAN      uint16     `json:"vlan,omitempty"`
	InnerVLAN uint16     `json:"inner_vlan,omitempty"`
	Group     netip.Addr `json:"group"` // invalid: packets of groups that had no room in the tables
	Name      string     `json:"name,omitempty"`
	Static    bool       `json:"static,omitempty"` // the operator made it known

	Sources     []SourceView     `json:"sources"`
	Subscribers []SubscriberView `json:"subscribers"`
	Drops       []DropView       `json:"drops"`
	Failures    []FailureView    `json:"failures"`
}

// SourceView is one (S,G); an invalid Source stands for those that are not
// counted apart.
type SourceView struct {
	Source    netip.Addr `json:"source"`
	Packets   uint64     `json:"packets"`
	Bytes     uint64     `json:"bytes"`
	Copies    uint64     `json:"copies"` // handed to ports, lost ones included
	CopyBytes uint64     `json:"copy_bytes"`
	FanOut    uint32     `json:"fan_out"` // of the last packet
	LastSeen  time.Time  `json:"last_seen"`
}

// SubscriberView is a port that wants a group. One that hosts and the operator
// subscribed is there twice: with protocol static, it has neither hosts nor an
// end.
type SubscriberView struct {
	Interface  string       `json:"interface"`
	Protocol   string       `json:"protocol"`
	FilterMode string       `json:"filter_mode"`
	Sources    []netip.Addr `json:"sources,omitempty"`
	Hosts      []netip.Addr `json:"hosts"`
	Joined     time.Time    `json:"joined"`
	Expires    time.Time    `json:"expires,omitzero"`
	Waiting    bool         `json:"waiting,omitempty"` // static, and no such port is there; Interface may be a glob
	Copies     uint64       `json:"copies"`            // handed to the port, lost ones included
	CopyBytes  uint64       `json:"copy_bytes"`
}

// DropView is how many packets of a group were dropped for one reason.
type DropView struct {
	Reason   string    `json:"reason"`
	Packets  uint64    `json:"packets"`
	Bytes    uint64    `json:"bytes"`
	LastSeen time.Time `json:"last_seen,omitzero"` // of the last event about it; zero: none yet
}

// FailureView is how many copies for one port were lost for one reason.
type FailureView struct {
	Interface string    `json:"interface"`
	Reason    string    `json:"reason"`
	Packets   uint64    `json:"packets"`
	Bytes     uint64    `json:"bytes"`
	LastSeen  time.Time `json:"last_seen,omitzero"` // of the last event about it; zero: none yet
}

// View reads the tables and the kernel's counters. Returns ErrNotRunning before
// Ready and after Run.
func (a *Agent) View() (View, error) {
	return a.view(netip.Addr{}, (*viewBuilder).readMembers, (*viewBuilder).readStreams, (*viewBuilder).readLosses)
}

// ViewGroup is View of the groups with that address only, in every domain and
// VLAN. It leaves the members of others alone, so it is much cheaper than View.
func (a *Agent) ViewGroup(group netip.Addr) (View, error) {
	return a.view(group, (*viewBuilder).readMembers, (*viewBuilder).readStreams, (*viewBuilder).readLosses)
}

// ViewStreams is View without subscribers and losses, of the groups with that
// address, or of all if it is invalid.
func (a *Agent) ViewStreams(group netip.Addr) (View, error) {
	return a.view(group, (*viewBuilder).readStreams)
}

// view shows what the readers read of the groups with that address; an invalid
// one wants all.
func (a *Agent) view(only netip.Addr, readers ...func(*viewBuilder) error) (View, error) {
	select {
	case <-a.ready:
	default:
		return View{}, ErrNotRunning
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return View{}, ErrNotRunning
	}
	b := viewBuilder{agent: a, only: only, wall: time.Now().Add(-bpf.Now()), groups: map[bpf.GroupKey]*GroupView{}}
	for _, read := range readers {
		if err := read(&b); err != nil {
			return View{}, err
		}
	}
	sinks, err := a.pipe.sinks()
	return View{Time: time.Now(), Groups: b.sorted(), Sinks: sinks}, err
}

type viewBuilder struct {
	agent  *Agent
	only   netip.Addr
	wall   time.Time // of monotonic zero
	groups map[bpf.GroupKey]*GroupView
}

func (b *viewBuilder) group(k bpf.GroupKey) *GroupView {
	g := b.groups[k]
	if g == nil {
		g = &GroupView{
			Domain: b.agent.names.Domain(k.Domain), Group: k.Group, Name: b.agent.groupNames.of(k.Group), VLAN: k.VLAN.Outer(), InnerVLAN: k.VLAN.Inner(),
			Sources: []SourceView{}, Subscribers: []SubscriberView{}, Drops: []DropView{}, Failures: []FailureView{},
		}
		b.groups[k] = g
	}
	return g
}

// skips reports whether nobody asked for the group.
func (b *viewBuilder) skips(group netip.Addr) bool { return b.only.IsValid() && b.only != group }

func (b *viewBuilder) readMembers() error {
	a := b.agent
	for _, d := range a.domains {
		var pairs []bpf.PairCount
		for g := range d.table.Groups() {
			if b.skips(g.Group) {
				continue
			}
			k := d.key(g.GroupKey)
			var err error
			if pairs, err = a.dp.PairCountsOf(pairs[:0], k); err != nil {
				return err
			}
			v := b.group(k)
			v.Static = g.Static
			v.Subscribers = make([]SubscriberView, 0, g.Members)
			for m := range d.table.MembersOf(g.GroupKey) {
				v.Subscribers = append(v.Subscribers, b.subscriber(m, countOf(pairs, uint32(m.Port))))
			}
		}
		for _, s := range a.static.waiting(d.cfg.Name, d.ports, b.skips) {
			g := b.group(bpf.GroupKey{Domain: d.id, VLAN: s.VLAN, Group: s.Group})
			g.Subscribers = append(g.Subscribers, waitingSubscriber(s))
		}
	}
	return nil
}

// countOf returns the count of a port among those of its group.
func countOf(pairs []bpf.PairCount, port uint32) bpf.PairCount {
	i := slices.IndexFunc(pairs, func(p bpf.PairCount) bool { return p.Port == port })
	if i < 0 {
		return bpf.PairCount{}
	}
	return pairs[i]
}

func (b *viewBuilder) subscriber(m snoop.Member, c bpf.PairCount) SubscriberView {
	s := SubscriberView{
		Interface: b.agent.names.Interface(uint32(m.Port)), Protocol: m.Protocol, FilterMode: m.FilterMode,
		Hosts: make([]netip.Addr, 0, len(m.Hosts)), Joined: b.wall.Add(m.Joined), Copies: c.Copies, CopyBytes: c.Bytes,
	}
	if m.Protocol != snoop.ProtocolStatic {
		s.Expires = b.wall.Add(m.Expires)
	}
	for _, src := range m.Sources {
		s.Sources = append(s.Sources, src.Address)
	}
	for _, h := range m.Hosts {
		s.Hosts = append(s.Hosts, h.Address)
	}
	return s
}

// waitingSubscriber is an order for ports that are not there.
func waitingSubscriber(s Static) SubscriberView {
	v := SubscriberView{
		Interface: s.Interface, Protocol: snoop.ProtocolStatic, FilterMode: snoop.Exclude.String(), Hosts: []netip.Addr{}, Waiting: true,
	}
	if s.Source.IsValid() {
		v.FilterMode, v.Sources = snoop.Include.String(), []netip.Addr{s.Source}
	}
	return v
}

func (b *viewBuilder) readStreams() error {
	return b.agent.dp.EachStream(func(s bpf.Stream) {
		if s.Packets == 0 || b.skips(s.Group) {
			return // a place for what may come
		}
		g := b.group(bpf.GroupKey{Domain: s.Domain, VLAN: s.VLAN, Group: s.Group})
		g.Sources = append(g.Sources, SourceView{
			Source: s.Source, Packets: s.Packets, Bytes: s.Bytes, Copies: s.Copies, CopyBytes: s.CopyBytes,
			FanOut: s.FanOut, LastSeen: b.wall.Add(time.Duration(s.LastNS)),
		})
	})
}

func (b *viewBuilder) readLosses() error {
	err := b.agent.dp.EachDrop(func(d bpf.DropCount) {
		if d.Packets > 0 && !b.skips(d.Key.Group) {
			g := b.group(d.Key)
			reason := d.Reason.String()
			g.Drops = append(g.Drops, DropView{reason, d.Packets, d.Bytes, b.agent.pipe.lastLosses.of(g, "", reason)})
		}
	})
	if err != nil {
		return err
	}
	return b.agent.dp.EachFailure(func(f bpf.FailureCount) {
		if f.Packets > 0 && !b.skips(f.Key.Group) {
			g := b.group(f.Key)
			port, reason := b.agent.names.Interface(f.Port), f.Reason.String()
			g.Failures = append(g.Failures, FailureView{port, reason, f.Packets, f.Bytes, b.agent.pipe.lastLosses.of(g, port, reason)})
		}
	})
}

// sorted puts everything in the order in which people look for it.
func (b *viewBuilder) sorted() []GroupView {
	groups := make([]GroupView, 0, len(b.groups))
	for _, g := range b.groups {
		slices.SortFunc(g.Sources, func(x, y SourceView) int { return x.Source.Compare(y.Source) })
		slices.SortStableFunc(g.Subscribers, func(x, y SubscriberView) int { return cmp.Compare(x.Interface, y.Interface) })
		slices.SortFunc(g.Drops, func(x, y DropView) int { return cmp.Compare(x.Reason, y.Reason) })
		slices.SortFunc(g.Failures, func(x, y FailureView) int {
			return cmp.Or(cmp.Compare(x.Interface, y.Interface), cmp.Compare(x.Reason, y.Reason))
		})
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(x, y GroupView) int {
		return cmp.Or(cmp.Compare(x.Domain, y.Domain), cmp.Compare(x.VLAN, y.VLAN),
			cmp.Compare(x.InnerVLAN, y.InnerVLAN), x.Group.Compare(y.Group))
	})
	return groups
}
