package collector

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// trouble logs an error that may repeat for hours: its beginning, then every
// logInterval how often it came, and its end. One goroutine at a time reports.
type trouble struct {
	log    *slog.Logger
	going  atomic.Bool
	since  time.Time // zero: there is none
	logged time.Time
	times  int // since the last log line
}

// logInterval is how often a lasting error is logged.
const logInterval = 30 * time.Second

func newTrouble(log *slog.Logger) *trouble { return &trouble{log: log} }

// begins logs the error if it is new or was not told for a while.
func (t *trouble) begins(message string, err error, attrs ...any) {
	now := time.Now()
	t.times++
	if !t.since.IsZero() && now.Sub(t.logged) < logInterval {
		return
	}
	if t.since.IsZero() {
		t.since = now
		t.going.Store(true)
	}
	attrs = append([]any{"error", err, "times", t.times}, attrs...)
	t.log.Warn(message, attrs...)
	t.logged, t.times = now, 0
}

// over logs that it works again, if it did not.
func (t *trouble) over() {
	if t.since.IsZero() {
		return
	}
	t.log.Info("works again", "after", time.Since(t.since).Round(time.Millisecond))
	t.since, t.logged, t.times = time.Time{}, time.Time{}, 0
	t.going.Store(false)
}

// lasts reports whether there is trouble now. It may be called at any time.
func (t *trouble) lasts() bool { return t.going.Load() }
