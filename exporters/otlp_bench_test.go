package exporters

import (
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"
)

// BenchmarkOTLPEncode compares, in the same run, the encoder with the way that
// one would write first: the generated types, filled from the record, and
// proto.Marshal.
func BenchmarkOTLPEncode(b *testing.B) {
	records := redacttest.Many(b, 0, benchBatch)
	e := newOTLPEncoder()
	buf := encodeAll(b, e, records)
	b.ReportAllocs()
	var direct, naive time.Duration
	for b.Loop() {
		start := time.Now()
		buf = buf[:0]
		for i := range records {
			buf, _ = e.append(buf, &records[i], 1<<30)
		}
		buf = e.finish(buf)
		direct += time.Since(start)

		b.StopTimer()
		start = time.Now()
		generated, err := proto.Marshal(naiveRequest(records))
		if err != nil || len(generated) != len(buf) {
			b.Fatalf("%d bytes, %d by the generated types: %v", len(buf), len(generated), err)
		}
		naive += time.Since(start)
		b.StartTimer()
	}
	reportPerEvent(b)
	b.ReportMetric(float64(naive.Nanoseconds())/float64(b.N*benchBatch), "naive-ns/event")
	b.ReportMetric(float64(naive)/float64(direct), "times-faster")
}

// naiveRequest is the straightforward way: it knows nothing but the table.
func naiveRequest(records []redact.Record) *collogs.ExportLogsServiceRequest {
	scope := &logs.ScopeLogs{Scope: &common.InstrumentationScope{Name: otlpScope, Version: version}}
	res := &resource.Resource{}
	for i := range records {
		r := &records[i]
		m := subject{kind: r.Kind(), action: r.Text(fieldAction)}.meaning()
		l := &logs.LogRecord{
			SeverityNumber: logs.SeverityNumber(otlpSeverities[m.level].number), SeverityText: otlpSeverities[m.level].text,
			Body: textValue(m.title), EventName: "fanlight." + r.Kind(),
		}
		for f, v := range r.Fields() {
			switch f.Name {
			case "time":
				l.TimeUnixNano = uint64(v.Time().UnixNano())
				l.ObservedTimeUnixNano = l.TimeUnixNano
			case "node", "boot_id":
				if i == 0 {
					res.Attributes = append(res.Attributes, textAttribute(f.Names.OTel, v.Text()))
				}
			default:
				l.Attributes = append(l.Attributes, &common.KeyValue{Key: f.Names.OTel, Value: valueOf(f, v)})
			}
		}
		scope.LogRecords = append(scope.LogRecords, l)
	}
	res.Attributes = append(res.Attributes, textAttribute("service.name", product), textAttribute("service.version", version))
	return &collogs.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{Resource: res, ScopeLogs: []*logs.ScopeLogs{scope}}}}
}
