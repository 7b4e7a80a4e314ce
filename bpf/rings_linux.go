package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// EventReader reads the event rings of all CPUs. It is meant for one goroutine;
// Close may be called from another.
type EventReader struct {
	rings  []*ringbuf.Reader
	names  Names
	record ringbuf.Record
	next   []uint64 // expected sequence number of each ring
	seen   []bool

	// Bad counts records that could not be decoded, Gaps the events that
	// sequence numbers show to be missing.
	Bad, Gaps uint64
	// Before is how many events earlier readers took out of these rings.
	Before uint64
}

// NewEventReader returns a reader of d's events. Unread events of an earlier
// agent come first.
func (d *Datapath) NewEventReader(names Names) (*EventReader, error) {
	r := &EventReader{names: names, next: make([]uint64, len(d.rings)), seen: make([]bool, len(d.rings))}
	for cpu, m := range d.rings {
		taken, err := takenFrom(m)
		if err != nil {
			r.Close()
			return nil, fmt.Errorf("look at event ring of CPU %d: %w", cpu, err)
		}
		r.Before += taken
		ring, err := ringbuf.NewReader(m)
		if err != nil {
			r.Close()
			return nil, fmt.Errorf("open event ring of CPU %d: %w", cpu, err)
		}
		ring.SetDeadline(time.Unix(1, 0)) // never wait: see Drain
		r.rings = append(r.rings, ring)
	}
	return r, nil
}

// eventRecordBytes is what an event takes in a ring: with a header of 8 bytes, in
// multiples of 8.
const eventRecordBytes = (8 + uint64(unsafe.Sizeof(wireEvent{})) + 7) &^ 7

// takenFrom returns how many events were ever read from a ring. Its first page
// holds the consumer's position, in bytes since it was made (struct bpf_ringbuf
// in kernel/bpf/ringbuf.c).
func takenFrom(ring *ebpf.Map) (uint64, error) {
	page, err := unix.Mmap(ring.FD(), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return 0, err
	}
	taken := binary.NativeEndian.Uint64(page) / eventRecordBytes
	return taken, unix.Munmap(page)
}

// Drain calls fn for each event that is in the rings now, oldest first within a
// ring, until the rings are empty or limit events were read. The kernel wakes
// nobody up for an event (that would cost more than a copy): call Drain every
// few milliseconds. The event is reused between calls.
func (r *EventReader) Drain(limit int, fn func(*Event, Change)) (n int, err error) {
	wall := monotonicEpoch()
	var ev Event
	for cpu, ring := range r.rings {
		for n < limit {
			err := ring.ReadInto(&r.record)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return n, fmt.Errorf("read event ring of CPU %d: %w", cpu, err)
			}
			change, err := decodeEvent(r.record.RawSample, wall, r.names, &ev)
			if err != nil {
				r.Bad++
				continue
			}
			r.follow(cpu, ev.Seq)
			fn(&ev, change)
			n++
		}
	}
	return n, nil
}

// follow counts the events that are missing before seq.
func (r *EventReader) follow(cpu int, seq uint64) {
	if r.seen[cpu] && seq > r.next[cpu] {
		r.Gaps += seq - r.next[cpu]
	}
	r.next[cpu], r.seen[cpu] = seq+1, true
}

// Close ends a running Drain with os.ErrClosed.
func (r *EventReader) Close() error {
	var errs []error
	for _, ring := range r.rings {
		errs = append(errs, ring.Close())
	}
	return errors.Join(errs...)
}

// MessageReader reads the membership messages. It is meant for one goroutine;
// Close may be called from another.
type MessageReader struct {
	ring   *ringbuf.Reader
	record ringbuf.Record
	Bad    uint64 // records that could not be decoded

	mu     sync.Mutex // Empty looks into memory that Close unmaps
	closed bool
}

// NewMessageReader returns a reader of d's membership messages.
func (d *Datapath) NewMessageReader() (*MessageReader, error) {
	ring, err := ringbuf.NewReader(d.maps["control"])
	if err != nil {
		return nil, fmt.Errorf("open control ring: %w", err)
	}
	return &MessageReader{ring: ring}, nil
}

// Read waits for the next message. It is valid until the next call.
// Returns os.ErrDeadlineExceeded after the deadline and os.ErrClosed after Close.
func (r *MessageReader) Read() (Message, error) {
	for {
		if err := r.ring.ReadInto(&r.record); err != nil {
			return Message{}, err
		}
		m, err := decodeMessage(r.record.RawSample)
		if err == nil {
			return m, nil
		}
		r.Bad++
	}
}

// Empty reports whether Read would have to wait. A closed reader is empty.
func (r *MessageReader) Empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed || r.ring.AvailableBytes() == 0
}

// SetDeadline bounds the following calls of Read; the zero time means for ever.
func (r *MessageReader) SetDeadline(t time.Time) { r.ring.SetDeadline(t) }

// Close ends a waiting Read.
func (r *MessageReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return r.ring.Close()
}
