package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/redact"
)

// groupDetail is one group in the answer to GET /v1/groups/{group}: everything
// about it, in one domain and VLAN.
type groupDetail struct {
	Domain      string          `json:"domain"`
	VLAN        string          `json:"vlan,omitempty"`
	Group       string          `json:"group"`
	Name        string          `json:"name,omitempty"`
	Scope       string          `json:"scope,omitempty"` // as group_scope in events
	Class       string          `json:"class,omitempty"` // as group_class in events
	Static      bool            `json:"static,omitempty"`
	LastSeen    time.Time       `json:"last_seen,omitzero"`
	Streams     []streamSummary `json:"streams"`
	Subscribers []subscription  `json:"subscribers"`
	Drops       []loss          `json:"drops"`         // packets of the group
	Failures    []loss          `json:"failed_copies"` // copies for its ports
}

// group answers with the group of that address or name, in each domain and VLAN
// where it is.
func (v viewer) group(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	query.Set("group", r.PathValue("group"))
	r.URL.RawQuery = query.Encode()
	list := []groupDetail{}
	q, ok := v.each(w, r, selection.members, func(g *collector.GroupView, at place) { list = append(list, v.detail(g, at)) })
	if !ok {
		return
	}
	if len(list) == 0 && q.name == "" {
		answer(w, http.StatusNotFound, apiError{"the group is not there: nobody subscribes to it, and no packet of it came; 'fanlight groups list' shows those that are"})
		return
	}
	for i := range list {
		if list[i].Group != list[0].Group {
			answer(w, http.StatusConflict, apiError{fmt.Sprintf("several groups are called %q; say which by its address, 'fanlight groups list --group NAME' shows them", q.name)})
			return
		}
	}
	answerList(w, q, list, orders[groupDetail]{})
}

func (v viewer) detail(g *collector.GroupView, at place) groupDetail {
	d := groupDetail{
		Domain: at.domain, VLAN: at.vlan, Group: at.group, Name: at.name, Static: g.Static,
		Scope: redact.GroupScope(g.Group), Class: redact.GroupClass(g.Group), // as in records, of the group itself
		Streams: v.streamsOf(g, at), Subscribers: []subscription{}, Drops: []loss{}, Failures: []loss{},
	}
	for i := range g.Subscribers {
		if s, ok := v.subscriber(g, at, &g.Subscribers[i]); ok {
			d.Subscribers = append(d.Subscribers, s)
		}
	}
	for _, s := range d.Streams {
		if s.LastSeen.After(d.LastSeen) {
			d.LastSeen = s.LastSeen
		}
	}
	for _, l := range v.losses(g) {
		if l.Lost == lostCopy {
			d.Failures = append(d.Failures, l)
		} else {
			d.Drops = append(d.Drops, l)
		}
	}
	return d
}
