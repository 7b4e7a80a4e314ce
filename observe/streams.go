package observe

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
)

// GroupKey is a group in one VLAN of an interface.
type GroupKey struct {
	VLAN  bpf.VLAN
	Group netip.Addr
}

// stream is what is remembered of a stream between two looks at the kernel.
type stream struct {
	now     bpf.Watched
	peaks   bpf.Peaks     // since the last scrape
	limit   time.Duration // without a packet, until it is silent; 0: never
	told    bool          // there are events about it
	silent  bool
	silence time.Duration // how long it lasted when it was last told
}

// groupAt is a group in one direction of an interface.
type groupAt struct {
	ifindex   uint32
	direction bpf.Direction
	GroupKey
}

func at(k bpf.WatchKey) groupAt {
	return groupAt{k.Ifindex, k.Direction, GroupKey{k.VLAN, k.Group}}
}

// look reads the kernel's counters and tells what they show. The caller holds
// o.mu.
func (o *Observer) look(now time.Duration) error {
	known := make(map[groupAt]bool, len(o.streams))
	active := map[groupAt]bool{}
	for k, s := range o.streams {
		known[at(k)] = true
		active[at(k)] = active[at(k)] || !s.silent
	}
	var idle []bpf.WatchKey
	err := o.watch.Read(func(k bpf.WatchKey, w *bpf.Watched) {
		if o.interfaces[k.Ifindex] == nil {
			return // being attached or detached
		}
		if k.Group.IsValid() && w.Packets == 0 {
			return // its first packet is being counted
		}
		s := o.streams[k]
		if s == nil {
			s = &stream{}
			o.classify(k, s)
			o.streams[k] = s
			o.tellNew(k, s, w, known[at(k)], active[at(k)])
			known[at(k)], active[at(k)] = true, true
		} else {
			o.tellChanges(k, s, w)
		}
		s.now = *w
		s.peaks.Raise(w.Peaks)
		if k.Group.IsValid() && now-w.Last > o.deps.KeepIdle {
			idle = append(idle, k)
		}
	})
	if err != nil {
		return err
	}
	for k, s := range o.streams {
		o.tellSilence(k, s, now)
	}
	for _, k := range idle {
		if err := o.forget(k); err != nil {
			return err
		}
	}
	o.advance(now)
	return o.tellFull()
}

// tellFull tells that packets found no room for their streams since the last look.
func (o *Observer) tellFull() error {
	outcomes, err := o.watch.Outcomes()
	if err != nil {
		return err
	}
	n := outcomes[bpf.WatchTableFull]
	if n > o.full {
		o.deps.Tell(bpf.Event{Kind: bpf.KindStream, Action: "refused", Reason: "table_full", Packets: n, Suppressed: n - o.full - 1})
	}
	o.full = n
	return nil
}

// event is what every event of a stream says.
func (o *Observer) event(k bpf.WatchKey, w *bpf.Watched, action string, when time.Duration) bpf.Event {
	return bpf.Event{
		Kind: bpf.KindStream, Action: action, Time: wall(when),
		VLAN: k.VLAN, Source: k.Source, Group: k.Group,
		Interface: o.interfaces[k.Ifindex].name, Direction: k.Direction.String(),
		Packets: w.Packets, Bytes: w.Bytes, TTL: w.TTL, DSCP: w.DSCP,
	}
}

// wall turns a kernel time into one of the calendar.
func wall(at time.Duration) time.Time { return time.Now().Add(at - bpf.Now()) }

// classify says what is told of a stream. Of an entry for all there is nothing.
func (o *Observer) classify(k bpf.WatchKey, s *stream) {
	if !k.Group.IsValid() {
		return
	}
	s.limit = o.limits.of(k.Group)
	s.told = s.limit > 0 || !isLinkLocal(k.Group)
}

// tellNew tells of a stream's first packet: of a new group, or of another source
// beside or after those that it had.
func (o *Observer) tellNew(k bpf.WatchKey, s *stream, w *bpf.Watched, known, active bool) {
	if !s.told {
		return
	}
	action := "first"
	switch {
	case active:
		action = "source_added"
	case known:
		action = "source_changed"
	}
	o.deps.Tell(o.event(k, w, action, w.First))
}

// tellChanges compares what was with what is.
func (o *Observer) tellChanges(k bpf.WatchKey, s *stream, w *bpf.Watched) {
	if !s.told {
		return
	}
	if n := w.TTLChanges - s.now.TTLChanges; n > 0 {
		ev := o.event(k, w, "ttl_changed", w.TTLChanged)
		ev.PrevTTL, ev.Suppressed = w.OldTTL, uint64(n-1)
		o.deps.Tell(ev)
	}
	if n := w.DSCPChanges - s.now.DSCPChanges; n > 0 {
		ev := o.event(k, w, "dscp_changed", w.DSCPChanged)
		ev.PrevDSCP, ev.Suppressed = w.OldDSCP, uint64(n-1)
		o.deps.Tell(ev)
	}
	if s.silent && w.Last > s.now.Last {
		s.silent = false
		ev := o.event(k, w, "resumed", w.Last)
		ev.SilenceNS = uint64(max(w.Peaks.Gap, s.silence))
		o.deps.Tell(ev)
	}
}

// tellSilence tells once that nothing came for as long as the group may be quiet.
func (o *Observer) tellSilence(k bpf.WatchKey, s *stream, now time.Duration) {
	quiet := now - s.now.Last
	if s.limit == 0 || quiet <= s.limit || s.silent {
		return
	}
	s.silent, s.silence = true, quiet
	ev := o.event(k, &s.now, "silent", now)
	ev.SilenceNS = uint64(quiet)
	o.deps.Tell(ev)
}

// forget ends a stream that nobody sent for long; its totals stay in the sums of
// its interface.
func (o *Observer) forget(k bpf.WatchKey) error {
	last, ok, err := o.watch.Forget(k)
	if err != nil {
		return fmt.Errorf("forget: %w", err)
	}
	told := o.streams[k].told
	delete(o.streams, k)
	if !ok {
		return nil
	}
	sum := &o.interfaces[k.Ifindex].forgotten[k.Direction]
	sum.Packets += last.Packets
	sum.Bytes += last.Bytes
	if told {
		o.deps.Tell(o.event(k, &last, "ended", last.Last))
	}
	return nil
}
