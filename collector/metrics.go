package collector

import (
	"maps"
	"net/netip"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/snoop"
)

// seriesTable brings the metric series up to date: once per scrape it reads the
// kernel's counters, which are exact, and what the domains' tables hold. A
// series lives as long as what it counts.
type seriesTable struct {
	agent    *Agent
	live     map[seriesKey]*liveSeries
	keyID    string // that the labels were made with
	round    uint64
	most     int    // series since the map was made
	renamed  uint64 // of the names that labels were made from
	pairs    []bpf.PairCount
	failures uint64 // refreshes that the kernel did not answer
}

// seriesKey identifies a series; what a family has no use for is zero.
type seriesKey struct {
	family redact.Family
	group  bpf.GroupKey
	source netip.Addr
	port   uint32
	words  [3]string
}

type liveSeries struct {
	series *redact.Series
	round  uint64
}

func newSeriesTable(a *Agent) *seriesTable {
	return &seriesTable{agent: a, live: map[seriesKey]*liveSeries{}}
}

// set gives the series its value in this round, and makes it at first.
func (t *seriesTable) set(k seriesKey, value uint64) { t.get(k).Set(value) }

func (t *seriesTable) get(k seriesKey) *redact.Series {
	s := t.live[k]
	if s == nil {
		s = &liveSeries{series: t.agent.deps.Metrics.Series(k.family, t.labels(k)...)}
		t.live[k] = s
	}
	s.round = t.round
	return s.series
}

// labels are those of the family's table, in its order.
func (t *seriesTable) labels(k seriesKey) []redact.Label {
	domain := redact.Name(t.agent.names.Domain(k.group.Domain))
	group := []redact.Label{domain, redact.VLAN(k.group.VLAN), redact.Addr(k.group.Group)}
	port := redact.Name(t.agent.names.Interface(k.port))
	word := func(i int) redact.Label { return redact.Name(k.words[i]) }
	switch k.family {
	case redact.GroupPackets, redact.GroupBytes, redact.GroupCopies, redact.GroupCopyBytes, redact.GroupMembers:
		return group
	case redact.GroupInfo:
		return append(group, word(0))
	case redact.SourcePackets, redact.SourceBytes:
		return append(group, redact.Addr(k.source))
	case redact.PortCopies, redact.PortCopyBytes:
		return append(group, port)
	case redact.CopyFailures:
		return append(group, port, word(0))
	case redact.Drops, redact.DropBytes:
		return append(group, word(0))
	case redact.PacketsSeen:
		return []redact.Label{port, word(0)}
	case redact.PortAttachFailures:
		return []redact.Label{domain}
	case redact.IGMPMessages:
		return []redact.Label{domain, port, word(0), word(1)}
	case redact.IGMPErrors, redact.IGMPRecordErrors:
		return []redact.Label{domain, port, word(0)}
	case redact.QuerierInfo:
		return []redact.Label{domain, redact.VLAN(k.group.VLAN), redact.Addr(k.source), word(0)}
	case redact.QuerierLastSeen:
		return []redact.Label{domain, redact.VLAN(k.group.VLAN), redact.Addr(k.source)}
	case redact.QuerierKnown:
		return []redact.Label{domain, redact.VLAN(k.group.VLAN), word(0)}
	case redact.SinkEvents, redact.EventsLost:
		return []redact.Label{word(0), word(1)}
	case redact.SinkLost:
		return []redact.Label{word(0), word(1), word(2)}
	default:
		return []redact.Label{word(0)}
	}
}

// refresh is called once per scrape.
func (t *seriesTable) refresh() {
	t.round++
	if n := t.agent.names.renamed.Load(); n != t.renamed {
		t.renamed = n
		for k, s := range t.live { // labels hold old names
			s.series.Remove()
			delete(t.live, k)
		}
	}
	if id := t.agent.deps.Policy.KeyID(); id != t.keyID { // their labels are pseudonyms of the old key
		for k, s := range t.live {
			if !s.series.Folded() { // a common line keeps its count, and would count twice
				s.series.Remove()
				delete(t.live, k)
			}
		}
		t.keyID = id
	}
	for _, read := range []func() error{
		t.readStreams, t.readPairs, t.readDrops, t.readPorts, t.readTables, t.readEvents, t.readDomains,
	} {
		if err := read(); err != nil {
			t.failures++
			t.agent.log.Error("counters can't be read", "error", err)
			return // what was not read keeps its last value
		}
	}
	for k, s := range t.live {
		if s.round != t.round {
			s.series.Remove()
			delete(t.live, k)
		}
	}
	if t.most = max(t.most, len(t.live)); t.most > 1024 && len(t.live) < t.most/4 {
		live := make(map[seriesKey]*liveSeries, len(t.live)) // maps don't shrink
		maps.Copy(live, t.live)
		t.live, t.pairs, t.most = live, nil, len(live)
	}
}

