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
	at := make(map[[3]string]int, len(view.Groups))
	for i := range view.Groups {
		s, ok := v.summary(&view.Groups[i])
		if !ok {
			continue
		}
		shown := [3]string{s.Domain, s.VLAN, s.Group}
		j, known := at[shown] // a policy can make several groups look the same
		if !known {
			j = len(a.Groups)
			at[shown] = j
			a.Groups = append(a.Groups, topGroup{Domain: s.Domain, VLAN: s.VLAN, Group: s.Group})
		}
		a.Groups[j].add(s, v.losses(&view.Groups[i]))
	}
	answer(w, http.StatusOK, a)
}

func (g *topGroup) add(s groupSummary, losses []topLoss) {
	g.Sources += s.Sources
	g.Subscribers += s.Subscribers
	g.Packets += s.Packets
	g.Bytes += s.Bytes
	g.Copies += s.Copies
	g.Losses = append(g.Losses, losses...)
}

func (v viewer) losses(g *collector.GroupView) (all []topLoss) {
	for _, d := range g.Drops {
		all = append(all, topLoss{Reason: d.Reason, Packets: d.Packets})
	}
	for _, f := range g.Failures {
		all = append(all, topLoss{Interface: v.policy.Show(redact.Interface, f.Interface), Reason: f.Reason, Packets: f.Packets})
	}
	return all
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
	wanted := [3]string{q.Get("domain"), q.Get("vlan"), q.Get("group")}
	d := topDetail{Time: view.Time, Sources: []topSource{}, Subscribers: []subscription{}}
	for i := range view.Groups {
		g := &view.Groups[i]
		texts, ok := v.policy.Row(groupClasses, labelsOf(g)...)
		if !ok || [3]string(texts) != wanted {
			continue
		}
		for _, s := range g.Sources {
			d.Sources = append(d.Sources, v.source(g, s))
		}
		for j := range g.Subscribers {
			if s, ok := v.subscriber(g, &g.Subscribers[j]); ok {
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
