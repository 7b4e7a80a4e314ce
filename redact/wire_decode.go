package redact

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strings"
)

// ErrBadBatch is the error of [BatchReader.Read] for bytes that are no batch
// which this release could have written or may pass on: another version, a
// field or word that it does not know, a text that its field must not hold, a
// record without what each record has.
var ErrBadBatch = errors.New("not a batch of records")

// BatchReader makes records again of what [AppendBatch] wrote. The zero value
// is ready. It is not safe for concurrent use.
type BatchReader struct {
	known  []*origin // of earlier batches, oldest first
	batch  []*origin // of this one
	fields []field   // of this one, in its order
	words  wireWords
}

// Read appends the records of a batch to dst and returns it. They are the same
// to every encoder as those that were written. The payload is the caller's
// again at once; the records' texts are slices of one copy of it. As with
// [Policy.Apply], the records may be read by several goroutines until dst is
// given to Read again, which overwrites the records behind its length.
//
// A batch is read whole or not at all: for one that is damaged or foreign, Read
// returns dst as it was and an error that is ErrBadBatch. Memory stays in
// proportion to the payload, whatever it says about itself: a record takes at
// least three bytes of it.
func (b *BatchReader) Read(dst []Record, payload []byte) ([]Record, error) {
	b.words = wireWords{rest: string(payload)}
	defer func() { b.words.rest = "" }()
	count, err := b.readHead()
	if err != nil {
		return dst, fmt.Errorf("%w: %w", ErrBadBatch, err)
	}
	records := dst
	before := &noRecord
	for i := range count {
		n := len(records)
		if n < cap(records) {
			records = records[:n+1] // keeps the slot's memory for its list
		} else {
			records = append(records, Record{})
		}
		if i > 0 {
			before = &records[n-1]
		}
		if err := b.readRecord(&records[n], before); err != nil {
			return dst, fmt.Errorf("%w: record %d of %d: %w", ErrBadBatch, i+1, count, err)
		}
	}
	if b.words.rest != "" {
		return dst, fmt.Errorf("%w: %d bytes behind the last record", ErrBadBatch, len(b.words.rest))
	}
	return records, nil
}

func (b *BatchReader) readHead() (records uint64, err error) {
	w := &b.words
	if version := w.byte(); version != wireVersion {
		return 0, fmt.Errorf("version %d, want %d", version, wireVersion)
	}
	if schema := w.number(); schema != SchemaVersion {
		return 0, fmt.Errorf("schema version %d, want %d", schema, SchemaVersion)
	}
	b.batch = b.batch[:0]
	for n := w.number(); n > 0 && w.err == nil; n-- {
		o, err := b.readOrigin()
		if err != nil {
			return 0, err
		}
		b.batch = append(b.batch, o)
	}
	b.fields = b.fields[:0]
	var seen uint64
	for n := w.number(); n > 0 && w.err == nil; n-- {
		name, kind := w.text(), Type(w.byte())
		f, ok := fieldNamed(name)
		switch {
		case w.err != nil:
		case !ok || f <= fieldBootID: // those up to it are the origin's
			return 0, fmt.Errorf("field %.32q is not known", name)
		case fields[f].Type != kind:
			return 0, fmt.Errorf("field %s has type %d, want %d", name, kind, fields[f].Type)
		case seen&(1<<f) != 0:
			return 0, fmt.Errorf("field %s is there twice", name)
		}
		seen |= 1 << f
		b.fields = append(b.fields, f)
	}
	return w.number(), w.err
}

// knownOrigins is how many origins a reader remembers: a restart under another
// policy or after a reboot adds one.
const knownOrigins = 16

