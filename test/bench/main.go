// Command bench compares fanlight with what the kernel offers for the same:
// the bridge with snooping, multicast routing and tc mirred. Each gets the same
// network in namespaces of its own; all send in turn, round by round, and
// receivers count. It then measures what counting costs, and how fast events
// get from the ring to a file.
//
// It needs root, a few hundred namespaces and about three minutes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	p := fullPlan()
	quick := flag.Bool("quick", false, "measure little, to see that all of it works")
	flag.IntVar(&p.rounds, "rounds", p.rounds, "rounds per cell")
	flag.DurationVar(&p.limit, "limit", p.limit, "time after which fewer rounds are made; 0 for none")
	flag.DurationVar(&p.burst, "burst", p.burst, "time that each mechanism sends in a round")
	flag.Uint64Var(&p.packets, "packets", p.packets, "most packets to send in all")
	flag.Parse()
	if *quick {
		p = quickPlan()
	}
	if err := run(ctx, p, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func fullPlan() plan {
	return plan{
		fanouts: []int{1, 4, 16, 64}, sizes: []int{64, 1400}, arrivals: arrivalsOf,
		rounds: 15, limit: 130 * time.Second, burst: 7 * time.Millisecond, packets: 20_000_000, runs: 2000, ring: 1 << 24,
	}
}

func quickPlan() plan {
	return plan{
		fanouts: []int{1, 4}, sizes: []int{64}, arrivals: arrivalsOf,
		rounds: 1, burst: 5 * time.Millisecond, packets: 1_000_000, runs: 100, ring: 1 << 18,
	}
}

// run prints every table and ends with the first thing that is wrong.
func run(ctx context.Context, p plan, out io.Writer) error {
	if err := cleanStale(); err != nil {
		return err
	}
	if err := compareMechanisms(ctx, p, out); err != nil {
		return err
	}
	return measureEvents(ctx, p, out)
}

func compareMechanisms(ctx context.Context, p plan, out io.Writer) (err error) {
	b, err := newTestbed(ctx, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	for _, a := range p.arrivals {
		cells, err := b.measure(ctx, a)
		if err != nil {
			return err
		}
		printCells(out, a, cells)
	}
	if err := b.fanlight.checkCounts(); err != nil {
		return fmt.Errorf("fanlight's counters differ from the sinks: %w", err)
	}
	fmt.Fprintf(out, "\nfanlight's counters agree with the sinks, to the datagram and the byte.\n")
	// From here on programs run that count nothing, or deliver nothing.
	counting, err := b.measureBookkeeping(ctx, out)
	if err != nil {
		return err
	}
	if err := b.measureTax(ctx, out, counting); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d packets were sent.\n", b.sent)
	return nil
}
