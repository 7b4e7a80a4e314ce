package exporters

import (
	"math"
	"unicode/utf8"

	"github.com/fanlight-io/fanlight/redact"
	"google.golang.org/protobuf/encoding/protowire"
)

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
