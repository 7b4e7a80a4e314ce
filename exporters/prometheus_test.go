package exporters

import (
	"bytes"
	"compress/gzip"
	"context"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

var update = flag.Bool("update", false, "rewrite golden files")

func newMetrics(t testing.TB, profile redact.Profile) *redact.Metrics {
	t.Helper()
	m, err := redacttest.Policy(t, profile).NewMetrics(redact.MetricsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func get(t *testing.T, h http.Handler, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// latencies are the histograms that client_golang keeps.
func latencies(t testing.TB) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	for _, f := range []redact.Family{redact.JoinLatency, redact.LeaveLatency} {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: f.Info().Name, Help: f.Info().Help, Buckets: []float64{0.001, 0.01},
		})
		h.Observe(0.002)
		registry.MustRegister(h)
	}
	return registry
}

func TestWholePage(t *testing.T) {
	m := newMetrics(t, redact.DefaultProfile)
	redacttest.EverySeries(m)
	got := get(t, NewPrometheus(m, latencies(t)))
	if ct := got.Header().Get("Content-Type"); ct != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("content type: got %q", ct)
	}
	path := filepath.Join("testdata", "prometheus", "page.golden")
	if *update {
		if err := os.WriteFile(path, got.Body.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(string(readFile(t, path)), got.Body.String()); d != "" {
		t.Errorf("page (-want +got), rewrite it with -update:\n%s", d)
	}
}

func TestPromtoolIsSilent(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("CI needs promtool, of Debian's package prometheus: %v", err)
	}
	if err != nil {
		t.Skip("promtool, of Debian's package prometheus, is not here")
	}
	m := newMetrics(t, redact.DefaultProfile)
	redacttest.EverySeries(m)
	m.Series(redact.PacketsSeen, redact.Name("quote\" backslash\\ newline\n \xff"), redact.Name("forwarded")).Set(1)
	registry := latencies(t)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = get(t, NewPrometheus(m, registry)).Body
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

func TestCanaryThroughPrometheus(t *testing.T) {
	for _, profile := range canaryProfiles {
		m := newMetrics(t, profile)
		redacttest.CanarySeries(m)
		if profile == redact.StrictProfile {
			redacttest.StrictCanarySeries(m)
		}
		wantLeaks(t, profile, get(t, NewPrometheus(m, nil)).Body.Bytes())
	}
}

func TestUnknownFamiliesStayInside(t *testing.T) {
	registry := latencies(t)
	secret := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "fanlight_secret", Help: "Not in the table."}, []string{"host"})
	secret.WithLabelValues(redacttest.HostCanary4.String()).Set(1)
	registry.MustRegister(secret)
	labelled := prometheus.NewRegistry()
	leave := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "fanlight_leave_latency_seconds", Help: redact.LeaveLatency.Info().Help}, []string{"host"})
	leave.WithLabelValues(redacttest.HostCanary6.String()).Observe(1)
	labelled.MustRegister(leave)
	both := prometheus.Gatherers{registry, labelled}
	p := NewPrometheus(newMetrics(t, redact.DefaultProfile), both)
	page := get(t, p).Body.String()
	if leaks := redacttest.Leaks([]byte(page)); len(leaks) > 0 || strings.Contains(page, "fanlight_secret") {
		t.Errorf("leaked: %v", leaks)
	}
	page = get(t, p).Body.String() // tells what the first one left out
	for _, want := range []string{`fanlight_scrape_refused_total{reason="unknown"} 2`, "fanlight_join_latency_seconds_count 1"} {
		if !strings.Contains(page, want+"\n") {
			t.Errorf("page lacks %q", want)
		}
	}
}

func TestGzip(t *testing.T) {
	p := NewPrometheus(newMetrics(t, redact.DefaultProfile), nil)
	tests := []struct {
		accept string
		want   bool
	}{
		{"", false}, {"identity", false}, {"gzip", true}, {"deflate, GZIP;q=0.5", true}, {"gzip;q=0", false},
		{"gzip; q = 0.0", false}, {"gzip;q=x", false}, {"x-gzip", false},
	}
	for _, tt := range tests {
		for range 2 { // the second time with used buffers
			w := get(t, p, "Accept-Encoding", tt.accept)
			var body io.Reader = w.Body
			if got := w.Header().Get("Content-Encoding") == "gzip"; got != tt.want {
				t.Errorf("%q: gzip: want %t, got %t", tt.accept, tt.want, got)
				continue
			}
			if tt.want {
				zip, err := gzip.NewReader(w.Body)
				if err != nil {
					t.Fatal(err)
				}
				body = zip
			}
			page, err := io.ReadAll(body)
			if err != nil || bytes.Count(page, []byte("# TYPE fanlight_scrapes_total ")) != 1 {
				t.Errorf("%q: not one page: %q %v", tt.accept, page, err)
			}
		}
	}
}

func TestOnlyGetAndHead(t *testing.T) {
	p := NewPrometheus(newMetrics(t, redact.DefaultProfile), nil)
	tests := []struct {
		method string
		want   int
	}{
		{http.MethodGet, 200}, {http.MethodHead, 200}, {http.MethodPost, 405}, {http.MethodPut, 405},
		{http.MethodDelete, 405}, {http.MethodOptions, 405}, {"BREW", 405},
	}
	for _, tt := range tests {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(tt.method, "/metrics", nil))
		if w.Code != tt.want {
			t.Errorf("%s: want %d, got %d", tt.method, tt.want, w.Code)
		}
		if tt.method == http.MethodHead && w.Body.Len() > 0 {
			t.Errorf("HEAD has a body of %d bytes", w.Body.Len())
		}
	}
	page := get(t, p).Body.String()
	for _, want := range []string{`fanlight_scrapes_total{code="200"} 2`, `fanlight_scrapes_total{code="405"} 5`} {
		if !strings.Contains(page, want+"\n") {
			t.Errorf("page lacks %q", want)
		}
	}
}

// While all places are taken by a collector that hangs, one scrape more is
// refused, and setting values does not wait.
func TestScrapesAreLimited(t *testing.T) {
	m := newMetrics(t, redact.DefaultProfile)
	entered, release := make(chan bool, maxScrapes), make(chan bool)
	m.OnScrape(func() {
		entered <- true
		<-release
	})
	p := NewPrometheus(m, nil)
	codes := make(chan int, maxScrapes)
	for range maxScrapes {
		go func() { codes <- get(t, p).Code }()
	}
	<-entered
	waitFor(t, func() bool { return len(p.slots) == 0 })

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil).WithContext(ctx))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("one scrape too many: want 503, got %d", w.Code)
	}
	m.Series(redact.TableEntries, redact.Name("groups")).Set(1) // would hang

	close(release)
	for range maxScrapes {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("scrape: want 200, got %d", code)
		}
	}
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(5 * time.Second); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it does not happen")
		}
	}
}

func TestServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- NewPrometheus(newMetrics(t, redact.DefaultProfile), nil).Serve(ctx, l) }()

	url := "http://" + netip.MustParseAddrPort(l.Addr().String()).String()
	for path, want := range map[string]int{"/metrics": 200, "/": 404, "/debug/pprof/": 404} {
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: want %d, got %d", path, want, resp.StatusCode)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("serve: %v", err)
	}
	if resp, err := http.Get(url + "/metrics"); err == nil {
		resp.Body.Close()
		t.Error("it still answers")
	}
}