// readStreams adds up the streams of each group; no group stands for streams
// that had no room.
func (t *seriesTable) readStreams() error {
	groups := map[bpf.GroupKey]*bpf.Stream{}
	err := t.agent.dp.EachStream(func(s bpf.Stream) {
		k := bpf.GroupKey{Domain: s.Domain, VLAN: s.VLAN, Group: s.Group}
		sum := groups[k]
		if sum == nil {
			sum = &bpf.Stream{}
			groups[k] = sum
		}
		sum.Packets += s.Packets
		sum.Bytes += s.Bytes
		sum.Copies += s.Copies
		sum.CopyBytes += s.CopyBytes
		if s.Source.IsValid() {
			t.set(seriesKey{family: redact.SourcePackets, group: k, source: s.Source}, s.Packets)
			t.set(seriesKey{family: redact.SourceBytes, group: k, source: s.Source}, s.Bytes)
		}
	})
	for k, sum := range groups {
		if !k.Group.IsValid() && sum.Packets == 0 {
			continue
		}
		t.nameGroup(k)
		t.set(seriesKey{family: redact.GroupPackets, group: k}, sum.Packets)
		t.set(seriesKey{family: redact.GroupBytes, group: k}, sum.Bytes)
		t.set(seriesKey{family: redact.GroupCopies, group: k}, sum.Copies)
		t.set(seriesKey{family: redact.GroupCopyBytes, group: k}, sum.CopyBytes)
	}
	return err
}

// nameGroup shows what the group is called, if that may leave.
func (t *seriesTable) nameGroup(k bpf.GroupKey) {
	name := t.agent.groupNames.of(k.Group)
	if name == "" {
		return
	}
	key := seriesKey{family: redact.GroupInfo, group: k, words: [3]string{name}}
	if t.live[key] == nil && !t.agent.deps.showsName(k.Group, name) {
		return
	}
	t.set(key, 1)
}

// readPairs reads what was handed to ports; no group stands for what was
// flooded.
func (t *seriesTable) readPairs() (err error) {
	if t.pairs, err = t.agent.dp.PairCounts(t.pairs[:0]); err != nil {
		return err
	}
	for _, p := range t.pairs {
		if !p.Key.Group.IsValid() && p.Copies == 0 {
			continue
		}
		t.set(seriesKey{family: redact.PortCopies, group: p.Key, port: p.Port}, p.Copies)
		t.set(seriesKey{family: redact.PortCopyBytes, group: p.Key, port: p.Port}, p.Bytes)
	}
	return nil
}

func (t *seriesTable) readDrops() error {
	err := t.agent.dp.EachDrop(func(d bpf.DropCount) {
		if d.Packets == 0 {
			return
		}
		words := [3]string{d.Reason.String()}
		t.set(seriesKey{family: redact.Drops, group: d.Key, words: words}, d.Packets)
		t.set(seriesKey{family: redact.DropBytes, group: d.Key, words: words}, d.Bytes)
	})
	if err != nil {
		return err
	}
	return t.agent.dp.EachFailure(func(f bpf.FailureCount) {
		if f.Packets > 0 {
			t.set(seriesKey{family: redact.CopyFailures, group: f.Key, port: f.Port, words: [3]string{f.Reason.String()}}, f.Packets)
		}
	})
}

func (t *seriesTable) readPorts() error {
	ports, err := t.agent.dp.Tables.Ports()
	if err != nil {
		return err
	}
	for ifindex, p := range ports {
		c, err := t.agent.dp.PortCount(p.Index)
		if err != nil {
			return err
		}
		for v, n := range c.Verdicts {
			t.set(seriesKey{family: redact.PacketsSeen, port: ifindex, words: [3]string{bpf.Verdict(v).String()}}, n)
		}
		if c.ControlLost > 0 {
			k := seriesKey{family: redact.IGMPErrors, port: ifindex, words: [3]string{"ring_full"}}
			k.group.Domain = p.Domain
			t.set(k, c.ControlLost)
		}
	}
	return nil
}

func (t *seriesTable) readTables() error {
	uses, err := t.agent.dp.TableUses()
	if err != nil {
		return err
	}
	for _, u := range uses {
		words := [3]string{u.Table}
		t.set(seriesKey{family: redact.TableEntries, words: words}, uint64(u.Entries))
		t.set(seriesKey{family: redact.TableCapacity, words: words}, uint64(u.Capacity))
		t.set(seriesKey{family: redact.TableRefused, words: words}, u.Refused)
	}
	return nil
}

