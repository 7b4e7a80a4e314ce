package redact_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
)

// The references are made from the tables, so that they can't lag.
func TestDocsAreFresh(t *testing.T) {
	golden(t, filepath.Join("..", "docs", "event.schema.json"), []byte(eventSchema(t)))
	golden(t, filepath.Join("..", "docs", "events.md"), []byte(eventsDoc()))
	golden(t, filepath.Join("..", "docs", "metrics.md"), []byte(metricsDoc()))
}

func eventsDoc() string {
	var b strings.Builder
	b.WriteString(`# Events

<!-- Made by "go generate ./redact" from redact/fields.go. Do not edit. -->

Each event is one JSON object on a line. Fields stand in this order; an empty field, or a count of zero, is left out
(` + "`ring` and `seq`" + ` never are). Counts are running totals of the event's subject, so a lost event loses no amount.
An event that arrives twice has the same ` + "`event_id`" + `.

[event.schema.json](event.schema.json) is the JSON Schema of this form; [mapping.md](mapping.md) says what fields are called
in other formats. The ` + "`schema_version`" + ` grows when a field is renamed, removed or changes its meaning; a new field does not
change it.

| Field | Type | Kinds | Class | Meaning |
| --- | --- | --- | --- | --- |
`)
	for _, f := range redact.Table() {
		kinds := "all"
		if f.Kinds != nil {
			kinds = strings.Trim(fmt.Sprint(f.Kinds), "[]")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.Name, f.Type, strings.ReplaceAll(kinds, " ", ", "), f.Class, f.Help)
	}
	b.WriteString("\n## Kinds and their actions\n\n| Kind | Actions |\n| --- | --- |\n")
	for _, k := range bpf.Kinds() {
		fmt.Fprintf(&b, "| `%s` | `%s` |\n", k, strings.Join(redact.Actions(k), "`, `"))
	}
	b.WriteString(classesDoc())
	return b.String()
}

func classesDoc() string {
	var b strings.Builder
	b.WriteString(`
## Classes and profiles

A class says what a field or a metric label can give away; the profile decides by class. A pseudonym is
` + "`<class>_<key id>_<24 hexadecimal digits>`" + `: an HMAC-SHA-256 of the value, cut to 96 bits, with a subkey per class. It is
the same for the same value and key, so records can be joined; without a configured ` + "`key_file`" + ` the key is made at start
and pseudonyms change at each restart. Pseudonymised data is still personal data.

Addresses of queriers stay in clear by default: they are routers and switches, and an operator must find them.

What is kept of groups are not the solicited-node groups of IPv6, which hold a part of a host's address: profiles default and
siem make them ` + "`prefix_preserving`" + `. [redaction.md](redaction.md) says what each action does, and how to write rules.

| Class |`)
	for _, p := range redact.Profiles() {
		fmt.Fprintf(&b, " %s |", p)
	}
	b.WriteString("\n| --- |" + strings.Repeat(" --- |", len(redact.Profiles())) + "\n")
	for _, c := range redact.Classes() {
		fmt.Fprintf(&b, "| %s |", c)
		for _, p := range redact.Profiles() {
			fmt.Fprintf(&b, " %s |", redact.Treatment(p, c))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func metricsDoc() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Metrics

<!-- Made by "go generate ./redact" from redact/families.go. Do not edit. -->

Names are a promise: metrics are added, never renamed. An empty label is left out; `+"`vlan`"+` is there only where the domain
has VLANs. Labels obey the redaction policy, so under the default profile the value of `+"`source`"+` is a pseudonym; the
[classes](events.md#classes-and-profiles) say which.

Each metric has a budget of series (%d, or `+"`budget` and `budgets`"+` in the configuration). Series beyond it are summed up
in one whose labels, but for the domain, are `+"`other`"+`, and counted in `+"`fanlight_series_overflow_total`"+`.

| Metric | Type | Unit | Labels (class) | Meaning |
| --- | --- | --- | --- | --- |
`, redact.DefaultBudget)
	for _, f := range redact.Families() {
		var labels []string
		for _, l := range f.Labels {
			labels = append(labels, fmt.Sprintf("`%s` (%s)", l.Name, l.Class))
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.Name, f.Type, f.Unit, strings.Join(labels, ", "), f.Help)
	}
	b.WriteString(otelMetricsDoc())
	return b.String()
}

func otelMetricsDoc() string {
	var b strings.Builder
	b.WriteString(`
## By OTLP

What the metrics are called when they are sent by the OpenTelemetry protocol ([otlp.md](otlp.md)). A Prometheus that receives
them there gives them the names above, by OpenTelemetry's rules: dots become underscores, the unit and, for counters, ` + "`total`" + `
are added unless the name has them. No semantic convention is about multicast, so the names are our own. Attributes are called
as in log records ([mapping.md](mapping.md)), so that both can be joined; Prometheus writes them with underscores.

| Metric | OpenTelemetry name | Unit | Attributes |
| --- | --- | --- | --- |
`)
	for _, f := range redact.Families() {
		var attributes []string
		for _, l := range f.Labels {
			attributes = append(attributes, "`"+l.OTel()+"`")
		}
		unit := f.UCUM()
		if unit != "" {
			unit = "`" + unit + "`"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", f.Name, f.OTel, unit, strings.Join(attributes, ", "))
	}
	return b.String()
}

// Texts of the table stand on the page as they are, and in the documents.
func TestHelpNeedsNoEscaping(t *testing.T) {
	for _, f := range redact.Families() {
		if f.Help == "" || strings.ContainsAny(f.Help, "\\\n|") {
			t.Errorf("%s: help %q", f.Name, f.Help)
		}
	}
	for _, f := range redact.Table() {
		if strings.ContainsAny(f.Name+f.Help, "\\\n|\"") {
			t.Errorf("%s: help %q", f.Name, f.Help)
		}
	}
}
