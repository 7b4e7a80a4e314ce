package snoop

import (
	"fmt"
	"net/netip"
	"time"
)

// QuerierMode says whether the table asks for members itself.
type QuerierMode string

// The querier modes.
const (
	// QuerierAuto listens for one query response interval, then becomes the
	// querier if none was heard. It does not contest one that it heard first.
	QuerierAuto QuerierMode = "auto"
	// QuerierOn takes part in every election from the start.
	QuerierOn QuerierMode = "on"
	// QuerierOff never asks.
	QuerierOff QuerierMode = "off"
)

// Check says what to do with a message that fails a check.
type Check string

// The policies of a check.
const (
	CheckOff   Check = "off"
	CheckCount Check = "count" // count it and go on
	CheckDrop  Check = "drop"  // count it and refuse the message
)

// Limits bound the table. What would exceed one is refused and counted; what
// is there stays.
type Limits struct {
	Groups            int // of the segment, over all VLANs
	Members           int // (group, port) pairs, over all VLANs
	TotalSources      int // that the members list, over all VLANs
	GroupsPerPort     int // so that one port cannot take all of Groups
	PortsPerGroup     int
	SourcesPerGroup   int // of one port in one group
	HostsPerPort      int // distinct hosts that are tracked on a port
	HostGroupsPerPort int // (host, group) pairs that are tracked on a port
	VLANs             int // with the untagged one
}

// Config holds the settings of a [Table].
type Config struct {
	Querier     QuerierMode
	IGMPVersion int // of our own queries, 1 to 3
	MLDVersion  int // of our own queries, 1 or 2

	// The intervals of RFC 9776 section 8. While another querier is elected,
	// its robustness and query interval are used instead, within bounds.
	Robustness              int
	QueryInterval           time.Duration
	QueryResponseInterval   time.Duration
	LastMemberQueryInterval time.Duration

	Limits Limits

	// FastLeave acts on a leave at once where that is safe: no other host
	// that could want the group is on the port. Elsewhere the hosts are asked.
	FastLeave        bool
	TTLCheck         Check // TTL or hop limit is 1
	RouterAlertCheck Check // the IP header carries Router Alert

	Allow        []netip.Prefix // groups that may be joined; empty means all
	RouterGuard  []Port         // ports on which no router is learnt
	QuerierGuard []Port         // ports on which queries are refused
}

// DefaultConfig returns the RFC's intervals and limits that fit the datapath's.
func DefaultConfig() Config {
	return Config{
		Querier:                 QuerierAuto,
		IGMPVersion:             3,
		MLDVersion:              2,
		Robustness:              2,
		QueryInterval:           125 * time.Second,
		QueryResponseInterval:   10 * time.Second,
		LastMemberQueryInterval: time.Second,
		Limits: Limits{
			Groups:            4096,
			Members:           65536,
			TotalSources:      16384,
			GroupsPerPort:     3072,
			PortsPerGroup:     1024,
			SourcesPerGroup:   64,
			HostsPerPort:      512,
			HostGroupsPerPort: 16384,
			VLANs:             256,
		},
		FastLeave:        true,
		TTLCheck:         CheckCount,
		RouterAlertCheck: CheckCount,
	}
}

// Validate returns an error that names the first setting that is out of range.
func (c Config) Validate() error {
	switch c.Querier {
	case QuerierAuto, QuerierOn, QuerierOff:
	default:
		return fmt.Errorf("querier mode %q is not auto, on or off", c.Querier)
	}
	for name, check := range map[string]Check{"ttl check": c.TTLCheck, "router alert check": c.RouterAlertCheck} {
		if check != CheckOff && check != CheckCount && check != CheckDrop {
			return fmt.Errorf("%s %q is not off, count or drop", name, check)
		}
	}
	for _, r := range c.ranges() {
		if r.value < r.low || r.value > r.high {
			return fmt.Errorf("%s %v is not between %v and %v", r.name, r.show(r.value), r.show(r.low), r.show(r.high))
		}
	}
	if c.QueryResponseInterval >= c.QueryInterval {
		return fmt.Errorf("query response interval %v is not below the query interval %v", c.QueryResponseInterval, c.QueryInterval)
	}
	for _, p := range c.Allow {
		if !p.IsValid() || !p.Addr().IsMulticast() {
			return fmt.Errorf("allowed prefix %v is not multicast", p)
		}
	}
	return nil
}

type settingRange struct {
	name             string
	value, low, high int64
	isTime           bool
}

func (r settingRange) show(v int64) any {
	if r.isTime {
		return time.Duration(v)
	}
	return v
}

func (c Config) ranges() []settingRange {
	count := func(name string, v, low, high int) settingRange {
		return settingRange{name: name, value: int64(v), low: int64(low), high: int64(high)}
	}
	span := func(name string, v, low, high time.Duration) settingRange {
		return settingRange{name: name, value: int64(v), low: int64(low), high: int64(high), isTime: true}
	}
	const most = 1 << 20
	return []settingRange{
		count("igmp version", c.IGMPVersion, 1, 3),
		count("mld version", c.MLDVersion, 1, 2),
		count("robustness", c.Robustness, 1, 7),
		span("query interval", c.QueryInterval, time.Second, maxCode8*time.Second),
		span("query response interval", c.QueryResponseInterval, 100*time.Millisecond, maxCode8*100*time.Millisecond),
		span("last member query interval", c.LastMemberQueryInterval, 100*time.Millisecond, 25500*time.Millisecond),
		count("groups limit", c.Limits.Groups, 1, most),
		count("members limit", c.Limits.Members, 1, 1<<24),
		count("total sources limit", c.Limits.TotalSources, 1, 1<<22),
		count("groups per port limit", c.Limits.GroupsPerPort, 1, most),
		count("ports per group limit", c.Limits.PortsPerGroup, 1, most),
		count("sources per group limit", c.Limits.SourcesPerGroup, 1, 1024),
		count("hosts per port limit", c.Limits.HostsPerPort, 1, most),
		count("host groups per port limit", c.Limits.HostGroupsPerPort, 1, most),
		count("vlans limit", c.Limits.VLANs, 1, most),
	}
}
