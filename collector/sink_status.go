package collector

import "github.com/fanlight-io/fanlight/bpf"

// SinkStatus is where the events of one exporter are: its loss equation. Once
// nothing is on its way inside of the agent,
//
//	Produced + Recovered = Delivered + Filtered + sum of Lost + Waiting
type SinkStatus struct {
	Name string `json:"name"`
	// Produced are all events that were made, in the kernel and in the agent.
	Produced uint64 `json:"produced"`
	// Recovered are those that an earlier agent left in the spool.
	Recovered uint64 `json:"recovered"`
	Delivered uint64 `json:"delivered"`
	Filtered  uint64 `json:"filtered"`
	// Lost holds no zeros.
	Lost map[LossPoint]uint64 `json:"lost"`
	// Waiting are in memory or in the spool.
	Waiting uint64 `json:"waiting"`
	// LagSeconds is for how long the oldest of those was not delivered.
	LagSeconds float64 `json:"lag_seconds"`
	Retries    uint64  `json:"retries"`
	SpoolBytes int64   `json:"spool_bytes,omitempty"`
	SpoolMax   int64   `json:"spool_max_bytes,omitempty"` // 0: there is no spool
	// Failing tells that the last export failed.
	Failing bool `json:"failing"`
}

// TotalLost returns the sum of what was lost.
func (s *SinkStatus) TotalLost() (sum uint64) {
	for _, n := range s.Lost {
		sum += n
	}
	return sum
}

// LossPoints returns the keys of Lost in a constant order.
func (s *SinkStatus) LossPoints() []LossPoint { return sortedPoints(s.Lost) }

// Balanced reports whether every event is accounted for, and none waits.
func (s *SinkStatus) Balanced() bool {
	return s.Waiting == 0 && s.Produced+s.Recovered == s.Delivered+s.Filtered+s.TotalLost()
}

// sinks reads what came out before what was produced, so that no sink looks as
// if it had got more than there was.
func (p *pipeline) sinks() ([]SinkStatus, error) {
	list := p.outlet.Sinks()
	counts, err := p.dp.EventCounts()
	if err != nil {
		return nil, err
	}
	shared := p.sharedLosses(counts)
	made := uint64(0)
	for _, n := range p.produced(counts) {
		made += n
	}
	made -= p.madeBefore
	shared[LossPoint{"ring", "full"}] -= p.lostBefore
	for i := range list {
		list[i].Produced = made
		for at, n := range shared {
			if n > 0 {
				list[i].Lost[at] += n
			}
		}
	}
	return list, nil
}

// sharedLosses returns what was lost before any exporter had a part in it.
func (p *pipeline) sharedLosses(counts []bpf.EventCount) map[LossPoint]uint64 {
	lost := map[LossPoint]uint64{
		{"ring", "full"}:         0,
		{"decode", "bad_record"}: p.bad.Load(),
		{"queue", "agent_full"}:  p.overflow.Load(),
	}
	for _, c := range counts {
		lost[LossPoint{"ring", "full"}] += c.Lost
	}
	return lost
}
