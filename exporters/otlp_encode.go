package exporters

import (
	"math"
	"strings"
	"unicode/utf8"

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

// otlpEncoder appends requests of the OTLP log service. It caches what records
// have in common and allocates only for what is new; it is not safe for
// concurrent use.
type otlpEncoder struct {
	fields []otlpField
	plans  plans[otlpPlan]
	record []byte
	scrap  []byte

	head                 []byte // the resource of an origin
	headNode, headBootID string

	// Where the open messages' contents begin, 0 if none is open, and whose they are.
	resource, scope int
	node, bootID    string
}

// otlpField is a field that log records have as an attribute.
type otlpField struct {
	id  redact.FieldID
	typ redact.Type
	key []byte // the attribute's key, with tag and length, and the tag of its value
}

// otlpPlan is what all log records of one subject begin with.
type otlpPlan struct {
	constant []byte // all but times and attributes that differ
	fields   []otlpField
}

func newOTLPEncoder() *otlpEncoder {
	e := &otlpEncoder{}
	for i, f := range redact.Table() {
		id := redact.FieldID(i)
		if f.Names.OTel == "" || id == fieldNode || id == fieldBootID || id == fieldSchema || id == fieldKind || id == fieldAction {
			continue // in the resource, or constant
		}
		key := protowire.AppendTag(appendStringField(nil, keyValueKey, f.Names.OTel), keyValueValue, protowire.BytesType)
		e.fields = append(e.fields, otlpField{id, f.Type, key})
	}
	e.plans.build = e.plan
	return e
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

// append adds a record to the request in dst and reports true, or leaves both as
// they were if the finished request would be larger than most bytes. After the
// last record, finish the request.
func (e *otlpEncoder) append(dst []byte, r *redact.Record, most int) ([]byte, bool) {
	e.record = e.appendRecord(e.record[:0], r)
	node, bootID := r.Text(fieldNode), r.Text(fieldBootID)
	fresh := e.resource == 0 || node != e.node || bootID != e.bootID
	need := len(dst) + len(e.record) + tagsAndLengths
	if fresh {
		e.origin(node, bootID)
		need += len(e.head) + len(otlpScopeHead)
	}
	if need > most {
		return dst, false
	}
	if fresh {
		dst = e.begin(e.finish(dst))
	}
	return appendBytesField(dst, scopeLogsLogRecords, e.record), true
}

// tagsAndLengths is the most that tags and lengths around a record can take:
// six bytes each for the record, and for what ends before it and begins with it.
const tagsAndLengths = 6 * 5

// origin makes the head that the records of an origin share.
func (e *otlpEncoder) origin(node, bootID string) {
	if e.head != nil && node == e.headNode && bootID == e.headBootID {
		return
	}
	e.headNode, e.headBootID = node, bootID
	e.head = appendOTLPResource(nil, node, bootID)
}

func (e *otlpEncoder) appendRecord(dst []byte, r *redact.Record) []byte {
	if r.Has(fieldTime) {
		at := r.Number(fieldTime)
		dst = appendFixed64(dst, logTime, at)
		// The time of reading it from the kernel would undo what the policy does to
		// times.
		dst = appendFixed64(dst, logObservedTime, at)
	}
	plan := e.plans.of(r)
	dst = append(dst, plan.constant...)
	for i := range plan.fields {
		if f := &plan.fields[i]; r.Has(f.id) {
			dst = e.appendField(dst, f, r)
		}
	}
	return dst
}

// begin opens the messages that the records of one origin stand in.
func (e *otlpEncoder) begin(dst []byte) []byte {
	e.node, e.bootID = e.headNode, e.headBootID
	dst, e.resource = beginMessage(dst, requestResourceLogs)
	dst = append(dst, e.head...)
	dst, e.scope = beginMessage(dst, resourceLogsScopeLogs)
	return append(dst, otlpScopeHead...)
}

var otlpScopeHead = appendOTLPScope(nil)

// finish closes what is open: dst is a whole request then.
func (e *otlpEncoder) finish(dst []byte) []byte {
	if e.resource == 0 {
		return dst
	}
	dst = endMessage(endMessage(dst, e.scope), e.resource)
	e.resource = 0
	return dst
}

// appendField appends one attribute. Its lengths are computed, innermost first,
// because moving bytes for each would cost more.
func (e *otlpEncoder) appendField(dst []byte, f *otlpField, r *redact.Record) []byte {
	switch f.typ {
	case redact.TypeNumber:
		n := min(r.Number(f.id), math.MaxInt64)
		dst = f.appendKey(dst, 1+protowire.SizeVarint(n))
		return appendAnyInt(dst, n)
	case redact.TypeList:
		e.scrap = e.scrap[:0]
		for _, text := range r.Texts() {
			e.scrap = protowire.AppendTag(e.scrap, arrayValueValue, protowire.BytesType)
			e.scrap = protowire.AppendVarint(e.scrap, uint64(1+protowire.SizeBytes(len(text))))
			e.scrap = appendStringField(e.scrap, anyString, text)
		}
		return e.appendScrap(dst, f, anyArray)
	case redact.TypeID, redact.TypeTime:
		e.scrap = r.AppendText(e.scrap[:0], f.id)
		return e.appendScrap(dst, f, anyString)
	}
	text := r.Text(f.id)
	if f.typ == redact.TypeName && !utf8.ValidString(text) {
		e.scrap = appendValid(e.scrap[:0], text)
		return e.appendScrap(dst, f, anyString)
	}
	dst = f.appendKey(dst, 1+protowire.SizeBytes(len(text)))
	return appendStringField(dst, anyString, text)
}

// appendScrap appends an attribute whose value is in the scrap.
func (e *otlpEncoder) appendScrap(dst []byte, f *otlpField, number protowire.Number) []byte {
	dst = f.appendKey(dst, 1+protowire.SizeBytes(len(e.scrap)))
	return appendBytesField(dst, number, e.scrap)
}

// appendKey opens an attribute whose AnyValue has the given length.
func (f *otlpField) appendKey(dst []byte, value int) []byte {
	n := len(f.key) + protowire.SizeVarint(uint64(value)) + value
	if n < 0x80 { // nearly always: each length is one byte
		dst = append(dst, byte(logAttributes<<3|protowire.BytesType), byte(n))
		dst = append(dst, f.key...)
		return append(dst, byte(value))
	}
	dst = protowire.AppendTag(dst, logAttributes, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(n))
	dst = append(dst, f.key...)
	return protowire.AppendVarint(dst, uint64(value))
}
