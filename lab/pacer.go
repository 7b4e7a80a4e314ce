package lab

import (
	"context"
	"time"
)

// pacer tells how many datagrams are due.
type pacer struct {
	rate  float64
	start time.Time
	timer *time.Timer
}

func newPacer(rate float64) *pacer {
	return &pacer{rate: rate, start: time.Now(), timer: time.NewTimer(0)}
}

func (p *pacer) stop() { p.timer.Stop() }

// wait blocks until at least one datagram is due after sent, and returns how
// many are. The first is due at once.
func (p *pacer) wait(ctx context.Context, sent uint64) (due uint64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if p.rate == 0 {
		return 1 << 20, nil
	}
	for {
		passed := time.Since(p.start)
		if planned := uint64(passed.Seconds()*p.rate) + 1; planned > sent {
			return planned - sent, nil
		}
		// Waking more than once in a millisecond would cost more than sending.
		next := time.Duration(float64(sent) / p.rate * float64(time.Second))
		p.timer.Reset(max(next-passed, time.Millisecond))
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-p.timer.C:
		}
	}
}
