package redact

import (
	"math/bits"
	"strconv"
	"time"
	"unicode/utf8"
)

// keys holds `,"name":` per field, and the opening quote of values that are
// written as they are.
var keys = func() (k [numFields]string) {
	for i, f := range fields {
		k[i] = `,"` + f.Name + `":`
		if f.Type.quoted() {
			k[i] += `"`
		}
	}
	return k
}()

func (t Type) quoted() bool { return t != TypeNumber && t != TypeName && t != TypeList }

// AppendJSON appends the record as one JSON object, without a newline. Fields
// have a constant order and are left out when empty. It allocates only to grow
// dst.
func (r *Record) AppendJSON(dst []byte) []byte {
	if r.origin == nil {
		return append(dst, "{}"...)
	}
	dst = append(dst, r.origin.json...)
	for set := r.present; set != 0; set &= set - 1 {
		f := field(bits.TrailingZeros64(set))
		dst = append(dst, keys[f]...)
		switch fields[f].Type {
		case TypeNumber:
			dst = strconv.AppendUint(dst, r.values[f].number, 10)
		case TypeWord, TypeAddress, TypeMAC:
			dst = append(append(dst, r.values[f].text...), '"')
		case TypeName:
			dst = appendString(dst, r.values[f].text)
		case TypeTime:
			dst = append(appendTime(dst, int64(r.values[f].number)), '"')
		case TypeID:
			dst = append(r.appendEventID(dst), '"')
		case TypeList:
			dst = appendList(dst, r.list)
		}
	}
	return append(dst, '}')
}

// appendJSON writes the opening that all records share, without a closing
// brace.
func (o *origin) appendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	dst = append(dst, keys[fieldSchema][1:]...)
	dst = strconv.AppendUint(dst, SchemaVersion, 10)
	if o.node != "" {
		dst = appendString(append(dst, keys[fieldNode]...), o.node)
	}
	if o.bootID != "" {
		dst = appendString(append(dst, keys[fieldBootID]...), o.bootID)
	}
	return dst
}

func appendList(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(dst, s...)
		dst = append(dst, '"')
	}
	return append(dst, ']')
}

const hexDigits = "0123456789abcdef"

// plainByte tells the bytes that stand for themselves in a JSON string.
// Brackets and ampersand are escaped for viewers that put lines into HTML.
var plainByte = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	return t
}()

// appendString writes s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		start := i
		for i < len(s) && plainByte[s[i]] {
			i++
		}
		dst = append(dst, s[start:i]...)
		if i == len(s) {
			break
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		dst = appendRune(dst, r)
		i += size
	}
	return append(dst, '"')
}

func appendRune(dst []byte, r rune) []byte {
	switch {
	case r == '"' || r == '\\':
		return append(dst, '\\', byte(r))
	case r == '\n':
		return append(dst, '\\', 'n')
	case r == '\r':
		return append(dst, '\\', 'r')
	case r == '\t':
		return append(dst, '\\', 't')
	case r < 0xa0, r == '\u2028', r == '\u2029': // controls, and what ends a line in JavaScript
		return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
	}
	return utf8.AppendRune(dst, r)
}

// appendTime writes nanoseconds since the epoch (positive) as RFC 3339 in UTC,
// always with nine decimals, which time.Time.AppendFormat does far slower.
func appendTime(dst []byte, ns int64) []byte {
	t := time.Unix(0, ns).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = appendPair(appendPair(dst, year/100), year%100)
	dst = appendPair(append(dst, '-'), int(month))
	dst = appendPair(append(dst, '-'), day)
	dst = appendPair(append(dst, 'T'), hour)
	dst = appendPair(append(dst, ':'), minute)
	dst = appendPair(append(dst, ':'), second)
	frac := t.Nanosecond()
	dst = appendPair(append(dst, '.'), frac/1e7)
	dst = appendPair(dst, frac/1e5%100)
	dst = appendPair(dst, frac/1e3%100)
	dst = appendPair(dst, frac/10%100)
	return append(dst, byte('0'+frac%10), 'Z')
}

// appendPair writes 0 to 99 with two digits.
func appendPair(dst []byte, n int) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }
