package exporters

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// metricServer is a receiver of metrics by gRPC that answers as it is told.
type metricServer struct {
	colmetrics.UnimplementedMetricsServiceServer
	address string

	mu       sync.Mutex
	requests []*colmetrics.ExportMetricsServiceRequest // those that were answered with success
	answer   func() (*colmetrics.ExportMetricsServiceResponse, error)
	seen     int
}

func newMetricServer(t *testing.T) *metricServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &metricServer{address: l.Addr().String()}
	g := grpc.NewServer()
	colmetrics.RegisterMetricsServiceServer(g, s)
	var running sync.WaitGroup
	running.Go(func() { g.Serve(l) })
	t.Cleanup(func() { g.Stop(); running.Wait() })
	return s
}

// Export is the metric service.
func (s *metricServer) Export(_ context.Context, r *colmetrics.ExportMetricsServiceRequest) (*colmetrics.ExportMetricsServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen++
	res := &colmetrics.ExportMetricsServiceResponse{}
	if s.answer != nil {
		var err error
		if res, err = s.answer(); err != nil {
			return nil, err
		}
	}
	s.requests = append(s.requests, r)
	return res, nil
}

func (s *metricServer) set(answer func() (*colmetrics.ExportMetricsServiceResponse, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *metricServer) config() OTLPMetricsConfig {
	return OTLPMetricsConfig{OTLPConnection: OTLPConnection{Endpoint: s.address, Insecure: true}}
}

func openOTLPMetrics(t testing.TB, c OTLPMetricsConfig, m *redact.Metrics, g prometheus.Gatherer, log *slog.Logger) *OTLPMetrics {
	t.Helper()
	o, err := NewOTLPMetrics(c, "metrics_otlp", m, g, log)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// export collects and sends once, as the SDK's reader does.
func export(t testing.TB, o *OTLPMetrics) {
	t.Helper()
	if _, err := o.points.Produce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := o.Export(t.Context(), nil); err != nil {
		t.Errorf("the SDK gets the error %v", err)
	}
}

// outcomes reads from the page what became of exports.
func outcomes(m *redact.Metrics) map[string]int {
	all := map[string]int{}
	m.Read(func(f redact.Family, r redact.Reading) {
		if f == redact.MetricExports && r.Count() > 0 {
			all[r.Labels()[1]] = int(r.Count())
		}
	})
	return all
}

// What becomes of an export is counted and logged, without the peer's words, and
// without a line for each.
func TestOTLPMetricOutcomes(t *testing.T) {
	s := newMetricServer(t)
	m := newRedactMetrics(t, redact.DefaultProfile, 0)
	var said bytes.Buffer
	o := openOTLPMetrics(t, s.config(), m, nil, slog.New(slog.NewTextHandler(&said, nil)))
	echo := "198.51.100.199 is what a peer may echo"
	answers := []func() (*colmetrics.ExportMetricsServiceResponse, error){
		nil,
		func() (*colmetrics.ExportMetricsServiceResponse, error) {
			return &colmetrics.ExportMetricsServiceResponse{PartialSuccess: &colmetrics.ExportMetricsPartialSuccess{RejectedDataPoints: 3, ErrorMessage: echo}}, nil
		},
		func() (*colmetrics.ExportMetricsServiceResponse, error) {
			return nil, status.Error(codes.Unavailable, echo)
		},
		func() (*colmetrics.ExportMetricsServiceResponse, error) {
			return nil, status.Error(codes.InvalidArgument, echo)
		},
		func() (*colmetrics.ExportMetricsServiceResponse, error) {
			return nil, retryInfo(t, codes.ResourceExhausted, time.Hour)
		},
		nil,
	}
	for _, a := range answers {
		s.set(a)
		export(t, o)
	}
	want := map[string]int{"delivered": 1, "partial": 1, "failed": 2, "refused": 1, "postponed": 1}
	if d := cmp.Diff(want, outcomes(m)); d != "" {
		t.Errorf("outcomes (-want +got):\n%s", d)
	}
	if s.seen != 5 {
		t.Errorf("requests: want 5, got %d", s.seen)
	}
	if lines := strings.Count(said.String(), "\n"); lines != 1 || strings.Contains(said.String(), "198.51") {
		t.Errorf("%d lines of log:\n%s", lines, said.String())
	}
}

// Metrics that are larger than a request go out in several, each within the
// bound, and what was delivered of a failed export does not come again.
func TestOTLPMetricSplit(t *testing.T) {
	s := newMetricServer(t)
	m := newRedactMetrics(t, redact.DefaultProfile, 0)
	c := s.config()
	c.MaxRequestBytes, c.Temporality = minOTLPRequest, "delta"
	o := openOTLPMetrics(t, c, m, nil, slog.New(slog.DiscardHandler))
	export(t, o)
	const n = 3000
	for i := range n {
		m.Series(redact.GroupPackets, redact.Name("lab"), redact.VLAN(0), redact.Addr(groupAt(i))).Set(1)
	}
	calls := 0
	s.set(func() (*colmetrics.ExportMetricsServiceResponse, error) {
		if calls++; calls == 3 {
			return nil, status.Error(codes.Unavailable, "")
		}
		return &colmetrics.ExportMetricsServiceResponse{}, nil
	})
	export(t, o)
	export(t, o)
	sum := int64(0)
	for _, r := range s.requests {
		if size := proto.Size(r); size > minOTLPRequest {
			t.Errorf("a request has %d bytes", size)
		}
		for _, metric := range r.ResourceMetrics[0].ScopeMetrics[0].Metrics {
			if metric.Name == "fanlight.group.packets" {
				for _, d := range metric.GetSum().DataPoints {
					sum += d.GetAsInt()
				}
			}
		}
	}
	if sum != n || len(s.requests) < 5 || o.split.Load() == 0 {
		t.Errorf("sum %d of %d in %d requests", sum, n, len(s.requests))
	}
}

// No byte of a canary is in what is sent; with everything revealed they are.
func TestOTLPMetricCanary(t *testing.T) {
	for _, profile := range []redact.Profile{redact.DefaultProfile, redact.RevealProfile} {
		t.Run(string(profile), func(t *testing.T) {
			s := newMetricServer(t)
			m := newRedactMetrics(t, profile, 0)
			redacttest.CanarySeries(m)
			export(t, openOTLPMetrics(t, s.config(), m, nil, slog.New(slog.DiscardHandler)))
			if len(s.requests) != 1 {
				t.Fatalf("requests: %d", len(s.requests))
			}
			sent, err := proto.Marshal(s.requests[0])
			if err != nil {
				t.Fatal(err)
			}
			wantLeaks(t, profile, sent)
		})
	}
}

// A receiver that hangs delays no page, and the agent's end only for a while.
func TestOTLPMetricsHang(t *testing.T) {
	s := newMetricServer(t)
	hang, arrived := make(chan struct{}), make(chan struct{}, 10)
	s.set(func() (*colmetrics.ExportMetricsServiceResponse, error) {
		arrived <- struct{}{}
		<-hang
		return nil, errors.New("too late")
	})
	defer close(hang)
	m := newRedactMetrics(t, redact.DefaultProfile, 0)
	c := s.config()
	c.Timeout = time.Second
	o := openOTLPMetrics(t, c, m, nil, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	<-arrived
	page := make(chan int, 1)
	go func() { page <- len(m.AppendPage(nil)) }()
	select {
	case n := <-page:
		if n == 0 {
			t.Error("the page is empty")
		}
	case <-time.After(900 * time.Millisecond):
		t.Error("the page waits for the receiver")
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("error at the end: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the agent does not end")
	}
	if err := o.Reopen(); !errors.Is(err, ErrClosed) {
		t.Errorf("reopen after the end: want %v, got %v", ErrClosed, err)
	}
}

func TestOTLPMetricsConfig(t *testing.T) {
	for want, c := range map[string]OTLPMetricsConfig{
		"endpoint is missing":                   {},
		"interval 1ms":                          {Interval: time.Millisecond},
		`temporality "lowmemory": want`:         {Temporality: "lowmemory"},
		"want https://host:port":                {OTLPConnection: OTLPConnection{Endpoint: "a:1", Protocol: "http"}},
		"headers_files: their secrets would go": {OTLPConnection: OTLPConnection{Endpoint: "a:1", Insecure: true, HeadersFiles: map[string]string{"a": "b"}}},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error: want %q in it, got %v", want, err)
		}
	}
}
