package exporters

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// OTLPMetricsConfig configures metrics that are sent by the OpenTelemetry
// protocol. What is zero has the default of DefaultOTLPMetrics.
type OTLPMetricsConfig struct {
	OTLPConnection `yaml:",inline"`
	// Interval is the time between two exports.
	Interval time.Duration `yaml:"interval"`
	// Temporality of counters is cumulative or delta.
	Temporality string `yaml:"temporality"`
}

// DefaultOTLPMetrics returns the defaults.
func DefaultOTLPMetrics() OTLPMetricsConfig {
	return OTLPMetricsConfig{OTLPConnection: defaultOTLP(), Interval: time.Minute, Temporality: "cumulative"}
}

// withDefaults returns c with defaults for what is zero.
func (c OTLPMetricsConfig) withDefaults() OTLPMetricsConfig {
	d := DefaultOTLPMetrics()
	c.Protocol = orElse(c.Protocol, d.Protocol)
	c.Compression = orElse(c.Compression, d.Compression)
	c.Timeout = orElse(c.Timeout, d.Timeout)
	c.MaxRequestBytes = orElse(c.MaxRequestBytes, d.MaxRequestBytes)
	c.Interval = orElse(c.Interval, d.Interval)
	c.Temporality = orElse(c.Temporality, d.Temporality)
	return c
}

func orElse[T comparable](v, instead T) T {
	var zero T
	if v == zero {
		return instead
	}
	return v
}

// Validate checks everything but the peer and the files.
func (c OTLPMetricsConfig) Validate() error {
	c = c.withDefaults()
	switch {
	case c.Interval < time.Second:
		return fmt.Errorf("interval %s: want 1s or more", c.Interval)
	case c.Temporality != "cumulative" && c.Temporality != "delta":
		return fmt.Errorf("temporality %q: want cumulative or delta", c.Temporality)
	}
	return c.OTLPConnection.Validate()
}

// OTLPMetrics sends the families of redact.Metrics, and the histograms of its
// table that client_golang keeps, by the OpenTelemetry protocol. The SDK times
// the exports and encodes them.
//
// Delivery: an export that fails is not repeated; the next one brings what it
// would have brought, in both temporalities, because a delta reaches back to the
// last export that was answered. If only the answer was lost, a delta counts
// twice.
type OTLPMetrics struct {
	config OTLPMetricsConfig
	points *otlpPoints
	log    *slog.Logger

	outcomes map[string]*redact.Series
	inner    *otlpmetrichttp.Exporter
	last     otlpReply // of the request under way
	failure  error

	mu     sync.Mutex // Reopen comes from another goroutine
	link   otlpLink
	closed bool

	until    time.Time // the peer asked to be left alone
	complain time.Time // when failures may be logged again
	split    atomic.Uint64
}

// The outcomes of a request with metrics.
const (
	exportDelivered = "delivered"
	exportPartial   = "partial"   // the peer rejected some points
	exportFailed    = "failed"    // what it had comes with the next export
	exportRefused   = "refused"   // for good; counters come with the next export all the same
	exportPostponed = "postponed" // the peer had asked to be left alone
)

// NewOTLPMetrics reads the files. It does not connect: the first export does.
// The gatherer may be nil. The name is that of the exporter in metrics.
func NewOTLPMetrics(c OTLPMetricsConfig, name string, m *redact.Metrics, g prometheus.Gatherer, log *slog.Logger) (*OTLPMetrics, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	o := &OTLPMetrics{
		config: c, log: log.With("exporter", name), outcomes: map[string]*redact.Series{},
		points: newOTLPPoints(m, g, c.Temporality == "delta"),
		link:   otlpLink{config: c.OTLPConnection, signal: otlpMetricsSignal},
	}
	if err := o.link.open(); err != nil {
		return nil, err
	}
	var err error
	if o.inner, err = newOTLPMetricEncoder(o); err != nil {
		return nil, fmt.Errorf("encode metrics: %w", err)
	}
	for _, outcome := range []string{exportDelivered, exportPartial, exportFailed, exportRefused, exportPostponed} {
		o.outcomes[outcome] = m.Series(redact.MetricExports, redact.Name(name), redact.Name(outcome))
	}
	return o, nil
}

