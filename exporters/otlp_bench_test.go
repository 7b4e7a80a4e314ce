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
	var naive time.Duration
	runs, naiveRuns := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		buf = buf[:0]
		for i := range records {
			buf, _ = e.append(buf, &records[i], 1<<30)
		}
		buf = e.finish(buf)
		if runs++; runs%10 != 1 {
			continue // the two take about equally long
		}
		b.StopTimer()
		start := time.Now()
		generated, err := proto.Marshal(naiveRequest(records))
		naive += time.Since(start)
		naiveRuns++
		if err != nil || len(generated) != len(buf) {
			b.Fatalf("%d bytes, %d by the generated types: %v", len(buf), len(generated), err)
		}
		b.StartTimer()
	}
	reportPerEvent(b)
	perNaive := float64(naive.Nanoseconds()) / float64(naiveRuns*benchBatch)
	b.ReportMetric(perNaive, "naive-ns/event")
	b.ReportMetric(perNaive/(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchBatch)), "times-faster")
}

// naiveRequest is the straightforward way, without waste: names are looked up
// once, and values read by the accessors that encoders use.
func naiveRequest(records []redact.Record) *collogs.ExportLogsServiceRequest {
	scope := &logs.ScopeLogs{
		Scope:      &common.InstrumentationScope{Name: otlpScope, Version: version},
		LogRecords: make([]*logs.LogRecord, 0, len(records)),
	}
	for i := range records {
		r := &records[i]
		m := subject{kind: r.Kind(), action: r.Text(fieldAction)}.meaning()
		l := &logs.LogRecord{
			TimeUnixNano: r.Number(fieldTime), ObservedTimeUnixNano: r.Number(fieldTime),
			SeverityNumber: logs.SeverityNumber(otlpSeverities[m.level].number), SeverityText: otlpSeverities[m.level].text,
			Body: plainText(m.title), EventName: "fanlight." + r.Kind(), Attributes: make([]*common.KeyValue, 0, 20),
		}
		for id := range benchTable {
			if f := &benchTable[id]; f.Names.OTel != "" && redact.FieldID(id) != fieldNode && redact.FieldID(id) != fieldBootID && r.Has(redact.FieldID(id)) {
				l.Attributes = append(l.Attributes, &common.KeyValue{Key: f.Names.OTel, Value: naiveValue(r, redact.FieldID(id), f.Type)})
			}
		}
		scope.LogRecords = append(scope.LogRecords, l)
	}
	res := &resource.Resource{Attributes: []*common.KeyValue{
		textAttribute("service.name", product), textAttribute("service.version", version),
		textAttribute("host.name", records[0].Text(fieldNode)), textAttribute("fanlight.boot_id", records[0].Text(fieldBootID)),
	}}
	return &collogs.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{Resource: res, ScopeLogs: []*logs.ScopeLogs{scope}}}}
}

var benchTable = redact.Table()

func plainText(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

func naiveValue(r *redact.Record, id redact.FieldID, typ redact.Type) *common.AnyValue {
	switch typ {
	case redact.TypeNumber:
		return &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: int64(r.Number(id))}}
	case redact.TypeID:
		return plainText(string(r.AppendText(nil, id)))
	}
	return plainText(r.Text(id))
}
