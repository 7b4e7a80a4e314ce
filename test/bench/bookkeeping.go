package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/cilium/ebpf"
)

// skbContext is the head of struct __sk_buff, as far as BPF_PROG_TEST_RUN takes
// it: ifindex at byte 40, the other fields must be 0.
type skbContext struct {
	_       [40]byte
	Ifindex uint32
	_       [148]byte
}

// runs repeats a program on a packet and returns the time of one run in ns.
func (f *fabric) runs(prog *ebpf.Program, message []byte, ifindex uint32, times int) (perRun float64, err error) {
	err = f.net.Switch().Do(func() error {
		unpin, err := pin()
		if err != nil {
			return err
		}
		defer unpin()
		perRun, err = benchmark(prog, message, ifindex, times)
		return err
	})
	return perRun, err
}

func benchmark(prog *ebpf.Program, message []byte, ifindex uint32, times int) (perRun float64, err error) {
	start := time.Now()
	_, err = prog.Run(&ebpf.RunOptions{Data: message, Repeat: uint32(times), Context: &skbContext{Ifindex: ifindex}})
	if err != nil {
		return 0, fmt.Errorf("run program: %w", err)
	}
	return float64(time.Since(start).Nanoseconds()) / float64(times), nil
}

// measureBookkeeping runs the datapath with a clone that does nothing, with
// counting and without, in turn. It returns what counting costs per packet in
// ns, by fanout.
func (b *testbed) measureBookkeeping(ctx context.Context, out io.Writer) (map[int]float64, error) {
	p := b.fanlight
	counted, err := p.variant(loadBookkeeping, likeShipped(nil))
	if err != nil {
		return nil, err
	}
	defer counted.Close()
	silent, err := p.variant(loadBookkeeping, likeShipped(map[string]any{"counting": uint32(0)}))
	if err != nil {
		return nil, err
	}
	defer silent.Close()
	with, without := map[int][]float64{}, map[int][]float64{}
	for range 20 * b.plan.rounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for _, fanout := range b.plan.fanouts {
			for _, v := range []struct {
				prog *ebpf.Program
				to   map[int][]float64
			}{{counted, with}, {silent, without}} {
				ns, err := p.runs(v.prog, p.frameTo(fanout, 64), p.ingress, b.plan.runs)
				if err != nil {
					return nil, err
				}
				v.to[fanout] = append(v.to[fanout], ns)
			}
		}
	}
	fmt.Fprintf(out, "\n### Bookkeeping by BPF_PROG_TEST_RUN\n\n| Ports | ns per packet | without counting | counting, per packet | per copy beyond the first |\n| ---: | --- | --- | --- | --- |\n")
	first := slices.Min(b.plan.fanouts)
	counting := map[int]float64{}
	for _, fanout := range b.plan.fanouts {
		var cost, perCopy []float64
		for i := range with[fanout] {
			cost = append(cost, with[fanout][i]-without[fanout][i])
			if fanout > first {
				perCopy = append(perCopy, (with[fanout][i]-without[fanout][i]-with[first][i]+without[first][i])/float64(fanout-first))
			}
		}
		counting[fanout] = spreadOf(cost).median
		fmt.Fprintf(out, "| %d | %v | %v | %v | %v |\n", fanout, spreadOf(with[fanout]), spreadOf(without[fanout]), spreadOf(cost), spreadOf(perCopy))
	}
	return counting, nil
}
