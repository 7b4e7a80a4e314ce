package main

import (
	"cmp"
	"net/http"
	"time"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/redact"
)

// subscription is one member in the answer to GET /v1/subscribers. Of protocol
// static, it was ordered by the operator, and has neither hosts nor an end.
type subscription struct {
	Domain     string    `json:"domain"`
	VLAN       string    `json:"vlan,omitempty"`
	Group      string    `json:"group"`
	Name       string    `json:"name,omitempty"`
	Interface  string    `json:"interface"`
	Protocol   string    `json:"protocol"`
	FilterMode string    `json:"filter_mode"`
	Sources    []string  `json:"sources,omitempty"`
	Hosts      []string  `json:"hosts"`
	Joined     time.Time `json:"joined,omitzero"`
	Expires    time.Time `json:"expires,omitzero"`
	Waiting    bool      `json:"waiting,omitempty"` // no such port is there yet
	Copies     uint64    `json:"copies"`
	CopyBytes  uint64    `json:"copy_bytes"`
}

var subscriberOrders = orders[subscription]{
	"copies":    func(a, b *subscription) int { return cmp.Compare(b.Copies, a.Copies) },
	"interface": func(a, b *subscription) int { return cmp.Compare(a.Interface, b.Interface) },
	"joined":    func(a, b *subscription) int { return b.Joined.Compare(a.Joined) },
	"expires":   func(a, b *subscription) int { return compareExpiry(a.Expires, b.Expires) },
	"name":      func(a, b *subscription) int { return compareNames(a.Name, b.Name) },
}

// compareExpiry puts what ends first first, and what never ends last.
func compareExpiry(a, b time.Time) int {
	if a.IsZero() != b.IsZero() {
		return b.Compare(a)
	}
	return a.Compare(b)
}

func (v viewer) subscribers(w http.ResponseWriter, r *http.Request) {
	list := []subscription{}
	q, ok := v.each(w, r, selection.members, func(g *collector.GroupView, at place) {
		for j := range g.Subscribers {
			if s, ok := v.subscriber(g, at, &g.Subscribers[j]); ok {
				list = append(list, s)
			}
		}
	})
	if ok {
		answerList(w, q, list, subscriberOrders)
	}
}

// each calls fn for each group of the view that the request asks for. If ok is
// false it has answered the request.
func (v viewer) each(w http.ResponseWriter, r *http.Request, viewOf func(selection, *sharedAgent) (collector.View, error),
	fn func(*collector.GroupView, place)) (q selection, ok bool) {
	q, err := selectionOf(r.URL.Query())
	if err != nil {
		answer(w, http.StatusBadRequest, apiError{err.Error()})
		return q, false
	}
	view, err := viewOf(q, v.agent)
	if err != nil {
		answerError(w, err)
		return q, false
	}
	for i := range view.Groups {
		g := &view.Groups[i]
		if at, ok := v.placeOf(g); ok && q.fits(g.Domain, at) {
			fn(g, at)
		}
	}
	return q, true
}

func (v viewer) subscriber(g *collector.GroupView, at place, m *collector.SubscriberView) (s subscription, ok bool) {
	port := redact.Name(m.Interface)
	texts, ok := v.policy.Row(memberClasses, append(labelsOf(g), port)...)
	if !ok {
		return s, false
	}
	s = subscription{
		Domain: at.domain, VLAN: at.vlan, Group: texts[2], Name: at.name, Interface: texts[3], Protocol: m.Protocol, FilterMode: m.FilterMode,
		Hosts: []string{}, Joined: m.Joined, Expires: m.Expires, Waiting: m.Waiting, Copies: m.Copies, CopyBytes: m.CopyBytes,
	}
	if s.Group != at.group {
		s.Name = "" // a rule about the interface hides the group
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
