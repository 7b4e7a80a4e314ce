package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/exporters"
	"github.com/fanlight-io/fanlight/lab/frame"
	"github.com/fanlight-io/fanlight/redact"
)

const (
	eventSources = 64   // that take turns
	eventBatch   = 1024 // events that the agent redacts and hands over at once
	sampledGroup = 1    // fanout of the group that makes an event per packet
)

// fixedNames are the names of the only domain and its ports.
type fixedNames struct{}

func (fixedNames) Domain(uint32) string    { return "bench" }
func (fixedNames) Interface(uint32) string { return "p-src" }

// eventRun is what one fill and drain of the ring came to.
type eventRun struct {
	events uint64
	cpu    time.Duration // of the draining thread
	wall   time.Duration
	allocs uint64
}

// measureEvents fills a ring by running the datapath on packets of a group whose
// every packet is an event, and times how long the agent's way takes from there:
// read, redact, write lines to a file. It fails if an event is missing.
func measureEvents(ctx context.Context, p plan, out io.Writer) (err error) {
	settings := bpf.DefaultSettings()
	settings.EventRingBytes = p.ring
	product := &product{}
	groups := map[int]bpf.Forwarding{sampledGroup: {Sample: 1}}
	if _, err := newFabric(ctx, "events", 1, product.install(settings, groups)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, product.Close()) }()
	prog, err := product.variant(loadBookkeeping, likeShipped(nil))
	if err != nil {
		return err
	}
	defer prog.Close()
	d, err := newDrain(product)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()

	var rates, busy, allocs []float64
	var total, lines uint64
	for n := range 1 + p.rounds {
		if err := product.fillRing(prog, p.ring); err != nil {
			return err
		}
		r, written, err := d.run(ctx)
		if err != nil {
			return err
		}
		total, lines = total+r.events, lines+written
		if n == 0 {
			continue // buffers grew and pseudonyms were made
		}
		rates = append(rates, float64(r.events)/r.cpu.Seconds()/1e6)
		busy = append(busy, float64(r.events)/r.wall.Seconds()/1e6)
		allocs = append(allocs, float64(r.allocs)/float64(r.events))
	}
	counts, err := product.datapath.EventCounts()
	if err != nil {
		return err
	}
	var produced, lost uint64
	for _, c := range counts {
		produced += c.Produced
		lost += c.Lost
	}
	if produced != total+lost || lines != total {
		return fmt.Errorf("%d events were produced and %d lost, but %d read and %d written", produced, lost, total, lines)
	}
	perEvent := spreadOf(allocs).median
	fmt.Fprintf(out, "\n### From the ring to a file of redacted JSON lines, one thread\n\n")
	fmt.Fprintf(out, "| Events | million/s of CPU time | million/s of wall time | allocations per event |\n| ---: | --- | --- | ---: |\n")
	fmt.Fprintf(out, "| %d | **%v** | %v | %.5f |\n", total, spreadOf(rates), spreadOf(busy), perEvent)
	if perEvent > 0.01 {
		return fmt.Errorf("%.3f allocations per event", perEvent)
	}
	return nil
}

// fillRing makes nearly as many events as the ring holds, source by source.
func (p *product) fillRing(prog *ebpf.Program, ringBytes int) error {
	const record = 136 + 8 // struct event and the ring's header
	each := ringBytes / record / eventSources * 9 / 10
	return p.net.Switch().Do(func() error {
		unpin, err := pin()
		if err != nil {
			return err
		}
		defer unpin()
		for i := range eventSources {
			src := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i + 1)}), sourcePort)
			dst := netip.AddrPortFrom(groupOf(sampledGroup), groupPort)
			packet := frame.MulticastUDP(frame.MAC(p.source.MAC), src, dst, make([]byte, 64))
			if _, err := benchmark(prog, packet, p.ingress, max(1, each)); err != nil {
				return err
			}
		}
		return nil
	})
}

// drain is the agent's way of an event, without the agent.
type drain struct {
	reader  *bpf.EventReader
	policy  *redact.Policy
	file    exporters.Exporter
	path    string
	events  []bpf.Event
	records []redact.Record
}

func newDrain(p *product) (*drain, error) {
	origin, err := redact.LocalOrigin()
	if err != nil {
		return nil, err
	}
	d := &drain{}
	if d.policy, err = redact.NewPolicy(redact.Config{}, origin); err != nil {
		return nil, err
	}
	if d.reader, err = p.datapath.NewEventReader(fixedNames{}); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "fanlight-bench-")
	if err != nil {
		return nil, errors.Join(err, d.reader.Close())
	}
	d.path = filepath.Join(dir, "events.jsonl")
	if d.file, err = (&exporters.FileConfig{Type: "file", Path: d.path}).Open(); err != nil {
		return nil, errors.Join(err, d.reader.Close(), os.RemoveAll(dir))
	}
	return d, nil
}

func (d *drain) close() error {
	return errors.Join(d.reader.Close(), d.file.Close(context.Background()), os.RemoveAll(filepath.Dir(d.path)))
}

// run empties the ring into the file, and returns how many lines it wrote.
func (d *drain) run(ctx context.Context) (r eventRun, lines uint64, err error) {
	unpin, err := pin()
	if err != nil {
		return r, 0, err
	}
	defer unpin()
	// The collector of garbage would run on the other core.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, start := threadCPU(), time.Now()
	for {
		d.events = d.events[:0]
		n, err := d.reader.Drain(eventBatch, d.take)
		if err != nil {
			return r, 0, err
		}
		d.records = d.policy.Apply(d.records[:0], d.events)
		if err := d.file.Export(ctx, d.records); err != nil {
			return r, 0, err
		}
		r.events += uint64(n)
		if n < eventBatch {
			break
		}
	}
	r.cpu, r.wall = threadCPU()-cpu, time.Since(start)
	runtime.ReadMemStats(&after)
	r.allocs = after.Mallocs - before.Mallocs
	lines, err = d.takeLines()
	return r, lines, err
}

func (d *drain) take(e *bpf.Event, _ bpf.Change) { d.events = append(d.events, *e) }

// takeLines counts the lines of the file and empties it.
func (d *drain) takeLines() (uint64, error) {
	text, err := os.ReadFile(d.path)
	if err != nil {
		return 0, fmt.Errorf("read events: %w", err)
	}
	return uint64(bytes.Count(text, []byte{'\n'})), os.Truncate(d.path, 0)
}

// threadCPU is the processor time that the calling thread has used.
func threadCPU() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
