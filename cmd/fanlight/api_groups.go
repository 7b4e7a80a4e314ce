package main

import (
	"cmp"
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
	Domain      string    `json:"domain"`
	VLAN        string    `json:"vlan,omitempty"`
	Group       string    `json:"group"`
	Name        string    `json:"name,omitempty"`
	Static      bool      `json:"static,omitempty"`
	Sources     int       `json:"sources"`
	Subscribers int       `json:"subscribers"`
	Packets     uint64    `json:"packets"`
	Bytes       uint64    `json:"bytes"`
	Copies      uint64    `json:"copies"`
	Dropped     uint64    `json:"dropped"`
	Failed      uint64    `json:"failed_copies"`
	LastSeen    time.Time `json:"last_seen,omitzero"`
}

// viewer answers with what the policy shows of an agent's view.
type viewer struct {
	agent    *sharedAgent
	policy   *redact.Policy
	revealed bool // the policy hides nothing: the client is root's
	events   *eventSource
	counts   *apiCounts
	control  bool // what is static may be changed
}

// groupOrders are the ways to sort groups: the most first.
var groupOrders = orders[groupSummary]{
	"packets":     func(a, b *groupSummary) int { return cmp.Compare(b.Packets, a.Packets) },
	"bytes":       func(a, b *groupSummary) int { return cmp.Compare(b.Bytes, a.Bytes) },
	"copies":      func(a, b *groupSummary) int { return cmp.Compare(b.Copies, a.Copies) },
	"subscribers": func(a, b *groupSummary) int { return cmp.Compare(b.Subscribers, a.Subscribers) },
	"dropped":     func(a, b *groupSummary) int { return cmp.Compare(b.Dropped, a.Dropped) },
	"failed":      func(a, b *groupSummary) int { return cmp.Compare(b.Failed, a.Failed) },
	"last-seen":   func(a, b *groupSummary) int { return b.LastSeen.Compare(a.LastSeen) },
	"name":        func(a, b *groupSummary) int { return compareNames(a.Name, b.Name) },
}

func (v viewer) groups(w http.ResponseWriter, r *http.Request) {
	q, err := selectionOf(r.URL.Query())
	if err != nil {
		answer(w, http.StatusBadRequest, apiError{err.Error()})
		return
	}
	groups, err := v.agent.Groups()
	if err != nil {
		answerError(w, err)
		return
	}
	list := []groupSummary{}
	for i := range groups {
		g := &groups[i]
		if q.address.IsValid() && g.Group != q.address {
			continue
		}
		at, ok := v.place(g.Domain, g.VLAN, g.Group, g.Name)
		if !ok || !q.fits(g.Domain, at) {
			continue
		}
		list = append(list, groupSummary{
			Domain: at.domain, VLAN: at.vlan, Group: at.group, Name: at.name, Static: g.Static, Sources: g.Sources,
			Subscribers: g.Subscribers, Packets: g.Packets, Bytes: g.Bytes, Copies: g.Copies, Dropped: g.Dropped, Failed: g.Failed,
			LastSeen: g.LastSeen,
		})
	}
	answerList(w, q, list, groupOrders)
}

// place is which group of which segment, in texts that may leave.
type place struct{ domain, vlan, group, name string }

var placeClasses = []redact.Class{redact.Domain, redact.Segment, redact.Group, redact.GroupName}

func (v viewer) place(domain string, vlan bpf.VLAN, group netip.Addr, name string) (at place, ok bool) {
	texts, ok := v.policy.Row(placeClasses, redact.Name(domain), redact.VLAN(vlan), redact.Addr(group), redact.Name(name))
	if !ok {
		return at, false
	}
	return place{texts[0], texts[1], texts[2], texts[3]}, true
}

func (v viewer) placeOf(g *collector.GroupView) (at place, ok bool) {
	return v.place(g.Domain, bpf.MakeVLAN(g.VLAN, g.InnerVLAN), g.Group, g.Name)
}

var (
	memberClasses = []redact.Class{redact.Domain, redact.Segment, redact.Group, redact.Interface}
	sourceClasses = []redact.Class{redact.Domain, redact.Segment, redact.Group, redact.SourceAddress}
	hostClasses   = []redact.Class{redact.Domain, redact.Segment, redact.Group, redact.Interface, redact.HostAddress}
)

// labelsOf are the first three of these classes.
func labelsOf(g *collector.GroupView) []redact.Label {
	return []redact.Label{redact.Name(g.Domain), redact.VLAN(bpf.MakeVLAN(g.VLAN, g.InnerVLAN)), redact.Addr(g.Group)}
}
