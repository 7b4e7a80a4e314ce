package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/redact"
)

// errProbe marks made-up events that did not arrive.
var errProbe = errors.New("not everything arrived")

type probeOptions struct {
	path, level, output string
	count               uint64
	rate                float64
	only                []string
	wait                time.Duration
	spool               bool
}

func newProbe(e env) *cobra.Command {
	var o probeOptions
	cmd := &cobra.Command{
		Use:   "probe --config FILE",
		Short: "Send made-up events through the exporters, to see that they arrive",
		Long: `Probe opens the exporters of a configuration as 'fanlight run' does, and sends
events through filters, redaction, queues and retries to them. It needs neither
root nor an agent, touches no port, and shows each exporter's loss equation, as
'fanlight status' explains it.

The events are marked: their domain is "probe", their interface "probe0", their
source 192.0.2.1, their groups lie in 233.252.0.0/24: addresses for documentation.

Exit status 0 means that each exporter has everything that its filter lets
through, 1 that something is missing.`,
		Example: `  fanlight probe --config /etc/fanlight/fanlight.yaml
  fanlight probe --config fanlight.yaml --exporter kafka_1 --count 10000000
  fanlight probe --config fanlight.yaml --count 3000000 --rate 50000 --spool`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return runProbe(cmd.Context(), e, o) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.path, "config", "c", "", "configuration `file` (YAML)")
	f.Uint64Var(&o.count, "count", 10, "`number` of events")
	f.Float64Var(&o.rate, "rate", 0, "`events` per second, whether the exporters keep up or not; 0: as fast as they take them")
	f.StringSliceVar(&o.only, "exporter", nil, "`name` of an exporter to probe (default: all; may be repeated)")
	f.DurationVar(&o.wait, "wait", 30*time.Second, "`time` to wait for an exporter that takes nothing")
	f.BoolVar(&o.spool, "spool", false, "use the exporters' spools, too; no agent may be using them")
	f.StringVar(&o.level, "log-level", "warn", "least `level` of log lines: debug, info, warn or error")
	outputFlag(cmd, &o.output)
	return cmd
}

func (o probeOptions) validate() error {
	switch {
	case o.path == "":
		return fmt.Errorf("%w: --config FILE is needed", errUsage)
	case o.count == 0:
		return fmt.Errorf("%w: --count: want a number above 0", errUsage)
	case o.rate < 0:
		return fmt.Errorf("%w: --rate: %g is negative", errUsage, o.rate)
	case o.wait < 0:
		return fmt.Errorf("%w: --wait: %v is negative", errUsage, o.wait)
	}
	return nil
}

func runProbe(ctx context.Context, e env, o probeOptions) error {
	if err := o.validate(); err != nil {
		return err
	}
	inJSON, err := wantsJSON(o.output)
	if err != nil {
		return err
	}
	log, err := newLog(e, o.level)
	if err != nil {
		return err
	}
	cfg, err := loadConfig(o.path)
	if err != nil {
		return err
	}
	if cfg.Events, err = o.choose(cfg.Events); err != nil {
		return err
	}
	sinks, base, err := openForProbe(cfg)
	if err != nil {
		return err
	}
	outlet, err := collector.NewOutlet(base, sinks, log)
	if err != nil {
		closeSinks(sinks)
		return err
	}
	p := &probing{probeOptions: o, outlet: outlet, cfg: cfg, screen: newScreen(e.stderr)}
	err = p.run(ctx)
	status := p.status()
	if showErr := showProbe(e, status, inJSON); err == nil {
		err = showErr
	}
	return errors.Join(err, verdict(status))
}

// choose returns the exporters to probe, under the names that they have in the
// whole configuration.
func (o probeOptions) choose(all []eventConfig) (chosen []eventConfig, err error) {
	var names []string
	for i, x := range all {
		x.Name = exporterName(i, x)
		names = append(names, x.Name)
		if !o.spool {
			x.Spool.Dir = ""
		}
		if len(o.only) == 0 || slices.Contains(o.only, x.Name) {
			chosen = append(chosen, x)
		}
	}
	for _, name := range o.only {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("%w: --exporter: there is no %q; there are %s", errUsage, name, strings.Join(names, ", "))
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("%w: %s has no exporters under events", errConfig, o.path)
	}
	return chosen, nil
}

