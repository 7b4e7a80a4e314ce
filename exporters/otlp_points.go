package exporters

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
)

// otlpPoints turns redact's series into data points. As a producer beside the
// SDK's instruments it has no limit of the SDK: redact's tables are bounded, and
// their other series is all that is ever folded.
//
// A collection, then commit for each part of it that was delivered, then the
// next collection: never two at once.
type otlpPoints struct {
	metrics    *redact.Metrics
	gatherer   prometheus.Gatherer
	delta      bool
	families   []otlpFamily
	series     map[otlpKey]*otlpSeries
	histograms []*otlpHistogram
	round      uint64
	last       time.Time // when the last collection was

	gone      int // series that are no more, but whose last delta was not delivered
	forgotten atomic.Uint64
}

// maxGone bounds the series that are kept for their last delta while nothing can
// be delivered.
const maxGone = 100_000

// otlpFamily is one family in a collection.
type otlpFamily struct {
	info       redact.FamilyInfo
	attributes []string // names of the labels
	counts     []metricdata.DataPoint[int64]
	seconds    []metricdata.DataPoint[float64]
	series     []*otlpSeries // of the points, in their order
}

type otlpKey struct {
	family redact.Family
	serial uint64
}

// otlpSeries is what must be known of a series from one export to the next.
type otlpSeries struct {
	attributes attribute.Set
	start      time.Time // until when it is delivered; of a cumulative one, when it was zero
	seen       time.Time // last collection that had it
	read, sent uint64
	round      uint64
	bytes      int // that a point takes in a request, at most
}

func newOTLPPoints(m *redact.Metrics, g prometheus.Gatherer, delta bool) *otlpPoints {
	p := &otlpPoints{metrics: m, gatherer: g, delta: delta, series: map[otlpKey]*otlpSeries{}}
	for _, info := range redact.Families() {
		f := otlpFamily{info: info}
		for _, l := range info.Labels {
			f.attributes = append(f.attributes, l.OTel())
		}
		p.families = append(p.families, f)
		if info.Type == redact.HistogramType {
			p.histograms = append(p.histograms, &otlpHistogram{info: info})
		}
	}
	return p
}

// Produce collects all series as they are now.
func (p *otlpPoints) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	now := time.Now()
	p.round++
	for i := range p.families {
		f := &p.families[i]
		f.counts, f.seconds, f.series = f.counts[:0], f.seconds[:0], f.series[:0]
	}
	p.metrics.Read(func(id redact.Family, r redact.Reading) { p.add(id, r, now) })
	p.finishGone()
	p.readHistograms(now)
	p.last = now
	whole := p.portions(math.MaxInt)
	return otlpScoped(whole[0].metrics), nil
}

// add takes one reading.
func (p *otlpPoints) add(id redact.Family, r redact.Reading, now time.Time) {
	f, key := &p.families[id], otlpKey{id, r.Serial()}
	s := p.series[key]
	if s == nil {
		s = p.newSeries(f, r, now)
		p.series[key] = s
	}
	s.round, s.seen = p.round, now
	switch {
	case f.info.Type == redact.CounterType:
		p.count(f, s, r.Count(), now)
	case f.info.Unit == "seconds":
		f.seconds = append(f.seconds, metricdata.DataPoint[float64]{Attributes: s.attributes, Time: now, Value: r.Seconds()})
		f.series = append(f.series, s)
	default:
		f.counts = append(f.counts, metricdata.DataPoint[int64]{Attributes: s.attributes, Time: now, Value: signed(r.Count())})
		f.series = append(f.series, s)
	}
}

// newSeries notes a series that comes for the first time. One that was not there
// at the last collection was zero then. Of those at the first collection nobody
// knows since when they count.
func (p *otlpPoints) newSeries(f *otlpFamily, r redact.Reading, now time.Time) *otlpSeries {
	s := &otlpSeries{start: p.last, bytes: pointBytes}
	s.attributes = f.set(r.Labels())
	for _, a := range s.attributes.ToSlice() {
		s.bytes += attributeBytes + len(a.Key) + len(a.Value.AsString())
	}
	if p.last.IsZero() {
		s.start = now
		if f.info.Type == redact.CounterType {
			s.read, s.sent = r.Count(), r.Count()
		}
	}
	return s
}

// set makes the attributes. Empty labels are left out, as on the page.
func (f *otlpFamily) set(labels []string) attribute.Set {
	var all []attribute.KeyValue
	for i, v := range labels {
		if v != "" {
			all = append(all, attribute.String(f.attributes[i], string([]rune(v))))
		}
	}
	return attribute.NewSet(all...)
}

// count adds a point of a counter. A delta of zero is left out: the next one
// reaches back so much further.
func (p *otlpPoints) count(f *otlpFamily, s *otlpSeries, v uint64, at time.Time) {
	s.read = v
	if p.delta {
		if v = s.read - s.sent; v == 0 {
			return
		}
	}
	f.counts = append(f.counts, metricdata.DataPoint[int64]{
		Attributes: s.attributes, StartTime: s.start, Time: at, Value: signed(v),
	})
	f.series = append(f.series, s)
}

// finishGone forgets series that are no more, once their last delta is
// delivered.
func (p *otlpPoints) finishGone() {
	p.gone = 0
	for key, s := range p.series {
		if s.round == p.round {
			continue
		}
		f := &p.families[key.family]
		if !p.delta || f.info.Type != redact.CounterType || s.read == s.sent {
			delete(p.series, key)
			continue
		}
		if p.gone++; p.gone > maxGone {
			p.forgotten.Add(1)
			delete(p.series, key)
			continue
		}
		p.count(f, s, s.read, s.seen)
	}
}

// commit notes that a part of the last collection was delivered.
func (p *otlpPoints) commit(part otlpPortion) {
	for _, s := range part.series {
		if s.sent = s.read; p.delta {
			s.start = s.seen
		}
	}
	for _, h := range part.histograms {
		h.commit()
	}
}

// metric returns some of the family's points, which are counts or seconds.
func (f *otlpFamily) metric(from, to int, delta bool) metricdata.Metrics {
	m := metricdata.Metrics{Name: f.info.OTel, Description: f.info.Help, Unit: f.info.UCUM()}
	switch {
	case f.info.Type == redact.CounterType:
		m.Data = metricdata.Sum[int64]{DataPoints: f.counts[from:to], Temporality: temporality(delta), IsMonotonic: true}
	case len(f.seconds) > 0:
		m.Data = metricdata.Gauge[float64]{DataPoints: f.seconds[from:to]}
	default:
		m.Data = metricdata.Gauge[int64]{DataPoints: f.counts[from:to]}
	}
	return m
}

func temporality(delta bool) metricdata.Temporality {
	if delta {
		return metricdata.DeltaTemporality
	}
	return metricdata.CumulativeTemporality
}

// resource is what the points belong to: the same as of log records.
func (p *otlpPoints) resource() *resource.Resource {
	all := []attribute.KeyValue{attribute.String("service.name", product), attribute.String("service.version", version)}
	node, bootID := p.metrics.Origin()
	if node != "" {
		all = append(all, attribute.String(otelName(fieldNode), node))
	}
	if bootID != "" {
		all = append(all, attribute.String(otelName(fieldBootID), bootID))
	}
	return resource.NewSchemaless(all...)
}
