package exporters

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strconv"

	"github.com/fanlight-io/fanlight/redact"
)

// batchHeaderBytes is what a batch has before its records (KIP-98, format 2).
const batchHeaderBytes = 61

var fieldEventID = redact.FieldNamed("event_id")

// Names of the headers that each record has, as far as the policy lets out what
// they tell.
const (
	headerSchema      = "schema"
	headerVersion     = "schema_version"
	headerContentType = "content-type"
	headerKind        = "kind"
	headerEventID     = "event_id"
)

// kafkaSchema names what the value is about; the content type says in which
// form.
const kafkaSchema = "fanlight.event"

// contentTypes are the media types of the formats. Those without a registered
// one are text.
var contentTypes = map[Format]string{
	Native: "application/json", ECS: "application/json", OCSF: "application/json", CEF: "text/plain", LEEF: "text/plain",
}

// batchEncoder writes batches of Kafka's second format. It is not safe for
// concurrent use.
type batchEncoder struct {
	enc       encoder
	pack      batchPacker
	key       string
	maxBatch  int
	maxRecord int
	constant  []byte // the headers that all records have alike

	records         []byte // of the batch, not compressed
	record          []byte // one, without its length
	value, keyBytes []byte
	id              []byte
}

func newBatchEncoder(c *KafkaConfig, pack batchPacker) *batchEncoder {
	b := &batchEncoder{
		enc: c.Format.encoder(), pack: pack, key: c.Key,
		maxBatch: int(c.MaxBatchBytes), maxRecord: int(c.MaxRecordBytes),
	}
	b.constant = appendHeader(b.constant, headerSchema, kafkaSchema)
	b.constant = appendHeader(b.constant, headerVersion, strconv.Itoa(redact.SchemaVersion))
	b.constant = appendHeader(b.constant, headerContentType, contentTypes[c.Format.orNative()])
	return b
}

// appendHeader appends a header of a record.
func appendHeader[T string | []byte](dst []byte, name string, value T) []byte {
	dst = binary.AppendVarint(dst, int64(len(name)))
	dst = append(dst, name...)
	dst = binary.AppendVarint(dst, int64(len(value)))
	return append(dst, value...)
}

// fill writes a lane's next batch: with as many of its records as there is room
// for, and returns how many. A record that is larger than any may be ends the
// batch before it; tooLarge says that this is why.
func (b *batchEncoder) fill(l *lane, records []redact.Record) (taken int, tooLarge bool, err error) {
	b.records = b.records[:0]
	var first, last int64
	for _, at := range l.places[:min(l.most, len(l.places))] {
		stamp := int64(noTimestamp)
		if !l.timeless {
			stamp = timestampOf(&records[at])
		}
		if taken == 0 {
			first, last = stamp, stamp
		}
		b.encode(&records[at], taken, stamp-first)
		if len(b.record) > b.maxRecord {
			tooLarge = true
			break
		}
		if taken > 0 && batchHeaderBytes+len(b.records)+binary.MaxVarintLen32+len(b.record) > b.maxBatch {
			break
		}
		b.records = binary.AppendVarint(b.records, int64(len(b.record)))
		b.records = append(b.records, b.record...)
		last = max(last, stamp)
		taken++
	}
	if taken == 0 {
		return 0, tooLarge, nil
	}
	return taken, tooLarge, b.seal(&l.batch, taken, first, last)
}

// noTimestamp is Kafka's word for no time.
const noTimestamp = -1

// timestampOf returns when the event was, in milliseconds.
func timestampOf(r *redact.Record) int64 {
	if !r.Has(fieldTime) {
		return noTimestamp
	}
	return int64(r.Number(fieldTime) / 1e6)
}

// encode writes one record into b.record.
func (b *batchEncoder) encode(r *redact.Record, place int, sinceFirst int64) {
	b.keyBytes = appendKey(b.keyBytes[:0], r, b.key)
	b.value = b.enc.append(b.value[:0], r)
	dst := append(b.record[:0], 0) // attributes: none are defined
	dst = binary.AppendVarint(dst, sinceFirst)
	dst = binary.AppendVarint(dst, int64(place))
	if len(b.keyBytes) == 0 {
		dst = binary.AppendVarint(dst, -1)
	} else {
		dst = binary.AppendVarint(dst, int64(len(b.keyBytes)))
		dst = append(dst, b.keyBytes...)
	}
	dst = binary.AppendVarint(dst, int64(len(b.value)))
	dst = append(dst, b.value...)
	b.record = b.appendHeaders(dst, r)
}

func (b *batchEncoder) appendHeaders(dst []byte, r *redact.Record) []byte {
	kind, hasID := r.Kind(), r.Has(fieldEventID)
	n := 3
	if kind != "" {
		n++
	}
	if hasID {
		n++
	}
	dst = append(binary.AppendVarint(dst, int64(n)), b.constant...)
	if kind != "" {
		dst = appendHeader(dst, headerKind, kind)
	}
	if hasID {
		b.id = r.AppendText(b.id[:0], fieldEventID)
		dst = appendHeader(dst, headerEventID, b.id)
	}
	return dst
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// setPrefix is the length of a set of batches, which the library leaves to us.
const setPrefix = 4

// seal puts the header before the compressed records.
func (b *batchEncoder) seal(dst *bytes.Buffer, n int, first, last int64) error {
	var head [setPrefix + batchHeaderBytes]byte
	dst.Reset()
	dst.Write(head[:])
	if err := b.pack.pack(dst, b.records); err != nil {
		return err
	}
	be := binary.BigEndian
	be.PutUint32(dst.Bytes(), uint32(dst.Len()-setPrefix))
	batch := dst.Bytes()[setPrefix:]
	be.PutUint32(batch[8:], uint32(len(batch)-12)) // length of what follows
	be.PutUint32(batch[12:], ^uint32(0))           // epoch of the leader: the broker sets it
	batch[16] = 2                                  // format
	batch[22] = b.pack.code                        // attributes, low byte
	be.PutUint32(batch[23:], uint32(n-1))          // offset of the last record
	be.PutUint64(batch[27:], uint64(first))
	be.PutUint64(batch[35:], uint64(last))
	be.PutUint64(batch[43:], ^uint64(0)) // producer, its epoch and sequence: none
	be.PutUint16(batch[51:], ^uint16(0))
	be.PutUint32(batch[53:], ^uint32(0))
	be.PutUint32(batch[57:], uint32(n))
	be.PutUint32(batch[17:], crc32.Checksum(batch[21:], castagnoli))
	return nil
}
