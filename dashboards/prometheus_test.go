package dashboards

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// monitoring is a Prometheus with the rules, an Alertmanager, and a receiver of
// what that sends.
type monitoring struct {
	t       *testing.T
	url     string
	began   time.Time
	outbox  *process // Alertmanager
	process *process

	mu       sync.Mutex
	arrivals []arrival
}

// arrival is an alert as Alertmanager handed it to the receiver.
type arrival struct {
	Status              string // firing or resolved
	Labels, Annotations map[string]string
}

// monitor starts them; the targets are addresses by the host that they stand for.
func monitor(t *testing.T, targets map[string]string) *monitoring {
	t.Helper()
	prometheus := tool(t, "prometheus", "prometheus")
	alertmanager := tool(t, "prometheus-alertmanager", "prometheus-alertmanager")
	m := &monitoring{t: t, began: time.Now()}
	receiver := httptest.NewServer(http.HandlerFunc(m.receive))
	t.Cleanup(receiver.Close)

	dir := t.TempDir()
	amAddress := freeAddress(t)
	am := writeFile(t, filepath.Join(dir, "alertmanager.yaml"), `
route: {receiver: test, group_by: ["..."], group_wait: 100ms, group_interval: 200ms, repeat_interval: 1h}
receivers: [{name: test, webhook_configs: [{url: "%s", send_resolved: true}]}]
`, receiver.URL)
	m.outbox = start(t, alertmanager, "--config.file="+am, "--storage.path="+filepath.Join(dir, "am"),
		"--web.listen-address="+amAddress, "--cluster.listen-address=")
	m.outbox.answers("http://" + amAddress + "/-/ready")

	var files []string
	for _, path := range []string{rulesFile, "rules/example/expectations.yaml"} {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, writeFile(t, filepath.Join(dir, filepath.Base(path)), "%s", shortenRules(t, string(raw))))
	}
	var jobs strings.Builder
	for host, address := range targets {
		fmt.Fprintf(&jobs, `
      - targets: [%q]
        labels: {cluster: lab, instance: %q}`, address, host)
	}
	cfg := writeFile(t, filepath.Join(dir, "prometheus.yaml"), `
global: {scrape_interval: %[1]v, scrape_timeout: %[1]v, evaluation_interval: %[1]v}
rule_files: [%[2]s]
alerting: {alertmanagers: [{static_configs: [{targets: [%[3]q]}]}]}
scrape_configs:
  - job_name: fanlight
    static_configs:%[4]s
`, labScrape, strings.Join(files, ", "), amAddress, jobs.String())
	address := freeAddress(t)
	m.url = "http://" + address
	m.process = start(t, prometheus, "--config.file="+cfg, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	m.process.answers(m.url + "/-/ready")
	return m
}

func (m *monitoring) receive(_ http.ResponseWriter, r *http.Request) {
	var message struct{ Alerts []arrival }
	if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
		m.t.Errorf("Alertmanager sent what is no message: %v", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.arrivals = append(m.arrivals, message.Alerts...)
}

// last returns the latest arrival of each alert, the status first.
func (m *monitoring) last() (all []arrival) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := map[string]int{}
	for _, a := range m.arrivals {
		key := fmt.Sprint(a.Labels)
		if i, ok := at[key]; ok {
			all[i] = a
			continue
		}
		at[key] = len(all)
		all = append(all, a)
	}
	return all
}

// count is how many alerts have arrived.
func (m *monitoring) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.arrivals)
}

// arrived finds an alert that fired after the first so many arrivals, or did so
// before and still does.
func (m *monitoring) arrived(after int, name string, labels map[string]string) (arrival, bool) {
	m.mu.Lock()
	late := slices.Clone(m.arrivals[after:])
	m.mu.Unlock()
	return find(append(m.last(), late...), name, labels)
}

// fires reports whether an alert with these labels fires now.
func (m *monitoring) fires(name string, labels map[string]string) bool {
	_, ok := find(m.last(), name, labels)
	return ok
}

func find(all []arrival, name string, labels map[string]string) (arrival, bool) {
	for _, a := range all {
		if a.Status == "firing" && a.is(name, labels) {
			return a, true
		}
	}
	return arrival{}, false
}

func (a arrival) is(name string, labels map[string]string) bool {
	for k, v := range labels {
		if a.Labels[k] != v {
			return false
		}
	}
	return a.Labels["alertname"] == name
}

func (m *monitoring) firing() (names []string) {
	for _, a := range m.last() {
		if a.Status == "firing" {
			names = append(names, fmt.Sprint(a.Labels))
		}
	}
	slices.Sort(names)
	return names
}

// series is one line of an answer.
type series struct {
	Metric map[string]string
	Values [][2]any // seconds, and the value as text
	Value  [2]any   // of an instant
}

// get asks Prometheus.
func (m *monitoring) get(path string, values url.Values, into any) {
	m.t.Helper()
	r, err := http.Get(m.url + path + "?" + values.Encode())
	if err != nil {
		m.t.Fatal(err)
	}
	defer r.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		m.t.Fatal(err)
	}
	if answer.Status != "success" {
		m.t.Fatalf("Prometheus refuses %v: %s", values, answer.Error)
	}
	if err := json.Unmarshal(answer.Data, into); err != nil {
		m.t.Fatal(err)
	}
}

// span asks for values of the run up to a moment.
func (m *monitoring) span(expr string, to time.Time) []series {
	m.t.Helper()
	var data struct{ Result []series }
	m.get("/api/v1/query_range", url.Values{
		"query": {expr}, "start": {unix(m.began)}, "end": {unix(to)}, "step": {"0.5"},
	}, &data)
	return data.Result
}

// now asks for the values of this moment.
func (m *monitoring) now(expr string) []series {
	m.t.Helper()
	var data struct{ Result []series }
	m.get("/api/v1/query", url.Values{"query": {expr}}, &data)
	return data.Result
}

func unix(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

// hasData reports whether there is a number in it.
func hasData(all []series) bool {
	for _, s := range all {
		for _, v := range append(s.Values, s.Value) {
			text, ok := v[1].(string)
			f, err := strconv.ParseFloat(text, 64)
			if ok && err == nil && !math.IsNaN(f) {
				return true
			}
		}
	}
	return false
}
