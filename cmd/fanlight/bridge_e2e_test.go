package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

var (
	differSteps = flag.Int("differ-steps", 40, "how many changes the comparison with the Linux bridge makes")
	differSeed  = flag.Uint64("differ-seed", 2, "and where its random changes start; 0 picks one")
)

// differGroups are compared, each with a MAC of its own: any-source and source-specific ones of both families.
var differGroups = []struct {
	addr netip.Addr
	ssm  bool
}{
	{netip.MustParseAddr("239.1.1.1"), false},
	{netip.MustParseAddr("239.1.1.2"), false},
	{netip.MustParseAddr("232.1.1.9"), true},
	{netip.MustParseAddr("ff15::1"), false},
	{netip.MustParseAddr("ff3e::1:1"), true},
}

var differHosts = []string{"h1", "h2", "h3", "old"}
var differSources = []string{"s1", "s2"}

// filter is what a host asked for: its mode and the names of sources, in order.
// The zero filter asks for nothing.
type filter struct {
	Include bool
	Sources string
}

var (
	nothing    = filter{Include: true}
	everything = filter{}
)

func (f filter) wants(source string) bool { return strings.Contains(f.Sources, source) == f.Include }

// wishes are what the hosts asked for, and the sources that were ever named.
type wishes struct {
	asked map[string]filter // by host and group: the sockets
	now   map[string]filter // what hosts made known of that
	named map[string]bool   // by group and source, and by host, group and source
	late  map[string]bool   // groups that the bridge still gives to the old host
	// queried: there was a query from 0.0.0.0.
	queried bool
}

func (w *wishes) set(host, group string, f filter) {
	w.asked[host+group], w.now[host+group] = f, f
	for _, s := range differSources {
		if strings.Contains(f.Sources, s) {
			w.named[group+s], w.named[host+group+s] = true, true
		}
	}
}

// bridgeDiffers lists where the bridge does not do what hosts ask for, and
// fanlight does. What is covered is not compared with the bridge.
var bridgeDiffers = []struct {
	why    string
	covers func(host, group, source string, w *wishes) bool
}{
	{
		why: "The bridge puts a port with a host of IGMPv2 or MLDv1 into (*,G) alone. Once another port has named a source " +
			"of the group there is an (S,G) entry for it, while its timer runs, and the old host misses that source. " +
			"RFC 4541 section 2.1.2 and RFC 9776 section 6.3 want the union.",
		covers: func(host, group, source string, w *wishes) bool {
			return host == "old" && w.named[group+source]
		},
	},
	{
		why: "The bridge takes whoever queries from 0.0.0.0 for the querier, and then leaves it to that one to ask who is left " +
			"after an IGMPv2 leave: the old host stays until it ages. RFC 4541 section 2.1.1 (1) wants no election of 0.0.0.0.",
		covers: func(host, group, _ string, w *wishes) bool {
			return host == "old" && w.late[group]
		},
	},
	{
		why: "Seen on 6.18: a host that excluded a source and no longer does loses its place in the (S,G) entry with its next " +
			"current-state record, and misses the source as long as another port keeps that entry. RFC 9776 section 6.3 wants the union.",
		covers: func(host, group, source string, w *wishes) bool {
			f := w.now[host+group]
			return !f.Include && f.wants(source) && w.named[host+group+source]
		},
	},
}

// excused takes out of deliveries what the bridge is known to do otherwise.
func excused(deliveries map[string]uint64, w *wishes) map[string]uint64 {
	rest := map[string]uint64{}
	for k, n := range deliveries {
		rest[k] = n
	}
	for _, d := range bridgeDiffers {
		for _, h := range differHosts {
			for _, g := range differGroups {
				for _, s := range differSources {
					if d.covers(h, g.addr.String(), s, w) {
						delete(rest, h+g.addr.String()+" from "+s)
					}
				}
			}
		}
	}
	return rest
}