func openForProbe(cfg config) (sinks []collector.NamedSink, base *redact.Policy, err error) {
	origin, err := redact.LocalOrigin()
	if err != nil {
		return nil, nil, err
	}
	if base, err = redact.NewPolicy(cfg.Redact, origin); err != nil {
		return nil, nil, fmt.Errorf("redact: %w", err)
	}
	sinks, err = openSinks(cfg.Events, base)
	return sinks, base, err
}

// probing is made-up events on their way.
type probing struct {
	probeOptions
	outlet *collector.Outlet
	cfg    config
	sent   uint64
	first  uint64 // number of the first one
	events []bpf.Event

	screen *screen
	shown  time.Time

	done  uint64    // events that the exporters were done with when they last moved,
	moved time.Time // and when that was
}

const probeBatch = 1024

// run sends, waits for what is under way, and stops.
func (p *probing) run(ctx context.Context) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- p.outlet.Run(serving) }()
	p.first = uint64(bpf.Now())
	p.send(ctx)
	deadline := time.Now().Add(p.wait)
	for ctx.Err() == nil && time.Now().Before(deadline) && p.waiting() > 0 {
		pause(ctx, 10*time.Millisecond)
		p.progress()
	}
	stop()
	return <-done
}

// send gives up when an exporter takes nothing for the time of --wait.
func (p *probing) send(ctx context.Context) {
	start := time.Now()
	for p.sent < p.count && ctx.Err() == nil && (p.rate > 0 || !p.isStuck()) {
		n := min(p.count-p.sent, probeBatch)
		if p.rate > 0 {
			n = min(n, uint64(time.Since(start).Seconds()*p.rate)-p.sent)
		} else if p.crowded() {
			n = 0
		}
		if n == 0 {
			pause(ctx, time.Millisecond)
			p.progress()
			continue
		}
		p.outlet.HandOver(p.make(n))
		p.sent += n
		p.progress()
	}
}

// progress shows the exporters twice a second while somebody watches.
func (p *probing) progress() {
	if !p.screen.live() || time.Since(p.shown) < 500*time.Millisecond {
		return
	}
	p.shown = time.Now()
	var text bytes.Buffer
	fmt.Fprintf(&text, "%d of %d events sent\n", p.sent, p.count)
	writeSinks(&text, p.status())
	p.screen.show(text.Bytes()) // what can't be shown is not missed
}

// isStuck reports whether nothing moved for the time of --wait.
func (p *probing) isStuck() bool {
	done := uint64(0)
	for _, s := range p.outlet.Sinks() {
		done += s.Delivered + s.Filtered + s.TotalLost()
	}
	if done != p.done || p.moved.IsZero() || !p.crowded() {
		p.done, p.moved = done, time.Now()
	}
	return time.Since(p.moved) > p.wait
}

// crowded reports whether a queue is half full.
func (p *probing) crowded() bool {
	for i, s := range p.outlet.Sinks() {
		if s.Waiting > uint64(p.cfg.Events[i].QueueRecords/2) {
			return true
		}
	}
	return false
}

func (p *probing) waiting() (most uint64) {
	for _, s := range p.outlet.Sinks() {
		most = max(most, s.Waiting)
	}
	return most
}

func (p *probing) make(n uint64) []bpf.Event {
	p.events = p.events[:0]
	now := time.Now()
	for i := range n {
		number := p.sent + i
		p.events = append(p.events, bpf.Event{
			Kind: bpf.KindReplication, Action: "sample", Time: now, Ring: bpf.AgentRing, Seq: p.first + number,
			Domain: "probe", Interface: "probe0", Source: netip.AddrFrom4([4]byte{192, 0, 2, 1}),
			Group: netip.AddrFrom4([4]byte{233, 252, 0, byte(number)}), FanOut: 1,
			Packets: number + 1, Bytes: 64 * (number + 1), Copies: number + 1, CopyBytes: 64 * (number + 1),
		})
	}
	return p.events
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (p *probing) status() []collector.SinkStatus {
	list := p.outlet.Sinks()
	for i := range list {
		list[i].Produced = p.sent
	}
	return list
}
