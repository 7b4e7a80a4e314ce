package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fanlight-io/fanlight/history"
	"github.com/fanlight-io/fanlight/redact"
)

// eventQuery is what GET /v1/events is asked for.
type eventQuery struct {
	last         int // 0: all
	since, until time.Time
	follow       bool
	filter       eventFilter
}

// maxLast bounds how far back a request looks.
const maxLast = 1_000_000

// notPrefix stands before the name of a filter whose events are hidden.
const notPrefix = "not."

// eventParameters are those of the query string besides filters.
var eventParameters = []string{"last", "since", "until", "follow", "reveal"}

// parseEventQuery reads a query string. Its errors begin with the parameter.
func parseEventQuery(values url.Values, now time.Time) (q eventQuery, err error) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for _, value := range values[name] {
			if err := q.set(name, value, now); err != nil {
				return q, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if !q.since.IsZero() && !q.until.IsZero() && q.until.Before(q.since) {
		return q, errors.New("until: is before since")
	}
	if !q.past(now) {
		q.follow = true
	}
	return q, nil
}

// past reports whether the question is about what was.
func (q *eventQuery) past(now time.Time) bool {
	return q.last > 0 || !q.since.IsZero() || !q.until.IsZero() && q.until.Before(now)
}

func (q *eventQuery) set(name, value string, now time.Time) (err error) {
	switch name {
	case "last":
		q.last, err = parseLast(value)
	case "since":
		q.since, err = parseMoment(value, now)
	case "until":
		q.until, err = parseMoment(value, now)
	case "follow":
		q.follow, err = strconv.ParseBool(value)
		if err != nil {
			err = fmt.Errorf("%q is none of true, false", value)
		}
	case "reveal": // see wantsReveal
	default:
		bare, not := strings.CutPrefix(name, notPrefix)
		if eventFilters[bare] == nil {
			known := slices.Concat(eventParameters, slices.Sorted(maps.Keys(eventFilters)))
			return fmt.Errorf("no such parameter%s", suggest(name, known))
		}
		return q.filter.add(bare, value, not)
	}
	return err
}

func parseLast(value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxLast {
		return 0, fmt.Errorf("%q: want a number from 1 to %d", value, maxLast)
	}
	return n, nil
}

// parseMoment reads a time, or for how long it is over.
func parseMoment(value string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(value); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339Nano, value)
	if err != nil || at.Year() < 1970 || at.Year() > 2200 {
		return at, fmt.Errorf("%q: want a time such as 2026-11-22T21:34:05Z, or how long ago it was, such as 15m", value)
	}
	return at, nil
}

// wants reports whether the event is one that the reader asked for.
func (q *eventQuery) wants(r *redact.Record) bool {
	at := int64(r.Number(inTime))
	return (q.since.IsZero() || at >= q.since.UnixNano()) && (q.until.IsZero() || at <= q.until.UnixNano()) && q.filter.passes(r)
}

// cursor returns where reading begins, and how many events to leave out there.
func (q *eventQuery) cursor(ctx context.Context, h *history.History, now time.Time) (c *history.Cursor, skip int, err error) {
	if !q.past(now) {
		return h.Live(), 0, nil
	}
	c, err = h.Between(q.since, q.until, q.follow)
	if err != nil || q.last == 0 {
		return c, 0, err
	}
	return h.Last(ctx, q.last, q.follow, q.wants)
}
