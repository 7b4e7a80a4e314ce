package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/cilium/ebpf"
)

// pairing is what two programs took on the same fabric, round by round.
type pairing struct {
	more  spread // share by which the second took longer
	first spread // ns per sent datagram that the first took
}

// compare sends to the fabric of fanlight with one program and the other, there
// and back again, in each round.
func (b *testbed) compare(c *cell, one, other *ebpf.Program) (pairing, error) {
	programs := []*ebpf.Program{one, other}
	var more, first []float64
	deadline := time.Now().Add(b.plan.limit / 48) // eight cells take a sixth of all
	for n := range 2 * b.plan.rounds {
		if b.plan.late(n, deadline) {
			break
		}
		var sums [2]burst
		for i := range 4 {
			at := (n + min(i, 3-i)) % 2
			if err := b.fanlight.swap(programs[at]); err != nil {
				return pairing{}, err
			}
			got, err := b.burst(b.fanlight.fabric, c)
			if err != nil {
				return pairing{}, err
			}
			sums[at] = sums[at].plus(got)
		}
		more = append(more, sums[1].perDelivery()/sums[0].perDelivery()-1)
		first = append(first, float64(sums[0].took.Nanoseconds())/float64(sums[0].sent))
	}
	return pairing{more: spreadOf(more), first: spreadOf(first)}, nil
}

// measureTax compares the shipped datapath with the same without counting and
// events. counting is what these take per packet by themselves.
func (b *testbed) measureTax(ctx context.Context, out io.Writer, counting map[int]float64) error {
	silent, err := b.fanlight.variant(loadShipped, likeShipped(map[string]any{"counting": uint32(0)}))
	if err != nil {
		return err
	}
	defer silent.Close()
	counted, err := b.fanlight.variant(loadShipped, likeShipped(nil))
	if err != nil {
		return err
	}
	defer counted.Close()
	fmt.Fprintf(out, "\n### Forwarding with counters and events, against the same without\n\n")
	fmt.Fprintf(out, "| Packets arrive | Ports | more time, in %%, paired rounds | ns per packet without | bookkeeping of that, in %% |\n| --- | ---: | --- | ---: | ---: |\n")
	for _, a := range b.plan.arrivals {
		if a.gro {
			continue // one count for up to 64 datagrams
		}
		if err := b.fanlight.prepare(a); err != nil {
			return err
		}
		for _, fanout := range b.plan.fanouts {
			if err := ctx.Err(); err != nil {
				return err
			}
			c := &cell{arrival: a, size: b.plan.sizes[0], fanout: fanout}
			if err := b.calibrate(c); err != nil {
				return err
			}
			p, err := b.compare(c, silent, counted)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "| %s | %d | %.1f (%.1f to %.1f) | %.0f | %.1f |\n", a.name, fanout,
				100*p.more.median, 100*p.more.p10, 100*p.more.p90, p.first.median, 100*counting[fanout]/p.first.median)
		}
	}
	return b.fanlight.swap(counted)
}
