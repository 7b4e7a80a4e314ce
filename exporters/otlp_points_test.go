package exporters

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func newRedactMetrics(t testing.TB, profile redact.Profile, budget int) *redact.Metrics {
	t.Helper()
	m, err := redacttest.Policy(t, profile).NewMetrics(redact.MetricsConfig{Budget: budget})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// point is a data point of a counter with times in seconds since the test began.
type point struct {
	Port        string
	From, Until int
	Value       int64
}

// collect returns the points of one family, as Produce has them.
func collect(t testing.TB, p *otlpPoints, began time.Time, name string) (all []point) {
	t.Helper()
	scopes, err := p.Produce(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	since := func(at time.Time) int { return int(at.Sub(began) / time.Second) }
	for _, m := range scopes[0].Metrics {
		if m.Name != name {
			continue
		}
		for _, d := range m.Data.(metricdata.Sum[int64]).DataPoints {
			port, _ := d.Attributes.Value("fanlight.interface")
			all = append(all, point{port.AsString(), since(d.StartTime), since(d.Time), d.Value})
		}
	}
	return all
}

func commitAll(p *otlpPoints) {
	for _, part := range p.portions(1 << 30) {
		p.commit(part)
	}
}

func portSeries(m *redact.Metrics, port string) *redact.Series {
	return m.Series(redact.PortCopies, redact.Name("lab"), redact.VLAN(0), redact.Addr(groupAt(7)), redact.Name(port))
}

// steps runs a story of counters, a minute a step: each does something, then
// the points are collected, and delivered unless the step says otherwise.
func steps(t *testing.T, delta bool, budget int, story func(m *redact.Metrics, step func(deliver bool, want ...point))) {
	synctest.Test(t, func(t *testing.T) {
		m := newRedactMetrics(t, redact.DefaultProfile, budget)
		p := newOTLPPoints(m, nil, delta)
		began, n := time.Now(), 0
		story(m, func(deliver bool, want ...point) {
			t.Helper()
			got := collect(t, p, began, "fanlight.port.copies")
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("step %d (-want +got):\n%s", n, d)
			}
			if deliver {
				commitAll(p)
			}
			time.Sleep(time.Minute) // of the bubble
			n++
		})
	})
}

// A cumulative series starts when it was zero; one that was there first starts
// with an interval of no length, because nobody knows since when it counts.
func TestOTLPCumulative(t *testing.T) {
	steps(t, false, 0, func(m *redact.Metrics, step func(bool, ...point)) {
		old := portSeries(m, "p0")
		old.Set(1000)
		step(true, point{"p0", 0, 0, 1000})
		old.Set(1010)
		young := portSeries(m, "p1")
		young.Set(5)
		step(true, point{"p0", 0, 60, 1010}, point{"p1", 0, 60, 5})
		old.Set(1020)
		step(false, point{"p0", 0, 120, 1020}, point{"p1", 0, 120, 5})
		old.Remove()
		step(true, point{"p1", 0, 180, 5})
		again := portSeries(m, "p0")
		again.Set(3)
		step(true, point{"p1", 0, 240, 5}, point{"p0", 180, 240, 3})
	})
}

// Deltas add up to what was counted since the first collection, whatever was
// delivered when, and their intervals follow on one another.
func TestOTLPDelta(t *testing.T) {
	steps(t, true, 0, func(m *redact.Metrics, step func(bool, ...point)) {
		s := portSeries(m, "p0")
		s.Set(1000)
		step(true) // counted by nobody knows whom
		s.Set(1010)
		step(true, point{"p0", 0, 60, 10})
		step(true) // nothing new
		s.Set(1015)
		step(false, point{"p0", 60, 180, 5}) // not delivered
		s.Set(1017)
		step(true, point{"p0", 60, 240, 7})
		s.Set(2) // its source began again at zero
		step(true, point{"p0", 240, 300, 2})
	})
}

// A counter that vanishes and comes again loses nothing, even if its last delta
// was not delivered at once.
func TestOTLPDeltaVanishes(t *testing.T) {
	steps(t, true, 0, func(m *redact.Metrics, step func(bool, ...point)) {
		step(true)
		s := portSeries(m, "p0")
		s.Set(10)
		step(false, point{"p0", 0, 60, 10})
		s.Remove()
		step(false, point{"p0", 0, 60, 10}) // still to be delivered
		s = portSeries(m, "p0")
		s.Set(4)
		step(true, point{"p0", 120, 180, 4}, point{"p0", 0, 60, 10})
		s.Set(5)
		step(true, point{"p0", 180, 240, 1})
		s.Remove()
		step(true)
	})
}

// What the budget folds stands in the other series; nothing is folded beside.
func TestOTLPBudget(t *testing.T) {
	steps(t, false, 1, func(m *redact.Metrics, step func(bool, ...point)) {
		step(true)
		for i, port := range []string{"p0", "p1", "p2"} {
			portSeries(m, port).Set(uint64(10 + i))
		}
		step(true, point{"p0", 0, 60, 10}, point{"other", 0, 60, 23})
	})
}

// More series than the SDK's limit of 2000, each with its own value.
func TestOTLPHasNoLimitOfTheSDK(t *testing.T) {
	m := newRedactMetrics(t, redact.DefaultProfile, 0)
	const n = 9000
	for i := range n {
		m.Series(redact.PortCopies, redact.Name("lab"), redact.VLAN(0), redact.Addr(groupAt(i)), redact.Name("p0")).Set(uint64(i + 1))
	}
	p := newOTLPPoints(m, nil, false)
	sum := int64(0)
	points := collect(t, p, time.Now(), "fanlight.port.copies")
	for _, d := range points {
		sum += d.Value
	}
	if len(points) != n || sum != n*(n+1)/2 {
		t.Errorf("%d points with sum %d, want %d with sum %d", len(points), sum, n, n*(n+1)/2)
	}
	parts := p.portions(minOTLPRequest)
	inParts := 0
	for _, part := range parts {
		inParts += len(part.series)
	}
	if len(parts) < 10 || inParts < n {
		t.Errorf("%d parts with %d points", len(parts), inParts)
	}
}

// Histograms of client_golang come with every bucket.
func TestOTLPHistogram(t *testing.T) {
	for _, delta := range []bool{false, true} {
		registry := prometheus.NewRegistry()
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "fanlight_join_latency_seconds", Buckets: []float64{0.1, 1}})
		registry.MustRegister(h)
		p := newOTLPPoints(newRedactMetrics(t, redact.DefaultProfile, 0), registry, delta)
		get := func() *metricdata.HistogramDataPoint[float64] {
			if _, err := p.Produce(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, part := range p.portions(1 << 20) {
				for _, m := range part.metrics {
					if m.Name == "fanlight.join.latency" && m.Unit == "s" {
						return &m.Data.(metricdata.Histogram[float64]).DataPoints[0]
					}
				}
			}
			return nil
		}
		h.Observe(0.05)
		h.Observe(0.5)
		h.Observe(7)
		first := get()
		if d := cmp.Diff([]uint64{1, 1, 1}, first.BucketCounts); d != "" || first.Count != 3 || first.Sum != 7.55 || len(first.Bounds) != 2 {
			t.Errorf("delta %t: %+v", delta, first)
		}
		commitAll(p)
		h.Observe(0.5)
		want, count := []uint64{1, 2, 1}, uint64(4)
		if delta {
			want, count = []uint64{0, 1, 0}, 1
		}
		second := get()
		if d := cmp.Diff(want, second.BucketCounts); d != "" || second.Count != count {
			t.Errorf("delta %t: %+v", delta, second)
		}
		if delta == second.StartTime.Equal(first.StartTime) || delta != second.StartTime.Equal(first.Time) {
			t.Errorf("delta %t: starts %s, the first from %s to %s", delta, second.StartTime, first.StartTime, first.Time)
		}
		commitAll(p)
		if third := get(); delta != (third == nil) {
			t.Errorf("delta %t, nothing new: %+v", delta, third)
		}
	}
}
