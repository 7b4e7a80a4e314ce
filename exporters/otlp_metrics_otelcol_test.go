package exporters

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
)

// received is a point as a collector has understood it.
type received struct {
	Unit, Kind   string
	Value        float64
	Start, Until uint64
}

// metrics returns the points of the collector's file by metric and attributes,
// in the order of their arrival.
func (c *otelcol) metrics() map[string][]received {
	all := map[string][]received{}
	var request colmetrics.ExportMetricsServiceRequest
	c.read("metrics.json", &request, func() {
		for _, rm := range request.ResourceMetrics {
			for _, sm := range rm.ScopeMetrics {
				for _, m := range sm.Metrics {
					eachPoint(m, func(attributes []*common.KeyValue, r received) {
						key := m.Name + attributesKey(attributes)
						all[key] = append(all[key], r)
					})
				}
			}
		}
	})
	return all
}

func eachPoint(m *metrics.Metric, visit func([]*common.KeyValue, received)) {
	kind, points := "gauge", m.GetGauge().GetDataPoints()
	if sum := m.GetSum(); sum != nil {
		kind, points = "sum", sum.DataPoints
		if sum.IsMonotonic {
			kind = "counter"
		}
		if sum.AggregationTemporality == metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA {
			kind = "delta " + kind
		}
	}
	for _, d := range points {
		value := d.GetAsDouble()
		if i, isInt := d.Value.(*metrics.NumberDataPoint_AsInt); isInt {
			value = float64(i.AsInt)
		}
		visit(d.Attributes, received{m.Unit, kind, value, d.StartTimeUnixNano, d.TimeUnixNano})
	}
	for _, d := range m.GetHistogram().GetDataPoints() {
		visit(d.Attributes, received{m.Unit, fmt.Sprint("histogram ", d.ExplicitBounds, d.BucketCounts), float64(d.Count), d.StartTimeUnixNano, d.TimeUnixNano})
	}
}

func attributesKey(attributes []*common.KeyValue) string {
	var all []string
	for _, a := range attributes {
		all = append(all, a.Key+"="+a.Value.GetStringValue())
	}
	slices.Sort(all)
	return "{" + strings.Join(all, ",") + "}"
}

// A real collector understands every series by each way: name, unit, type,
// attributes, value and times.
func TestOtelcolMetrics(t *testing.T) {
	for _, way := range []struct {
		protocol, compression, temporality string
		secure                             bool
	}{
		{"grpc", "gzip", "cumulative", false}, {"http", "zstd", "cumulative", true}, {"grpc", "none", "delta", true}, {"http", "gzip", "delta", false},
	} {
		t.Run(strings.Join([]string{way.protocol, way.compression, way.temporality}, ", "), func(t *testing.T) {
			c := newOtelcol(t)
			m := newRedactMetrics(t, redact.DefaultProfile, 0)
			registry := prometheus.NewRegistry()
			join := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "fanlight_join_latency_seconds", Buckets: []float64{0.1, 1}})
			registry.MustRegister(join, prometheus.NewCounter(prometheus.CounterOpts{Name: "foreign_total"}))
			conf := OTLPMetricsConfig{OTLPConnection: c.connection(way.protocol, way.secure), Temporality: way.temporality}
			conf.Compression = way.compression
			o := openOTLPMetrics(t, conf, m, registry, slog.New(slog.DiscardHandler))
			before := time.Now()
			export(t, o)
			redacttest.EverySeries(m)
			join.Observe(0.5)
			export(t, o)
			after := time.Now()
			want := wantReceived(m, way.temporality)
			want["fanlight.join.latency{}"] = received{"s", "histogram [0.1 1] [0 1 0]", 1, 0, 0}
			c.await("write every series", func() bool { return len(c.metrics()) >= len(want) })
			got := map[string]received{}
			for key, points := range c.metrics() {
				last := points[len(points)-1]
				checkTimes(t, key, last, before, after)
				last.Start, last.Until = 0, 0
				got[key] = last
			}
			maps.DeleteFunc(got, func(key string, _ received) bool {
				return strings.HasPrefix(key, "fanlight.metric.exports{") && strings.Contains(key, "metrics_otlp")
			})
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("what the collector has understood (-want +got):\n%s", d)
			}
		})
	}
}

// wantReceived is what the collector should have, from the readings that the
// page is made of.
func wantReceived(m *redact.Metrics, temporality string) map[string]received {
	want := map[string]received{}
	m.Read(func(id redact.Family, r redact.Reading) {
		info := id.Info()
		var attributes []*common.KeyValue
		for i, v := range r.Labels() {
			if v != "" {
				attributes = append(attributes, textAttribute(info.Labels[i].OTel(), v))
			}
		}
		w := received{Unit: info.UCUM(), Kind: "gauge", Value: float64(r.Count())}
		if info.Unit == "seconds" {
			w.Value = r.Seconds()
		}
		if info.Type == redact.CounterType {
			w.Kind = map[string]string{"cumulative": "counter", "delta": "delta counter"}[temporality]
			if temporality == "delta" && r.Count() == 0 {
				return
			}
		}
		if id == redact.MetricExports && r.Labels()[0] == "metrics_otlp" {
			return // counted by the exports themselves
		}
		want[info.OTel+attributesKey(attributes)] = w
	})
	return want
}

func checkTimes(t *testing.T, key string, r received, before, after time.Time) {
	t.Helper()
	at, start := time.Unix(0, int64(r.Until)), time.Unix(0, int64(r.Start))
	if at.Before(before) || at.After(after) {
		t.Errorf("%s: time %s, not from %s to %s", key, at, before, after)
	}
	if r.Kind == "gauge" {
		return
	}
	if start.Before(before.Add(-time.Minute)) || start.After(at) {
		t.Errorf("%s: counts from %s to %s", key, start, at)
	}
}

// The SDK's reader runs it: what is counted while a collector is away arrives
// once when it is back, and the last count when the agent ends.
func TestOtelcolMetricsRestart(t *testing.T) {
	for _, protocol := range []string{"grpc", "http"} {
		t.Run(protocol, func(t *testing.T) {
			c := newOtelcol(t)
			m := newRedactMetrics(t, redact.DefaultProfile, 0)
			conf := OTLPMetricsConfig{OTLPConnection: c.connection(protocol, false), Temporality: "delta", Interval: time.Second}
			o := openOTLPMetrics(t, conf, m, nil, slog.New(slog.DiscardHandler))
			s := m.Series(redact.GroupPackets, redact.Name("lab"), redact.VLAN(0), redact.Addr(groupAt(1)))
			s.Set(1_000_000) // counted before the agent came
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- o.Run(ctx) }()
			total := func() (sum int) {
				for key, points := range c.metrics() {
					if strings.HasPrefix(key, "fanlight.group.packets{") {
						for _, p := range points {
							sum += int(p.Value)
						}
					}
				}
				return sum
			}
			c.await("take the first export", func() bool { return outcomes(m)["delivered"] > 0 })
			s.Add(10)
			c.await("count", func() bool { return total() == 10 })
			c.stop(syscall.SIGKILL)
			s.Add(20)
			failed := outcomes(m)["failed"]
			c.await("be missed", func() bool { return outcomes(m)["failed"] > failed })
			c.start(needOtelcol(t))
			c.await("get what it missed", func() bool { return total() == 30 })
			s.Add(5)
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			c.await("get the last count", func() bool { return total() == 35 })
		})
	}
}
