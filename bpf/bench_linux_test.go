package bpf

import (
	"fmt"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

// benchRig's ingress port is the loopback interface, because a repeated test
// run has no other. What arrives at the far ends ends there.
func benchRig(b *testing.B, ports int) *rig {
	b.Helper()
	r := newRig(b, ports, func(o *Options) { o.Settings.Ports = 64 })
	if err := r.d.Tables.SetPort(1, Port{Index: 60}); err != nil {
		b.Fatal(err)
	}
	stolen, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 4), asm.Return()},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { stolen.Close() })
	for _, p := range r.ports[1:] {
		if err := attachClsact(uint32(p.Far.Index), stolen); err != nil {
			b.Fatal(err)
		}
	}
	return r
}

func perPacket(b *testing.B, prog *ebpf.Program, frame []byte) time.Duration {
	b.Helper()
	const repeat = 20000
	best := time.Hour
	for b.Loop() {
		_, d, err := prog.Benchmark(frame, repeat, b.ResetTimer)
		if err != nil {
			b.Fatal(err)
		}
		best = min(best, d)
	}
	return best
}

// BenchmarkCopies: a packet with its copies, each into a veth.
func BenchmarkCopies(b *testing.B) {
	for _, n := range []int{0, 1, 4, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := benchRig(b, n)
			frame := bpftest.UDP(sender, "239.1.1.1", numbered(0)).Bytes()
			r.setGroup(b, "239.1.1.1", 0, Forwarding{Any: append([]uint32{1}, r.all()...)})
			b.ReportMetric(float64(perPacket(b, r.d.replicate, frame).Nanoseconds()), "ns/packet")
		})
	}
}

// BenchmarkCounting: all that a packet and its copies cost but for the clones
// themselves, which are taken out of the program: parsing, the decision, the
// walk of the list and the counters.
func BenchmarkCounting(b *testing.B) {
	var none time.Duration
	for _, n := range []int{0, 16, 64, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := benchRig(b, 0)
			prog, err := r.d.loadProgram("replicate", withoutClones, nil)
			if err != nil {
				b.Fatal(err)
			}
			ports := []uint32{1}
			for i := range uint32(n) {
				ports = append(ports, 1000+i)
			}
			r.setGroup(b, "239.1.1.1", 0, Forwarding{Any: ports})
			d := perPacket(b, prog, bpftest.UDP(sender, "239.1.1.1", numbered(0)).Bytes())
			b.ReportMetric(float64(d.Nanoseconds()), "ns/packet")
			if n == 0 {
				none = d
				return
			}
			b.ReportMetric(float64((d-none).Nanoseconds())/float64(n), "ns/copy")
		})
	}
}

// withoutClones is the program whose every clone succeeds without being made.
func withoutClones() (*ebpf.CollectionSpec, error) {
	spec, err := loadReplicate()
	if err != nil {
		return nil, err
	}
	insns := spec.Programs["replicate"].Instructions
	for i := range insns {
		if insns[i].IsBuiltinCall() && insns[i].Constant == int64(asm.FnCloneRedirect) {
			insns[i] = asm.Mov.Imm(asm.R0, 0).WithMetadata(insns[i].Metadata)
		}
	}
	return spec, nil
}
