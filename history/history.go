// Package history keeps the last redacted events of this host, bounded in size
// and age, for whoever asks what happened, and lets readers follow what happens.
//
// It is a sink like any other: it gets records, and no more than policy lets
// out. Readers take nothing away and hold nothing up: each has a [Cursor], and
// one that falls behind the oldest event kept is told how many it lost.
package history

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/fanlight-io/fanlight/redact"
)

// ErrClosed is the error of Export after Close, and of a cursor that is at the
// end of a closed history.
var ErrClosed = errors.New("history is closed")

// OutsideError is that of a question about a time of which not all is kept.
type OutsideError struct {
	Since time.Time // from when on all is kept
}

// Error says since when all is kept.
func (e *OutsideError) Error() string {
	return fmt.Sprintf("events are kept since %s: ask from then on", e.Since.UTC().Format(time.RFC3339Nano))
}

// History holds events in partitions of time. It is safe for concurrent use,
// but for Export, which is for one goroutine at a time.
type History struct {
	cfg       Config
	partBytes int64
	zip       *zstd.Encoder
	unzip     *zstd.Decoder
	disk      *disk         // nil: memory
	wake      chan struct{} // a partition was closed
	stop      chan struct{}
	keeper    sync.WaitGroup

	rings map[uint32]uint64 // next number expected of each; only for Export
	buf   []byte

	mu      sync.Mutex // guards what follows; nobody packs or waits for the disk with it
	parts   []*partition
	since   time.Time // from when on all is kept
	next    uint64    // number of the next event
	bytes   int64
	records uint64
	lost    uint64 // records that were dropped though there was room
	dead    []string
	changed chan struct{} // closed at the next change
	closed  bool
}

const (
	mostPartBytes = 1 << 20
	// partAge bounds what a crash takes from a history on disk.
	partAge = time.Minute
	// keepInterval is how often age is looked at.
	keepInterval = time.Second
	// freshParts stay unpacked too: whoever follows reads them.
	freshParts = 2
	// mostUnpacked bounds what waits in memory for a slow disk.
	mostUnpacked = 16
)

// Open returns a history with what the directory holds, if there is one. The
// tag stands for the policy that makes the records: those that another one made
// are removed, because it may have let out what this one hides.
func Open(cfg Config, tag string) (*History, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.complete()
	h := &History{
		cfg:       cfg,
		partBytes: min(mostPartBytes, int64(cfg.MaxBytes)/8),
		rings:     map[uint32]uint64{},
		since:     time.Now(),
		wake:      make(chan struct{}, 1),
		stop:      make(chan struct{}),
		changed:   make(chan struct{}),
	}
	var err error
	if h.zip, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(mostPartBytes)); err != nil {
		return nil, err
	}
	if h.unzip, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpacked)); err != nil {
		return nil, err
	}
	if cfg.Dir != "" {
		if err := h.load(tag); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
	}
	h.keeper.Go(h.keep)
	return h, nil
}

// maxUnpacked is far above what a partition holds: the last batch may be large.
const maxUnpacked = 256 << 20

// load takes over what an earlier agent kept.
func (h *History) load(tag string) (err error) {
	if h.disk, h.parts, err = openDisk(h.cfg.Dir, tag); err != nil {
		return err
	}
	for _, p := range h.parts {
		p.first = h.next
		p.next += h.next
		h.next = p.next
		h.bytes += p.size
		h.records += p.records
	}
	if len(h.parts) > 0 {
		h.since = time.Unix(0, h.parts[0].oldest)
	}
	return nil
}

