package bpf

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// LayoutVersion is the version of all pinned layouts (LAYOUT_VERSION).
const LayoutVersion = 2

// Budgets are the least times between two events of one subject. A zero value
// stands for the default.
type Budgets struct {
	Change   time.Duration // fan-out changes of a stream; 100 ms
	Periodic time.Duration // running totals of a stream; 10 s
	Drop     time.Duration // drops of a (group, reason), lost copies of a pair; 1 s
}

// Options say where and how to load the datapath.
type Options struct {
	Settings Settings
	Budgets  Budgets
	// Dir is the pin directory, in a BPF file system.
	Dir string
	// ForceClsact uses clsact even where tcx works.
	ForceClsact bool
	// NoCopyLoss leaves the copy-loss tracer out even where it works.
	NoCopyLoss bool
	Log        *slog.Logger
}

// Datapath is the loaded kernel side: programs, maps and attachments. It belongs
// to the network namespace of the thread that loaded it, and its methods that
// attach must be called from a thread in that namespace. Its methods may be
// called concurrently.
type Datapath struct {
	log     *slog.Logger
	pins    *pinDir
	maps    map[string]*ebpf.Map
	rings   []*ebpf.Map // of events, one per CPU
	hook    hook
	adopted bool
	notes   []string

	replicate, consume, forget, copyloss *ebpf.Program
	closers                              []io.Closer

	Tables *Tables
}

// hook is how programs are attached to ports.
type hook uint8

const (
	hookTCX    hook = iota // replicate at tcx, consume at clsact behind it
	hookClsact             // replicate at clsact
)

func (h hook) String() string {
	if h == hookTCX {
		return "tcx"
	}
	return "clsact"
}

// Load loads the programs and makes or adopts the maps that are pinned in
// o.Dir. It attaches nothing to ports; adopted ports keep forwarding with their
// old programs until they are attached again.
//
// Returns ErrInUse, ErrNotBPFFS, ErrIncompatiblePins or ErrUnprivileged.
func Load(o Options) (_ *Datapath, err error) {
	if err := o.Settings.Validate(); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	d := &Datapath{log: o.Log, maps: map[string]*ebpf.Map{}}
	defer func() {
		if err == nil {
			return
		}
		if d.pins != nil && d.pins.fresh {
			err = errors.Join(err, d.pins.remove())
		}
		err = errors.Join(err, d.Close())
	}()
	if d.pins, err = openPinDir(o.Dir); err != nil {
		return nil, err
	}
	d.closers = append(d.closers, d.pins)
	cookie, err := netnsCookie()
	if err != nil {
		return nil, err
	}
	if err := d.loadMaps(o.Settings); err != nil {
		return nil, err
	}
	instance, err := d.checkMeta(cookie)
	if err != nil {
		return nil, err
	}
	if err := d.loadPrograms(o, cookie, instance); err != nil {
		return nil, err
	}
	if d.Tables, err = newTables(d.maps, o.Settings); err != nil {
		return nil, fmt.Errorf("read tables: %w", err)
	}
	return d, nil
}

// loadMaps makes or adopts every map but the programs' private ones.
func (d *Datapath) loadMaps(s Settings) error {
	spec, err := loadReplicate()
	if err != nil {
		return fmt.Errorf("read program: %w", err)
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count CPUs: %w", err)
	}
	sizes := s.maxEntries(cpus)
	for _, name := range sharedMaps(spec) {
		ms := spec.Maps[name]
		if n, ok := sizes[name]; ok {
			ms.MaxEntries = n
		}
		if name == "events" {
			ms.InnerMap.MaxEntries = uint32(s.EventRingBytes)
		}
		m, adopted, err := d.pins.loadMap(ms)
		if err != nil {
			return err
		}
		d.maps[name] = m
		d.closers = append(d.closers, m)
		d.adopted = d.adopted || adopted
		if adopted && m.MaxEntries() != ms.MaxEntries {
			d.notes = append(d.notes, fmt.Sprintf(
				"table %s keeps its %d entries (configured: %d) until 'fanlight detach'", name, m.MaxEntries(), ms.MaxEntries))
		}
	}
	return d.loadRings(spec.Maps["events"].InnerMap, cpus)
}

