package main

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// backlog is how many copies of a batch may wait on a CPU. The kernel's default
// net.core.netdev_max_backlog is 1000, beyond which any mechanism loses some; a
// second batch may come in while those of the first one still wait.
const backlog = 480

// arrival is how packets come in.
type arrival struct {
	name string
	live bool // in NAPI batches, else one by one
	gro  bool // merged by UDP GRO at the ingress port
}

var arrivalsOf = []arrival{
	{name: "one by one"},
	{name: "batches", live: true},
	{name: "batches, UDP GRO", live: true, gro: true},
}

// prepare sets the source's port up for the way that packets arrive. veth
// receives in NAPI batches if GRO is on.
func (f *fabric) prepare(a arrival) error {
	return f.net.Switch().SetFeatures(f.source.Port, map[string]bool{
		"rx-gro": a.live, "rx-udp-gro-forwarding": a.gro,
	})
}

// A burst is what came of sending for a while.
type burst struct {
	sent, delivered uint64 // datagrams
	took            time.Duration
}

func (b burst) plus(o burst) burst {
	return burst{sent: b.sent + o.sent, delivered: b.delivered + o.delivered, took: b.took + o.took}
}

// perDelivery is the time that a delivered datagram took.
func (b burst) perDelivery() float64 {
	return float64(b.took.Nanoseconds()) / float64(max(1, b.delivered))
}

// send sends n frames to the group of a fanout and waits until they arrived.
func (f *fabric) send(a arrival, fanout, size, n int) (b burst, err error) {
	before, err := f.delivered()
	if err != nil {
		return b, err
	}
	message := f.frameTo(fanout, size)
	err = f.source.Namespace().Do(func() (err error) {
		unpin, err := pin()
		if err != nil {
			return err
		}
		defer unpin()
		start := time.Now()
		var span time.Duration
		if a.live {
			b.sent, span, err = f.sendLive(message, batchOf(a, fanout), n)
		} else {
			b.sent, err = f.sendInline(message, n)
		}
		if err != nil {
			return err
		}
		want := b.sent * uint64(max(1, min(fanout, len(f.sinks))))
		b.delivered, b.took, err = f.settle(start, before, want)
		if span > 0 {
			b.took = span
		}
		return err
	})
	if err != nil {
		return b, fmt.Errorf("send %s by %s: %w", a.name, f.name, err)
	}
	return b, nil
}

// settle waits until as much arrived as was wanted, or nothing more comes, and
// returns what did and when the last of it was seen.
func (f *fabric) settle(start time.Time, before, want uint64) (got uint64, took time.Duration, err error) {
	const quiet = 3 * time.Millisecond
	for took = time.Since(start); ; {
		now, err := f.delivered()
		if err != nil {
			return 0, 0, err
		}
		at := time.Since(start)
		if now-before != got {
			got = now - before
			took = at
		}
		if got >= want || at-took > quiet {
			return got, took, nil
		}
		// Lets the kernel's own thread have the core, if packets wait there.
		time.Sleep(200 * time.Microsecond)
	}
}

// sendInline hands frames to the kernel from one thread: each goes all the way
// before the next one starts.
func (f *fabric) sendInline(message []byte, n int) (uint64, error) {
	const batch = 64
	messages := make([][]byte, batch)
	for i := range messages {
		messages[i] = message
	}
	sent := 0
	for sent < n {
		taken, err := f.raw.WriteBatch(messages[:min(batch, n-sent)])
		if err != nil {
			return 0, err
		}
		sent += taken
	}
	return uint64(sent), nil
}

// sendLive makes frames arrive as from a driver that polls, batch by batch. span
// is the time that they took without the milliseconds that the kernel needs
// to make and remove the generator's memory; 0 if they were too few to tell.
func (f *fabric) sendLive(message []byte, batch, n int) (sent uint64, span time.Duration, err error) {
	iface, err := f.source.Namespace().Handle().LinkByName(f.source.Interface)
	if err != nil {
		return 0, 0, fmt.Errorf("find source: %w", err)
	}
	order := trafficOrder{Ifindex: uint32(iface.Attrs().Index)}
	copy(order.Header[:], message)
	if err := f.orders.Put(uint32(0), &order); err != nil {
		return 0, 0, fmt.Errorf("set generator: %w", err)
	}
	_, err = f.generate.Run(&ebpf.RunOptions{
		Data: message, Repeat: uint32(n), BatchSize: uint32(batch), Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES,
	})
	if err != nil {
		return 0, 0, fmt.Errorf("run generator: %w", err)
	}
	// An interrupted run starts again, so only the generator knows how many.
	if err := f.orders.Lookup(uint32(0), &order); err != nil {
		return 0, 0, fmt.Errorf("read generator: %w", err)
	}
	sent = order.Generated
	const step = 64 // CLOCK_STEP
	if timed := (sent - 1) / step * step; timed > 0 {
		span = time.Duration(float64(order.LastNs-order.FirstNs) * float64(sent) / float64(timed))
	}
	return sent, span, nil
}

// batchOf is the largest batch whose copies fit the backlog, up to what a
// driver hands over at once. Merged by GRO, a batch is two packets at most.
func batchOf(a arrival, fanout int) int {
	if a.gro {
		return 64
	}
	return min(64, backlog/fanout)
}

// pin keeps the calling thread on the last CPU, before all others.
func pin() (undo func(), err error) {
	runtime.LockOSThread()
	var old, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		return nil, fmt.Errorf("read affinity: %w", err)
	}
	last := 0
	for cpu := range len(old) * 64 {
		if old.IsSet(cpu) {
			last = cpu
		}
	}
	one.Set(last)
	err = errors.Join(
		unix.SchedSetaffinity(0, &one),
		unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -20),
	)
	if err != nil {
		return nil, fmt.Errorf("pin sender: %w", err)
	}
	return func() {
		unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 0)
		unix.SchedSetaffinity(0, &old)
		runtime.UnlockOSThread()
	}, nil
}
