package dashboards

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/fanlight-io/fanlight/redact"
)

const rulesFile = "rules/fanlight.yaml"

// rule is a recording or an alerting rule.
type rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

func rules(t *testing.T, path string) (all []rule) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

func alerts(t *testing.T) (all []rule) {
	t.Helper()
	for _, r := range rules(t, rulesFile) {
		if r.Alert != "" {
			all = append(all, r)
		}
	}
	if len(all) < 14 {
		t.Fatalf("%d alerts: this test is blind", len(all))
	}
	return all
}

// tool finds a program of Debian's; CI must have it.
func tool(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("CI needs %s, of Debian's package %s: run make deps", name, pkg)
	}
	if err != nil {
		t.Skipf("%s, of Debian's package %s, is not here: run make deps", name, pkg)
	}
	return path
}

func TestPromtoolTakesTheRules(t *testing.T) {
	promtool := tool(t, "promtool", "prometheus")
	for _, args := range [][]string{
		{"check", "rules", "--lint=all", "--lint-fatal", rulesFile, "rules/example/expectations.yaml"},
		{"test", "rules", "testdata/rules_test.yaml"},
	} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestEachAlertIsTestedBothWays: a unit test in which it fires, and one in which
// it does not.
func TestEachAlertIsTestedBothWays(t *testing.T) {
	raw, err := os.ReadFile("testdata/rules_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Tests []struct {
			Cases []struct {
				Expr    string
				Samples []any `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		}
	}
	if err := yaml.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	fires, quiet := map[string]bool{}, map[string]bool{}
	name := regexp.MustCompile(`^ALERTS\{alertname="(\w+)"`)
	for _, test := range file.Tests {
		for _, c := range test.Cases {
			if m := name.FindStringSubmatch(c.Expr); m != nil && len(c.Samples) > 0 {
				fires[m[1]] = true
			} else if m != nil {
				quiet[m[1]] = true
			}
		}
	}
	for _, a := range alerts(t) {
		if !fires[a.Alert] || !quiet[a.Alert] {
			t.Errorf("%s: tested to fire: %v, not to fire: %v", a.Alert, fires[a.Alert], quiet[a.Alert])
		}
	}
}

func TestAlertsSayWhatPeopleNeed(t *testing.T) {
	for _, a := range alerts(t) {
		if !slices.Contains([]string{"critical", "warning", "info"}, a.Labels["severity"]) {
			t.Errorf("%s: severity %q", a.Alert, a.Labels["severity"])
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" {
			t.Errorf("%s: summary or description is missing", a.Alert)
		}
		if want := "/docs/runbooks/" + a.Alert + ".md"; !strings.HasSuffix(a.Annotations["runbook_url"], want) {
			t.Errorf("%s: runbook_url %q, want one that ends in %s", a.Alert, a.Annotations["runbook_url"], want)
		}
	}
}

var metricName = regexp.MustCompile(`\bfanlight_[a-z0-9_]+`)

// unseen are metrics that neither a dashboard nor a rule uses, and why.
var unseen = func() map[string]string {
	why := map[string]string{}
	for _, f := range redact.Families() {
		if strings.HasPrefix(f.Name, "fanlight_observe") {
			why[f.Name] = "what is observed without forwarding has no dashboard yet"
		}
	}
	return why
}()

// TestEveryMetricIsUsedAndEveryUseIsOne: dashboards and rules name only what the
// exporter has, and show all of it.
func TestEveryMetricIsUsedAndEveryUseIsOne(t *testing.T) {
	used := map[string]string{}
	note := func(where, text string) {
		for _, name := range metricName.FindAllString(text, -1) {
			used[strings.TrimSuffix(name, "_bucket")] = where
		}
	}
	paths, err := filepath.Glob("grafana/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		note(path, string(raw))
	}
	for _, r := range rules(t, rulesFile) {
		note(r.Alert+r.Record, r.Expr)
	}
	for name, where := range used {
		if _, ok := redact.FamilyNamed(name); !ok {
			t.Errorf("%s: there is no metric %s", where, name)
		}
	}
	for _, f := range redact.Families() {
		switch why, exempt := unseen[f.Name]; {
		case exempt && (used[f.Name] != "" || why == ""):
			t.Errorf("%s is used by %s, or not said why it is not", f.Name, used[f.Name])
		case !exempt && used[f.Name] == "":
			t.Errorf("%s is on no dashboard and in no rule", f.Name)
		}
	}
}

var (
	labelLists = regexp.MustCompile(`\b(?:by|on|ignoring|group_left|group_right) ?\(([a-z_, ]*)\)`)
	labelNames = regexp.MustCompile(`[a-z_]+`)
)

// TestLabelsAreThoseOfTheMetrics: a misspelt label in a grouping is no error to
// Prometheus, only wrong.
func TestLabelsAreThoseOfTheMetrics(t *testing.T) {
	known := map[string]bool{"cluster": true, "instance": true, "job": true, "le": true, "alertname": true}
	for _, f := range redact.Families() {
		for _, l := range f.Labels {
			known[l.Name] = true
		}
	}
	found := 0
	check := func(where, text string, lists *regexp.Regexp) {
		for _, list := range lists.FindAllStringSubmatch(text, -1) {
			for _, label := range labelNames.FindAllString(list[1], -1) {
				found++
				if !known[label] {
					t.Errorf("%s: there is no label %s", where, label)
				}
			}
		}
	}
	for _, r := range rules(t, rulesFile) {
		check(r.Alert+r.Record, r.Expr, labelLists)
	}
	for _, b := range boards() {
		for _, a := range b.annotations() {
			check(b.uid+": "+a.name, a.expr, labelLists)
			check(b.uid+": "+a.name, a.text, placeholder)
		}
		for _, r := range b.rows {
			for _, p := range r.panels {
				for _, q := range p.queries {
					check(b.uid+": "+p.title, q.promQL(), labelLists)
					check(b.uid+": "+p.title, q.legend, placeholder)
				}
			}
		}
	}
	if found < 100 {
		t.Errorf("%d labels: this test is blind", found)
	}
}
