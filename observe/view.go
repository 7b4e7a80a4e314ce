package observe

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
)

// View is what is observed at one moment. Addresses are in clear, so only show
// it to who may see them.
type View struct {
	Time        time.Time        `json:"time"`
	Hook        string           `json:"hook"` // tcx or clsact
	Interfaces  []string         `json:"interfaces"`
	Streams     []StreamView     `json:"streams"` // by interface, direction, VLAN, group and source
	Groups      []GroupView      `json:"groups"`  // subscribed or active ones, link-local ones left out
	Memberships []MembershipView `json:"memberships"`
	Queriers    []QuerierView    `json:"queriers"`
	Bridges     []BridgeView     `json:"bridges"`
	Routes      []RouteView      `json:"routes"`
}

// StreamView is one stream. An invalid Group stands for those of the interface
// that had no room of their own, or are forgotten; they have amounts only.
// Datagrams are counted; bytes are those of frames, without FCS.
type StreamView struct {
	Interface string     `json:"interface"`
	Direction string     `json:"direction"` // receive or transmit
	VLAN      bpf.VLAN   `json:"vlan,omitempty"`
	Group     netip.Addr `json:"group"`
	Source    netip.Addr `json:"source"`
	Packets   uint64     `json:"packets"`
	Bytes     uint64     `json:"bytes"`
	FirstSeen time.Time  `json:"first_seen"`
	LastSeen  time.Time  `json:"last_seen"`
	Silent    bool       `json:"silent"`
	TTL       uint8      `json:"ttl"`
	DSCP      uint8      `json:"dscp"`
	// Peaks are those since the last scrape of the metrics page.
	Peaks []PeakView `json:"peaks"`
	// LongestGap is the longest time between two packets since then.
	LongestGap time.Duration `json:"longest_gap_ns"`
	// Gaps counts the times between two packets since the stream began.
	Gaps []GapView `json:"gaps"`
}

// PeakView is the fullest window of a length.
type PeakView struct {
	Window  time.Duration `json:"window_ns"`
	Packets uint64        `json:"packets"`
	Bytes   uint64        `json:"bytes"`
}

// GapView counts gaps above the bound before and up to this one; 0 is none.
type GapView struct {
	UpTo  time.Duration `json:"up_to_ns"`
	Count uint64        `json:"count"`
}

// GroupView is the state of a group on an interface.
type GroupView struct {
	Interface string     `json:"interface"`
	VLAN      bpf.VLAN   `json:"vlan,omitempty"`
	Group     netip.Addr `json:"group"`
	State     string     `json:"state"`
}

// MembershipView is a group that this host joined, on any interface.
type MembershipView struct {
	Interface string       `json:"interface"`
	Group     netip.Addr   `json:"group"`
	Users     uint64       `json:"users"`
	Include   []netip.Addr `json:"include,omitempty"`
	Exclude   []netip.Addr `json:"exclude,omitempty"`
}

// QuerierView is a querier that was heard on an interface.
type QuerierView struct {
	Interface string     `json:"interface"`
	VLAN      bpf.VLAN   `json:"vlan,omitempty"`
	Address   netip.Addr `json:"address"`
	Version   string     `json:"version"`
	LastSeen  time.Time  `json:"last_seen"`
}

// BridgeView is a group that a Linux bridge forwards to a port.
type BridgeView struct {
	Bridge string     `json:"bridge"`
	Port   string     `json:"port"`
	VLAN   bpf.VLAN   `json:"vlan,omitempty"`
	Group  netip.Addr `json:"group"`
	Source netip.Addr `json:"source"` // invalid: of any source
}

// RouteView is an entry of the kernel's multicast routing.
type RouteView struct {
	From           string     `json:"from"` // empty: unresolved
	To             []string   `json:"to"`
	Group          netip.Addr `json:"group"`
	Source         netip.Addr `json:"source"` // invalid: of any source
	Packets        uint64     `json:"packets"`
	Bytes          uint64     `json:"bytes"`
	WrongInterface uint64     `json:"wrong_interface"`
}

