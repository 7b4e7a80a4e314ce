package main

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/grpc"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

// otlpReceiver notes what an agent sends it.
type otlpReceiver struct {
	collogs.UnimplementedLogsServiceServer
	address string

	mu     sync.Mutex
	events map[string]int // by event name and action
	copies int64          // latest fanlight.group.copies of the group
}

// metricService is its other service, whose method has the same name.
type metricService struct {
	colmetrics.UnimplementedMetricsServiceServer
	r *otlpReceiver
}

func newOTLPReceiver(t *testing.T) *otlpReceiver {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &otlpReceiver{address: l.Addr().String(), events: map[string]int{}}
	g := grpc.NewServer()
	collogs.RegisterLogsServiceServer(g, r)
	colmetrics.RegisterMetricsServiceServer(g, metricService{r: r})
	var running sync.WaitGroup
	running.Go(func() { g.Serve(l) })
	t.Cleanup(func() { g.Stop(); running.Wait() })
	return r
}

func attributeOf(attributes []*common.KeyValue, key string) string {
	for _, a := range attributes {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

func (r *otlpReceiver) Export(_ context.Context, request *collogs.ExportLogsServiceRequest) (*collogs.ExportLogsServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rl := range request.ResourceLogs {
		for _, sl := range rl.ScopeLogs {
			for _, l := range sl.LogRecords {
				r.events[l.EventName+" "+attributeOf(l.Attributes, "fanlight.action")]++
			}
		}
	}
	return &collogs.ExportLogsServiceResponse{}, nil
}

func (m metricService) Export(_ context.Context, request *colmetrics.ExportMetricsServiceRequest) (*colmetrics.ExportMetricsServiceResponse, error) {
	m.r.mu.Lock()
	defer m.r.mu.Unlock()
	for _, rm := range request.ResourceMetrics {
		for _, sm := range rm.ScopeMetrics {
			for _, metric := range sm.Metrics {
				for _, d := range metric.GetSum().GetDataPoints() {
					if metric.Name == "fanlight.group.copies" && attributeOf(d.Attributes, "fanlight.group") == "239.1.0.1" {
						m.r.copies = d.GetAsInt()
					}
				}
			}
		}
	}
	return &colmetrics.ExportMetricsServiceResponse{}, nil
}

func (r *otlpReceiver) await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); ; {
		r.mu.Lock()
		ok := done()
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s does not arrive by OTLP: %v, %d copies", what, r.events, r.copies)
		}
	}
}

// Events and exact counters of real traffic arrive by OTLP, and a receiver that
// was configured is no hindrance to the agent's end.
func TestOTLPFromTheKernelToAReceiver(t *testing.T) {
	n := labtest.NewConfig(t, lab.Config{Hosts: labtest.Hosts("pub", "sub1", "sub2")})
	r := newOTLPReceiver(t)
	cfg, events := agentConfig(t, n)
	cfg = strings.Replace(cfg, "events: [{", "metrics: {otlp: [{endpoint: \""+r.address+"\", insecure: true, interval: 1s}]}\nevents: [{type: otlp, endpoint: \""+r.address+"\", insecure: true}, {", 1)
	a := startConfig(t, cfg, events)
	group := addr("239.1.0.1")
	for _, name := range []string{"sub1", "sub2"} {
		listen(t, n.Host(name), lab.ListenConfig{Group: group})
	}
	a.joined(group, 2)
	sent := send(t, n.Host("pub"), lab.SendConfig{Group: group, Count: 500, Rate: 20000})
	quiet(t, n)
	want := int64(a.scrape().sum("fanlight_group_copies_total", `group="239.1.0.1"`))
	if want < 2*int64(sent) {
		t.Fatalf("copies: %d of %d packets", want, sent)
	}
	r.await(t, "the count of copies", func() bool { return r.copies == want })
	r.await(t, "each kind of event", func() bool {
		return r.events["fanlight.membership joined"] >= 2 && r.events["fanlight.replication first"] >= 1
	})
	if s := a.scrape(); s.sum("fanlight_metric_exports_total", `outcome="delivered"`) < 1 || s.sum("fanlight_metric_exports_total", `outcome="failed"`) != 0 {
		t.Errorf("exports are counted wrongly")
	}

	send(t, n.Host("pub"), lab.SendConfig{Group: group, Count: 500, Rate: 20000})
	quiet(t, n)
	want = int64(a.scrape().sum("fanlight_group_copies_total", `group="239.1.0.1"`))
	a.end()
	r.await(t, "the last count before the end", func() bool { return r.copies == want })
}
