package live

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/redact"
)

// moment is what was seen at one tick. The details of a group are made when the
// first viewer asks, for all who do.
type moment struct {
	view   collector.View
	places map[int]int // of groups in the view, by number

	mu      sync.Mutex
	details map[int][]byte
}

// detail is one group. Amounts are totals: whoever wants rates compares two.
type detail struct {
	Time        time.Time    `json:"time"`
	Sources     []source     `json:"sources"`
	Subscribers []subscriber `json:"subscribers"`
	Drops       []lossTotal  `json:"drops"`
	Failures    []lossTotal  `json:"failures"`
}

type source struct {
	Source   string    `json:"source"` // empty: those that are not counted apart, or that policy hides
	Packets  uint64    `json:"packets"`
	Bytes    uint64    `json:"bytes"`
	FanOut   uint32    `json:"fan_out"` // of the last packet
	LastSeen time.Time `json:"last_seen"`
}

type subscriber struct {
	Interface  string    `json:"interface"`
	Protocol   string    `json:"protocol"`
	FilterMode string    `json:"filter_mode"`
	Sources    []string  `json:"sources,omitempty"`
	Hosts      []string  `json:"hosts"`
	Joined     time.Time `json:"joined"`
	Expires    time.Time `json:"expires"`
	Copies     uint64    `json:"copies"` // lost ones included
	CopyBytes  uint64    `json:"copy_bytes"`
}

type lossTotal struct {
	Interface string `json:"interface,omitempty"` // of lost copies
	Reason    string `json:"reason"`
	Packets   uint64 `json:"packets"`
}

// detail returns the JSON of a group, or false if there is no such group.
func (m *moment) detail(id int, p *redact.Policy) (body []byte, ok bool) {
	place, ok := m.places[id]
	if !ok {
		return nil, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if body = m.details[id]; body != nil {
		return body, true
	}
	n := namer{p, &m.view.Groups[place]}
	body, err := json.Marshal(n.detail(m.view.Time))
	if err != nil {
		panic(err) // these types always can
	}
	if m.details == nil {
		m.details = map[int][]byte{}
	}
	m.details[id] = body
	return body, true
}

// namer shows a group's parts as policy does in metrics and in answers of the
// API.
type namer struct {
	policy *redact.Policy
	group  *collector.GroupView
}

var (
	sourceClasses = []redact.Class{redact.Domain, redact.Segment, redact.Group, redact.SourceAddress}
	portClasses   = []redact.Class{redact.Domain, redact.Segment, redact.Group, redact.Interface}
	hostClasses   = []redact.Class{redact.Domain, redact.Segment, redact.Group, redact.Interface, redact.HostAddress}
)

// text is the last one of a row of names.
func (n namer) text(classes []redact.Class, more ...redact.Label) string {
	texts, ok := n.policy.Row(classes, append(labelsOf(n.group), more...)...)
	if !ok {
		return "" // counted by the policy
	}
	return texts[len(texts)-1]
}

// detail has everything in the order of its text: that of the addresses would
// tell something about those that policy hides.
func (n namer) detail(at time.Time) detail {
	d := detail{Time: at, Sources: []source{}, Subscribers: []subscriber{}, Drops: []lossTotal{}, Failures: []lossTotal{}}
	for _, s := range n.group.Sources {
		d.Sources = append(d.Sources, source{
			Source: n.text(sourceClasses, redact.Addr(s.Source)), Packets: s.Packets, Bytes: s.Bytes, FanOut: s.FanOut, LastSeen: s.LastSeen,
		})
	}
	slices.SortFunc(d.Sources, func(x, y source) int { return cmp.Compare(x.Source, y.Source) })
	for i := range n.group.Subscribers {
		d.Subscribers = append(d.Subscribers, n.subscriber(&n.group.Subscribers[i]))
	}
	slices.SortFunc(d.Subscribers, func(x, y subscriber) int { return cmp.Compare(x.Interface, y.Interface) })
	for _, l := range n.group.Drops {
		d.Drops = append(d.Drops, lossTotal{Reason: l.Reason, Packets: l.Packets})
	}
	for _, l := range n.group.Failures {
		d.Failures = append(d.Failures, lossTotal{n.text(portClasses, redact.Name(l.Interface)), l.Reason, l.Packets})
	}
	return d
}

func (n namer) subscriber(m *collector.SubscriberView) subscriber {
	port := redact.Name(m.Interface)
	s := subscriber{
		Interface: n.text(portClasses, port), Protocol: m.Protocol, FilterMode: m.FilterMode, Hosts: []string{},
		Joined: m.Joined, Expires: m.Expires, Copies: m.Copies, CopyBytes: m.CopyBytes,
	}
	for _, a := range m.Sources {
		if text := n.text(sourceClasses, redact.Addr(a)); text != "" {
			s.Sources = append(s.Sources, text)
		}
	}
	for _, a := range m.Hosts {
		if text := n.text(hostClasses, port, redact.Addr(a)); text != "" {
			s.Hosts = append(s.Hosts, text)
		}
	}
	slices.Sort(s.Sources)
	slices.Sort(s.Hosts)
	return s
}
