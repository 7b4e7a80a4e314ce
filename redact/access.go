package redact

import "strconv"

// FieldID is a field's place in [Table]. Encoders use it to read a record
// without allocating.
type FieldID uint8

// FieldNamed returns the field of that name. It panics if there is none: names
// are constants of the program.
func FieldNamed(name string) FieldID {
	for i, f := range fields {
		if f.Name == name {
			return FieldID(i)
		}
	}
	panic("redact: there is no field " + name)
}

// Has reports whether the record has the field.
func (r *Record) Has(id FieldID) bool {
	if r.origin == nil {
		return false
	}
	switch f := field(id); f {
	case fieldSchema:
		return true
	case fieldNode:
		return r.origin.node != ""
	case fieldBootID:
		return r.origin.bootID != ""
	default:
		return r.present&(1<<f) != 0
	}
}

// Text returns the value of a word, text, address or Ethernet address, or ""
// if the record does not have the field.
func (r *Record) Text(id FieldID) string {
	if !r.Has(id) {
		return ""
	}
	switch f := field(id); f {
	case fieldNode:
		return r.origin.node
	case fieldBootID:
		return r.origin.bootID
	default:
		return r.values[f].text
	}
}

// Number returns the value of an integer, or the nanoseconds since the epoch of
// a time, or 0 if the record does not have the field.
func (r *Record) Number(id FieldID) uint64 {
	switch f := field(id); {
	case f == fieldSchema:
		return SchemaVersion
	case r.present&(1<<f) == 0:
		return 0
	default:
		return r.values[f].number
	}
}

// Texts returns the list of a record's sources. It is the record's own: read
// it, don't keep it.
func (r *Record) Texts() []string {
	if r.present&(1<<fieldSources) == 0 {
		return nil
	}
	return r.list
}

// AppendText appends the value as plain text, unescaped: numbers in decimal,
// times in RFC 3339, lists with commas between.
func (r *Record) AppendText(dst []byte, id FieldID) []byte {
	if !r.Has(id) {
		return dst
	}
	switch f := field(id); {
	case f == fieldEventID:
		return r.appendEventID(dst)
	case f == fieldSources:
		for i, s := range r.list {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, s...)
		}
		return dst
	case fields[f].Type == TypeNumber:
		return strconv.AppendUint(dst, r.Number(id), 10)
	case fields[f].Type == TypeTime:
		return appendTime(dst, int64(r.values[f].number))
	default:
		return append(dst, r.Text(id)...)
	}
}

// AppendJSONString appends s as a JSON string that is safe in HTML too. Invalid
// UTF-8 becomes U+FFFD.
func AppendJSONString(dst []byte, s string) []byte { return appendString(dst, s) }

// UsedBy reports whether events of the named kind have the field. A kind that
// the policy hides may be any.
func (f Field) UsedBy(kind string) bool {
	if f.Kinds == nil || kind == "" {
		return true
	}
	for _, k := range f.Kinds {
		if k.String() == kind {
			return true
		}
	}
	return false
}
