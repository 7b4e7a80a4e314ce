package main

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/redact"
)

// groupSummary is one group in the answer to GET /v1/groups. Datagrams are
// counted; copies include those that were lost.
type groupSummary struct {
	Domain      string `json:"domain"`
	VLAN        string `json:"vlan,omitempty"`
	Group       string `json:"group"`
	Sources     int    `json:"sources"`
	Subscribers int    `json:"subscribers"`
	Packets     uint64 `json:"packets"`
	Bytes       uint64 `json:"bytes"`
	Copies      uint64 `json:"copies"`
	Dropped     uint64 `json:"dropped"`
	Failed      uint64 `json:"failed_copies"`
}

// subscription is one member in the answer to GET /v1/subscribers.
type subscription struct {
	Domain     string    `json:"domain"`
	VLAN       string    `json:"vlan,omitempty"`
	Group      string    `json:"group"`
	Interface  string    `json:"interface"`
	Protocol   string    `json:"protocol"`
	FilterMode string    `json:"filter_mode"`
	Sources    []string  `json:"sources,omitempty"`
	Hosts      []string  `json:"hosts"`
	Joined     time.Time `json:"joined"`
	Expires    time.Time `json:"expires"`
	Copies     uint64    `json:"copies"`
	CopyBytes  uint64    `json:"copy_bytes"`
}

// viewer answers with what the policy shows of an agent's view.
type viewer struct {
	agent    *sharedAgent
	policy   *redact.Policy
	revealed bool // the policy hides nothing: the client is root's
	events   *eventSource
	counts   *apiCounts
}

// chosen returns the groups of the view, or the one that the request asks for.
func (v viewer) chosen(w http.ResponseWriter, r *http.Request) (groups []collector.GroupView, ok bool) {
	view, err := v.agent.View()
	if err != nil {
		answerError(w, err)
		return nil, false
	}
	wanted := r.URL.Query().Get("group")
	if wanted == "" {
		return view.Groups, true
	}
	group, err := netip.ParseAddr(wanted)
	if err != nil || !group.IsMulticast() {
		answer(w, http.StatusBadRequest, apiError{"group: want the address of a group"})
		return nil, false
	}
	for _, g := range view.Groups {
		if g.Group == group {
			groups = append(groups, g)
		}
	}
	return groups, true
}

func (v viewer) groups(w http.ResponseWriter, r *http.Request) {
	groups, ok := v.chosen(w, r)
	if !ok {
		return
	}
	list := []groupSummary{}
	for i := range groups {
		if s, ok := v.summary(&groups[i]); ok {
			list = append(list, s)
		}
	}
	answer(w, http.StatusOK, list)
}

var (
	groupClasses  = []redact.Class{redact.Domain, redact.Segment, redact.Group}
	memberClasses = []redact.Class{redact.Domain, redact.Segment, redact.Group, redact.Interface}
	sourceClasses = []redact.Class{redact.Domain, redact.Segment, redact.Group, redact.SourceAddress}
	hostClasses   = []redact.Class{redact.Domain, redact.Segment, redact.Group, redact.Interface, redact.HostAddress}
)

// labelsOf are those of groupClasses.
func labelsOf(g *collector.GroupView) []redact.Label {
	return []redact.Label{redact.Name(g.Domain), redact.VLAN(bpf.MakeVLAN(g.VLAN, g.InnerVLAN)), redact.Addr(g.Group)}
}

func (v viewer) summary(g *collector.GroupView) (s groupSummary, ok bool) {
	texts, ok := v.policy.Row(groupClasses, labelsOf(g)...)
	if !ok {
		return s, false
	}
	s = groupSummary{Domain: texts[0], VLAN: texts[1], Group: texts[2], Sources: len(g.Sources), Subscribers: len(g.Subscribers)}
	for _, src := range g.Sources {
		s.Packets += src.Packets
		s.Bytes += src.Bytes
		s.Copies += src.Copies
	}
	for _, d := range g.Drops {
		s.Dropped += d.Packets
	}
	for _, f := range g.Failures {
		s.Failed += f.Packets
	}
	return s, true
}

func (v viewer) subscribers(w http.ResponseWriter, r *http.Request) {
	groups, ok := v.chosen(w, r)
	if !ok {
		return
	}
	list := []subscription{}
	for i := range groups {
		for j := range groups[i].Subscribers {
			if s, ok := v.subscriber(&groups[i], &groups[i].Subscribers[j]); ok {
				list = append(list, s)
			}
		}
	}
	answer(w, http.StatusOK, list)
}

func (v viewer) subscriber(g *collector.GroupView, m *collector.SubscriberView) (s subscription, ok bool) {
	port := redact.Name(m.Interface)
	texts, ok := v.policy.Row(memberClasses, append(labelsOf(g), port)...)
	if !ok {
		return s, false
	}
	s = subscription{
		Domain: texts[0], VLAN: texts[1], Group: texts[2], Interface: texts[3], Protocol: m.Protocol, FilterMode: m.FilterMode,
		Hosts: []string{}, Joined: m.Joined, Expires: m.Expires, Copies: m.Copies, CopyBytes: m.CopyBytes,
	}
	for _, a := range m.Sources {
		if texts, ok := v.policy.Row(sourceClasses, append(labelsOf(g), redact.Addr(a))...); ok && texts[3] != "" {
			s.Sources = append(s.Sources, texts[3])
		}
	}
	for _, a := range m.Hosts {
		if texts, ok := v.policy.Row(hostClasses, append(labelsOf(g), port, redact.Addr(a))...); ok && texts[4] != "" {
			s.Hosts = append(s.Hosts, texts[4])
		}
	}
	return s, true
}
