package exporters

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/redact"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"
)

// otlpOracle makes the log record of a record by the generated types, from the
// public view of the record and the mapping table: what the encoder should write.
func otlpOracle(r *redact.Record) (*resource.Resource, *logs.LogRecord) {
	s := subject{kind: r.Kind(), action: r.Text(fieldAction)}
	res := &resource.Resource{Attributes: []*common.KeyValue{
		textAttribute("service.name", "fanlight"), textAttribute("service.version", version),
	}}
	severity := map[level]logs.SeverityNumber{
		info: logs.SeverityNumber_SEVERITY_NUMBER_INFO, low: logs.SeverityNumber_SEVERITY_NUMBER_WARN, medium: logs.SeverityNumber_SEVERITY_NUMBER_ERROR,
	}[s.meaning().level]
	l := &logs.LogRecord{
		SeverityNumber: severity,
		SeverityText:   strings.TrimPrefix(severity.String(), "SEVERITY_NUMBER_"),
		Body:           textValue(s.meaning().title),
		EventName:      "fanlight." + r.Kind(),
	}
	for f, v := range r.Fields() {
		switch {
		case f.Name == "time":
			l.TimeUnixNano = uint64(v.Time().UnixNano())
			l.ObservedTimeUnixNano = l.TimeUnixNano
		case f.Name == "node" || f.Name == "boot_id":
			res.Attributes = append(res.Attributes, textAttribute(f.Names.OTel, v.Text()))
		default:
			l.Attributes = append(l.Attributes, &common.KeyValue{Key: f.Names.OTel, Value: valueOf(f, v)})
		}
	}
	sortAttributes(res, l)
	return res, l
}

func valueOf(f *redact.Field, v redact.Value) *common.AnyValue {
	switch f.Type {
	case redact.TypeNumber:
		return &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: int64(min(v.Number(), math.MaxInt64))}}
	case redact.TypeList:
		var list common.ArrayValue
		for text := range v.List() {
			list.Values = append(list.Values, textValue(text))
		}
		return &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &list}}
	}
	return textValue(v.Text())
}

func textValue(s string) *common.AnyValue {
	valid := string([]rune(s)) // U+FFFD for each byte that is not UTF-8
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: valid}}
}

func textAttribute(key, text string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: textValue(text)}
}

func sortAttributes(res *resource.Resource, l *logs.LogRecord) {
	byKey := func(a, b *common.KeyValue) int { return cmp.Compare(a.Key, b.Key) }
	slices.SortFunc(res.Attributes, byKey)
	slices.SortFunc(l.Attributes, byKey)
}

// appendOracle appends what appendDecoded makes of a request with the record.
func appendOracle(dst []byte, r *redact.Record) []byte {
	res, l := otlpOracle(r)
	return appendPair(dst, res, l)
}

func appendPair(dst []byte, res *resource.Resource, l *logs.LogRecord) []byte {
	for _, m := range []proto.Message{res, l} {
		dst, _ = proto.MarshalOptions{Deterministic: true}.MarshalAppend(dst, m)
		dst = append(dst, '\n')
	}
	return dst
}

// appendDecoded appends each log record with its resource, attributes sorted.
func appendDecoded(t testing.TB, dst []byte, request *collogs.ExportLogsServiceRequest) []byte {
	t.Helper()
	for _, rl := range request.ResourceLogs {
		for _, sl := range rl.ScopeLogs {
			if sl.Scope.GetName() != otlpScope || sl.Scope.GetVersion() != version {
				t.Errorf("scope: %v", sl.Scope)
			}
			for _, l := range sl.LogRecords {
				sortAttributes(rl.Resource, l)
				dst = appendPair(dst, rl.Resource, l)
			}
		}
	}
	return dst
}

func mustDecode(t testing.TB, encoded []byte) *collogs.ExportLogsServiceRequest {
	t.Helper()
	var request collogs.ExportLogsServiceRequest
	if err := proto.Unmarshal(encoded, &request); err != nil {
		t.Fatalf("not a request: %v\n%x", err, encoded)
	}
	if unknown := request.ProtoReflect().GetUnknown(); len(unknown) > 0 {
		t.Fatalf("unknown fields: %x", unknown)
	}
	return &request
}
