package observe

import (
	"net/netip"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/snoop"
)

// seriesTable holds the series of what is there now: one that a scrape does not
// set is removed.
type seriesTable struct {
	live  map[seriesKey]*liveSeries
	keyID string // that the labels were made with
	round uint64
}

type seriesKey struct {
	family    redact.Family
	ifindex   uint32
	direction bpf.Direction
	GroupKey
	source netip.Addr
	words  [2]string
	upto   time.Duration // of a bucket
}

type liveSeries struct {
	series *redact.Series
	round  uint64
}

func (o *Observer) get(k seriesKey) *redact.Series {
	s := o.series.live[k]
	if s == nil {
		s = &liveSeries{series: o.deps.Metrics.Series(k.family, o.labels(k)...)}
		o.series.live[k] = s
	}
	s.round = o.series.round
	return s.series
}

// clear removes the series whose labels hold what is no longer so. A common line
// keeps its count, and would count twice.
func (t *seriesTable) clear() {
	for k, s := range t.live {
		if !s.series.Folded() {
			s.series.Remove()
			delete(t.live, k)
		}
	}
}

// sweep removes the series that this round did not set.
func (t *seriesTable) sweep() {
	for k, s := range t.live {
		if s.round != t.round {
			s.series.Remove()
			delete(t.live, k)
		}
	}
}

// labels are those of the family's table, in its order.
func (o *Observer) labels(k seriesKey) []redact.Label {
	on := redact.Name(o.nameOf(k.ifindex))
	way := redact.Name(k.direction.String())
	vlan, group, source := redact.VLAN(k.VLAN), redact.Addr(k.Group), redact.Addr(k.source)
	word := func(i int) redact.Label { return redact.Name(k.words[i]) }
	switch k.family {
	case redact.ObservedPeakPackets, redact.ObservedPeakBytes, redact.ObservedChanges:
		return []redact.Label{on, way, vlan, group, source, word(0)}
	case redact.ObservedGaps:
		return []redact.Label{on, way, vlan, group, source, redact.Bound(k.upto)}
	case redact.ObservedSources:
		return []redact.Label{on, way, vlan, group}
	case redact.ObservedGroupState:
		return []redact.Label{on, vlan, group, word(0)}
	case redact.ObservedMemberships:
		return []redact.Label{on, group}
	case redact.ObservedBridgePorts:
		return []redact.Label{on, vlan, group}
	case redact.ObservedMessages:
		return []redact.Label{on, way, word(0), word(1)}
	case redact.ObservedMessageErrors:
		return []redact.Label{on, way, word(0)}
	case redact.ObservedQuerierInfo:
		return []redact.Label{on, vlan, source, word(0)}
	case redact.ObservedQuerierLastSeen:
		return []redact.Label{on, vlan, source}
	case redact.ObservedRoutePackets, redact.ObservedRouteBytes, redact.ObservedRouteWrongInterface:
		return []redact.Label{on, group, source}
	case redact.ObservedInterfaces:
		return nil
	case redact.ObserveFailures, redact.TableEntries, redact.TableCapacity, redact.TableRefused:
		return []redact.Label{word(0)}
	default: // of a stream
		return []redact.Label{on, way, vlan, group, source}
	}
}

// refresh is called once per scrape.
func (o *Observer) refresh() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	if id := o.deps.Policy.KeyID(); id != o.series.keyID {
		o.series.clear() // their labels are pseudonyms of the old key
		o.series.keyID = id
	}
	if err := o.look(bpf.Now()); err != nil {
		o.failures["read"]++
		return // what was not read keeps its last value
	}
	o.series.round++
	for k, s := range o.streams {
		o.setStream(k, s)
		s.peaks = bpf.Peaks{}
	}
	o.setGroups()
	o.setHost()
	for _, i := range o.interfaces {
		o.setMessages(i)
		o.setQueriers(i)
	}
	o.setSelf()
	o.series.sweep()
}

// setStream shows a stream, or what the streams without an entry add up to.
func (o *Observer) setStream(k bpf.WatchKey, s *stream) {
	key := seriesKey{ifindex: k.Ifindex, direction: k.Direction, GroupKey: GroupKey{k.VLAN, k.Group}, source: k.Source}
	as := func(f redact.Family) seriesKey { key.family = f; return key }
	packets, bytes := s.now.Packets, s.now.Bytes
	if !k.Group.IsValid() {
		gone := &o.interfaces[k.Ifindex].forgotten[k.Direction]
		packets, bytes = packets+gone.Packets, bytes+gone.Bytes
	}
	o.get(as(redact.ObservedPackets)).Set(packets)
	o.get(as(redact.ObservedBytes)).Set(bytes)
	if !k.Group.IsValid() {
		return
	}
	o.get(as(redact.ObservedLastSeen)).SetFloat(float64(wall(s.now.Last).UnixNano()) / 1e9)
	o.get(as(redact.ObservedLongestGap)).SetFloat(s.peaks.Gap.Seconds())
	o.get(as(redact.ObservedTTL)).Set(uint64(s.now.TTL))
	o.get(as(redact.ObservedDSCP)).Set(uint64(s.now.DSCP))
	for i, name := range windowNames {
		key.words[0] = name
		o.get(as(redact.ObservedPeakPackets)).Set(s.peaks.Packets[i])
		o.get(as(redact.ObservedPeakBytes)).Set(s.peaks.Bytes[i])
	}
	for name, n := range map[string]uint32{"ttl": s.now.TTLChanges, "dscp": s.now.DSCPChanges} {
		key.words[0] = name
		o.get(as(redact.ObservedChanges)).Set(uint64(n))
	}
	key.words[0] = ""
	o.setGaps(as(redact.ObservedGaps), &s.now)
}

