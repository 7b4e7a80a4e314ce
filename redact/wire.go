package redact

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// wireVersion is the first byte of a batch in its durable form. Another layout
// has another version.
//
// Version 1, where numbers are unsigned varints and texts have their length
// before them:
//
//	version (1 byte), schema version
//	number of origins, and per origin: node, boot id, prefix of event ids
//	number of fields, and per field: name, type
//	number of records, and per record:
//	    which origin
//	    the fields that it has: bit i is field i of the list above
//	    which of those have the value that the record before has (never a list)
//	    the other values, in the order of the list
//
// A number or a time is the difference to that of the record before, zigzag
// coded. A list is its length and its texts. An event id is not written: it
// follows from origin, ring and number.
const wireVersion = 1

// AppendBatch appends the durable form of a batch to dst and returns it. It
// allocates only to grow dst, keeps nothing of the batch, and may be called
// concurrently. What it writes is self-contained, and is for a [BatchReader] of
// this or a later release. It holds what the records hold and no more: what
// policy hides is not in it.
//
// A zero Record, which no policy makes, is left out.
func AppendBatch(dst []byte, batch []Record) []byte {
	var few [8]*origin
	w := wireWriter{}
	w.origins = w.survey(few[:0], batch)
	dst = append(dst, wireVersion)
	dst = binary.AppendUvarint(dst, SchemaVersion)
	dst = binary.AppendUvarint(dst, uint64(len(w.origins)))
	for _, o := range w.origins {
		dst = appendText(dst, o.node)
		dst = appendText(dst, o.bootID)
		dst = appendText(dst, o.idPrefix)
	}
	dst = w.appendFields(dst)
	dst = binary.AppendUvarint(dst, uint64(w.records))
	before := &noRecord
	for i := range batch {
		if r := &batch[i]; r.origin != nil {
			dst = w.appendRecord(dst, r, before)
			before = r
		}
	}
	return dst
}

// noRecord stands before the first record of a batch.
var noRecord Record

// wireWriter knows what the records of one batch have in common.
type wireWriter struct {
	origins []*origin
	used    uint64           // a bit per field that some record has
	place   [numFields]uint8 // of a used field in the batch's list
	records int
}

// survey appends the origins of the batch, and notes the rest.
func (w *wireWriter) survey(origins []*origin, batch []Record) []*origin {
	for i := range batch {
		r := &batch[i]
		if r.origin == nil {
			continue
		}
		w.records++
		w.used |= r.present
		if !slices.Contains(origins, r.origin) {
			origins = append(origins, r.origin)
		}
	}
	return origins
}

func (w *wireWriter) appendFields(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(bits.OnesCount64(w.used)))
	place := uint8(0)
	for set := w.used; set != 0; set &= set - 1 {
		f := bits.TrailingZeros64(set)
		w.place[f] = place
		place++
		dst = appendText(dst, fields[f].Name)
		dst = append(dst, byte(fields[f].Type))
	}
	return dst
}

func (w *wireWriter) appendRecord(dst []byte, r, before *Record) []byte {
	var has, same uint64
	write := r.present
	for set := r.present; set != 0; set &= set - 1 {
		f := field(bits.TrailingZeros64(set))
		has |= 1 << w.place[f]
		if r.sameAs(before, f) {
			same |= 1 << w.place[f]
			write &^= 1 << f
		}
	}
	dst = binary.AppendUvarint(dst, uint64(slices.Index(w.origins, r.origin)))
	dst = binary.AppendUvarint(dst, has)
	dst = binary.AppendUvarint(dst, same)
	for set := write; set != 0; set &= set - 1 {
		switch f := field(bits.TrailingZeros64(set)); fields[f].Type {
		case TypeID:
		case TypeNumber, TypeTime:
			dst = binary.AppendUvarint(dst, zigzag(r.values[f].number-before.Number(FieldID(f))))
		case TypeList:
			dst = binary.AppendUvarint(dst, uint64(len(r.list)))
			for _, s := range r.list {
				dst = appendText(dst, s)
			}
		default:
			dst = appendText(dst, r.values[f].text)
		}
	}
	return dst
}

// sameAs reports whether the field need not be written because the record
// before has the same value. Lists always are: a few bytes that repeat a long
// list would be a way to fill the reader's memory.
func (r *Record) sameAs(before *Record, f field) bool {
	if before.present&(1<<f) == 0 {
		return false
	}
	switch fields[f].Type {
	case TypeID, TypeList:
		return false
	case TypeNumber, TypeTime:
		return r.values[f].number == before.values[f].number
	default:
		return r.values[f].text == before.values[f].text
	}
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// zigzag makes small numbers of small differences, whatever their sign.
func zigzag(diff uint64) uint64 { return diff<<1 ^ uint64(int64(diff)>>63) }

func unzigzag(n uint64) uint64 { return n>>1 ^ -(n & 1) }