// loadRings fills the map of event rings. Each ring has a pin of its own: to
// open a map by its id would need CAP_SYS_ADMIN.
func (d *Datapath) loadRings(inner *ebpf.MapSpec, cpus int) error {
	for cpu := range cpus {
		ms := inner.Copy()
		ms.Name = fmt.Sprintf("event_ring_%d", cpu)
		ring, _, err := d.pins.loadMap(ms)
		if err != nil {
			return err
		}
		d.closers = append(d.closers, ring)
		d.rings = append(d.rings, ring)
		if err := d.maps["events"].Put(uint32(cpu), ring); err != nil {
			return fmt.Errorf("set event ring of CPU %d: %w", cpu, err)
		}
	}
	return nil
}

// sharedMaps lists the maps to pin, in a stable order. The others are scratch
// memory or constants of one program.
func sharedMaps(spec *ebpf.CollectionSpec) []string {
	var names []string
	for name := range spec.Maps {
		if name[0] != '.' && name != "control_buffer" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// checkMeta compares the pins with this build and namespace, or marks new ones.
func (d *Datapath) checkMeta(cookie uint64) (instance uint32, err error) {
	var meta wireMeta
	if err := d.maps["meta"].Lookup(uint32(0), &meta); err != nil {
		return 0, fmt.Errorf("read meta: %w", err)
	}
	if meta.Layout == 0 {
		meta = wireMeta{NetnsCookie: cookie, Layout: LayoutVersion, Instance: 1 + rand.Uint32N(0xffff)}
		return meta.Instance, d.maps["meta"].Put(uint32(0), meta)
	}
	if meta.Layout != LayoutVersion {
		return 0, fmt.Errorf("%w: layout version %d, this build has %d", ErrIncompatiblePins, meta.Layout, LayoutVersion)
	}
	if meta.NetnsCookie != cookie {
		return 0, fmt.Errorf("%w: they belong to another network namespace", ErrIncompatiblePins)
	}
	return meta.Instance, nil
}

// replacements returns the shared maps that spec mentions.
func (d *Datapath) replacements(spec *ebpf.CollectionSpec) map[string]*ebpf.Map {
	with := map[string]*ebpf.Map{}
	for name := range spec.Maps {
		if m, ok := d.maps[name]; ok {
			with[name] = m
			spec.Maps[name].MaxEntries = m.MaxEntries()
			if name == "events" {
				spec.Maps[name].InnerMap.MaxEntries = d.rings[0].MaxEntries()
			}
		}
	}
	if ms, ok := spec.Maps["control_buffer"]; ok {
		ms.MaxEntries = 1
	}
	return with
}

// loadProgram loads the one program of an object, with its variables set.
func (d *Datapath) loadProgram(name string, load func() (*ebpf.CollectionSpec, error), set map[string]any) (*ebpf.Program, error) {
	spec, err := load()
	if err != nil {
		return nil, fmt.Errorf("read program %s: %w", name, err)
	}
	for v, value := range set {
		if err := spec.Variables[v].Set(value); err != nil {
			return nil, fmt.Errorf("set %s of %s: %w", v, name, err)
		}
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: d.replacements(spec)})
	if err != nil {
		return nil, fmt.Errorf("load program %s: %w", name, explain(err))
	}
	defer coll.Close()
	prog := coll.DetachProgram(name)
	d.closers = append(d.closers, prog)
	return prog, nil
}

func (d *Datapath) loadPrograms(o Options, cookie uint64, instance uint32) error {
	var err error
	if d.consume, err = d.loadProgram("consume_copied", loadConsume, nil); err != nil {
		return err
	}
	if d.forget, err = d.loadProgram("forget", loadForget, nil); err != nil {
		return err
	}
	d.hook = hookClsact
	if !o.ForceClsact && haveTCX(d.consume) {
		d.hook = hookTCX
	}
	b := o.Budgets
	budgets := map[string]any{
		"change_interval_ns":   uint64(cmpOr(b.Change, 100*time.Millisecond)),
		"periodic_interval_ns": uint64(cmpOr(b.Periodic, 10*time.Second)),
		"drop_interval_ns":     uint64(cmpOr(b.Drop, time.Second)),
	}
	traced := uint32(0)
	if !o.NoCopyLoss {
		traced = d.loadCopyLoss(budgets, cookie, instance)
	}
	set := map[string]any{"consume": uint32(0), "instance": instance, "copy_loss_traced": traced}
	if d.hook == hookTCX {
		set["consume"] = uint32(1)
	}
	for k, v := range budgets {
		set[k] = v
	}
	d.replicate, err = d.loadProgram("replicate", loadReplicate, set)
	return err
}

func cmpOr(d, fallback time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return fallback
}

// loadCopyLoss loads and attaches the optional tracer; what fails is noted.
func (d *Datapath) loadCopyLoss(budgets map[string]any, cookie uint64, instance uint32) (traced uint32) {
	set := map[string]any{"netns_cookie": cookie, "instance": instance, "drop_interval_ns": budgets["drop_interval_ns"]}
	prog, err := d.loadProgram("copyloss", loadCopyloss, set)
	if err == nil {
		d.copyloss = prog
		err = d.attachCopyLoss()
	}
	if err != nil {
		d.notes = append(d.notes, "lost copies are counted without their precise reason: "+err.Error())
		return 0
	}
	return 1
}

// attachCopyLoss puts this agent's tracer in the place of an adopted one. A
// tracing link can't be given another program, so the old one goes first; the
// clone's own answer still counts losses in between.
func (d *Datapath) attachCopyLoss() error {
	path := d.pins.linkPath("copyloss")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("unpin old tracer: %w", err)
	}
	l, err := link.AttachTracing(link.TracingOptions{Program: d.copyloss})
	if err != nil {
		return fmt.Errorf("attach copyloss to kfree_skb: %w", explain(err))
	}
	d.closers = append(d.closers, l)
	if err := l.Pin(path); err != nil {
		return fmt.Errorf("pin copyloss: %w", err)
	}
	return nil
}

// Adopted reports whether maps of an earlier agent were found and taken over.
func (d *Datapath) Adopted() bool { return d.adopted }

// Hook names the hook in use: tcx or clsact.
func (d *Datapath) Hook() string { return d.hook.String() }

// Traced reports whether lost copies get their precise reason.
func (d *Datapath) Traced() bool { return d.copyloss != nil }

// Notes are what the operator should know about this load, one line each.
func (d *Datapath) Notes() []string { return d.notes }

// Close releases what the process holds. Pins stay: forwarding goes on.
func (d *Datapath) Close() error {
	var errs []error
	for _, c := range slices.Backward(d.closers) {
		errs = append(errs, c.Close())
	}
	d.closers = nil
	return errors.Join(errs...)
}

// Unload detaches from all ports, removes every pin and closes. Nothing of the
// datapath is left in the kernel.
func (d *Datapath) Unload() error {
	return errors.Join(d.pins.detachAll(), d.Discard())
}

// Discard removes every pin and closes, and detaches from nothing: for a
// datapath that was only loaded to see whether it can be.
func (d *Datapath) Discard() error {
	return errors.Join(d.pins.remove(), d.Close())
}

// Remove takes everything away that agents left pinned in dir, in whatever
// layout. The thread must be in the namespace of the datapath's ports.
func Remove(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "maps")); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	pins, err := openPinDir(dir)
	if err != nil {
		return err
	}
	defer pins.Close()
	return errors.Join(pins.detachAll(), pins.remove())
}

// RemovePins removes what is pinned in dir, without a look at any interface:
// for the pins of a datapath whose namespace is gone, and its ports with it.
// Returns ErrInUse if an agent holds them.
func RemovePins(dir string) error {
	pins, err := openPinDir(dir)
	if err != nil {
		return err
	}
	defer pins.Close()
	return pins.remove()
}

// netnsCookie returns the kernel's identity of the thread's network namespace.
func netnsCookie() (uint64, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open socket: %w", err)
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0, fmt.Errorf("read namespace cookie: %w", err)
	}
	return cookie, nil
}
