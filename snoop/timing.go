package snoop

import "time"

// timing holds the intervals in force for one address family of one VLAN:
// ours, or those of the querier that is elected. RFC 9776 section 8.
type timing struct {
	robustness int
	query      time.Duration
	response   time.Duration
	lastMember time.Duration
}

func (c *Config) timing() timing {
	return timing{
		robustness: c.Robustness,
		query:      c.QueryInterval,
		response:   c.QueryResponseInterval,
		lastMember: c.LastMemberQueryInterval,
	}
}

// igmpv1Response is how long hosts may take to answer a query of version 1, RFC
// 2236 section 4.
const igmpv1Response = 10 * time.Second

// v1RouterPresent is how long hosts believe in a router of version 1, RFC 2236
// section 8.11.
const v1RouterPresent = 400 * time.Second

// What another querier may make us believe. Low values would age members
// before it asks again, high ones would keep us quiet after it is gone.
const (
	minAdoptedInterval = 10 * time.Second
	maxAdoptedInterval = 10 * time.Minute
	maxAdoptedResponse = time.Minute
	maxLastMember      = 25500 * time.Millisecond // what IGMPv2 can say
	minAdoptedRobust   = 2
	maxAdoptedRobust   = 7
)

// adopt takes over what q says, within bounds. What it does not say stays ours.
func (c *Config) adopt(q *query) timing {
	tm := c.timing()
	tm.response = max(tm.response, min(q.maxResponse, maxAdoptedResponse))
	if !q.protocol.sourceAware() {
		return tm
	}
	if q.robustness != 0 {
		tm.robustness = min(max(q.robustness, min(minAdoptedRobust, c.Robustness)), maxAdoptedRobust)
	}
	if q.interval != 0 {
		low, high := min(minAdoptedInterval, c.QueryInterval), max(maxAdoptedInterval, c.QueryInterval)
		tm.query = min(max(q.interval, low), high)
	}
	return tm
}

// membership is how long a member stays without a report.
func (tm timing) membership() time.Duration {
	return time.Duration(tm.robustness)*tm.query + tm.response
}

// otherQuerier is how long a querier stays elected without a query.
func (tm timing) otherQuerier() time.Duration {
	return time.Duration(tm.robustness)*tm.query + tm.response/2
}

// olderHost is how long a host of an older version holds the group in its mode.
func (tm timing) olderHost() time.Duration { return tm.membership() }

// lastMemberTime is how long a leave takes if nobody objects.
func (tm timing) lastMemberTime() time.Duration {
	return time.Duration(tm.robustness) * tm.lastMember
}

func (tm timing) startupQuery() time.Duration { return tm.query / 4 }

// restored is how long a member from before a restart stays at least: until
// every startup query has been asked and answered.
func (tm timing) restored() time.Duration {
	return time.Duration(tm.robustness)*tm.startupQuery() + tm.response
}