func (t *seriesTable) readEvents() error {
	p := t.agent.pipe
	counts, err := t.agent.dp.EventCounts()
	if err != nil {
		return err
	}
	made := p.produced(counts)
	for _, kind := range bpf.Kinds() {
		t.set(seriesKey{family: redact.EventsProduced, words: [3]string{kind.String()}}, made[kind])
	}
	for at, n := range p.losses(counts) {
		t.set(seriesKey{family: redact.EventsLost, words: [3]string{at.Stage, at.Reason}}, n)
	}
	sinks, err := p.sinks()
	for i := range sinks {
		t.setSink(&sinks[i])
	}
	return err
}

// setSink shows one exporter's part of the loss equation.
func (t *seriesTable) setSink(s *SinkStatus) {
	for at, n := range s.Lost {
		t.set(seriesKey{family: redact.SinkLost, words: [3]string{s.Name, at.Stage, at.Reason}}, n)
	}
	for outcome, n := range map[string]uint64{"delivered": s.Delivered, "filtered": s.Filtered, "lost": s.TotalLost()} {
		t.set(seriesKey{family: redact.SinkEvents, words: [3]string{s.Name, outcome}}, n)
	}
	name := [3]string{s.Name}
	t.set(seriesKey{family: redact.SinkRecovered, words: name}, s.Recovered)
	t.set(seriesKey{family: redact.SinkWaiting, words: name}, s.Waiting)
	t.get(seriesKey{family: redact.SinkLag, words: name}).SetFloat(s.LagSeconds)
	t.set(seriesKey{family: redact.SinkRetries, words: name}, s.Retries)
	failing := uint64(0)
	if s.Failing {
		failing = 1
	}
	t.set(seriesKey{family: redact.SinkFailing, words: name}, failing)
	if s.SpoolMax > 0 {
		t.set(seriesKey{family: redact.SpoolBytes, words: name}, uint64(s.SpoolBytes))
		t.set(seriesKey{family: redact.SpoolCapacity, words: name}, uint64(s.SpoolMax))
	}
}

// readDomains reads what the membership tables hold.
func (t *seriesTable) readDomains() error {
	a := t.agent
	a.mu.Lock()
	defer a.mu.Unlock()
	wall := time.Now().Add(-bpf.Now())
	t.set(seriesKey{family: redact.TableRefused, words: [3]string{"pairs"}}, a.tablesFull)
	t.set(seriesKey{family: redact.TableRefused, words: [3]string{"ports"}}, a.portsRefused)
	t.set(seriesKey{family: redact.TableRefused, words: [3]string{"members"}}, a.membersRefused)
	for ifindex, p := range a.ports {
		if p.unsent > 0 {
			k := seriesKey{family: redact.IGMPErrors, port: ifindex, words: [3]string{"query_not_sent"}}
			k.group.Domain = p.domain.id
			t.set(k, p.unsent)
		}
	}
	for _, d := range a.domains {
		k := seriesKey{family: redact.PortAttachFailures}
		k.group.Domain = d.id
		t.set(k, a.attachFailures[d.cfg.Name])
		for g := range d.table.Groups() {
			t.nameGroup(d.key(g.GroupKey))
			t.set(seriesKey{family: redact.GroupMembers, group: d.key(g.GroupKey)}, uint64(g.Members))
		}
		for id, s := range d.table.Stats().Ports {
			k := seriesKey{port: uint32(id)}
			k.group.Domain = d.id
			for kind, n := range s.Messages {
				k.family, k.words = redact.IGMPMessages, [3]string{kind.Type, kind.Version}
				t.set(k, n)
			}
			for reason, n := range s.Flagged {
				s.Errors[reason] += n
			}
			k.family = redact.IGMPErrors
			for reason, n := range s.Errors {
				k.words = [3]string{reason}
				t.set(k, n)
			}
			k.family = redact.IGMPRecordErrors
			for reason, n := range s.Records {
				k.words = [3]string{reason}
				t.set(k, n)
			}
		}
		for _, v := range d.table.VLANs() {
			v4, v6 := d.table.QuerierState(v)
			t.setQuerier(d, v, "igmp", v4, wall)
			t.setQuerier(d, v, "mld", v6, wall)
		}
	}
	return nil
}

// setQuerier shows who asks for members; wall is when the agent's clock began.
func (t *seriesTable) setQuerier(d *domain, v snoop.VLAN, protocol string, q snoop.Querier, wall time.Time) {
	k := seriesKey{family: redact.QuerierKnown, words: [3]string{protocol}}
	k.group.Domain, k.group.VLAN = d.id, bpf.VLAN(v)
	known := uint64(1)
	if q.State == snoop.QuerierNone {
		known = 0
	}
	t.set(k, known)
	if !q.Address.IsValid() {
		return
	}
	k.family, k.source, k.words = redact.QuerierInfo, q.Address, [3]string{q.State.String()}
	t.set(k, 1)
	k.family, k.words = redact.QuerierLastSeen, [3]string{}
	t.get(k).SetFloat(float64(wall.Add(q.LastSeen).UnixNano()) / 1e9)
}
