package exporters

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"
)

// Undelivered is the error of an Export that some records of the batch got
// through. Records that it does not mention are delivered.
//
// Whoever calls Export again after it gives the exporter the records of Retry
// only, in their order, before anything newer: so the order per key holds.
type Undelivered struct {
	// Retry are the places, ascending, of records that may be exported again.
	Retry []int
	// Refused counts records that the destination will never take, by a fixed
	// word: oversize, rejected.
	Refused map[string]int
	// Cause is why; it names no record's content.
	Cause error
}

// Error tells how many records are concerned and why.
func (e *Undelivered) Error() string {
	refused := 0
	for _, n := range e.Refused {
		refused += n
	}
	return fmt.Sprintf("%d records to be retried, %d refused: %v", len(e.Retry), refused, e.Cause)
}

// Unwrap returns the cause.
func (e *Undelivered) Unwrap() error { return e.Cause }

// ToRetry returns the places of records that may be exported again.
func (e *Undelivered) ToRetry() []int { return e.Retry }

// Lost yields how many records the destination refused for good, by reason.
func (e *Undelivered) Lost() iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for _, reason := range slices.Sorted(maps.Keys(e.Refused)) {
			if !yield(reason, e.Refused[reason]) {
				return
			}
		}
	}
}

// refuse notes records that will never be taken.
func (e *Undelivered) refuse(reason string, n int, cause error) {
	if e.Refused == nil {
		e.Refused = map[string]int{}
	}
	e.Refused[reason] += n
	e.Cause = cause
}

// retryFrom returns the error for records that may all be exported again, from
// first on, because of cause.
func (e *Undelivered) retryFrom(first, end int, cause error) error {
	if first == 0 && e.Refused == nil {
		return cause
	}
	for i := first; i < end; i++ {
		e.Retry = append(e.Retry, i)
	}
	e.Cause = cause
	return e
}

// retryAfterError is an error of a destination that said when to come back.
type retryAfterError struct {
	err  error
	wait time.Duration
}

func (e retryAfterError) Error() string             { return e.err.Error() }
func (e retryAfterError) Unwrap() error             { return e.err }
func (e retryAfterError) RetryAfter() time.Duration { return e.wait }

// RetryAfter adds to an error how long the destination asked to be left alone.
// It returns nil for nil.
func RetryAfter(err error, wait time.Duration) error {
	if err == nil || wait <= 0 {
		return err
	}
	return retryAfterError{err, wait}
}

// RetryDelay returns how long the destination asked to be left alone, or 0.
func RetryDelay(err error) time.Duration {
	var e retryAfterError
	if errors.As(err, &e) {
		return e.wait
	}
	return 0
}
