package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
)

// count is datagrams and bytes.
type count struct{ Packets, Bytes uint64 }

type portCount struct{ Seen, Forwarded, Passed, Dropped, Control, ControlLost uint64 }

type streamCount struct{ Packets, Bytes, Copies, CopyBytes, Failures uint64 }

// state is everything that the kernel side counts. As a difference, it holds
// only what changed.
type state struct {
	Ports    map[string]portCount   // by interface; "unknown" has index 0
	Drops    map[string]count       // "reason group"
	Streams  map[string]streamCount // "source>group"
	Pairs    map[string]count       // "group port"
	Failures map[string]count       // "reason group port"
	Full     map[string]uint64      // table
	Produced map[string]uint64      // events by kind
}

func addrName(a netip.Addr) string {
	if !a.IsValid() {
		return "*"
	}
	return a.String()
}

func groupName(k GroupKey) string {
	name := addrName(k.Group)
	if k.Domain != 0 {
		name = fmt.Sprintf("d%d:%s", k.Domain, name)
	}
	if k.VLAN != 0 {
		name += "@" + k.VLAN.String()
	}
	return name
}

func (r *rig) state(t testing.TB) state {
	t.Helper()
	s := state{
		Ports: map[string]portCount{}, Drops: map[string]count{}, Streams: map[string]streamCount{},
		Pairs: map[string]count{}, Failures: map[string]count{}, Full: map[string]uint64{}, Produced: map[string]uint64{},
	}
	for i := range len(r.ports) {
		name := "unknown"
		if i > 0 {
			name = r.ports[i].Port.Name
		}
		c, err := r.d.PortCount(uint32(i))
		if err != nil {
			t.Fatal(err)
		}
		s.Ports[name] = portCount{
			Seen: c.Seen, Control: c.Control, ControlLost: c.ControlLost,
			Forwarded: c.Verdicts[wireVerdictVERDICT_FORWARDED],
			Passed:    c.Verdicts[wireVerdictVERDICT_PASSED],
			Dropped:   c.Verdicts[wireVerdictVERDICT_DROPPED],
		}
	}
	pairs, err := r.d.PairCounts(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pairs {
		s.Pairs[groupName(p.Key)+" "+r.Interface(p.Port)] = count{p.Copies, p.Bytes}
	}
	err = errors.Join(
		r.d.EachDrop(func(c DropCount) {
			s.Drops[c.Reason.String()+" "+groupName(c.Key)] = count{c.Packets, c.Bytes}
		}),
		r.d.EachFailure(func(c FailureCount) {
			s.Failures[c.Reason.String()+" "+groupName(c.Key)+" "+r.Interface(c.Port)] = count{c.Packets, c.Bytes}
		}),
		r.d.EachStream(func(c Stream) {
			name := addrName(c.Source) + ">" + groupName(GroupKey{c.Domain, c.VLAN, c.Group})
			s.Streams[name] = streamCount{c.Packets, c.Bytes, c.Copies, c.CopyBytes, c.Failures}
		}),
	)
	if err != nil {
		t.Fatal(err)
	}
	uses, err := r.d.TableUses()
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range uses {
		s.Full[u.Table] = u.Refused
	}
	kinds, err := r.d.EventCounts()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		s.Produced[k.Kind.String()] = k.Produced
	}
	return s
}

// changed returns the entries of b that differ from a, as differences.
func changed[V comparable](a, b map[string]V, sub func(b, a V) V) map[string]V {
	diff := map[string]V{}
	var zero V
	for k, v := range b {
		if d := sub(v, a[k]); d != zero {
			diff[k] = d
		}
	}
	return diff
}

// since returns what changed from before to s. Counters only grow: what went
// back shows up as a huge number.
func (s state) since(before state) state {
	subCount := func(b, a count) count { return count{b.Packets - a.Packets, b.Bytes - a.Bytes} }
	subN := func(b, a uint64) uint64 { return b - a }
	return state{
		Ports: changed(before.Ports, s.Ports, func(b, a portCount) portCount {
			return portCount{
				b.Seen - a.Seen, b.Forwarded - a.Forwarded, b.Passed - a.Passed, b.Dropped - a.Dropped,
				b.Control - a.Control, b.ControlLost - a.ControlLost,
			}
		}),
		Streams: changed(before.Streams, s.Streams, func(b, a streamCount) streamCount {
			return streamCount{
				b.Packets - a.Packets, b.Bytes - a.Bytes, b.Copies - a.Copies, b.CopyBytes - a.CopyBytes,
				b.Failures - a.Failures,
			}
		}),
		Drops:    changed(before.Drops, s.Drops, subCount),
		Pairs:    changed(before.Pairs, s.Pairs, subCount),
		Failures: changed(before.Failures, s.Failures, subCount),
		Full:     changed(before.Full, s.Full, subN),
		Produced: changed(before.Produced, s.Produced, subN),
	}
}
