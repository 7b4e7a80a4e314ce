package main

import (
	"errors"
	"net/http"
	"time"

	"github.com/fanlight-io/fanlight/collector"
	observing "github.com/fanlight-io/fanlight/observe" // there is a verb observe
	"github.com/fanlight-io/fanlight/redact"
)

// observedAnswer is the answer to GET /v1/observed.
type observedAnswer struct {
	Time        time.Time            `json:"time"`
	Hook        string               `json:"hook"`
	Interfaces  []string             `json:"interfaces"`
	Streams     []observedStream     `json:"streams"`
	Groups      []observedGroup      `json:"groups"`
	Memberships []observedMembership `json:"memberships"`
	Queriers    []observedQuerier    `json:"queriers"`
	Bridges     []observedBridge     `json:"bridges"`
	Routes      []observedRoute      `json:"routes"`
}

// observedStream is one (S,G) on one interface; without a group, those that are
// not counted apart. Peaks and the longest gap are since the last scrape.
type observedStream struct {
	Interface  string               `json:"interface"`
	Direction  string               `json:"direction"`
	VLAN       string               `json:"vlan,omitempty"`
	Group      string               `json:"group,omitempty"`
	Source     string               `json:"source,omitempty"`
	Packets    uint64               `json:"packets"`
	Bytes      uint64               `json:"bytes"`
	FirstSeen  time.Time            `json:"first_seen"`
	LastSeen   time.Time            `json:"last_seen"`
	Silent     bool                 `json:"silent"`
	TTL        uint8                `json:"ttl"`
	DSCP       uint8                `json:"dscp"`
	Peaks      []observing.PeakView `json:"peaks"`
	LongestGap time.Duration        `json:"longest_gap_ns"`
	Gaps       []observing.GapView  `json:"gaps"`
}

type observedGroup struct {
	Interface string `json:"interface"`
	VLAN      string `json:"vlan,omitempty"`
	Group     string `json:"group"`
	State     string `json:"state"`
}

type observedMembership struct {
	Interface string   `json:"interface"`
	Group     string   `json:"group"`
	Users     uint64   `json:"users"`
	Include   []string `json:"include,omitempty"`
	Exclude   []string `json:"exclude,omitempty"`
}

type observedQuerier struct {
	Interface string    `json:"interface"`
	VLAN      string    `json:"vlan,omitempty"`
	Address   string    `json:"address"`
	Version   string    `json:"version"`
	LastSeen  time.Time `json:"last_seen"`
}

type observedBridge struct {
	Bridge string `json:"bridge"`
	Port   string `json:"port"`
	VLAN   string `json:"vlan,omitempty"`
	Group  string `json:"group"`
	Source string `json:"source,omitempty"`
}

type observedRoute struct {
	From           string   `json:"from,omitempty"`
	To             []string `json:"to"`
	Group          string   `json:"group"`
	Source         string   `json:"source,omitempty"`
	Packets        uint64   `json:"packets"`
	Bytes          uint64   `json:"bytes"`
	WrongInterface uint64   `json:"wrong_interface"`
}

// observed answers with what the policy shows of what is observed, if anything is.
func (v viewer) observed(w http.ResponseWriter, _ *http.Request) {
	view, err := v.agent.Observed()
	if err != nil && !errors.Is(err, collector.ErrNotObserving) { // no interfaces are an answer, too
		answerError(w, err)
		return
	}
	answer(w, http.StatusOK, v.showObserved(&view))
}

var (
	onInterface = []redact.Class{redact.Interface}
	onGroup     = []redact.Class{redact.Interface, redact.Segment, redact.Group}
	onStream    = []redact.Class{redact.Interface, redact.Segment, redact.Group, redact.SourceAddress}
	onQuerier   = []redact.Class{redact.Interface, redact.Segment, redact.QuerierAddress}
)

func (v viewer) showObserved(view *observing.View) observedAnswer {
	a := observedAnswer{
		Time: view.Time, Hook: view.Hook, Interfaces: []string{}, Streams: []observedStream{}, Groups: []observedGroup{},
		Memberships: []observedMembership{}, Queriers: []observedQuerier{}, Bridges: []observedBridge{}, Routes: []observedRoute{},
	}
	for _, name := range view.Interfaces {
		if t, ok := v.policy.Row(onInterface, redact.Name(name)); ok {
			a.Interfaces = append(a.Interfaces, t[0])
		}
	}
	for _, s := range view.Streams {
		if t, ok := v.policy.Row(onStream, redact.Name(s.Interface), redact.VLAN(s.VLAN), redact.Addr(s.Group), redact.Addr(s.Source)); ok {
			a.Streams = append(a.Streams, observedStream{
				t[0], s.Direction, t[1], t[2], t[3], s.Packets, s.Bytes, s.FirstSeen, s.LastSeen, s.Silent, s.TTL, s.DSCP, s.Peaks, s.LongestGap, s.Gaps,
			})
		}
	}
	for _, g := range view.Groups {
		if t, ok := v.policy.Row(onGroup, redact.Name(g.Interface), redact.VLAN(g.VLAN), redact.Addr(g.Group)); ok {
			a.Groups = append(a.Groups, observedGroup{t[0], t[1], t[2], g.State})
		}
	}
	for _, q := range view.Queriers {
		if t, ok := v.policy.Row(onQuerier, redact.Name(q.Interface), redact.VLAN(q.VLAN), redact.Addr(q.Address)); ok {
			a.Queriers = append(a.Queriers, observedQuerier{t[0], t[1], t[2], q.Version, q.LastSeen})
		}
	}
	v.showHost(view, &a)
	return a
}

// showHost adds what the host itself joined, bridges and routes.
func (v viewer) showHost(view *observing.View, a *observedAnswer) {
	for _, m := range view.Memberships {
		on, group := redact.Name(m.Interface), redact.Addr(m.Group)
		t, ok := v.policy.Row(onGroup, on, redact.VLAN(0), group)
		if !ok {
			continue
		}
		shown := observedMembership{Interface: t[0], Group: t[2], Users: m.Users}
		for _, s := range m.Include {
			if t, ok := v.policy.Row(onStream, on, redact.VLAN(0), group, redact.Addr(s)); ok && t[3] != "" {
				shown.Include = append(shown.Include, t[3])
			}
		}
		for _, s := range m.Exclude {
			if t, ok := v.policy.Row(onStream, on, redact.VLAN(0), group, redact.Addr(s)); ok && t[3] != "" {
				shown.Exclude = append(shown.Exclude, t[3])
			}
		}
		a.Memberships = append(a.Memberships, shown)
	}
	for _, b := range view.Bridges {
		t, ok := v.policy.Row(onStream, redact.Name(b.Bridge), redact.VLAN(b.VLAN), redact.Addr(b.Group), redact.Addr(b.Source))
		if ok {
			a.Bridges = append(a.Bridges, observedBridge{t[0], v.policy.Show(redact.Interface, b.Port), t[1], t[2], t[3]})
		}
	}
	for _, r := range view.Routes {
		t, ok := v.policy.Row(onStream, redact.Name(r.From), redact.VLAN(0), redact.Addr(r.Group), redact.Addr(r.Source))
		if !ok {
			continue
		}
		shown := observedRoute{From: t[0], To: []string{}, Group: t[2], Source: t[3], Packets: r.Packets, Bytes: r.Bytes, WrongInterface: r.WrongInterface}
		for _, to := range r.To {
			shown.To = append(shown.To, v.policy.Show(redact.Interface, to))
		}
		a.Routes = append(a.Routes, shown)
	}
}
