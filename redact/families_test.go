package redact_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/prometheus/otlptranslator"
)

// prometheusName is the name that Prometheus itself gives to a metric of OTLP.
func prometheusName(t *testing.T, f redact.FamilyInfo) string {
	t.Helper()
	namer := otlptranslator.MetricNamer{WithMetricSuffixes: true}
	typ := map[redact.MetricType]otlptranslator.MetricType{
		redact.CounterType: otlptranslator.MetricTypeMonotonicCounter, redact.GaugeType: otlptranslator.MetricTypeGauge,
		redact.HistogramType: otlptranslator.MetricTypeHistogram,
	}[f.Type]
	name, err := namer.Build(otlptranslator.Metric{Name: f.OTel, Unit: f.UCUM(), Type: typ})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// A Prometheus that gets the metrics by OTLP shows the names of the page, so
// that dashboards and alerts fit both.
func TestOTelNamesBecomePrometheusNames(t *testing.T) {
	form := regexp.MustCompile(`^fanlight(\.[a-z][a-z_]*)+$`)
	seen := map[string]bool{}
	for _, f := range redact.Families() {
		if got := prometheusName(t, f); got != f.Name {
			t.Errorf("%s in %q becomes %s, want %s", f.OTel, f.UCUM(), got, f.Name)
		}
		if !form.MatchString(f.OTel) || seen[f.OTel] {
			t.Errorf("%s: name %q", f.Name, f.OTel)
		}
		seen[f.OTel] = true
		if u := f.UCUM(); u != "" && u != "By" && u != "s" && !regexp.MustCompile(`^\{[a-z]+\}$`).MatchString(u) {
			t.Errorf("%s: unit %q", f.Name, u)
		}
	}
}

// Attributes are called as in log records.
func TestOTelAttributesAreThoseOfTheMappingTable(t *testing.T) {
	want := map[string]string{
		"domain": "fanlight.domain", "vlan": "fanlight.vlan", "group": "fanlight.group", "source": "fanlight.source",
		"interface": "fanlight.interface", "reason": "fanlight.reason", "kind": "fanlight.kind", "address": "fanlight.querier",
		"exporter": "fanlight.exporter",
	}
	names := map[string]bool{}
	for _, f := range redact.Table() {
		names[f.Names.OTel] = true
	}
	for _, f := range redact.Families() {
		for _, l := range f.Labels {
			if w := want[l.Name]; w != "" && l.OTel() != w {
				t.Errorf("%s of %s: want %s, got %s", l.Name, f.Name, w, l.OTel())
			}
			if l.Class != redact.Public && l.Class != redact.Build && !names[l.OTel()] {
				t.Errorf("%s of %s: %s is not in the mapping table", l.Name, f.Name, l.OTel())
			}
		}
	}
}

// A reading has what a line of the page has, and reading allocates nothing for it.
func TestReadIsThePage(t *testing.T) {
	m := newMetrics(t, redact.MetricsConfig{})
	redacttest.EverySeries(m)
	page := string(m.AppendPage(nil))
	lines := 0
	m.Read(func(id redact.Family, r redact.Reading) {
		lines++
		info := id.Info()
		line := info.Name
		var labels []string
		for i, v := range r.Labels() {
			if v != "" {
				labels = append(labels, info.Labels[i].Name+`="`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v)+`"`)
			}
		}
		if len(labels) > 0 {
			line += "{" + strings.Join(labels, ",") + "}"
		}
		if !strings.Contains(page, "\n"+line+" ") {
			t.Errorf("the page has no %s", line)
		}
	})
	if want := strings.Count(page, "\n") - strings.Count(page, "# "); lines != want {
		t.Errorf("series: want %d, got %d", want, lines)
	}
	read := func() { m.Read(func(redact.Family, redact.Reading) {}) }
	few := testing.AllocsPerRun(10, read)
	for i := range 1000 {
		port(m, "lab", i)
	}
	if many := testing.AllocsPerRun(10, read); many > few {
		t.Errorf("%v allocations, and %v with 1000 series more", few, many)
	}
}
