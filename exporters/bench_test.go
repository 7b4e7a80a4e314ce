package exporters

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const benchBatch = 256

// benchFile is emptied now and then, so that a long run needs no big disk.
func benchFile(b *testing.B) (e Exporter, empty func()) {
	path := filepath.Join(b.TempDir(), "events.jsonl")
	e, err := (&FileConfig{Path: path}).Open()
	if err != nil {
		b.Fatal(err)
	}
	return e, func() {
		if err := os.Truncate(path, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func reportPerEvent(b *testing.B) {
	events := float64(b.N * benchBatch)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/events, "ns/event")
	b.ReportMetric(events/b.Elapsed().Seconds()/1e6, "Mevents/s")
}

// BenchmarkEventToFile is the way of an event from the ring to the file.
func BenchmarkEventToFile(b *testing.B) {
	policy := redacttest.Policy(b, redact.DefaultProfile)
	events := redacttest.Busy(0, benchBatch)
	file, empty := benchFile(b)
	records := policy.Apply(nil, events)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		records = policy.Apply(records[:0], events)
		if err := file.Export(b.Context(), records); err != nil {
			b.Fatal(err)
		}
		if n++; n%1000 == 0 {
			empty()
		}
	}
	reportPerEvent(b)
}

// BenchmarkRecordToFile is the exporter alone.
func BenchmarkRecordToFile(b *testing.B) {
	records := redacttest.Many(b, 0, benchBatch)
	file, empty := benchFile(b)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if err := file.Export(b.Context(), records); err != nil {
			b.Fatal(err)
		}
		if n++; n%1000 == 0 {
			empty()
		}
	}
	reportPerEvent(b)
}

// BenchmarkRecordToFileNaive is the exporter as one would write it first: a
// tagged struct is filled and given to encoding/json, and a buffered file takes
// the lines.
func BenchmarkRecordToFileNaive(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "events.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	records := redacttest.Many(b, 0, benchBatch)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		for i := range records {
			line, err := json.Marshal(naiveOf(&records[i]))
			if err != nil {
				b.Fatal(err)
			}
			w.Write(line)
			w.WriteByte('\n')
		}
		w.Flush()
		if n++; n%1000 == 0 {
			f.Truncate(0)
			f.Seek(0, 0)
		}
	}
	reportPerEvent(b)
}

// BenchmarkEventToFileNaive is the same redaction, then encoding/json of a
// tagged struct and a buffered file, as one would write it first. Filling the
// struct is left out, in its favour.
func BenchmarkEventToFileNaive(b *testing.B) {
	policy := redacttest.Policy(b, redact.DefaultProfile)
	events := redacttest.Busy(0, benchBatch)
	f, err := os.Create(filepath.Join(b.TempDir(), "events.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	records := policy.Apply(nil, events)
	var filled []*naive
	for i := range records {
		filled = append(filled, naiveOf(&records[i]))
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		records = policy.Apply(records[:0], events)
		for i := range records {
			line, err := json.Marshal(filled[i])
			if err != nil {
				b.Fatal(err)
			}
			w.Write(line)
			w.WriteByte('\n')
		}
		w.Flush()
		if n++; n%1000 == 0 {
			f.Truncate(0)
			f.Seek(0, 0)
		}
	}
	reportPerEvent(b)
}

type naive struct {
	SchemaVersion uint64 `json:"schema_version"`
	Node          string `json:"node"`
	BootID        string `json:"boot_id"`
	Time          string `json:"time"`
	EventID       string `json:"event_id"`
	Kind          string `json:"kind"`
	Action        string `json:"action"`
	Domain        string `json:"domain,omitempty"`
	Source        string `json:"source,omitempty"`
	Group         string `json:"group,omitempty"`
	Interface     string `json:"interface,omitempty"`
	FanOut        uint64 `json:"fan_out,omitempty"`
	Packets       uint64 `json:"packets,omitempty"`
	Bytes         uint64 `json:"bytes,omitempty"`
	Copies        uint64 `json:"copies,omitempty"`
	CopyBytes     uint64 `json:"copy_bytes,omitempty"`
	Suppressed    uint64 `json:"suppressed_events,omitempty"`
	Ring          uint64 `json:"ring"`
	Seq           uint64 `json:"seq"`
}

func naiveOf(r *redact.Record) *naive {
	var n naive
	for f, v := range r.Fields() {
		switch f.Name {
		case "schema_version":
			n.SchemaVersion = v.Number()
		case "node":
			n.Node = v.Text()
		case "boot_id":
			n.BootID = v.Text()
		case "time":
			n.Time = v.Time().Format("2006-01-02T15:04:05.000000000Z07:00")
		case "event_id":
			n.EventID = v.Text()
		case "kind":
			n.Kind = v.Text()
		case "action":
			n.Action = v.Text()
		case "domain":
			n.Domain = v.Text()
		case "source":
			n.Source = v.Text()
		case "group":
			n.Group = v.Text()
		case "interface":
			n.Interface = v.Text()
		case "fan_out":
			n.FanOut = v.Number()
		case "packets":
			n.Packets = v.Number()
		case "bytes":
			n.Bytes = v.Number()
		case "copies":
			n.Copies = v.Number()
		case "copy_bytes":
			n.CopyBytes = v.Number()
		case "suppressed_events":
			n.Suppressed = v.Number()
		case "ring":
			n.Ring = v.Number()
		case "seq":
			n.Seq = v.Number()
		}
	}
	return &n
}

const benchSeries = 100_000

func groupAt(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{239, byte(i >> 16), byte(i >> 8), byte(i)})
}

// BenchmarkScrape serves 100,000 series whose values are all set anew.
func BenchmarkScrape(b *testing.B) {
	m, err := redacttest.Policy(b, redact.DefaultProfile).NewMetrics(redact.MetricsConfig{Budget: benchSeries})
	if err != nil {
		b.Fatal(err)
	}
	series := make([]*redact.Series, benchSeries)
	for i := range series {
		series[i] = m.Series(redact.PortCopies, redact.Name("lab"), redact.VLAN(0), redact.Addr(groupAt(i/10)), redact.Name(fmt.Sprint("p", i%10)))
	}
	value := uint64(1e9)
	m.OnScrape(func() {
		value++
		for _, s := range series {
			s.Set(value)
		}
	})
	benchScrape(b, NewPrometheus(m, nil))
}

// constMetrics is a collector as client_golang's documentation shows it.
type constMetrics struct {
	desc   *prometheus.Desc
	labels [][]string
	value  float64
}

func (c *constMetrics) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

func (c *constMetrics) Collect(ch chan<- prometheus.Metric) {
	c.value++
	for _, l := range c.labels {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, c.value, l...)
	}
}

func BenchmarkScrapeConstMetrics(b *testing.B) {
	c := &constMetrics{
		desc:  prometheus.NewDesc("fanlight_port_copies_total", "Copies.", []string{"domain", "group", "interface"}, nil),
		value: 1e9,
	}
	for i := range benchSeries {
		c.labels = append(c.labels, []string{"lab", groupAt(i / 10).String(), fmt.Sprint("p", i%10)})
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	benchScrape(b, promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true}))
}

// discard is a client that reads at once.
type discard struct {
	header http.Header
	bytes  int
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(int)     {}
func (d *discard) Write(p []byte) (int, error) {
	d.bytes += len(p)
	return len(p), nil
}

func benchScrape(b *testing.B, h http.Handler) {
	req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	w := &discard{header: http.Header{}}
	h.ServeHTTP(w, req)
	page := w.bytes
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, req)
	}
	b.ReportMetric(float64(page)/1e6, "MB/page")
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/page")
}