var windowNames = [len(bpf.Windows)]string{"1ms", "100ms"}

// setGaps shows every second bucket, and all: a series is dear.
func (o *Observer) setGaps(key seriesKey, w *bpf.Watched) {
	sum := uint64(0)
	for i, n := range w.Gaps {
		sum += n
		if key.upto = bpf.GapBound(i); key.upto == 0 || i%2 == 0 {
			o.get(key).Set(sum)
		}
	}
}

func (o *Observer) setGroups() {
	for k, n := range o.sources() {
		o.get(seriesKey{family: redact.ObservedSources, ifindex: k.ifindex, direction: k.direction, GroupKey: k.GroupKey}).Set(n)
	}
	for k, state := range o.states() {
		o.get(seriesKey{family: redact.ObservedGroupState, ifindex: k.ifindex, GroupKey: k.GroupKey, words: [2]string{state}}).Set(1)
	}
}

// setHost shows what the host joined, bridges and routes, on any interface.
func (o *Observer) setHost() {
	for _, m := range o.host.memberships {
		o.get(seriesKey{family: redact.ObservedMemberships, ifindex: m.ifindex, GroupKey: GroupKey{Group: m.group}}).Set(m.users)
	}
	ports := map[place]map[uint32]bool{}
	for _, b := range o.host.bridges {
		at := place{b.bridge, GroupKey{bpf.MakeVLAN(b.vlan, 0), b.group}}
		if ports[at] == nil {
			ports[at] = map[uint32]bool{}
		}
		ports[at][b.port] = true
	}
	for at, p := range ports {
		o.get(seriesKey{family: redact.ObservedBridgePorts, ifindex: at.ifindex, GroupKey: at.GroupKey}).Set(uint64(len(p)))
	}
	for _, r := range o.host.routes {
		key := seriesKey{ifindex: r.from, GroupKey: GroupKey{Group: r.group}, source: unmapped(r.source)}
		for f, n := range map[redact.Family]uint64{
			redact.ObservedRoutePackets: r.packets, redact.ObservedRouteBytes: r.bytes, redact.ObservedRouteWrongInterface: r.wrongInterface,
		} {
			key.family = f
			o.get(key).Set(n)
		}
	}
}

func (o *Observer) setMessages(i *iface) {
	for port, s := range i.table.Stats().Ports {
		key := seriesKey{ifindex: i.index, direction: directionOf(port)}
		key.family = redact.ObservedMessages
		for kind, n := range s.Messages {
			key.words = [2]string{kind.Type, kind.Version}
			o.get(key).Set(n)
		}
		key.family = redact.ObservedMessageErrors
		for reason, n := range s.Flagged {
			s.Errors[reason] += n
		}
		for reason, n := range s.Errors {
			key.words = [2]string{reason}
			o.get(key).Set(n)
		}
	}
}

func (o *Observer) setQueriers(i *iface) {
	for vlan, q := range i.queriers() {
		key := seriesKey{ifindex: i.index, GroupKey: GroupKey{VLAN: vlan}, source: q.Address}
		key.family = redact.ObservedQuerierLastSeen
		o.get(key).SetFloat(float64(wall(q.LastSeen).UnixNano()) / 1e9)
		key.family, key.words[0] = redact.ObservedQuerierInfo, q.Version
		o.get(key).Set(1)
	}
}

// queriers yields those that are known, by VLAN.
func (i *iface) queriers() func(yield func(bpf.VLAN, snoop.Querier) bool) {
	return func(yield func(bpf.VLAN, snoop.Querier) bool) {
		for _, v := range i.table.VLANs() {
			v4, v6 := i.table.QuerierState(v)
			for _, q := range []snoop.Querier{v4, v6} {
				if q.Address.IsValid() && !yield(bpf.VLAN(v), q) {
					return
				}
			}
		}
	}
}

// setSelf shows how observing itself does.
func (o *Observer) setSelf() {
	o.get(seriesKey{family: redact.ObservedInterfaces}).Set(uint64(len(o.interfaces)))
	table := [2]string{"observed_streams"}
	o.get(seriesKey{family: redact.TableEntries, words: table}).Set(uint64(len(o.streams)))
	o.get(seriesKey{family: redact.TableCapacity, words: table}).Set(uint64(o.watch.Capacity()))
	outcomes, err := o.watch.Outcomes()
	if err != nil {
		o.failures["read"]++
	}
	for outcome, n := range outcomes {
		o.get(seriesKey{family: redact.ObserveFailures, words: [2]string{outcome.String()}}).Set(n)
		if outcome == bpf.WatchTableFull {
			o.get(seriesKey{family: redact.TableRefused, words: table}).Set(n)
		}
	}
	for _, reason := range []string{"attach", "unsupported_device", "read"} {
		o.get(seriesKey{family: redact.ObserveFailures, words: [2]string{reason}}).Set(o.failures[reason])
	}
}
