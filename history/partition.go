package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"
)

// frame is one batch of records, in the durable form of package redact.
type frame struct {
	first   uint64 // number of its first event
	records uint64
	missing uint64 // events that the numbers of rings show to be lost before its end
	payload []byte
}

// end is the number behind its last event: what is missing counts too.
func (f *frame) end() uint64 { return f.first + f.records + f.missing }

// partition is what was kept in some span of time. It is guarded by the
// history's lock; frames below their number never change.
type partition struct {
	first, next    uint64 // number of its first event, and of the first behind it
	records        uint64
	oldest, newest int64     // times of events, in ns since the epoch
	began          time.Time // when it was made

	closed, forgotten bool

	frames []frame // nil if there is only the packed form
	raw    int64   // bytes of their payloads
	packed []byte  // all frames, compressed; nil: not yet, or on disk
	path   string  // of its file; empty: none
	size   int64   // of packed, or of the file
}

func (p *partition) add(f frame, oldest, newest int64) {
	if len(p.frames) == 0 {
		p.first = f.first
	}
	p.frames = append(p.frames, f)
	p.next = f.end()
	p.records += f.records
	p.raw += int64(len(f.payload))
	p.oldest, p.newest = min(p.oldest, oldest), max(p.newest, newest)
}

// kept reports whether the partition is packed, in memory or on disk.
func (p *partition) kept() bool { return p.packed != nil || p.path != "" }

// bytes is what the partition counts for.
func (p *partition) bytes() int64 {
	if p.kept() {
		return p.size
	}
	return p.raw
}

// A closed partition is packed: records, missing, length of the payload and the
// payload of each frame, with unsigned varints, then compressed.
func pack(zip *zstd.Encoder, frames []frame) []byte {
	var buf []byte
	for i := range frames {
		f := &frames[i]
		buf = binary.AppendUvarint(buf, f.records)
		buf = binary.AppendUvarint(buf, f.missing)
		buf = binary.AppendUvarint(buf, uint64(len(f.payload)))
		buf = append(buf, f.payload...)
	}
	return zip.EncodeAll(buf, nil)
}

// errDamaged: what was packed does not come out again.
var errDamaged = errors.New("partition is damaged")

// unpack is the reverse of pack; first is the number of the first event.
func unpack(zip *zstd.Decoder, packed []byte, first uint64) ([]frame, error) {
	raw, err := zip.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	var frames []frame
	for len(raw) > 0 {
		var head [3]uint64
		for i := range head {
			v, n := binary.Uvarint(raw)
			if n <= 0 {
				return nil, fmt.Errorf("%w: bad number", errDamaged)
			}
			head[i], raw = v, raw[n:]
		}
		if head[2] > uint64(len(raw)) {
			return nil, fmt.Errorf("%w: a frame of %d bytes in %d", errDamaged, head[2], len(raw))
		}
		f := frame{first: first, records: head[0], missing: head[1], payload: raw[:head[2]]}
		raw = raw[head[2]:]
		first = f.end()
		frames = append(frames, f)
	}
	return frames, nil
}
