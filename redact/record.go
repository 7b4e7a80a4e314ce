package redact

import (
	"iter"
	"log/slog"
	"math/bits"
	"strconv"
	"time"
)

// Record is one redacted event: all that an exporter can hold. Only
// [Policy.Apply] makes one. It is immutable and safe to read from several
// goroutines until its batch is released; a sink that keeps something longer
// keeps its encoded form, not the Record.
type Record struct {
	origin  *origin
	present uint64 // a bit per field
	values  [numFields]value
	list    []string // of fieldSources; memory that the slot keeps

	ring uint32 // these number the event, for its id
	seq  uint64
}

type value struct {
	text   string
	number uint64
}

func (r *Record) setText(f field, s string) {
	r.values[f].text = s
	r.present |= 1 << f
}

// Value is the value of one field; [Field.Type] says which accessor fits.
type Value struct {
	text   string
	number uint64
	list   []string
}

// Text returns the value of an identifier, word, text, address or Ethernet
// address.
func (v Value) Text() string { return v.text }

// Number returns the value of an integer.
func (v Value) Number() uint64 { return v.number }

// Time returns the value of a time, in UTC.
func (v Value) Time() time.Time { return time.Unix(0, int64(v.number)).UTC() }

// List yields the values of a list.
func (v Value) List() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, s := range v.list {
			if !yield(s) {
				return
			}
		}
	}
}

// Fields yields the fields that are not empty, in the order of the table.
func (r *Record) Fields() iter.Seq2[*Field, Value] {
	return func(yield func(*Field, Value) bool) {
		if r.origin == nil {
			return
		}
		for f := range numFields {
			v, ok := r.value(f)
			if !ok {
				continue
			}
			field := fields[f] // a copy: the table is nobody's to change
			if !yield(&field, v) {
				return
			}
		}
	}
}

func (r *Record) value(f field) (Value, bool) {
	switch f {
	case fieldSchema:
		return Value{number: SchemaVersion}, true
	case fieldNode:
		return Value{text: r.origin.node}, r.origin.node != ""
	case fieldBootID:
		return Value{text: r.origin.bootID}, r.origin.bootID != ""
	}
	if r.present&(1<<f) == 0 {
		return Value{}, false
	}
	switch f {
	case fieldEventID:
		return Value{text: string(r.appendEventID(nil))}, true
	case fieldSources:
		return Value{list: r.list}, true
	}
	return Value{text: r.values[f].text, number: r.values[f].number}, true
}

// appendEventID writes what identifies the event: a digest of boot and
// instance, the ring and the number in it.
func (r *Record) appendEventID(dst []byte) []byte {
	dst = append(dst, r.origin.idPrefix...)
	dst = strconv.AppendUint(dst, uint64(r.ring), 16)
	dst = append(dst, '-')
	return strconv.AppendUint(dst, r.seq, 16)
}

func (r *Record) text(f field) string {
	if r.present&(1<<f) == 0 {
		return ""
	}
	return r.values[f].text
}

// Kind returns the name of the kind.
func (r *Record) Kind() string { return r.text(fieldKind) }

// Key returns what records must keep their order by: the redacted group, or
// the domain where there is no group.
func (r *Record) Key() string {
	if g := r.text(fieldGroup); g != "" {
		return g
	}
	return r.text(fieldDomain)
}

// String returns the kind and the number of fields only.
func (r Record) String() string {
	return "redact.Record(" + r.Kind() + ", " + strconv.Itoa(bits.OnesCount64(r.present)) + " fields)"
}

// GoString returns the same as String.
func (r Record) GoString() string { return r.String() }

// LogValue returns the same as String.
func (r Record) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalJSON returns what AppendJSON writes.
func (r Record) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }
