package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
)

// WatchOptions say how to load the observing programs. A zero value stands for
// the default.
type WatchOptions struct {
	Streams int // (interface, direction, VLAN, S, G) counted apart; 16384
	// ForceClsact uses clsact even where tcx works.
	ForceClsact bool
	// MessageInterval is the least mean time between two membership messages
	// that one interface hands over; 1 ms.
	MessageInterval time.Duration
}

// DefaultWatchStreams is how many streams are counted apart by default.
const DefaultWatchStreams = 16384

// Watch is the observing side of the kernel: programs that count multicast
// packets and change nothing. Nothing of it is pinned: it ends with the process.
//
// It belongs to the network namespace of the thread that attaches. Its methods
// may be called concurrently.
type Watch struct {
	coll *ebpf.Collection
	hook hook

	mu    sync.Mutex
	epoch uint32
	links map[uint32][]link.Link // by interface index; empty where clsact is used
}

// WatchKey identifies one observed stream. Without a group it stands for the
// streams of the interface that have no entry of their own.
type WatchKey struct {
	Ifindex   uint32
	Direction Direction
	VLAN      VLAN
	Source    netip.Addr
	Group     netip.Addr
}

// GapBuckets is the number of buckets of [Watched.Gaps].
const GapBuckets = 24

// GapBound returns the longest gap that falls into a bucket; 0 for the last,
// which has none.
func GapBound(bucket int) time.Duration {
	if bucket >= GapBuckets-1 {
		return 0
	}
	return 1 << (10 + bucket)
}

// Windows are the lengths of the windows whose fullest is kept.
var Windows = [...]time.Duration{time.Millisecond, 100 * time.Millisecond}

// Watched is what was counted of one stream. Times are CLOCK_MONOTONIC. A
// super-packet counts as the datagrams that it holds, and has one gap.
type Watched struct {
	Packets, Bytes uint64
	First, Last    time.Duration
	Gaps           [GapBuckets]uint64 // by GapBound, not cumulative
	GapSum         time.Duration
	Peaks          Peaks // of the epoch that this reading ended

	TTL, OldTTL   uint8 // of the last packet, and before the last change
	DSCP, OldDSCP uint8
	TTLChanges    uint32
	DSCPChanges   uint32
	TTLChanged    time.Duration // when it last did
	DSCPChanged   time.Duration
}

// Peaks are the fullest window of each length, and the longest gap. A window
// begins with the first packet after the one before has ended.
type Peaks struct {
	Packets [len(Windows)]uint64
	Bytes   [len(Windows)]uint64
	Gap     time.Duration
}

// Raise makes p the maximum of both.
func (p *Peaks) Raise(q Peaks) {
	for i := range Windows {
		p.Packets[i] = max(p.Packets[i], q.Packets[i])
		p.Bytes[i] = max(p.Bytes[i], q.Bytes[i])
	}
	p.Gap = max(p.Gap, q.Gap)
}

// LoadWatch loads the programs and attaches nothing. Returns ErrUnprivileged.
func LoadWatch(o WatchOptions) (*Watch, error) {
	spec, err := loadWatch()
	if err != nil {
		return nil, fmt.Errorf("read program watch: %w", err)
	}
	if o.Streams > 0 {
		spec.Maps["watch_streams"].MaxEntries = uint32(o.Streams)
	}
	if o.MessageInterval > 0 {
		if err := spec.Variables["message_interval_ns"].Set(uint64(o.MessageInterval)); err != nil {
			return nil, fmt.Errorf("set message_interval_ns of watch: %w", err)
		}
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load program watch: %w", explain(err))
	}
	w := &Watch{coll: coll, hook: hookClsact, epoch: 1, links: map[uint32][]link.Link{}}
	if !o.ForceClsact && probeTCX() == nil {
		w.hook = hookTCX
	}
	return w, nil
}

// Hook names the hook in use: tcx or clsact.
func (w *Watch) Hook() string { return w.hook.String() }

// Capacity is how many streams are counted apart, with one entry for each
// direction of an interface.
func (w *Watch) Capacity() int { return int(w.streams().MaxEntries()) }

func (w *Watch) streams() *ebpf.Map { return w.coll.Maps["watch_streams"] }

// locked reads entries as no packet changes them.
var locked = &ebpf.BatchOptions{ElemFlags: uint64(ebpf.LookupLock)}

// Read begins a new epoch, and calls fn for every entry, in no order: with the
// peaks of the epoch that ended. A packet counts for one epoch, so no burst is
// missed or told twice, however often this is called.
func (w *Watch) Read(fn func(WatchKey, *Watched)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	ended := w.epoch
	w.epoch++
	if err := w.coll.Variables["epoch"].Set(w.epoch); err != nil {
		return fmt.Errorf("begin epoch of watch: %w", err)
	}
	var to Watched
	err := forEachWith(w.streams(), locked, func(k *wireWatchKey, v *wireWatched) {
		to = fromWatched(v, ended)
		fn(fromWatchKey(k), &to)
	})
	if err != nil {
		return fmt.Errorf("read streams of watch: %w", err)
	}
	return nil
}

// Forget removes a stream that fell silent and returns what it had counted.
// Returns ok false if it is not there.
func (w *Watch) Forget(k WatchKey) (last Watched, ok bool, err error) {
	var v wireWatched
	err = w.streams().LookupAndDeleteWithFlags(toWatchKey(k), &v, ebpf.LookupLock)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return last, false, nil
	}
	if err != nil {
		return last, false, fmt.Errorf("forget stream of watch: %w", err)
	}
	return fromWatched(&v, 0), true, nil
}

// Outcomes returns how often each happened since the programs were loaded.
func (w *Watch) Outcomes() (map[WatchOutcome]uint64, error) {
	outcomes := map[WatchOutcome]uint64{}
	for o := range WatchOutcome(wireWatchOutcomeWATCH_OUTCOME_COUNT) {
		var perCPU []uint64
		if err := w.coll.Maps["watch_outcomes"].Lookup(uint32(o), &perCPU); err != nil {
			return nil, fmt.Errorf("read outcomes of watch: %w", err)
		}
		for _, n := range perCPU {
			outcomes[o] += n
		}
	}
	return outcomes, nil
}

// NewMessageReader returns a reader of the membership messages that pass by.
func (w *Watch) NewMessageReader() (*MessageReader, error) {
	ring, err := ringbuf.NewReader(w.coll.Maps["watch_control"])
	if err != nil {
		return nil, fmt.Errorf("open control ring of watch: %w", err)
	}
	return &MessageReader{ring: ring}, nil
}

// Attached returns the interfaces that are observed, sorted.
func (w *Watch) Attached() []uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]uint32, 0, len(w.links))
	for ifindex := range w.links {
		list = append(list, ifindex)
	}
	slices.Sort(list)
	return list
}

// Close detaches from every interface and lets go of the programs.
func (w *Watch) Close() error {
	var errs []error
	for _, ifindex := range w.Attached() {
		errs = append(errs, w.Detach(ifindex))
	}
	w.coll.Close()
	return errors.Join(errs...)
}

func toWatchKey(k WatchKey) wireWatchKey {
	return wireWatchKey{
		Source: toWire(k.Source), Group: toWire(k.Group),
		Ifindex: k.Ifindex, Vlan: uint32(k.VLAN), Direction: uint32(k.Direction),
	}
}

func fromWatchKey(k *wireWatchKey) WatchKey {
	key := WatchKey{
		Ifindex: k.Ifindex, Direction: Direction(k.Direction), VLAN: VLAN(k.Vlan),
		Source: fromWire(k.Source), Group: fromWire(k.Group),
	}
	if key.Group.IsValid() && !key.Source.IsValid() {
		key.Source = netip.IPv6Unspecified() // a host that has no address yet
	}
	return key
}

func fromWatched(v *wireWatched, ended uint32) Watched {
	to := Watched{
		Packets: v.Packets, Bytes: v.Bytes,
		First: time.Duration(v.FirstNs), Last: time.Duration(v.LastNs),
		Gaps: v.Gaps, GapSum: time.Duration(v.GapSumNs),
		TTL: v.Ttl, OldTTL: v.OldTtl, TTLChanges: v.TtlChanges, TTLChanged: time.Duration(v.TtlChangedNs),
		DSCP: v.Dscp, OldDSCP: v.OldDscp, DSCPChanges: v.DscpChanges, DSCPChanged: time.Duration(v.DscpChangedNs),
	}
	switch ended {
	case v.Epoch:
		to.Peaks = Peaks{v.Now.Packets, v.Now.Bytes, time.Duration(v.Now.GapNs)}
	case v.BeforeEpoch: // a packet came since the new epoch began
		to.Peaks = Peaks{v.Before.Packets, v.Before.Bytes, time.Duration(v.Before.GapNs)}
	}
	return to
}
