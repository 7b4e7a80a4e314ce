package exporters

import (
	"strings"

	"github.com/fanlight-io/fanlight/redact"
	"google.golang.org/protobuf/encoding/protowire"
)

// Numbers of fields in opentelemetry/proto/collector/logs/v1, logs/v1,
// resource/v1 and common/v1.
const (
	requestResourceLogs = 1

	resourceLogsResource  = 1
	resourceLogsScopeLogs = 2
	resourceAttributes    = 1

	scopeLogsScope      = 1
	scopeLogsLogRecords = 2
	scopeName           = 1
	scopeVersion        = 2

	logTime           = 1
	logSeverityNumber = 2
	logSeverityText   = 3
	logBody           = 5
	logAttributes     = 6
	logObservedTime   = 11
	logEventName      = 12

	keyValueKey   = 1
	keyValueValue = 2

	anyString       = 1
	anyInt          = 3
	anyArray        = 5
	arrayValueValue = 1
)

// otlpSeverities are the numbers and names of levels in OpenTelemetry's log data
// model.
var otlpSeverities = [...]struct {
	number uint64
	text   string
}{info: {9, "INFO"}, low: {13, "WARN"}, medium: {17, "ERROR"}}

// otlpScope names the instrumentation.
const otlpScope = "github.com/fanlight-io/fanlight"

// otlpPlan is what all log records of one subject begin with.
type otlpPlan struct {
	constant []byte // all but times and attributes that differ
	fields   []otlpField
}

// plan makes the constant part of a subject's log records.
func (e *otlpEncoder) plan(s subject) *otlpPlan {
	m, kind := s.meaning(), s.kind
	if kind == "" {
		kind = "event" // the policy hides it
	}
	severity := otlpSeverities[m.level]
	p := &otlpPlan{}
	dst := protowire.AppendVarint(protowire.AppendTag(nil, logSeverityNumber, protowire.VarintType), severity.number)
	dst = appendStringField(dst, logSeverityText, severity.text)
	dst, body := beginMessage(dst, logBody)
	dst = endMessage(appendStringField(dst, anyString, m.title), body)
	dst = appendStringField(dst, logEventName, product+"."+kind)
	dst = appendOTLPAttribute(dst, logAttributes, otelName(fieldSchema), appendAnyInt(nil, redact.SchemaVersion))
	for _, constant := range []struct {
		id   redact.FieldID
		text string
	}{{fieldKind, s.kind}, {fieldAction, s.action}} {
		if constant.text != "" {
			dst = appendOTLPAttribute(dst, logAttributes, otelName(constant.id), appendAnyString(nil, constant.text))
		}
	}
	p.constant = dst
	for _, f := range e.fields {
		if redact.Table()[f.id].UsedBy(s.kind) {
			p.fields = append(p.fields, f)
		}
	}
	return p
}

func otelName(id redact.FieldID) string { return redact.Table()[id].Names.OTel }

// appendOTLPResource appends the resource that records of an origin belong to.
func appendOTLPResource(dst []byte, node, bootID string) []byte {
	dst, resource := beginMessage(dst, resourceLogsResource)
	dst = appendOTLPAttribute(dst, resourceAttributes, "service.name", appendAnyString(nil, product))
	dst = appendOTLPAttribute(dst, resourceAttributes, "service.version", appendAnyString(nil, version))
	if node != "" {
		dst = appendOTLPAttribute(dst, resourceAttributes, otelName(fieldNode), appendAnyString(nil, node))
	}
	if bootID != "" {
		dst = appendOTLPAttribute(dst, resourceAttributes, otelName(fieldBootID), appendAnyString(nil, bootID))
	}
	return endMessage(dst, resource)
}

func appendOTLPScope(dst []byte) []byte {
	dst, scope := beginMessage(dst, scopeLogsScope)
	dst = appendStringField(dst, scopeName, otlpScope)
	dst = appendStringField(dst, scopeVersion, version)
	return endMessage(dst, scope)
}

// appendOTLPAttribute appends a key and an AnyValue that is ready.
func appendOTLPAttribute(dst []byte, number protowire.Number, key string, value []byte) []byte {
	dst, attribute := beginMessage(dst, number)
	dst = appendStringField(dst, keyValueKey, key)
	dst = appendBytesField(dst, keyValueValue, value)
	return endMessage(dst, attribute)
}

func appendAnyString(dst []byte, s string) []byte {
	return appendStringField(dst, anyString, strings.ToValidUTF8(s, "\uFFFD"))
}

func appendAnyInt(dst []byte, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, anyInt, protowire.VarintType), n)
}

var otlpScopeHead = appendOTLPScope(nil)
