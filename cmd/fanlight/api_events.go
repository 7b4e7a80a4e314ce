package main

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/fanlight-io/fanlight/history"
)

const eventsPath = "/v1/events"

// keptSinceHeader tells from when on all events are kept.
const keptSinceHeader = "Fanlight-Kept-Since"

// Why a stream lacks events.
const (
	lostSlow    = "slow_reader" // the reader was slower than events came, for longer than they are kept
	lostMissing = "missing"     // they were lost before they got here
)

// lossStart is how the stream's own lines begin; those of events begin
// otherwise.
const lossStart = `{"kind":"loss","action":"stream","reason":"`

const (
	// stallTimeout is how long a reader may take nothing at all.
	stallTimeout = 5 * time.Minute
	// untilGrace is how long an event may take from its happening to the stream.
	untilGrace = time.Second
)

// eventStream writes events as lines of JSON.
func (v viewer) eventStream(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	q, err := parseEventQuery(r.URL.Query(), now)
	if err != nil {
		answer(w, http.StatusBadRequest, apiError{err.Error()})
		return
	}
	if v.revealed && q.past(now) {
		answer(w, http.StatusBadRequest, apiError{"reveal: shows events as they come only: what is kept is what policy let out; leave out last, since and until"})
		return
	}
	if !v.events.begin() {
		tooMany(w, "too many streams of events")
		return
	}
	defer v.events.end()
	from, leave, err := v.events.from(v.revealed)
	if err != nil {
		answerError(w, err)
		return
	}
	defer leave()
	ctx := r.Context()
	if !q.until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, later(q.until, now).Add(untilGrace))
		defer cancel()
	}
	s := &eventLines{query: &q, source: v.events, counts: v.counts, w: w, control: http.NewResponseController(w)}
	if err := v.events.turns.Acquire(ctx, 1); err != nil {
		return // the reader is gone
	}
	s.cursor, s.skip, err = q.cursor(ctx, from, now)
	v.events.turns.Release(1)
	var outside *history.OutsideError
	switch {
	case errors.As(err, &outside):
		answer(w, http.StatusGone, apiError{outside.Error()})
	case err == nil:
		w.Header().Set(keptSinceHeader, from.Stats().Since.UTC().Format(time.RFC3339Nano))
		s.run(ctx, r.Method == http.MethodHead)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// eventLines writes events to one reader.
type eventLines struct {
	query   *eventQuery
	source  *eventSource
	counts  *apiCounts
	cursor  *history.Cursor
	skip    int // events that fit, but come before the last ones asked for
	w       http.ResponseWriter
	control *http.ResponseController
	buf     []byte
}

// run writes until there is no more, or the reader or ctx is gone; or only what
// comes before all lines.
func (s *eventLines) run(ctx context.Context, headOnly bool) {
	if s.control.SetReadDeadline(time.Time{}) != nil { // or it would end the stream
		return
	}
	s.w.Header().Set("Content-Type", "application/x-ndjson")
	s.w.Header().Set("Cache-Control", "no-store")
	s.w.WriteHeader(http.StatusOK)
	for s.flush() == nil && !headOnly {
		if s.cursor.Wait(ctx) != nil || s.encode(ctx) != nil {
			return
		}
	}
}

// encode makes lines of the next batch.
func (s *eventLines) encode(ctx context.Context) error {
	if err := s.source.turns.Acquire(ctx, 1); err != nil {
		return err
	}
	defer s.source.turns.Release(1)
	b, err := s.cursor.Next(ctx)
	if err != nil {
		return err
	}
	s.buf = s.buf[:0]
	s.tellLoss(lostSlow, b.Overtaken)
	s.tellLoss(lostMissing, b.Missing)
	for r := range b.Records() {
		if !s.query.wants(r) {
			continue
		}
		if s.skip > 0 {
			s.skip--
			continue
		}
		s.buf = append(r.AppendJSON(s.buf), '\n')
	}
	return nil
}

// tellLoss tells the reader what is not there; nobody knows whether it would
// have fitted.
func (s *eventLines) tellLoss(reason string, n uint64) {
	if n == 0 {
		return
	}
	s.counts.lost(reason, n)
	s.buf = append(s.buf, lossStart+reason+`","lost_events":`...)
	s.buf = strconv.AppendUint(s.buf, n, 10)
	s.buf = append(s.buf, `,"time":"`...)
	s.buf = time.Now().UTC().AppendFormat(s.buf, time.RFC3339Nano)
	s.buf = append(s.buf, "\"}\n"...)
}

// flush writes the lines, as fast as the reader takes them.
func (s *eventLines) flush() error {
	if err := s.control.SetWriteDeadline(time.Now().Add(stallTimeout)); err != nil {
		return err
	}
	if len(s.buf) > 0 {
		if _, err := s.w.Write(s.buf); err != nil {
			return err
		}
		s.buf = s.buf[:0]
	}
	return s.control.Flush()
}
