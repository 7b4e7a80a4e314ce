package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
)

// plan says what to measure.
type plan struct {
	fanouts  []int
	sizes    []int // of frames, in bytes
	arrivals []arrival
	rounds   int           // fewer if time runs out, but three at least
	limit    time.Duration // for all of it
	burst    time.Duration // about how long each mechanism sends, twice a round
	packets  uint64        // never sends more in all
	runs     int           // of a program, each time it is measured
	ring     int           // bytes, of the ring that events are read from
}

// routed is how many ports the mechanisms can serve that are not fanlight and
// not the bridge: multicast routing has 32 interfaces, tc 32 actions.
const routed = 31

// testbed is one fabric of each mechanism.
type testbed struct {
	fanlight *product
	floor    *fabric // no replication
	others   []*fabric
	plan     plan
	sent     uint64
}

func newTestbed(ctx context.Context, p plan) (_ *testbed, err error) {
	few := slices.DeleteFunc(slices.Clone(p.fanouts), func(n int) bool { return n > routed })
	most := slices.Max(p.fanouts)
	b := &testbed{fanlight: &product{}, plan: p}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	if b.floor, err = newFabric(ctx, "floor", 0, installNothing); err != nil {
		return nil, err
	}
	if _, err = newFabric(ctx, "fanlight", most, b.fanlight.install(bpf.DefaultSettings(), plainGroups(p.fanouts))); err != nil {
		return nil, err
	}
	for _, m := range []struct {
		name    string
		fanouts []int
		install func([]int) func(context.Context, *fabric) error
	}{
		{"bridge", p.fanouts, installBridge},
		{"ip_mroute", few, installMroute},
		{"mirred", few, installMirred},
	} {
		if len(m.fanouts) == 0 {
			continue
		}
		f, err := newFabric(ctx, m.name, slices.Max(m.fanouts), m.install(m.fanouts))
		if err != nil {
			return nil, err
		}
		b.others = append(b.others, f)
	}
	return b, nil
}

// Close removes all networks.
func (b *testbed) Close() error {
	var errs []error
	for _, f := range append([]*fabric{b.floor, b.fanlight.fabric}, b.others...) {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// all lists the fabrics that can serve a fanout; the floor is not among them.
func (b *testbed) all(a arrival, fanout int) []*fabric {
	list := []*fabric{b.fanlight.fabric}
	for _, f := range b.others {
		// Multicast routing loses merged packets that must not be fragmented.
		if len(f.sinks) >= fanout && !(a.gro && f.name == "ip_mroute") {
			list = append(list, f)
		}
	}
	return list
}

// A cell is one way of sending to one number of ports.
type cell struct {
	arrival arrival
	size    int
	fanout  int
	count   int     // datagrams in each burst
	rounds  []round // kept ones
	thrown  int
}

// A round has one burst of each mechanism, one right after the other.
type round struct {
	floor float64            // ns per packet without replication
	took  map[string]float64 // ns per delivered datagram, by mechanism
	lost  map[string]float64 // share of the wanted copies that did not arrive
}

var errPacketLimit = errors.New("limit of packets reached")

// measure fills the cells of one way of arrival, round by round, so that each
// cell sees the whole time.
func (b *testbed) measure(ctx context.Context, a arrival) ([]*cell, error) {
	deadline := time.Now().Add(b.plan.limit / 4) // three ways of arrival, and the rest
	for _, f := range append([]*fabric{b.floor, b.fanlight.fabric}, b.others...) {
		if err := f.prepare(a); err != nil {
			return nil, err
		}
	}
	var cells []*cell
	for _, size := range b.plan.sizes {
		for _, fanout := range b.plan.fanouts {
			c := &cell{arrival: a, size: size, fanout: fanout}
			if err := b.calibrate(c); err != nil {
				return nil, err
			}
			cells = append(cells, c)
		}
	}
	for n := range b.plan.rounds {
		if b.plan.late(n, deadline) {
			break
		}
		for _, c := range cells {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := b.round(c, n); err != nil {
				return cells, err
			}
		}
	}
	for _, c := range cells {
		c.throwAway()
	}
	return cells, nil
}

// late reports whether a measurement that has done n rounds must end.
func (p plan) late(n int, deadline time.Time) bool {
	const least = 3
	return n >= least && p.limit > 0 && time.Now().After(deadline)
}

// calibrate finds how many datagrams the bridge takes the burst's time for, and
// warms everything up.
func (b *testbed) calibrate(c *cell) error {
	const few = 640
	c.count = few
	for _, f := range b.all(c.arrival, c.fanout) {
		got, err := b.burst(f, c)
		if err != nil {
			return err
		}
		if f.name == "bridge" {
			perPacket := float64(got.took) / float64(got.sent)
			c.count = max(640, int(float64(b.plan.burst)/perPacket))
		}
	}
	return nil
}

func (b *testbed) burst(f *fabric, c *cell) (burst, error) {
	got, err := f.send(c.arrival, c.fanout, c.size, c.count)
	b.sent += got.sent
	if err == nil && b.plan.packets > 0 && b.sent > b.plan.packets {
		return got, fmt.Errorf("%w: %d", errPacketLimit, b.plan.packets)
	}
	return got, err
}

// round measures each mechanism twice, there and back again, so that a drift of
// the machine hits all alike. Each round begins with another mechanism.
func (b *testbed) round(c *cell, n int) error {
	r := round{took: map[string]float64{}, lost: map[string]float64{}}
	floor, err := b.burst(b.floor, c)
	if err != nil {
		return err
	}
	r.floor = floor.perDelivery()
	list := b.all(c.arrival, c.fanout)
	sums := make([]burst, len(list))
	for i := range 2 * len(list) {
		at := (n + min(i, 2*len(list)-1-i)) % len(list)
		got, err := b.burst(list[at], c)
		if err != nil {
			return err
		}
		sums[at] = sums[at].plus(got)
	}
	for i, f := range list {
		r.took[f.name] = sums[i].perDelivery()
		r.lost[f.name] = 1 - float64(sums[i].delivered)/float64(sums[i].sent*uint64(c.fanout))
	}
	c.rounds = append(c.rounds, r)
	return nil
}

// throwAway drops the rounds in which even sending alone was slow: the machine
// was busy with something else.
func (c *cell) throwAway() {
	const tolerance = 1.5
	best := slices.MinFunc(c.rounds, func(a, b round) int {
		if a.floor < b.floor {
			return -1
		}
		return 1
	}).floor
	n := len(c.rounds)
	c.rounds = slices.DeleteFunc(c.rounds, func(r round) bool { return r.floor > tolerance*best })
	c.thrown = n - len(c.rounds)
}

// ratio is how many times as fast as another mechanism fanlight delivers, round
// by round.
func (c *cell) ratio(other string) spread {
	var ratios []float64
	for _, r := range c.rounds {
		if took, ok := r.took[other]; ok {
			ratios = append(ratios, took/r.took["fanlight"])
		}
	}
	return spreadOf(ratios)
}

// median is the middle time per delivered datagram of a mechanism, in ns.
func (c *cell) median(mechanism string) float64 {
	var took []float64
	for _, r := range c.rounds {
		if t, ok := r.took[mechanism]; ok {
			took = append(took, t)
		}
	}
	return spreadOf(took).median
}

// lost is the largest share of copies that a mechanism lost in a round.
func (c *cell) lost(mechanism string) (most float64) {
	for _, r := range c.rounds {
		most = max(most, r.lost[mechanism])
	}
	return most
}
