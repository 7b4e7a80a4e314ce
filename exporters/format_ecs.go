package exporters

import (
	"slices"
	"strings"

	"github.com/fanlight-io/fanlight/redact"
)

const (
	ecsVersion = "9.4.0"
	ecsStart   = `{"message":"`
)

var ecsNaming = naming{
	column: func(n redact.Names) string { return n.ECS },
	style: func(f *redact.Field, name string) style {
		switch {
		case strings.HasSuffix(name, ".ip"):
			return asIP
		case f.Type == redact.TypeMAC && strings.HasSuffix(name, ".mac"):
			return asDashMAC
		case slices.Contains([]string{"network.vlan.id", "network.inner.vlan.id"}, name):
			return asQuoted // keywords there, numbers here
		}
		return styleOf(f.Type)
	},
}

// ecs writes documents of the Elastic Common Schema, nested. Fields that it
// lacks stand under "fanlight".
type ecs struct{ plans plans[object] }

func newECS() encoder { return &ecs{plans[object]{build: ecsPlan}} }

func (e *ecs) append(dst []byte, r *redact.Record) []byte { return e.plans.of(r).appendLine(dst, r) }

func ecsPlan(s subject) *object {
	b := treeBuilder{subject: s}
	for _, c := range ecsNaming.cells(s) {
		b.cell(c)
	}
	b.when(cell{id: fieldGroup, name: "network.type", style: asNetwork}, nil)
	e := ecsEventOf(s)
	b.text("ecs.version", ecsVersion)
	b.text("message", s.meaning().title)
	b.text("event.kind", "event")
	b.constant("event.category", `["`+e.category+`"]`)
	b.constant("event.type", `["`+strings.ReplaceAll(e.types, " ", `","`)+`"]`)
	b.text("event.module", product)
	b.text("event.dataset", product+".events")
	b.constant("event.severity", s.meaning().level.number())
	if outcome := ecsOutcome(s, e); outcome != "" {
		b.text("event.outcome", outcome)
	}
	b.text("observer.vendor", product)
	b.text("observer.product", product)
	return b.build()
}

// ecsEvent is what ECS's categorisation says of an event. Types are separated
// by spaces.
type ecsEvent struct{ category, types string }

// ecsEvents lists what is no mere information about the network.
var ecsEvents = map[string]ecsEvent{
	"replication.first":      {"network", "allowed connection start"},
	"replication.fanout":     {"network", "allowed connection"},
	"replication.periodic":   {"network", "allowed connection"},
	"replication.sample":     {"network", "allowed connection"},
	"stream.first":           {"network", "connection start"},
	"stream.source_added":    {"network", "connection start"},
	"stream.source_changed":  {"network", "connection start"},
	"stream.silent":          {"network", "connection"},
	"stream.resumed":         {"network", "connection"},
	"stream.ttl_changed":     {"network", "connection"},
	"stream.dscp_changed":    {"network", "connection"},
	"stream.ended":           {"network", "connection end"},
	"stream.refused":         {"network", "connection"},
	"drop.packet":            {"network", "connection denied"},
	"drop.copy":              {"network", "connection"},
	"membership.joined":      {"network", "protocol start"},
	"membership.left":        {"network", "end protocol"},
	"membership.expired":     {"network", "end protocol"},
	"membership.changed":     {"network", "protocol"},
	"membership.refused":     {"network", "denied protocol"},
	"querier.elected":        {"network", "protocol start"},
	"querier.heard":          {"network", "protocol"},
	"querier.replaced":       {"network", "protocol"},
	"querier.lost":           {"network", "end protocol"},
	"querier.router_learned": {"network", "protocol start"},
	"querier.router_expired": {"network", "end protocol"},
}

func ecsEventOf(s subject) ecsEvent {
	if e, ok := ecsEvents[s.event()]; ok {
		return e
	}
	if s.kind == "loss" { // of the agent, not of the network
		return ecsEvent{"host", "info"}
	}
	return ecsEvent{"network", "info"}
}

// ecsOutcome says whether somebody got what was wanted. Where nothing was
// wanted there is none.
func ecsOutcome(s subject, e ecsEvent) string {
	switch {
	case s.meaning().failed:
		return "failure"
	case strings.Contains(e.types, "allowed"), s.event() == "membership.joined", s.event() == "membership.left":
		return "success"
	}
	return ""
}
