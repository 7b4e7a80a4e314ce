package main

import (
	"context"
	"fmt"
	"time"
)

// rates are what a stream did between two looks.
type rates struct {
	Packets float64 `json:"packets_per_second"`
	Bits    float64 `json:"bits_per_second"` // of frames, without FCS
	Copies  float64 `json:"copies_per_second"`
}

// askTwice asks, waits and asks again. It returns the seconds between the two
// answers.
func askTwice(ctx context.Context, interval time.Duration, first, second func() error) (seconds float64, err error) {
	if err := first(); err != nil {
		return 0, err
	}
	began := time.Now()
	timer := time.NewTimer(interval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-timer.C:
	}
	if err := second(); err != nil {
		return 0, err
	}
	return time.Since(began).Seconds(), nil
}

// streamID tells streams apart in what the policy shows of them.
type streamID struct{ domain, vlan, group, source string }

// rateStreams gives rates to the streams that were there before too.
func rateStreams(before, now []streamSummary, seconds float64) {
	old := make(map[streamID]*streamSummary, len(before))
	for i := range before {
		old[before[i].id()] = &before[i]
	}
	for i := range now {
		s := &now[i]
		then := old[s.id()]
		if then == nil {
			then = &streamSummary{} // it began in between
		}
		s.Rates = &rates{
			Packets: perSecond(then.Packets, s.Packets, seconds),
			Bits:    8 * perSecond(then.Bytes, s.Bytes, seconds),
			Copies:  perSecond(then.Copies, s.Copies, seconds),
		}
	}
}

func (s *streamSummary) id() streamID { return streamID{s.Domain, s.VLAN, s.Group, s.Source} }

// rateHead and rateCells are the columns of rates, if there are any.
func rateHead(rated bool) string {
	if !rated {
		return ""
	}
	return "PACKETS/S\tMBIT/S\tCOPIES/S\t"
}

func rateCells(rated bool, r *rates) string {
	switch {
	case !rated:
		return ""
	case r == nil:
		return "-\t-\t-\t"
	}
	return fmt.Sprintf("%.0f\t%.2f\t%.0f\t", r.Packets, r.Bits/1e6, r.Copies)
}
