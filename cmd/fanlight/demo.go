package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/exporters"
	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/live"
	"github.com/fanlight-io/fanlight/redact"
)

// demoPrefix starts the names of all networks and pins of demos.
const demoPrefix = "fl-demo"

type demoOptions struct {
	length   time.Duration
	interval time.Duration
	hosts    int
	rate     float64
	metrics  string
	events   string
	live     string
	open     bool
	name     string
}

func newDemo(e env) *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show fanlight at work in a network of its own",
		Long: `Demo makes a small network in network namespaces: a publisher, subscribers that
speak IGMPv3, IGMPv2 and MLDv2, and one host that never joined. It runs the
agent on the switch between them, sends an IPv4, an IPv6 and a source-specific
group, and shows who gets what. All sockets are real.

At the end, or at Ctrl-C, it compares what was sent, copied, received and told
event by event, prints the books, and removes everything that it made but the
file of events. What a killed demo left is removed by the next one.

The metrics page and the events show the demo's addresses in clear.

Needs root. Nothing outside the demo's own namespaces is touched; if no BPF file
system is mounted on /sys/fs/bpf, one is mounted while the demo runs.

Exit status 0 means that the books balance, 1 that they do not or that something
failed.`,
		Example: `  fanlight demo
  fanlight demo --for 10s
  fanlight demo --open
  fanlight demo --hosts 12 --rate 5000 --metrics 127.0.0.1:0
  fanlight demo --for 1m --events /tmp/events.jsonl > frames.txt`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return runDemo(cmd.Context(), e, o)
		},
	}
	f := cmd.Flags()
	f.DurationVar(&o.length, "for", 0, "end by itself after this `time`; 0 means at Ctrl-C")
	f.DurationVar(&o.interval, "interval", time.Second, "`time` between two tables")
	f.IntVar(&o.hosts, "hosts", 3, "`number` of subscribers, from 1 to 200: IGMPv3, IGMPv2 and MLDv2 in turn")
	f.Float64Var(&o.rate, "rate", 1000, "`packets` per second and group, up to 50000")
	f.StringVar(&o.metrics, "metrics", "127.0.0.1:9464", "`address` of the metrics page; port 0 means any free one, empty none")
	f.StringVar(&o.events, "events", "", "`file` to append events to, as JSON lines (default: one in a new temporary directory)")
	f.StringVar(&o.live, "live", "", "`address` of the live page, on this host only; port 0 means any free one, empty none")
	f.BoolVar(&o.open, "open", false, "open the live page in a browser, if there is a display (without --live at "+demoLive+")")
	f.StringVar(&o.name, "name", "", "`name` that lets several demos run at once")
	return cmd
}

var demoName = regexp.MustCompile(`^[a-z0-9]{0,16}$`)

func (o demoOptions) validate() error {
	switch {
	case o.length < 0:
		return fmt.Errorf("%w: --for: %v is negative", errUsage, o.length)
	case o.interval < 50*time.Millisecond:
		return fmt.Errorf("%w: --interval: %v is less than 50ms", errUsage, o.interval)
	case o.hosts < 1 || o.hosts > 200:
		return fmt.Errorf("%w: --hosts: %d is not from 1 to 200", errUsage, o.hosts)
	case !(o.rate > 0 && o.rate <= 50000):
		return fmt.Errorf("%w: --rate: %g is not above 0 and up to 50000", errUsage, o.rate)
	case !demoName.MatchString(o.name):
		return fmt.Errorf("%w: --name: %q is not up to 16 lower-case letters and digits", errUsage, o.name)
	}
	if err := o.page().Validate(); err != nil {
		return fmt.Errorf("%w: --live: %w", errUsage, err)
	}
	return nil
}

// demoLive is where the live page is that --open asks for.
const demoLive = "127.0.0.1:9465"

// page is where the live page is.
func (o demoOptions) page() live.Config {
	if o.live == "" && o.open {
		return live.Config{Listen: demoLive}
	}
	return live.Config{Listen: o.live}
}

