package collector

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
)

// GroupSummary is a group with its sums, without who they are made of. It is
// cheap: a list of all groups needs no look at any member. Counts are those of
// [GroupView].
type GroupSummary struct {
	Domain      string
	VLAN        bpf.VLAN
	Group       netip.Addr // invalid: packets of groups that had no room in the tables
	Name        string
	Static      bool
	Sources     int // counted apart; 1 more if others had no room
	Subscribers int // ports
	Packets     uint64
	Bytes       uint64
	Copies      uint64
	Dropped     uint64
	Failed      uint64
	LastSeen    time.Time // zero: no packet yet
}

// Groups returns every group that has subscribers or packets, or that is
// static, by domain, VLAN and address. Returns ErrNotRunning before Ready and
// after Run.
func (a *Agent) Groups() ([]GroupSummary, error) {
	select {
	case <-a.ready:
	default:
		return nil, ErrNotRunning
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, ErrNotRunning
	}
	s := summer{agent: a, wall: time.Now().Add(-bpf.Now()), groups: map[bpf.GroupKey]*GroupSummary{}}
	s.addTables()
	err := cmp.Or(a.dp.EachStream(s.addStream), a.dp.EachDrop(s.addDrop), a.dp.EachFailure(s.addFailure))
	return s.sorted(), err
}

type summer struct {
	agent  *Agent
	wall   time.Time // of monotonic zero
	groups map[bpf.GroupKey]*GroupSummary
}

func (s *summer) at(k bpf.GroupKey) *GroupSummary {
	g := s.groups[k]
	if g == nil {
		g = &GroupSummary{Domain: s.agent.names.Domain(k.Domain), VLAN: k.VLAN, Group: k.Group, Name: s.agent.groupNames.of(k.Group)}
		s.groups[k] = g
	}
	return g
}

func (s *summer) addTables() {
	for _, d := range s.agent.domains {
		for t := range d.table.Groups() {
			g := s.at(d.key(t.GroupKey))
			g.Subscribers, g.Static = t.Members, t.Static
		}
	}
}

func (s *summer) addStream(x bpf.Stream) {
	if x.Packets == 0 {
		return // a place for what may come
	}
	g := s.at(bpf.GroupKey{Domain: x.Domain, VLAN: x.VLAN, Group: x.Group})
	g.Sources++
	g.Packets += x.Packets
	g.Bytes += x.Bytes
	g.Copies += x.Copies
	if seen := s.wall.Add(time.Duration(x.LastNS)); seen.After(g.LastSeen) {
		g.LastSeen = seen
	}
}

func (s *summer) addDrop(d bpf.DropCount) {
	if d.Packets > 0 {
		s.at(d.Key).Dropped += d.Packets
	}
}

func (s *summer) addFailure(f bpf.FailureCount) {
	if f.Packets > 0 {
		s.at(f.Key).Failed += f.Packets
	}
}

func (s *summer) sorted() []GroupSummary {
	list := make([]GroupSummary, 0, len(s.groups))
	for _, g := range s.groups {
		list = append(list, *g)
	}
	slices.SortFunc(list, func(x, y GroupSummary) int {
		return cmp.Or(cmp.Compare(x.Domain, y.Domain), cmp.Compare(x.VLAN, y.VLAN), x.Group.Compare(y.Group))
	})
	return list
}
