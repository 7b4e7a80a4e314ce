package bpf

import (
	"errors"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

// churn changes tables at random, while packets are forwarded through them, and
// knows what must be true of them.
type churn struct {
	r     *rig
	rng   *rand.Rand
	ports []uint32                // not all of them exist
	lists map[GroupKey]Forwarding // in the table now
	sent  atomic.Uint64
	// floor is the least that each pair may count; it goes with the pair.
	floor map[pairID]uint64
}

type pairID struct {
	key  GroupKey
	port uint32
}

func idOf(p PairCount) pairID { return pairID{p.Key, p.Port} }

const churnGroups = 24

// TestChurn: chunks are neither lost nor shared, counts of returning members go
// on, and places that are given to others start from zero; under traffic, in
// random order, and through a change of agents.
func TestChurn(t *testing.T) {
	r := newRig(t, 4, func(o *Options) { o.Settings.Pairs = 256; o.Settings.Groups = 16 })
	c := &churn{r: r, rng: rand.New(rand.NewPCG(7, 7)), lists: map[GroupKey]Forwarding{}, floor: map[pairID]uint64{}}
	c.ports = r.at(2, 3, 4)
	for i := range uint32(30) {
		c.ports = append(c.ports, 5000+i) // long gone
	}
	stop := c.traffic(t)
	refused, steps := 0, 600
	if testing.Short() {
		steps = 150
	}
	for i := range steps {
		refused += c.step(t)
		if i%20 == 0 {
			accountFor(t, r.d.Tables)
			c.look(t)
		}
	}
	stop()
	if refused == 0 || c.sent.Load() == 0 {
		t.Errorf("%d refusals, %d packets: too few to mean anything", refused, c.sent.Load())
	}
	accountFor(t, r.d.Tables)
	c.look(t)
	pairs, table := r.state(t).Pairs, entries(t, r)
	r.close(t)
	r.load(t)
	accountFor(t, r.d.Tables)
	if diff := cmp.Diff(pairs, r.state(t).Pairs); diff != "" {
		t.Errorf("pairs (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(table, entries(t, r)); diff != "" {
		t.Errorf("groups (-before +after):\n%s", diff)
	}
	for range steps / 3 {
		c.step(t)
	}
	accountFor(t, r.d.Tables)
}

// traffic runs the program on packets of all groups until stop is called.
func (c *churn) traffic(t *testing.T) (stop func()) {
	var frames [][]byte
	for i := range churnGroups {
		frames = append(frames, bpftest.UDP("192.0.2.1", groupN(i), "x").Bytes(), bpftest.UDP("192.0.2.2", groupN(i), "x").Bytes())
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		c.r.ns.Enter(t)
		in := skbContext{Ifindex: c.r.ports[1].Index()}
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			c.sent.Add(1) // before: whoever sees the count may see the packet
			if _, err := c.r.d.replicate.Run(&ebpf.RunOptions{Data: frames[i%len(frames)], Context: in}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// step makes one random change and reports how many were refused.
func (c *churn) step(t *testing.T) (refused int) {
	t.Helper()
	tb := c.r.d.Tables
	k := GroupKey{Group: netip.MustParseAddr(groupN(c.rng.IntN(churnGroups)))}
	switch c.rng.IntN(10) {
	case 0:
		if err := tb.DeleteGroup(k); err != nil {
			t.Fatal(err)
		}
		delete(c.lists, k)
	case 1:
		if err := tb.ForgetPairs(k); err != nil {
			t.Fatal(err)
		}
		if _, ok := c.lists[k]; !ok {
			c.forgetFloor(func(id pairID) bool { return id.key == k })
		}
	case 2:
		c.deletePort(t, c.ports[c.rng.IntN(len(c.ports))])
	default:
		return c.set(t, k, Forwarding{Any: c.some(), Sources: []SourcePorts{
			{netip.MustParseAddr("192.0.2.2"), c.some()},
		}})
	}
	return 0
}

func (c *churn) set(t *testing.T, k GroupKey, fw Forwarding) (refused int) {
	t.Helper()
	known := map[pairID]bool{}
	for _, p := range c.pairs(t) {
		known[idOf(p)] = true
	}
	before := c.sent.Load()
	_, err := c.r.d.Tables.SetGroup(k, fw)
	if errors.Is(err, ErrTableFull) {
		return 1
	}
	if err != nil {
		t.Fatal(err)
	}
	c.lists[k] = fw
	pairs := c.pairs(t)
	for _, p := range pairs {
		if most := c.sent.Load() - before; !known[idOf(p)] && p.Copies > most {
			t.Fatalf("new pair %v counts %d copies, at most %d packets were sent", idOf(p), p.Copies, most)
		}
	}
	return 0
}

// deletePort takes a port out of every list, and then away.
func (c *churn) deletePort(t *testing.T, port uint32) {
	t.Helper()
	without := func(list []uint32) []uint32 {
		return slices.DeleteFunc(slices.Clone(list), func(p uint32) bool { return p == port })
	}
	for k, fw := range c.lists {
		fw.Any = without(fw.Any)
		fw.Sources = slices.Clone(fw.Sources)
		for i := range fw.Sources {
			fw.Sources[i].Ports = without(fw.Sources[i].Ports)
		}
		if c.set(t, k, fw) > 0 {
			t.Fatalf("a shorter list of group %v was refused", k)
		}
	}
	flood := without(c.r.all())
	c.r.setDomain(t, Domain{Unregistered: DropUnregistered, Flood: flood})
	if err := c.r.d.Tables.DeletePort(port); err != nil {
		t.Fatal(err)
	}
	c.forgetFloor(func(id pairID) bool { return id.port == port })
}

func (c *churn) forgetFloor(gone func(pairID) bool) {
	maps.DeleteFunc(c.floor, func(id pairID, _ uint64) bool { return gone(id) })
}

// look checks that no pair that stayed counts less than before.
func (c *churn) look(t *testing.T) {
	t.Helper()
	for _, p := range c.pairs(t) {
		id := idOf(p)
		if floor := c.floor[id]; p.Copies < floor || p.Copies > 1<<40 {
			t.Fatalf("pair %v counts %d copies, had %d", id, p.Copies, floor)
		}
		c.floor[id] = p.Copies
	}
}

func (c *churn) pairs(t *testing.T) []PairCount {
	t.Helper()
	pairs, err := c.r.d.PairCounts(nil)
	if err != nil {
		t.Fatal(err)
	}
	return pairs
}

func (c *churn) some() (ports []uint32) {
	for range c.rng.IntN(20) {
		ports = append(ports, c.ports[c.rng.IntN(len(c.ports))])
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}
