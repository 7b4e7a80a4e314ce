package history

import (
	"cmp"
	"context"
	"io"
	"iter"
	"slices"
	"sort"
	"time"

	"github.com/fanlight-io/fanlight/redact"
)

// Batch is what a cursor found.
type Batch struct {
	records []redact.Record
	order   []int32 // of their times
	// Missing are events that never got here: the numbers of their rings are
	// not there.
	Missing uint64
	// Overtaken are events that were dropped before this cursor read them. What
	// was missing among them counts too.
	Overtaken uint64
}

// Records yields the batch in the order of the events' times. They are valid
// until the next call of Next.
func (b *Batch) Records() iter.Seq[*redact.Record] {
	return func(yield func(*redact.Record) bool) {
		for _, i := range b.order {
			if !yield(&b.records[i]) {
				return
			}
		}
	}
}

// Cursor reads events in the order in which they came. It is not safe for
// concurrent use.
type Cursor struct {
	h      *History
	next   uint64 // number of the next event
	until  int64  // no event that came later than this is needed
	follow bool

	frames []frame // that come next
	reader redact.BatchReader
	batch  Batch
}

// Live returns a cursor behind the last event, which waits for more.
func (h *History) Live() *Cursor {
	h.mu.Lock()
	defer h.mu.Unlock()
	return &Cursor{h: h, next: h.next, until: 1<<63 - 1, follow: true}
}

// Between returns a cursor at the first event since that time, or shortly
// before. It ends behind what is there now, or, with follow, only when the
// history does or until is over. Returns an [OutsideError] if events since then
// are not all kept. The zero time stands for the oldest event, and for no end.
func (h *History) Between(since, until time.Time, follow bool) (*Cursor, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tidy(time.Now())
	c := &Cursor{h: h, next: h.next, until: 1<<63 - 1, follow: follow}
	if !until.IsZero() {
		c.until = until.UnixNano()
	}
	if since.IsZero() && !until.IsZero() && until.Before(h.since) || !since.IsZero() && since.Before(h.since) {
		return nil, &OutsideError{h.since}
	}
	for _, p := range h.parts {
		if since.IsZero() || p.newest >= since.UnixNano() {
			c.next = p.first
			break
		}
	}
	return c, nil
}

// Last returns a cursor at the batch that holds the n-th last event for which
// match is true, and how many of those to skip there. If there are fewer, it
// returns one at the oldest event. It ends behind what is there now, unless it
// follows.
func (h *History) Last(ctx context.Context, n int, follow bool, match func(*redact.Record) bool) (c *Cursor, skip int, err error) {
	h.mu.Lock()
	h.tidy(time.Now())
	parts := slices.Clone(h.parts)
	c = &Cursor{h: h, next: h.next, until: 1<<63 - 1, follow: follow}
	h.mu.Unlock()
	for i := len(parts) - 1; i >= 0 && n > 0; i-- {
		frames, err := h.framesOf(parts[i])
		if err != nil {
			continue // the cursor will tell
		}
		for j := len(frames) - 1; j >= 0 && n > 0; j-- {
			if err := ctx.Err(); err != nil {
				return nil, 0, err
			}
			c.next = frames[j].first
			c.read(&frames[j])
			for k := range c.batch.records {
				if match(&c.batch.records[k]) {
					n--
				}
			}
		}
	}
	return c, max(0, -n), nil
}

// Wait returns when Next will not wait: there is a batch, or the end. Returns
// ctx's error.
func (c *Cursor) Wait(ctx context.Context) error {
	for {
		c.h.mu.Lock()
		ready := len(c.frames) > 0 || c.next < c.h.next || !c.follow || c.h.closed
		changed := c.h.changed
		c.h.mu.Unlock()
		if ready {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// Next returns the next batch. It waits for one if the cursor follows. Returns
// io.EOF at the end, ErrClosed at the end of a closed history, or ctx's error.
func (c *Cursor) Next(ctx context.Context) (*Batch, error) {
	for len(c.frames) == 0 {
		if err := c.Wait(ctx); err != nil {
			return nil, err
		}
		overtaken, err := c.load()
		if err != nil {
			return nil, err
		}
		if overtaken > 0 {
			c.batch = Batch{records: c.batch.records[:0], order: c.batch.order[:0], Overtaken: overtaken}
			return &c.batch, nil
		}
	}
	f := &c.frames[0]
	c.frames = c.frames[1:]
	c.next = f.end()
	c.read(f)
	return &c.batch, nil
}

// read decodes the frame.
func (c *Cursor) read(f *frame) {
	b := &c.batch
	records, err := c.reader.Read(b.records[:0], f.payload)
	*b = Batch{records: records, order: b.order[:0], Missing: f.missing}
	if err != nil { // not what Export wrote
		b.Missing += f.records
	}
	for i := range records {
		b.order = append(b.order, int32(i))
	}
	slices.SortStableFunc(b.order, func(x, y int32) int { // CPUs take turns
		return cmp.Compare(records[x].Number(timeField), records[y].Number(timeField))
	})
}

// load finds the frames that come next. If they are gone, it returns how many
// events those were.
func (c *Cursor) load() (overtaken uint64, err error) {
	h := c.h
	h.mu.Lock()
	i := sort.Search(len(h.parts), func(i int) bool { return h.parts[i].next > c.next })
	if i == len(h.parts) {
		defer h.mu.Unlock()
		overtaken, c.next = h.next-c.next, h.next // the last partition may be gone
		if overtaken == 0 && !c.follow {
			err = io.EOF
		} else if overtaken == 0 && h.closed {
			err = ErrClosed
		}
		return overtaken, err
	}
	p := h.parts[i]
	first, oldest := p.first, p.oldest
	h.mu.Unlock()
	switch {
	case oldest > c.until:
		return 0, io.EOF
	case first > c.next:
		overtaken, c.next = first-c.next, first
		return overtaken, nil
	}
	frames, err := h.framesOf(p)
	if err == nil {
		c.frames = frames[sort.Search(len(frames), func(i int) bool { return frames[i].end() > c.next }):]
	}
	if len(c.frames) == 0 { // it is damaged, or not what it says
		h.drop(p)
		overtaken, c.next = p.next-c.next, p.next
	}
	return overtaken, nil
}

// framesOf returns what the partition holds now.
func (h *History) framesOf(p *partition) ([]frame, error) {
	h.mu.Lock()
	frames, packed, path := p.frames, p.packed, p.path
	h.mu.Unlock()
	switch {
	case frames != nil:
		return frames, nil
	case packed == nil:
		var err error
		if packed, err = h.disk.read(path); err != nil {
			return nil, err
		}
	}
	return unpack(h.unzip, packed, p.first)
}
