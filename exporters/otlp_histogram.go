package exporters

import (
	"time"

	"github.com/fanlight-io/fanlight/redact"
	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// otlpHistogram brings a histogram of client_golang over. It has no labels, and
// counts since the agent's start.
type otlpHistogram struct {
	info       redact.FamilyInfo
	start      time.Time
	read, sent metricdata.HistogramDataPoint[float64]
	point      *metricdata.Metrics // of the last collection; nil: none
}

// readHistograms reads those of redact's table that the gatherer has.
func (p *otlpPoints) readHistograms(now time.Time) {
	if p.gatherer == nil {
		return
	}
	gathered, _ := p.gatherer.Gather() // what it has is right even after an error, which the metrics page counts
	for _, h := range p.histograms {
		h.point = nil
		for _, family := range gathered {
			if family.GetName() == h.info.Name && isKnown(family) && len(family.GetMetric()) == 1 {
				h.update(family.GetMetric()[0].GetHistogram(), now, p.delta)
			}
		}
	}
}

// update makes the point as the histogram is now, or of what was added since the
// last delivery, if anything.
func (h *otlpHistogram) update(from *dto.Histogram, now time.Time, delta bool) {
	if h.start.IsZero() {
		h.start = from.GetCreatedTimestamp().AsTime()
	}
	h.read = metricdata.HistogramDataPoint[float64]{
		Attributes: *attribute.EmptySet(), StartTime: h.start, Time: now, Count: from.GetSampleCount(), Sum: from.GetSampleSum(),
	}
	below := uint64(0)
	for _, b := range from.GetBucket() {
		h.read.Bounds = append(h.read.Bounds, b.GetUpperBound())
		h.read.BucketCounts = append(h.read.BucketCounts, b.GetCumulativeCount()-below)
		below = b.GetCumulativeCount()
	}
	h.read.BucketCounts = append(h.read.BucketCounts, from.GetSampleCount()-below)
	point := h.read
	if delta {
		if point = h.since(); point.Count == 0 {
			return
		}
	}
	h.point = &metricdata.Metrics{Name: h.info.OTel, Description: h.info.Help, Unit: h.info.UCUM(), Data: metricdata.Histogram[float64]{
		DataPoints: []metricdata.HistogramDataPoint[float64]{point}, Temporality: temporality(delta),
	}}
}

// since subtracts what was delivered.
func (h *otlpHistogram) since() metricdata.HistogramDataPoint[float64] {
	point := h.read
	if h.sent.BucketCounts == nil {
		return point
	}
	point.StartTime = h.sent.Time
	point.Count -= h.sent.Count
	point.Sum -= h.sent.Sum
	point.BucketCounts = nil
	for i, n := range h.read.BucketCounts {
		point.BucketCounts = append(point.BucketCounts, n-h.sent.BucketCounts[i])
	}
	return point
}

func (h *otlpHistogram) commit() { h.sent = h.read }