func (o demoOptions) network() string {
	if o.name == "" {
		return demoPrefix
	}
	return demoPrefix + "-" + o.name
}

func (o demoOptions) config(events string) config {
	return config{
		Config: collector.Config{
			Domains: []collector.DomainConfig{{
				Name: "demo", Ports: []string{"p-*"}, Querier: collector.QuerierConfig{Mode: "on"},
			}},
			BPFFS: filepath.Join(bpffsRoot, o.network()),
			Netns: o.network() + "-switch",
		},
		Metrics: metricsConfig{Listen: o.metrics},
		Events:  []eventConfig{{typ: "file", SinkConfig: collector.DefaultSinkConfig(), own: &exporters.FileConfig{Type: "file", Path: events}}},
		Redact:  redact.Config{Profile: redact.RevealProfile},
		Live:    o.page(),
		API:     apiConfig{Socket: filepath.Join("/run/fanlight", o.network()+".sock")},
	}
}

// demo is a running demo. What it made is undone by the functions in undo, the
// last one first.
type demo struct {
	demoOptions
	env
	network *demoNetwork
	service *service
	failed  chan error // the service ended
	notices notices
	events  string
	undo    []func() error
}

func runDemo(ctx context.Context, e env, o demoOptions) (err error) {
	if err := need("fanlight demo", runRights(o.network())...); err != nil {
		return err
	}
	d := &demo{demoOptions: o, env: e}
	defer func() {
		for i := len(d.undo) - 1; i >= 0; i-- {
			err = errors.Join(err, d.undo[i]())
		}
	}()
	if err := d.prepare(); err != nil {
		return err
	}
	if err := d.build(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // Ctrl-C before there was anything to sum up
		}
		return err
	}
	return d.show(ctx)
}

// prepare removes what killed demos left, and opens the file of events.
func (d *demo) prepare() error {
	undo, err := mountBPFFS()
	if err != nil {
		return err
	}
	if undo != nil {
		fmt.Fprintf(d.stderr, "mounted a BPF file system on %s while the demo runs\n", bpffsRoot)
		d.undo = append(d.undo, undo)
	}
	removed, err := lab.CleanStale(demoPrefix)
	if err != nil {
		return err
	}
	pins, err := removeStalePins(bpffsRoot)
	if err != nil {
		return err
	}
	sockets, err := removeDeadSockets(filepath.Join(filepath.Dir(defaultSocket), demoPrefix+"*.sock"))
	if err != nil {
		return err
	}
	if left := slices.Concat(removed, pins, sockets); len(left) > 0 {
		fmt.Fprintf(d.stderr, "removed what a killed demo left: %s\n", strings.Join(left, " "))
	}
	if d.demoOptions.events != "" {
		d.events = d.demoOptions.events
		return nil
	}
	dir, err := os.MkdirTemp("", "fanlight-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for events: %w", err)
	}
	d.events = filepath.Join(dir, "events.jsonl")
	return nil
}

// removeStalePins removes the pins of demos that are dead, and returns their
// directories.
func removeStalePins(root string) (removed []string, err error) {
	dirs, err := filepath.Glob(filepath.Join(root, demoPrefix+"*"))
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, dir := range dirs {
		switch err := bpf.RemovePins(dir); {
		case errors.Is(err, bpf.ErrInUse):
		case err != nil:
			errs = append(errs, err)
		default:
			removed = append(removed, dir)
		}
	}
	return removed, errors.Join(errs...)
}