// Export keeps the batch.
func (h *History) Export(_ context.Context, batch []redact.Record) error {
	if len(batch) == 0 {
		return nil
	}
	h.buf = redact.AppendBatch(h.buf[:0], batch)
	f := frame{records: uint64(len(batch)), payload: slices.Clone(h.buf)}
	oldest, newest := int64(math.MaxInt64), int64(0)
	for i := range batch {
		f.missing += h.follow(&batch[i])
		at := int64(batch[i].Number(timeField))
		oldest, newest = min(oldest, at), max(newest, at)
	}
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	f.first = h.next
	h.next = f.end()
	h.open(now).add(f, oldest, newest)
	h.bytes += int64(len(f.payload))
	h.records += f.records
	h.tidy(now)
	close(h.changed)
	h.changed = make(chan struct{})
	return nil
}

var (
	timeField = redact.FieldNamed("time")
	ringField = redact.FieldNamed("ring")
	seqField  = redact.FieldNamed("seq")
)

// follow returns how many events of the record's ring are missing before it.
func (h *History) follow(r *redact.Record) (missing uint64) {
	ring, seq := uint32(r.Number(ringField)), r.Number(seqField)
	next, seen := h.rings[ring]
	if seen && seq > next {
		missing = seq - next
	}
	h.rings[ring] = max(next, seq+1)
	return missing
}

// open returns the partition that takes events. The caller holds h.mu.
func (h *History) open(now time.Time) *partition {
	if n := len(h.parts); n > 0 {
		last := h.parts[n-1]
		if !last.closed && last.raw < h.partBytes && now.Sub(last.began) < partAge {
			return last
		}
		h.closePart(last)
	}
	p := &partition{oldest: math.MaxInt64, began: now}
	h.parts = append(h.parts, p)
	return p
}

// closePart lets no more events into the partition. The caller holds h.mu.
func (h *History) closePart(p *partition) {
	if p.closed {
		return
	}
	p.closed = true
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// tidy drops the oldest partitions while they are too many or too old. The
// caller holds h.mu.
func (h *History) tidy(now time.Time) {
	oldest := now.Add(-h.cfg.MaxAge).UnixNano()
	for len(h.parts) > 0 {
		first := h.parts[0]
		if first.newest >= oldest && (h.bytes <= int64(h.cfg.MaxBytes) || len(h.parts) == 1) {
			break
		}
		h.forget(0)
	}
	if unpacked := h.unpacked(); len(unpacked) > mostUnpacked {
		h.lost += h.parts[unpacked[0]].records
		h.forget(unpacked[0])
	}
}

// unpacked returns the places of closed partitions that the keeper did not
// come to yet. The caller holds h.mu.
func (h *History) unpacked() (places []int) {
	for i := len(h.parts) - 1; i >= 0 && !h.parts[i].kept(); i-- {
		if h.parts[i].closed {
			places = append(places, i)
		}
	}
	slices.Reverse(places)
	return places
}

// forget drops the partition at that place. The caller holds h.mu.
func (h *History) forget(place int) {
	p := h.parts[place]
	h.parts = slices.Delete(h.parts, place, place+1)
	h.bytes -= p.bytes()
	h.records -= p.records
	if gone := time.Unix(0, p.newest); gone.After(h.since) {
		h.since = gone
	}
	if p.path != "" {
		h.dead = append(h.dead, p.path)
	}
	p.forgotten = true
}

// Stats is what a history holds.
type Stats struct {
	Records uint64
	Bytes   int64
	Since   time.Time // from when on all is kept
	// Lost are records that were dropped though there was room: the disk failed,
	// or what it held came back damaged.
	Lost uint64
}

// Stats never waits for the disk.
func (h *History) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tidy(time.Now())
	return Stats{Records: h.records, Bytes: h.bytes, Since: h.since, Lost: h.lost}
}

// Done is closed when nothing more comes.
func (h *History) Done() <-chan struct{} { return h.stop }

// Close ends every cursor behind what it has not read yet. What is on disk is
// whole then.
func (h *History) Close(context.Context) error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	if n := len(h.parts); n > 0 {
		h.closePart(h.parts[n-1])
	}
	close(h.changed)
	h.mu.Unlock()
	close(h.stop)
	h.keeper.Wait()
	if h.disk == nil {
		return nil
	}
	return h.disk.close()
}
