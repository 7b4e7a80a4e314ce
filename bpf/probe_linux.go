package bpf

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Facility is something of the kernel that the datapath uses.
type Facility struct {
	Name string
	// Err says why it is not there; nil if it is. EPERM is as good as not
	// there, and named ErrUnprivileged.
	Err error
	// Without says what is lost without it.
	Without string
	// Fatal: nothing is forwarded without it.
	Fatal bool
}

// Probe tries every facility for itself, and the programs as a whole. It
// attaches nothing to any port but, for a moment, a program that does nothing to
// loopback; and pins nothing.
func Probe() []Facility {
	return []Facility{
		{"BTF of the kernel", probeBTF(), "lost copies are counted without their precise reason", false},
		{"ring buffer", explain(features.HaveMapType(ebpf.RingBuf)), "no membership and no events (Linux 5.8)", true},
		{"bpf_clone_redirect", explain(features.HaveProgramHelper(ebpf.SchedCLS, asm.FnCloneRedirect)), "no packet can be copied", true},
		{"instruction set v3", explain(features.HaveV3ISA()), "the programs do not load (Linux 5.1)", true},
		{"atomic fetch", explain(probeAtomicFetch()), "event numbers and budgets are not possible (Linux 5.12)", true},
		{"program replicate", probeProgram("replicate", loadReplicate), "nothing is forwarded", true},
		{"program consume_copied", probeProgram("consume_copied", loadConsume), "nothing is forwarded", true},
		{"program forget", probeProgram("forget", loadForget), "silent streams would stay counted forever", true},
		{"program watch", probeProgram("watch", loadWatch), "nothing is observed without forwarding", false},
		{"batch reads of maps", explain(probeBatch()), "no counter can be read (Linux 5.6)", true},
		{"tcx", explain(probeTCX()), "programs attach by clsact instead; copied packets look no different (Linux 6.6)", false},
		{"copy-loss tracer", probeCopyLoss(), "lost copies are counted without their precise reason", false},
		{"membarrier", probeMembarrier(), "changes of many groups take 0.1 s longer", false},
	}
}

func probeBTF() error {
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		return fmt.Errorf("CONFIG_DEBUG_INFO_BTF: %w", err)
	}
	return nil
}

// probeProgram loads one program with maps of its own.
func probeProgram(name string, load func() (*ebpf.CollectionSpec, error)) error {
	coll, err := loadAlone(name, load)
	if err != nil {
		return err
	}
	coll.Close()
	return nil
}

func loadAlone(name string, load func() (*ebpf.CollectionSpec, error)) (*ebpf.Collection, error) {
	spec, err := load()
	if err != nil {
		return nil, fmt.Errorf("read program %s: %w", name, err)
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, fmt.Errorf("count CPUs: %w", err)
	}
	sizes := LeastSettings().maxEntries(cpus)
	for _, ms := range spec.Maps {
		if n, ok := sizes[ms.Name]; ok {
			ms.MaxEntries = n
		}
		if ms.Name == "events" {
			ms.InnerMap.MaxEntries = uint32(LeastSettings().EventRingBytes)
		}
		if ms.MaxEntries == 0 {
			ms.MaxEntries = 1
		}
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load program %s: %w", name, explain(err))
	}
	return coll, nil
}

// probeAtomicFetch loads r0 = fetch_add(stack, 1).
func probeAtomicFetch() error {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS,
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R1, 1),
			asm.StoreMem(asm.RFP, -8, asm.R1, asm.DWord),
			asm.FetchAdd.Mem(asm.RFP, asm.R1, asm.DWord, -8),
			asm.Mov.Imm(asm.R0, 0),
			asm.Return(),
		},
	})
	if err != nil {
		return fmt.Errorf("load a program that fetches and adds: %w", err)
	}
	return prog.Close()
}

// probeBatch reads an empty hash map in batches.
func probeBatch() error {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return fmt.Errorf("make map: %w", err)
	}
	defer m.Close()
	return forEach(m, func(*uint32, *uint32) {})
}

func probeTCX() error {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS,
		// TCX_NEXT: as if the program were not there.
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()},
	})
	if err != nil {
		return fmt.Errorf("load program: %w", err)
	}
	defer prog.Close()
	l, err := link.AttachTCX(link.TCXOptions{Interface: loopback, Program: prog, Attach: ebpf.AttachTCXIngress})
	if err != nil {
		return fmt.Errorf("attach to loopback: %w", err)
	}
	return l.Close()
}

// loopback is the index of lo in every network namespace.
const loopback = 1

// probeCopyLoss loads and attaches the tracer for a moment; it counts for no
// namespace.
func probeCopyLoss() error {
	coll, err := loadAlone("copyloss", loadCopyloss)
	if err != nil {
		return err
	}
	defer coll.Close()
	l, err := link.AttachTracing(link.TracingOptions{Program: coll.Programs["copyloss"]})
	if err != nil {
		return fmt.Errorf("attach to kfree_skb: %w", explain(err))
	}
	return l.Close()
}

// probeMembarrier asks which commands there are.
func probeMembarrier() error {
	commands, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("membarrier: %w", errno)
	}
	if commands&membarrierGlobal == 0 {
		return errors.New("MEMBARRIER_CMD_GLOBAL is not offered (kernels with nohz_full)")
	}
	return nil
}