// Counts yields the counters that [Counter] promises.
func (o *OTLPMetrics) Counts() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		_ = yield("connected", o.link.connects.Load()) && yield("partial_success", o.link.partial.Load()) &&
			yield("split", o.split.Load()) && yield("forgotten", o.points.forgotten.Load())
	}
}

// Run exports at once, then at each interval, and once more when ctx is done.
// Counters that are there when it begins may have been counted before the agent
// started: they say that their start is unknown, by an interval of no length, and
// deltas begin with them.
func (o *OTLPMetrics) Run(ctx context.Context) error {
	reader := metric.NewPeriodicReader(o,
		metric.WithInterval(o.config.Interval), metric.WithTimeout(o.patience()), metric.WithProducer(o.points))
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	if err := provider.ForceFlush(ctx); err != nil && ctx.Err() == nil {
		o.say("metrics not exported", "error", err)
	}
	<-ctx.Done()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownWait)
	defer cancel()
	if err := provider.Shutdown(last); err != nil { // a dead receiver is no reason to end with an error
		o.say("last metrics not exported", "error", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	return o.link.disconnect()
}

// patience bounds one export of several requests.
func (o *OTLPMetrics) patience() time.Duration { return max(o.config.Interval, o.config.Timeout) }

// Reopen reads the files again, and connects anew.
func (o *OTLPMetrics) Reopen() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return ErrClosed
	}
	return o.link.open()
}

// Export is what the SDK calls after each collection. It sends what the producer
// has collected, in as many requests as needed, and never returns an error: the
// SDK would print it where no operator looks.
func (o *OTLPMetrics) Export(ctx context.Context, _ *metricdata.ResourceMetrics) error {
	if time.Now().Before(o.until) {
		o.outcomes[exportPostponed].Add(1)
		return nil
	}
	resource := o.points.resource()
	for i, p := range o.points.portions(int(o.config.MaxRequestBytes)) {
		if i > 0 {
			o.split.Add(1)
		}
		o.last, o.failure = otlpReply{}, nil
		err := o.inner.Export(ctx, &metricdata.ResourceMetrics{Resource: resource, ScopeMetrics: otlpScoped(p.metrics)})
		if o.failure != nil {
			err = o.failure // without the SDK's words around it
		}
		if err != nil {
			o.failed(err)
			return nil
		}
		o.points.commit(p)
		if o.last.rejected > 0 {
			o.outcomes[exportPartial].Add(1)
			o.say("the receiver rejected metrics", "points", o.last.rejected)
			continue
		}
		o.outcomes[exportDelivered].Add(1)
	}
	return nil
}

// failed counts an export that did not get through, and says so.
func (o *OTLPMetrics) failed(err error) {
	outcome := exportFailed
	if refusedForGood(err) {
		outcome = exportRefused
	}
	o.outcomes[outcome].Add(1)
	if wait := RetryDelay(err); wait > 0 {
		o.until = time.Now().Add(wait)
	}
	o.say("metrics not exported", "outcome", outcome, "error", err)
}

// say logs what is wrong, every ten minutes at most.
func (o *OTLPMetrics) say(message string, args ...any) {
	now := time.Now()
	if now.Before(o.complain) {
		return
	}
	o.complain = now.Add(10 * time.Minute)
	o.log.Warn(message, args...)
}

// Temporality is not asked for: the producer decides.
func (o *OTLPMetrics) Temporality(metric.InstrumentKind) metricdata.Temporality {
	return metricdata.CumulativeTemporality
}

// Aggregation is the SDK's own: there are no instruments to use it.
func (o *OTLPMetrics) Aggregation(k metric.InstrumentKind) metric.Aggregation {
	return metric.DefaultAggregationSelector(k)
}

// ForceFlush has nothing to do: Export waits for the answer.
func (o *OTLPMetrics) ForceFlush(context.Context) error { return nil }

// Shutdown ends the SDK's part.
func (o *OTLPMetrics) Shutdown(ctx context.Context) error { return o.inner.Shutdown(ctx) }