func (b *BatchReader) readOrigin() (*origin, error) {
	node, bootID, prefix := b.words.text(), b.words.text(), b.words.text()
	if b.words.err != nil {
		return nil, b.words.err
	}
	for _, o := range b.known {
		if o.node == node && o.bootID == bootID && o.idPrefix == prefix {
			return o, nil
		}
	}
	if !isIDPrefix(prefix) {
		return nil, errors.New("origin without a prefix for event ids")
	}
	o := &origin{node: strings.Clone(node), bootID: strings.Clone(bootID), idPrefix: strings.Clone(prefix)}
	o.json = o.appendJSON(nil)
	if len(b.known) == knownOrigins {
		b.known = append(b.known[:0], b.known[1:]...)
	}
	b.known = append(b.known, o)
	return o, nil
}

func isIDPrefix(s string) bool {
	const digits = 16
	if len(s) != digits+1 || s[digits] != '-' {
		return false
	}
	for i := range digits {
		if strings.IndexByte(hexDigits, s[i]) < 0 {
			return false
		}
	}
	return true
}

// eachHas are the fields without which a record is of no use.
const eachHas = 1<<fieldEventID | 1<<fieldKind | 1<<fieldAction | 1<<fieldRing | 1<<fieldSeq

func (b *BatchReader) readRecord(r, before *Record) error {
	w := &b.words
	from, has, same := w.number(), w.number(), w.number()
	switch {
	case w.err != nil:
		return w.err
	case from >= uint64(len(b.batch)):
		return errors.New("origin is not in the batch")
	case has>>len(b.fields) != 0 || same&^has != 0:
		return errors.New("field is not in the batch")
	}
	clear(r.list)
	*r = Record{origin: b.batch[from], list: r.list[:0]} // no text of an earlier batch keeps its payload alive
	for set := has; set != 0; set &= set - 1 {
		place := bits.TrailingZeros64(set)
		f := b.fields[place]
		if same&(1<<place) == 0 {
			b.readValue(r, before, f)
		} else if err := r.repeat(before, f); err != nil {
			return err
		}
		r.present |= 1 << f
	}
	if w.err != nil {
		return w.err
	}
	if r.present&eachHas != eachHas {
		return errors.New("a field that each record has is missing")
	}
	r.ring, r.seq = uint32(r.values[fieldRing].number), r.values[fieldSeq].number
	return r.check(has, same, b.fields)
}

func (b *BatchReader) readValue(r, before *Record, f field) {
	w := &b.words
	switch fields[f].Type {
	case TypeID:
	case TypeNumber, TypeTime:
		r.values[f].number = before.Number(FieldID(f)) + unzigzag(w.number())
	case TypeList:
		for n := w.number(); n > 0 && w.err == nil; n-- {
			r.list = append(r.list, w.text())
		}
	default:
		r.values[f].text = w.text()
	}
}

func (r *Record) repeat(before *Record, f field) error {
	if before.present&(1<<f) == 0 || f == fieldEventID || f == fieldSources {
		return fmt.Errorf("field %s has no value to repeat", fields[f].Name)
	}
	r.values[f] = before.values[f]
	return nil
}

// wireWords takes a batch apart. Once something is missing, err is set and
// whatever is taken is empty.
type wireWords struct {
	rest string
	err  error
}

var errShort = errors.New("ends too early")

func (w *wireWords) fail() { w.rest, w.err = "", errShort }

func (w *wireWords) byte() byte {
	if w.rest == "" {
		w.fail()
		return 0
	}
	b := w.rest[0]
	w.rest = w.rest[1:]
	return b
}

func (w *wireWords) number() (n uint64) {
	for i := 0; i < len(w.rest) && i < binary.MaxVarintLen64; i++ {
		b := w.rest[i]
		if b < 0x80 {
			if i == binary.MaxVarintLen64-1 && b > 1 {
				break // more than 64 bits
			}
			w.rest = w.rest[i+1:]
			return n | uint64(b)<<(7*i)
		}
		n |= uint64(b&0x7f) << (7 * i)
	}
	w.fail()
	return 0
}

func (w *wireWords) text() string {
	n := w.number()
	if n > uint64(len(w.rest)) {
		w.fail()
		return ""
	}
	s := w.rest[:n]
	w.rest = w.rest[n:]
	return s
}
