package collector

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
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

// SubscriberView is a port that wants a group.
type SubscriberView struct {
	Interface  string       `json:"interface"`
	Protocol   string       `json:"protocol"`
	FilterMode string       `json:"filter_mode"`
	Sources    []netip.Addr `json:"sources,omitempty"`
	Hosts      []netip.Addr `json:"hosts"`
	Joined     time.Time    `json:"joined"`
	Expires    time.Time    `json:"expires"`
	Copies     uint64       `json:"copies"` // handed to the port, lost ones included
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
	b := viewBuilder{agent: a, wall: time.Now().Add(-bpf.Now()), groups: map[bpf.GroupKey]*GroupView{}}
	for _, read := range []func() error{b.readMembers, b.readStreams, b.readLosses} {
		if err := read(); err != nil {
			return View{}, err
		}
	}
	sinks, err := a.pipe.sinks()
	return View{Time: time.Now(), Groups: b.sorted(), Sinks: sinks}, err
}

type viewBuilder struct {
	agent  *Agent
	wall   time.Time // of monotonic zero
	groups map[bpf.GroupKey]*GroupView
}

func (b *viewBuilder) group(k bpf.GroupKey) *GroupView {
	g := b.groups[k]
	if g == nil {
		g = &GroupView{
			Domain: b.agent.names.Domain(k.Domain), Group: k.Group, VLAN: k.VLAN.Outer(), InnerVLAN: k.VLAN.Inner(),
			Sources: []SourceView{}, Subscribers: []SubscriberView{}, Drops: []DropView{}, Failures: []FailureView{},
		}
		b.groups[k] = g
	}
	return g
}

func (b *viewBuilder) readMembers() error {
	pairs, err := b.agent.dp.PairCounts(nil)
	if err != nil {
		return err
	}
	type pair struct {
		key  bpf.GroupKey
		port uint32
	}
	counts := make(map[pair]bpf.PairCount, len(pairs))
	for _, p := range pairs {
		counts[pair{p.Key, p.Port}] = p
	}
	for _, d := range b.agent.domains {
		for m := range d.table.Members() {
			k := bpf.GroupKey{Domain: d.id, VLAN: bpf.VLAN(m.VLAN), Group: m.Group}
			c := counts[pair{k, uint32(m.Port)}]
			s := SubscriberView{
				Interface: b.agent.names.Interface(uint32(m.Port)), Protocol: m.Protocol, FilterMode: m.FilterMode,
				Hosts: make([]netip.Addr, 0, len(m.Hosts)), Joined: b.wall.Add(m.Joined), Expires: b.wall.Add(m.Expires),
				Copies: c.Copies, CopyBytes: c.Bytes,
			}
			for _, src := range m.Sources {
				s.Sources = append(s.Sources, src.Address)
			}
			for _, h := range m.Hosts {
				s.Hosts = append(s.Hosts, h.Address)
			}
			g := b.group(k)
			g.Subscribers = append(g.Subscribers, s)
		}
	}
	return nil
}

func (b *viewBuilder) readStreams() error {
	return b.agent.dp.EachStream(func(s bpf.Stream) {
		if s.Packets == 0 {
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
		if d.Packets > 0 {
			g := b.group(d.Key)
			reason := d.Reason.String()
			g.Drops = append(g.Drops, DropView{reason, d.Packets, d.Bytes, b.agent.pipe.lastLosses.of(g, "", reason)})
		}
	})
	if err != nil {
		return err
	}
	return b.agent.dp.EachFailure(func(f bpf.FailureCount) {
		if f.Packets > 0 {
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
		slices.SortFunc(g.Subscribers, func(x, y SubscriberView) int { return cmp.Compare(x.Interface, y.Interface) })
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
