package dashboards

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// chosen is what the viewer of a dashboard has chosen.
func chosen(t *testing.T, m *monitoring, expr string) string {
	t.Helper()
	return strings.NewReplacer(
		"$__rate_interval", "2s", "$__range", time.Since(m.began).Round(time.Second).String(), "$__interval", "1s",
		"$cluster", ".*", "$instance", ".*", "$domain", ".*", "$group", ".*", "$exporter", ".*",
	).Replace(shorten(t, expr))
}

// unprovoked are queries without data in the lab, and why.
var unprovoked = map[string]string{}

var labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)

// checkEveryQuery: what a panel, a variable or an annotation asks has an answer.
func checkEveryQuery(t *testing.T, m *monitoring) {
	t.Helper()
	asked, now := 0, time.Now()
	for _, b := range boards() {
		d := parsed(t, b)
		for _, r := range b.rows {
			for _, p := range r.panels {
				for _, q := range p.queries {
					asked++
					where := b.uid + ": " + p.title + ": " + q.promQL()
					has := hasData(m.span(chosen(t, m, q.promQL()), now))
					if why, exempt := unprovoked[b.uid+": "+p.title]; has == exempt {
						t.Errorf("%s: has data: %v %s", where, has, why)
					}
				}
			}
		}
		for _, a := range b.annotations() {
			asked++
			if !hasData(m.span(chosen(t, m, a.expr), now)) {
				t.Errorf("%s: %s: nothing was marked", b.uid, a.name)
			}
		}
		for _, v := range d.Templating.List {
			if v.Query == nil || v.Query.String == nil || *v.Query.String == "prometheus" {
				continue
			}
			asked++
			var values []string
			parts := labelValues.FindStringSubmatch(*v.Query.String)
			m.get("/api/v1/label/"+parts[2]+"/values", url.Values{"match[]": {chosen(t, m, parts[1])}}, &values)
			if len(values) == 0 {
				t.Errorf("%s: variable %s has no values", b.uid, v.Name)
			}
		}
	}
	t.Logf("%d queries have data", asked)
}
