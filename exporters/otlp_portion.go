package exporters

import "go.opentelemetry.io/otel/sdk/metric/metricdata"

// otlpPortion is a part of a collection that fits into one request, and whose
// points it has.
type otlpPortion struct {
	metrics    []metricdata.Metrics
	series     []*otlpSeries
	histograms []*otlpHistogram
	bytes      int
}

// Bounds of what the wire format adds: to a point its times, value, tags and
// lengths; to an attribute its tags and lengths; and to a request the resource
// and the scope.
const (
	pointBytes     = 64
	attributeBytes = 24
	metricBytes    = 64
	requestBytes   = 2048
)

// portions cuts the last collection into parts of at most the given size. One
// point more than fits is never needed: the least size has room for any.
func (p *otlpPoints) portions(most int) []otlpPortion {
	c := cutter{most: most, parts: []otlpPortion{{bytes: requestBytes}}}
	for i := range p.families {
		c.cut(&p.families[i], p.delta)
	}
	for _, h := range p.histograms {
		if h.point == nil {
			continue
		}
		last := c.room(metricBytes + len(h.info.Help) + 64 + 24*len(h.read.BucketCounts))
		last.metrics = append(last.metrics, *h.point)
		last.histograms = append(last.histograms, h)
	}
	return c.parts
}

type cutter struct {
	most  int
	parts []otlpPortion
}

// room returns the part that takes so many bytes more: the last one, or a new
// one.
func (c *cutter) room(bytes int) *otlpPortion {
	last := &c.parts[len(c.parts)-1]
	if last.bytes+bytes > c.most && last.bytes > requestBytes {
		c.parts = append(c.parts, otlpPortion{bytes: requestBytes})
		last = &c.parts[len(c.parts)-1]
	}
	last.bytes += bytes
	return last
}

// cut puts a family's points into as few parts as they fit in.
func (c *cutter) cut(f *otlpFamily, delta bool) {
	head := metricBytes + len(f.info.OTel) + len(f.info.Help)
	for from := 0; from < len(f.series); {
		to := from
		last := c.room(head + f.series[to].bytes)
		for to++; to < len(f.series) && last.bytes+f.series[to].bytes <= c.most; to++ {
			last.bytes += f.series[to].bytes
		}
		last.metrics = append(last.metrics, f.metric(from, to, delta))
		last.series = append(last.series, f.series[from:to]...)
		from = to
	}
}
