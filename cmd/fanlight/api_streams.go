package main

import (
	"cmp"
	"net/http"
	"time"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/redact"
)

// streamSummary is one (S,G) in the answer to GET /v1/streams. No source stands for
// sources that had no room to be counted apart.
type streamSummary struct {
	Domain    string    `json:"domain"`
	VLAN      string    `json:"vlan,omitempty"`
	Group     string    `json:"group"`
	Name      string    `json:"name,omitempty"`
	Source    string    `json:"source,omitempty"`
	Packets   uint64    `json:"packets"`
	Bytes     uint64    `json:"bytes"`
	Copies    uint64    `json:"copies"`
	CopyBytes uint64    `json:"copy_bytes"`
	FanOut    uint32    `json:"fan_out"`
	LastSeen  time.Time `json:"last_seen"`
	Rates     *rates    `json:"rates,omitempty"` // added by who asked twice
}

var streamOrders = orders[streamSummary]{
	"packets":   func(a, b *streamSummary) int { return cmp.Compare(b.Packets, a.Packets) },
	"bytes":     func(a, b *streamSummary) int { return cmp.Compare(b.Bytes, a.Bytes) },
	"copies":    func(a, b *streamSummary) int { return cmp.Compare(b.Copies, a.Copies) },
	"fan-out":   func(a, b *streamSummary) int { return cmp.Compare(b.FanOut, a.FanOut) },
	"last-seen": func(a, b *streamSummary) int { return b.LastSeen.Compare(a.LastSeen) },
	"name":      func(a, b *streamSummary) int { return compareNames(a.Name, b.Name) },
}

func (v viewer) streams(w http.ResponseWriter, r *http.Request) {
	list := []streamSummary{}
	q, ok := v.each(w, r, selection.streams, func(g *collector.GroupView, at place) { list = append(list, v.streamsOf(g, at)...) })
	if ok {
		answerList(w, q, list, streamOrders)
	}
}

func (v viewer) streamsOf(g *collector.GroupView, at place) []streamSummary {
	list := []streamSummary{}
	for _, s := range g.Sources {
		texts, ok := v.policy.Row(sourceClasses, append(labelsOf(g), redact.Addr(s.Source))...)
		if !ok {
			continue
		}
		list = append(list, streamSummary{
			Domain: at.domain, VLAN: at.vlan, Group: at.group, Name: at.name, Source: texts[3],
			Packets: s.Packets, Bytes: s.Bytes, Copies: s.Copies, CopyBytes: s.CopyBytes, FanOut: s.FanOut, LastSeen: s.LastSeen,
		})
	}
	return list
}