// fabric is one of the two networks with its receivers and counters.
type fabric struct {
	*lab.Net
	receivers map[string]*lab.Receiver // by host and group
	counters  map[string]*lab.FrameCounter
	raw       map[string]*lab.RawConn
}

func newFabric(t *testing.T) *fabric {
	t.Helper()
	hosts := labtest.Hosts(append(slices.Clone(differSources), differHosts...)...)
	hosts[len(hosts)-1].IGMPVersion, hosts[len(hosts)-1].MLDVersion = 2, 1
	f := &fabric{Net: labtest.New(t, hosts...), receivers: map[string]*lab.Receiver{}, counters: map[string]*lab.FrameCounter{}, raw: map[string]*lab.RawConn{}}
	return f
}

func (f *fabric) open(t *testing.T) {
	t.Helper()
	var err error
	for _, h := range differHosts {
		for _, g := range differGroups {
			cfg := lab.ListenConfig{Group: g.addr, Port: 5000, Idle: true}
			if g.ssm {
				cfg.Sources = []netip.Addr{f.address("s1", g.addr)}
			}
			if f.receivers[h+g.addr.String()], err = f.Host(h).Listen(cfg); err != nil {
				t.Fatal(err)
			}
			key := h + g.addr.String()
			if f.counters[key], err = f.Host(h).CountFrames("", to(g.addr)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, s := range differSources {
		if f.raw[s], err = f.Host(s).Raw(""); err != nil {
			t.Fatal(err)
		}
	}
}

// to keeps datagrams to the group.
func to(group netip.Addr) func([]byte) bool {
	mac := frame.GroupMAC(group)
	return func(b []byte) bool { return isData(b) && [6]byte(b) == mac }
}

func (f *fabric) address(source string, group netip.Addr) netip.Addr {
	if group.Is4() {
		return f.Host(source).Addr4
	}
	return f.Host(source).Addr6
}

// change makes a receiver ask for next instead of was.
func (f *fabric) change(host string, group netip.Addr, ssm bool, was, next filter) error {
	r := f.receivers[host+group.String()]
	s2 := f.address("s2", group)
	var sources []netip.Addr
	for _, s := range differSources {
		if strings.Contains(next.Sources, s) {
			sources = append(sources, f.address(s, group))
		}
	}
	switch {
	case was == next:
		return nil
	case next == nothing:
		return r.Leave()
	case ssm && was == nothing:
		err := r.Join()
		if len(sources) == 2 {
			err = errors.Join(err, r.AddSource(s2))
		}
		return err
	case ssm && len(sources) == 2:
		return r.AddSource(s2)
	case ssm:
		return r.DropSource(s2)
	case was == nothing:
		if err := r.Join(); err != nil || next == everything {
			return err
		}
	}
	return r.SetFilter(next.Include, sources...)
}

// probe sends one datagram from each source to each group, and returns which of
// them each host got more of.
func (f *fabric) probe(t *testing.T) map[string]uint64 {
	t.Helper()
	before := map[string]uint64{}
	for k, c := range f.counters {
		before[k] = c.Count().Frames
	}
	got := map[string]uint64{}
	for _, s := range differSources {
		for _, g := range differGroups {
			b := frame.MulticastUDP(frame.MAC(f.Host(s).MAC), netip.AddrPortFrom(f.address(s, g.addr), 4000), netip.AddrPortFrom(g.addr, 5000), lab.Payload(1, 1, 32))
			if _, err := f.raw[s].Write(b); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.WaitQuiet(soon(t), 20*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		for k, c := range f.counters {
			if n := c.Count().Frames; n > before[k] {
				got[k+" from "+s] += n - before[k]
				before[k] = n
			}
		}
	}
	return got
}

// TestSameAsTheBridge makes random changes on two networks, one forwarded by
// fanlight and one by the Linux bridge, and compares who gets what and who is a
// member after each. Both must agree with what the hosts asked for.
func TestSameAsTheBridge(t *testing.T) {
	seed := *differSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("-differ-seed=%d", seed)
	ours, theirs := newFabric(t), newFabric(t)
	a := startAgent(t, ours.Net, "querier: {mode: on, query_interval: 20s, query_response_interval: 100ms, last_member_query_interval: 100ms}")
	bridge, err := theirs.Bridge(t.Context(), lab.BridgeConfig{Snooping: true, Querier: true})
	if err != nil {
		t.Fatal(err)
	}
	ours.open(t)
	theirs.open(t)
	for _, f := range []*fabric{ours, theirs} {
		untilSilent(t, f)
	}
	w := &wishes{asked: map[string]filter{}, now: map[string]filter{}, named: map[string]bool{}, late: map[string]bool{}}
	for _, h := range differHosts {
		for _, g := range differGroups {
			w.set(h, g.addr.String(), nothing)
		}
	}
	var history []string
	for range *differSteps {
		step := random.IntN(10)
		if step == 0 {
			history = append(history, "query")
			w.queried = true
			for _, f := range []*fabric{ours, theirs} {
				f.query(t)
			}
		} else {
			h, g := differHosts[random.IntN(len(differHosts))], differGroups[random.IntN(len(differGroups))]
			if h == "old" && g.ssm {
				continue // hosts of old versions have no SSM
			}
			was, next := w.asked[h+g.addr.String()], pick(random, h == "old", g.ssm)
			history = append(history, fmt.Sprintf("%s %s: %+v -> %+v", h, g.addr, was, next))
			if h == "old" && next == nothing && was != nothing {
				ours.untilReporter(t, h, g.addr)
				theirs.untilReporter(t, h, g.addr)
			}
			for _, f := range []*fabric{ours, theirs} {
				if err := f.change(h, g.addr, g.ssm, was, next); err != nil {
					t.Fatal(err)
				}
			}
			w.set(h, g.addr.String(), next)
		}
		if !agree(t, a, bridge, ours, theirs, w) {
			t.Fatalf("-differ-seed=%d, after\n%s", seed, strings.Join(history, "\n"))
		}
	}
	t.Logf("%d changes", len(history))
}

func pick(random *rand.Rand, old, ssm bool) filter {
	choices := []filter{nothing, everything, {Include: true, Sources: "s1"}, {Include: true, Sources: "s1s2"}, {Sources: "s1"}, {Sources: "s1s2"}}
	switch {
	case old:
		choices = choices[:2]
	case ssm:
		choices = []filter{nothing, choices[2], choices[3]}
	}
	return choices[random.IntN(len(choices))]
}

// query asks all hosts in the name of nobody: that elects no querier.
func (f *fabric) query(t *testing.T) {
	t.Helper()
	b := frame.IGMP{SrcMAC: frame.MAC(f.Host("s1").MAC)}.Wrap(frame.IGMPv3Query(frame.Query{MaxResp: 1, QRV: 2, QQIC: 20}))
	if _, err := f.raw["s1"].Write(b); err != nil {
		t.Fatal(err)
	}
}

// untilSilent waits until nobody gets what nobody asked for: the querier is
// ready then.
func untilSilent(t *testing.T, f *fabric) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); len(f.probe(t)) > 0; {
		if time.Now().After(deadline) {
			t.Fatal("what nobody joined is still flooded after 20 s")
		}
	}
}

// agree waits until both tables and both deliveries are what the hosts asked for.
func agree(t *testing.T, a *agent, bridge *lab.Bridge, ours, theirs *fabric, w *wishes) bool {
	t.Helper()
	var diffs [4]string
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		members, delivered := w.results()
		we, they := ourMembers(a, ours), theirMembers(t, bridge, theirs)
		if time.Until(deadline) < 3*time.Second {
			w.forgiveOldHost(we, they)
		}
		w.forgiveBridge(we, they)
		diffs = [4]string{cmp.Diff(members, we), cmp.Diff(members, they)}
		if diffs[0]+diffs[1] == "" {
			diffs[2] = cmp.Diff(delivered, ours.probe(t))
			diffs[3] = cmp.Diff(excused(delivered, w), excused(theirs.probe(t), w))
		}
		if strings.Join(diffs[:], "") == "" {
			return true
		}
		time.Sleep(5 * time.Millisecond) // between two looks
	}
	for i, what := range []string{"fanlight's members", "the bridge's members", "what fanlight delivered", "what the bridge delivered"} {
		if diffs[i] != "" {
			t.Errorf("%s (-asked for +is):\n%s", what, diffs[i])
		}
	}
	return false
}

// results returns the members that there should be, and what they should get.
func (w *wishes) results() (members map[string]filter, delivered map[string]uint64) {
	members, delivered = map[string]filter{}, map[string]uint64{}
	for k, f := range w.now {
		if f != nothing {
			members[k] = f
		}
		for _, s := range differSources {
			if f.wants(s) {
				delivered[k+" from "+s] = 1
			}
		}
	}
	return members, delivered
}

// forgiveBridge takes out of the bridge's members what the second entry of
// bridgeDiffers covers.
func (w *wishes) forgiveBridge(we, they map[string]filter) {
	for _, g := range differGroups {
		group := g.addr.String()
		_, is := we["old"+group]
		_, too := they["old"+group]
		w.late[group] = !is && too && w.asked["old"+group] == nothing && w.queried && g.addr.Is4()
		if w.late[group] {
			delete(they, "old"+group)
		}
	}
}

// forgiveOldHost believes both tables if they agree whether the old host, which
// left, is still a member: Linux sends no leave of the old versions if it has not reported the
// group since the last query, and then only age ends the membership.
func (w *wishes) forgiveOldHost(we, they map[string]filter) {
	for _, g := range differGroups {
		key := "old" + g.addr.String()
		f, is := we[key]
		g, too := they[key]
		switch {
		case w.asked[key] != nothing || is != too || f != g:
		case is:
			w.now[key] = f
		default:
			w.now[key] = nothing
		}
	}
}

// hostOf returns the host of a port.
func hostOf(port string) string { return strings.TrimPrefix(port, "p-") }

func (f *fabric) sourceNames(addrs []netip.Addr) string {
	var names string
	for _, s := range differSources {
		if slices.Contains(addrs, f.Host(s).Addr4) || slices.Contains(addrs, f.Host(s).Addr6) {
			names += s
		}
	}
	return names
}

func ourMembers(a *agent, f *fabric) map[string]filter {
	members := map[string]filter{}
	for _, m := range a.agent.Members() {
		key := hostOf(m.Interface) + m.Group.String()
		if f.receivers[key] == nil {
			continue // groups that every IPv6 host joins
		}
		include := m.FilterMode == "include"
		var sources []netip.Addr
		for _, s := range m.Sources {
			if s.Excluded != include {
				sources = append(sources, s.Address)
			}
		}
		members[key] = filter{include, f.sourceNames(sources)}
	}
	return members
}

func theirMembers(t *testing.T, b *lab.Bridge, f *fabric) map[string]filter {
	t.Helper()
	entries, err := b.MDB()
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]filter{}
	sources := map[string][]netip.Addr{}
	for _, e := range entries {
		key := hostOf(e.Port) + e.Group.String()
		if f.receivers[key] == nil {
			continue
		}
		if !e.Source.IsValid() {
			members[key] = filter{Include: e.Include}
		}
	}
	for _, e := range entries {
		key := hostOf(e.Port) + e.Group.String()
		if m, ok := members[key]; ok && e.Source.IsValid() && e.Blocked != m.Include {
			sources[key] = append(sources[key], e.Source)
		}
	}
	for key, m := range members {
		m.Sources = f.sourceNames(sources[key])
		members[key] = m
	}
	return members
}
