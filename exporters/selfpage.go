package exporters

import (
	"net/http"
	"strings"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
)

// selfPage writes the metrics that client_golang keeps about the agent itself.
type selfPage struct {
	handler http.Handler
	request *http.Request
}

func newSelfPage(m *redact.Metrics, g prometheus.Gatherer) *selfPage {
	known := knownGatherer{
		g:       g,
		unknown: m.Series(redact.ScrapeRefused, redact.Name("unknown")),
		failed:  m.Series(redact.ScrapeRefused, redact.Name("failed")),
	}
	req, _ := http.NewRequest(http.MethodGet, "/metrics", nil) // the arguments are valid
	return &selfPage{
		handler: promhttp.HandlerFor(known, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, DisableCompression: true}),
		request: req,
	}
}

func (s *selfPage) append(page []byte) []byte {
	body := &pageWriter{page: page, header: make(http.Header)}
	s.handler.ServeHTTP(body, s.request)
	if body.failed {
		return page
	}
	return body.page
}

// pageWriter collects what promhttp writes.
type pageWriter struct {
	page   []byte
	header http.Header
	failed bool
}

func (w *pageWriter) Header() http.Header { return w.header }

func (w *pageWriter) WriteHeader(code int) { w.failed = w.failed || code != http.StatusOK }

func (w *pageWriter) Write(p []byte) (int, error) {
	w.page = append(w.page, p...)
	return len(p), nil
}

// knownGatherer lets through what carries no address: metrics of Go, of the
// process and of promhttp, and the families of redact's table. It fails
// closed: labels of client_golang never passed the policy.
type knownGatherer struct {
	g               prometheus.Gatherer
	unknown, failed *redact.Series
}

func (k knownGatherer) Gather() ([]*dto.MetricFamily, error) {
	if k.g == nil {
		return nil, nil
	}
	all, err := k.g.Gather()
	if err != nil {
		k.failed.Add(1)
	}
	var known []*dto.MetricFamily
	for _, family := range all {
		if !isKnown(family) {
			k.unknown.Add(1)
			continue
		}
		known = append(known, family)
	}
	return known, err
}

func isKnown(family *dto.MetricFamily) bool {
	name := family.GetName()
	for _, prefix := range []string{"go_", "process_", "promhttp_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	f, ok := redact.FamilyNamed(name)
	if !ok || f.Info().Type != redact.HistogramType {
		return false
	}
	for _, m := range family.GetMetric() {
		if len(m.GetLabel()) > len(f.Info().Labels) { // histograms of the table have none
			return false
		}
	}
	return true
}
