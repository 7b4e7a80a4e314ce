package collector

import (
	"slices"
	"sync/atomic"
	"time"
)

// The loops of a running agent.
const (
	loopInterfaces = "interfaces" // ports that come and go
	loopMembership = "membership" // joins and leaves
	loopTimers     = "timers"     // ageing and queries
	loopEvents     = "events"     // from the rings to the queues
	loopTidy       = "tidy"       // idle counters
)

// pulse remembers when each loop last went round.
type pulse struct {
	// every is how often a loop goes round that has nothing to do.
	every time.Duration
	// patience is how long a round may take: to attach a thousand ports at once
	// is work, not a standstill.
	patience time.Duration

	start time.Time
	beats map[string]*atomic.Int64 // time since start
}

func newPulse() *pulse {
	p := &pulse{every: 5 * time.Second, patience: 20 * time.Second, start: time.Now(), beats: map[string]*atomic.Int64{}}
	for _, loop := range []string{loopInterfaces, loopMembership, loopTimers, loopEvents, loopTidy} {
		p.beats[loop] = new(atomic.Int64)
	}
	return p
}

// beat is called by a loop at each round.
func (p *pulse) beat(loop string) { p.beats[loop].Store(int64(time.Since(p.start))) }

// beatAll is called when the loops begin.
func (p *pulse) beatAll() {
	for loop := range p.beats {
		p.beat(loop)
	}
}

// stuck returns the loops that took longer than patience allows.
func (p *pulse) stuck() (loops []string) {
	now := time.Since(p.start)
	for loop, last := range p.beats {
		if now-time.Duration(last.Load()) > p.patience {
			loops = append(loops, loop)
		}
	}
	slices.Sort(loops)
	return loops
}

// Stuck returns the names of the loops that make no progress, none if all is
// well: a loop that has nothing to do goes round too. It waits for nothing that
// a loop may hold. There are none before Ready: a start takes as long as it
// takes, and whoever started the agent bounds it.
func (a *Agent) Stuck() []string {
	if !isClosed(a.ready) {
		return nil
	}
	return a.pulse.stuck()
}
