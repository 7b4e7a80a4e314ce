package exporters

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

func TestMappingIsFresh(t *testing.T) {
	golden(t, filepath.Join("..", "docs", "mapping.md"), []byte(mappingDoc(t)))
}

func mappingDoc(t *testing.T) string {
	var b strings.Builder
	b.WriteString(`# What fields are called elsewhere

<!-- Made by "go generate ./exporters" from redact/fields.go. Do not edit. -->

One table names every field in every format. "a or b" means: a if the value has the type that a demands and the kind of
event admits it, else b. An address that the policy replaced by a pseudonym is no address any more, so it stands under the
name that takes any text. "a and b" means both.

| Field | OpenTelemetry attribute | ECS | OCSF |
| --- | --- | --- | --- |
`)
	for _, f := range redact.Table() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, nameDoc(f.Names.OTel), nameDoc(f.Names.ECS), nameDoc(f.Names.OCSF))
	}
	b.WriteString("\n| Field | CEF | LEEF | IPFIX |\n| --- | --- | --- | --- |\n")
	for _, f := range redact.Table() {
		var elements []string
		for _, e := range f.Names.IPFIX {
			elements = append(elements, e.String())
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, nameDoc(f.Names.CEF), nameDoc(f.Names.LEEF), strings.Join(elements, ", "))
	}
	b.WriteString(`
OpenTelemetry: the name is that of a semantic convention where one fits, else our own. ` + "`time`" + ` is the log record's own
time; ` + "`host.name` and `fanlight.boot_id`" + ` belong to the resource. The event's name is ` + "`fanlight.<kind>`" + `, its body the title
below. Severities are INFO where CEF has 1, WARN for 3 and ERROR for 6. [otlp.md](otlp.md) tells the rest.

Of a lost copy the interface is where the copy should have left: ` + "`observer.egress.interface.name`" + ` in ECS,
` + "`deviceOutboundInterface`" + ` in CEF.

The source of a line is whoever did it: the sender of a stream, the subscriber of a membership event, the querier of a querier
event. In OCSF, CEF and LEEF the name for the source is admitted for that one only.

Counts are running totals. Where a format has a name for totals they stand under it; where its names mean amounts since the
last event (` + "`in`, `out` and `cnt`" + ` of CEF, ` + "`traffic`" + ` of OCSF) they don't, because a receiver would add them up. Numbers above
2^63-1 are written as that in ECS, OCSF and OpenTelemetry, whose integers have a sign.

## What each event means

` + "`ecs`" + ` writes ECS ` + ecsVersion + ` with ` + "`event.kind: event`" + `; ` + "`ocsf`" + ` writes OCSF ` + ocsfVersion + `; ` + "`cef`" + ` writes CEF:0 and ` + "`leef`" + ` LEEF:2.0 with carets
between attributes, because tabs don't survive a relay like rsyslog. In CEF and LEEF the event's id is ` + "`kind.action`" + `.

| Event | Title | Severity in CEF and LEEF | Severity in syslog | ECS category: types (outcome) | OCSF class, activity, severity (verdict) |
| --- | --- | --- | --- | --- | --- |
`)
	for _, r := range redacttest.Records(t) {
		s := subject{kind: r.Kind(), action: r.Text(fieldAction)}
		m, e, o := s.meaning(), ecsEventOf(s), ocsfClassOf(s)
		fmt.Fprintf(&b, "| `%s` | %s | %s | %d | %s: %s%s | %d, %d, %d%s |\n", s.event(), m.title, m.level.number(), syslogSeverity[m.level],
			e.category, strings.ReplaceAll(e.types, " ", ", "), inParens(ecsOutcome(s, e)), o.uid, o.activity, ocsfSeverity[m.level], verdictDoc(o))
	}
	b.WriteString(`
Why these classes of OCSF: a stream and its drops are network traffic, class 4001. A membership is what opens (join), closes
(leave, expiry) or is refused as a flow from a group to a subscriber, and a querier is heard on the network, so both are
activities of the same class, with the subscriber or the querier as source and the group as destination; OCSF has no class
for IGMP or MLD. What the class can't say stands under ` + "`unmapped`" + `. Lost events have no endpoints and tell about the agent, not
about the network: class 6008, Application Error, is the one that OCSF gives to trouble in handling events.

The profile ` + "`host`" + ` carries the node; the profile ` + "`security_control`" + ` is there only where something was allowed, denied or lost.
`)
	return b.String()
}

func nameDoc(name string) string {
	var all []string
	for _, alternatives := range redact.Alternatives(name) {
		all = append(all, "`"+strings.Join(alternatives, "` or `")+"`")
	}
	return strings.Join(all, " and ")
}

func inParens(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

func verdictDoc(o ocsfClass) string {
	if o.action == 0 {
		return ""
	}
	return fmt.Sprintf(" (action %d, disposition %d)", o.action, o.disposition)
}
