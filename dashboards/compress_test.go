package dashboards

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// shorter is how the durations of rules and dashboards pass in the lab, which
// looks every half second where Prometheus looks every half minute or so. All
// else of a rule stays as it is, so that the lab tests its text.
var shorter = map[string]string{
	"70m": "16s",
	"1h":  "9s",
	"10m": "5s",
	"5m":  "4s",
	"2m":  "3s",
	"1m":  "2s",
}

const labScrape = 500 * time.Millisecond

var (
	duration = regexp.MustCompile(`(\[|:|offset )(\d+[smhd])(\]|:\]|\b)`)
	pending  = regexp.MustCompile(`(?m)^( +for: )\S+$`)
)

// shorten makes the durations of PromQL pass as in the lab.
func shorten(t *testing.T, text string) string {
	t.Helper()
	return duration.ReplaceAllStringFunc(text, func(m string) string {
		parts := duration.FindStringSubmatch(m)
		short, ok := shorter[parts[2]]
		if !ok {
			t.Errorf("duration %s: say in shorter how it passes in the lab", parts[2])
		}
		return parts[1] + short + parts[3]
	})
}

// shortenRules does so with a file of rules; alerts wait for a second before they fire.
func shortenRules(t *testing.T, text string) string {
	t.Helper()
	return pending.ReplaceAllString(shorten(t, text), "${1}1s")
}

func TestShortenKeepsTheRest(t *testing.T) {
	got := shortenRules(t, "    for: 5m\n expr: max_over_time(a:rate2m[1h]) > 1 unless b offset 10m and c[5m:]\n")
	want := "    for: 1s\n expr: max_over_time(a:rate2m[9s]) > 1 unless b offset 5s and c[4s:]\n"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if strings.Contains(shorten(t, "max_over_time(x[5m:1m])"), "1m") {
		t.Error("a step is not shortened")
	}
}
