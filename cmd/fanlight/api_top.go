package main

import (
	"net/http"
	"time"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/redact"
)

// topAnswer is the answer to GET /v1/top: exact totals, of which two make rates.
type topAnswer struct {
	Time   time.Time  `json:"time"`
	Groups []topGroup `json:"groups"`
}

// topGroup is one group. Datagrams are counted; copies include those that were
// lost.
type topGroup struct {
	Domain      string    `json:"domain"`
	VLAN        string    `json:"vlan,omitempty"`
	Group       string    `json:"group"`
	Name        string    `json:"name,omitempty"`
	Sources     int       `json:"sources"`
	Subscribers int       `json:"subscribers"`
	Packets     uint64    `json:"packets"`
	Bytes       uint64    `json:"bytes"`
	Copies      uint64    `json:"copies"`
	Losses      []topLoss `json:"losses,omitempty"`
}

// topLoss is what a group lost for one reason: packets on their way in, or
// copies for the port of the interface.
type topLoss struct {
	Interface string `json:"interface,omitempty"`
	Reason    string `json:"reason"`
	Packets   uint64 `json:"packets"`
}

// topDetail is the answer to GET /v1/top/group: who sends to a group, and who
// gets it.
type topDetail struct {
	Time        time.Time      `json:"time"`
	Sources     []topSource    `json:"sources"`
	Subscribers []subscription `json:"subscribers"`
}

// topSource is one source of a group; an empty Source stands for those that are
// not counted apart, or that the policy hides.
type topSource struct {
	Source   string    `json:"source"`
	Packets  uint64    `json:"packets"`
	Bytes    uint64    `json:"bytes"`
	Copies   uint64    `json:"copies"`
	LastSeen time.Time `json:"last_seen"`
}

func (v viewer) top(w http.ResponseWriter, _ *http.Request) {
	view, err := v.agent.View()
	if err != nil {
		answerError(w, err)
		return
	}
	a := topAnswer{Time: view.Time, Groups: make([]topGroup, 0, len(view.Groups))}
	known := make(map[place]int, len(view.Groups))
	for i := range view.Groups {
		at, ok := v.placeOf(&view.Groups[i])
		if !ok {
			continue
		}
		j, seen := known[at] // a policy can make several groups look the same
		if !seen {
			j = len(a.Groups)
			known[at] = j
			a.Groups = append(a.Groups, topGroup{Domain: at.domain, VLAN: at.vlan, Group: at.group, Name: at.name})
		}
		v.addTotals(&a.Groups[j], &view.Groups[i])
	}
	answer(w, http.StatusOK, a)
}

// portsOf is how many ports get the group: one that hosts and the operator
// subscribed is listed twice, and one that is not there yet gets nothing.
func portsOf(g *collector.GroupView) int {
	ports := map[string]bool{}
	for _, m := range g.Subscribers {
		if !m.Waiting {
			ports[m.Interface] = true
		}
	}
	return len(ports)
}

func (v viewer) addTotals(to *topGroup, g *collector.GroupView) {
	to.Sources += len(g.Sources)
	to.Subscribers += portsOf(g)
	for _, s := range g.Sources {
		to.Packets += s.Packets
		to.Bytes += s.Bytes
		to.Copies += s.Copies
	}
	for _, d := range g.Drops {
		to.Losses = append(to.Losses, topLoss{Reason: d.Reason, Packets: d.Packets})
	}
	for _, f := range g.Failures {
		to.Losses = append(to.Losses, topLoss{Interface: v.policy.Show(redact.Interface, f.Interface), Reason: f.Reason, Packets: f.Packets})
	}
}

// topOf answers about the groups that look as the request says: what a policy
// shows of a group is all that a client knows of it.
func (v viewer) topOf(w http.ResponseWriter, r *http.Request) {
	view, err := v.agent.View()
	if err != nil {
		answerError(w, err)
		return
	}
	q := r.URL.Query()
	domain, vlan, group := q.Get("domain"), q.Get("vlan"), q.Get("group")
	d := topDetail{Time: view.Time, Sources: []topSource{}, Subscribers: []subscription{}}
	for i := range view.Groups {
		g := &view.Groups[i]
		at, ok := v.placeOf(g)
		if !ok || at.domain != domain || at.vlan != vlan || at.group != group {
			continue
		}
		for _, s := range g.Sources {
			d.Sources = append(d.Sources, v.source(g, s))
		}
		for j := range g.Subscribers {
			if s, ok := v.subscriber(g, at, &g.Subscribers[j]); ok {
				d.Subscribers = append(d.Subscribers, s)
			}
		}
	}
	answer(w, http.StatusOK, d)
}

func (v viewer) source(g *collector.GroupView, s collector.SourceView) topSource {
	shown := topSource{Packets: s.Packets, Bytes: s.Bytes, Copies: s.Copies, LastSeen: s.LastSeen}
	if !s.Source.IsValid() {
		return shown
	}
	if texts, ok := v.policy.Row(sourceClasses, append(labelsOf(g), redact.Addr(s.Source))...); ok {
		shown.Source = texts[3]
	}
	return shown
}