// build makes the network, starts the agent, and waits until it has learnt
// every subscriber.
func (d *demo) build(ctx context.Context) (err error) {
	d.network, err = newDemoNetwork(ctx, d.demoOptions.network(), d.hosts)
	if errors.Is(err, lab.ErrInUse) {
		return fmt.Errorf("another demo is running: stop it, or give this one a --name and another --metrics address: %w", err)
	}
	if err != nil {
		return err
	}
	d.undo = append(d.undo, d.network.net.Close)

	log := slog.New(slog.NewTextHandler(&d.notices, &slog.HandlerOptions{Level: slog.LevelWarn}))
	cfg := d.config(d.events)
	cfg.State = filepath.Join("/run/fanlight", d.demoOptions.network()+".state") // what is ordered ends with the demo
	if err := os.RemoveAll(cfg.State); err != nil {
		return fmt.Errorf("remove what a killed demo left: %w", err)
	}
	d.undo = append(d.undo, func() error { return os.RemoveAll(cfg.State) })
	d.service, err = newService(cfg, log)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; choose another address with --metrics or --live, such as 127.0.0.1:0 for any free port", err)
	}
	if err != nil {
		return err
	}
	if err := d.start(); err != nil {
		return err
	}
	if err := d.network.join(); err != nil {
		return err
	}
	return d.waitMembers(ctx)
}

// start runs the agent until the demo ends; then its datapath goes, too.
func (d *demo) start() error {
	ctx, stop := context.WithCancel(context.Background())
	d.failed = make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.failed <- d.service.run(ctx)
	}()
	d.undo = append(d.undo, func() error {
		stop()
		<-done
		return collector.Detach(d.service.cfg.Config)
	})
	select {
	case <-d.service.agent.Ready():
		return nil
	case err := <-d.failed:
		return err
	}
}

func (d *demo) waitMembers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return poll(ctx, "every subscriber is learnt", func() (bool, error) {
		view, err := d.service.agent.View()
		return d.network.members(view) == len(d.network.receivers), err
	})
}

// poll calls ok until it says so or fails, or ctx ends.
func poll(ctx context.Context, what string, ok func() (bool, error)) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := ok()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
}

// show sends, draws tables until the demo is over, and closes the books.
func (d *demo) show(ctx context.Context) error {
	if d.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.length)
		defer cancel()
	}
	began := time.Now()
	last, err := d.service.agent.View()
	if err != nil {
		return err
	}
	if err := d.network.send(d.rate); err != nil {
		return err
	}
	if d.open {
		if err := openBrowser(d.service.liveURL()); err != nil {
			fmt.Fprintf(d.stderr, "no browser was opened: %v; the live page is at %s\n", err, d.service.liveURL())
		}
	}
	out := newScreen(d.stdout)
	tick := time.NewTicker(d.interval)
	defer tick.Stop()
	for running := true; running; {
		select {
		case err := <-d.failed:
			return err
		case <-ctx.Done():
			running = false
		case <-tick.C:
			now, err := d.service.agent.View()
			if err != nil {
				return err
			}
			if err := out.show(d.table(groupRows(last, now), time.Since(began), out.live())); err != nil {
				return fmt.Errorf("write table: %w", err)
			}
			last = now
		}
	}
	b, err := d.closeBooks(time.Since(began))
	if err != nil {
		return err
	}
	if _, err := d.stdout.Write(b.summary(d.events)); err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return b.err()
}

// table is one frame.
func (d *demo) table(rows []groupRow, since time.Duration, live bool) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "fanlight demo: network %s, %d subscribers and 1 host that never joined, %v\n\n",
		d.demoOptions.network(), len(d.network.subscribers), elapsed(since))
	appendGroups(&out, rows)
	if at := d.service.metricsAddress(); at != "" {
		fmt.Fprintf(&out, "metrics:          http://%s/metrics\n", at)
	}
	if url := d.service.liveURL(); url != "" {
		fmt.Fprintf(&out, "live page:        %s\n", url)
	}
	fmt.Fprintf(&out, "events:           %s\n", d.events)
	fmt.Fprintf(&out, "ask the agent:    fanlight groups list --socket %s\n", d.service.cfg.API.path())
	if n := d.notices.String(); n != "" {
		out.WriteString(n)
	}
	if live {
		out.WriteString("\nCtrl-C ends the demo and sums it up.\n")
	}
	return out.Bytes()
}