// View returns what is known now. Counters are read, and no peak is lost.
func (o *Observer) View() (View, error) {
	if err := o.Look(); err != nil {
		return View{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	v := View{
		Time: time.Now(), Hook: o.watch.Hook(), Interfaces: []string{}, Streams: []StreamView{}, Groups: []GroupView{},
		Memberships: []MembershipView{}, Queriers: []QuerierView{}, Bridges: []BridgeView{}, Routes: []RouteView{},
	}
	for k, s := range o.streams {
		if k.Group.IsValid() || o.total(k, s).Packets > 0 {
			v.Streams = append(v.Streams, o.streamView(k, s))
		}
	}
	for k, state := range o.states() {
		v.Groups = append(v.Groups, GroupView{o.nameOf(k.ifindex), k.VLAN, k.Group, state})
	}
	for _, i := range o.interfaces {
		v.Interfaces = append(v.Interfaces, i.name)
		for vlan, q := range i.queriers() {
			v.Queriers = append(v.Queriers, QuerierView{i.name, vlan, q.Address, q.Version, wall(q.LastSeen)})
		}
	}
	o.viewHost(&v)
	v.sort()
	return v, nil
}

// total adds to an interface's entry for all what was forgotten.
func (o *Observer) total(k bpf.WatchKey, s *stream) bpf.Watched {
	t := s.now
	if i := o.interfaces[k.Ifindex]; i != nil && !k.Group.IsValid() {
		t.Packets += i.forgotten[k.Direction].Packets
		t.Bytes += i.forgotten[k.Direction].Bytes
	}
	return t
}

func (o *Observer) streamView(k bpf.WatchKey, s *stream) StreamView {
	w := o.total(k, s)
	v := StreamView{
		Interface: o.nameOf(k.Ifindex), Direction: k.Direction.String(), VLAN: k.VLAN, Group: k.Group, Source: k.Source,
		Packets: w.Packets, Bytes: w.Bytes, Silent: s.silent, TTL: w.TTL, DSCP: w.DSCP, LongestGap: s.peaks.Gap, Gaps: []GapView{},
	}
	if w.First > 0 {
		v.FirstSeen, v.LastSeen = wall(w.First), wall(w.Last)
	}
	for i, window := range bpf.Windows {
		v.Peaks = append(v.Peaks, PeakView{window, s.peaks.Packets[i], s.peaks.Bytes[i]})
	}
	for i, n := range w.Gaps {
		if n > 0 {
			v.Gaps = append(v.Gaps, GapView{bpf.GapBound(i), n})
		}
	}
	return v
}

func (o *Observer) viewHost(v *View) {
	for _, m := range o.host.memberships {
		v.Memberships = append(v.Memberships, MembershipView{o.nameOf(m.ifindex), m.group, m.users, m.include, m.exclude})
	}
	for _, b := range o.host.bridges {
		v.Bridges = append(v.Bridges, BridgeView{o.nameOf(b.bridge), o.nameOf(b.port), bpf.MakeVLAN(b.vlan, 0), b.group, b.source})
	}
	for _, r := range o.host.routes {
		w := RouteView{
			From: o.nameOf(r.from), To: []string{}, Group: r.group, Source: unmapped(r.source),
			Packets: r.packets, Bytes: r.bytes, WrongInterface: r.wrongInterface,
		}
		for _, to := range r.to {
			w.To = append(w.To, o.nameOf(to))
		}
		v.Routes = append(v.Routes, w)
	}
}

// sort puts everything in the order in which people look for it.
func (v *View) sort() {
	slices.Sort(v.Interfaces)
	slices.SortFunc(v.Streams, func(a, b StreamView) int {
		return cmp.Or(cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.VLAN, b.VLAN),
			a.Group.Compare(b.Group), a.Source.Compare(b.Source))
	})
	slices.SortFunc(v.Groups, func(a, b GroupView) int {
		return cmp.Or(cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.VLAN, b.VLAN), a.Group.Compare(b.Group))
	})
	slices.SortFunc(v.Memberships, func(a, b MembershipView) int {
		return cmp.Or(cmp.Compare(a.Interface, b.Interface), a.Group.Compare(b.Group))
	})
	slices.SortFunc(v.Queriers, func(a, b QuerierView) int {
		return cmp.Or(cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.VLAN, b.VLAN), a.Address.Compare(b.Address))
	})
	slices.SortFunc(v.Bridges, func(a, b BridgeView) int {
		return cmp.Or(cmp.Compare(a.Bridge, b.Bridge), cmp.Compare(a.VLAN, b.VLAN), a.Group.Compare(b.Group), cmp.Compare(a.Port, b.Port))
	})
	slices.SortFunc(v.Routes, func(a, b RouteView) int {
		return cmp.Or(cmp.Compare(a.From, b.From), a.Group.Compare(b.Group), a.Source.Compare(b.Source))
	})
}
