package bpf

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

var update = flag.Bool("update", false, "rewrite the files below testdata that tests compare with")

const budgetFile = "testdata/verifier_budget.tsv"

// TestVerifierBudget: the verifier walks no more instructions of a program than
// 10 % above what is committed. Kernels differ: the budget is that of the worst
// one it was updated on.
func TestVerifierBudget(t *testing.T) {
	r := newRig(t, 1)
	w, err := LoadWatch(WatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var b strings.Builder
	for _, p := range []struct {
		name string
		prog *ebpf.Program
	}{
		{"replicate", r.d.replicate}, {"consume", r.d.consume}, {"forget", r.d.forget}, {"copyloss", r.d.copyloss},
		{"watch_in", w.program(In, true)}, {"watch_out", w.program(Out, true)},
		{"watch_in_ip", w.program(In, false)}, {"watch_out_ip", w.program(Out, false)},
	} {
		if p.prog == nil {
			if p.name == "copyloss" && tellsDropReasons(t) {
				t.Errorf("copyloss is not loaded: %q", r.d.Notes())
			}
			continue
		}
		info, err := p.prog.Info()
		if err != nil {
			t.Fatal(err)
		}
		n, ok := info.VerifiedInstructions()
		if !ok {
			t.Skip("this kernel does not tell how many instructions it verified")
		}
		t.Logf("%s: %d instructions verified", p.name, n)
		fmt.Fprintf(&b, "%s\t%d\n", p.name, n)
		if budget := budgetOf(t, p.name); !*update && n > budget+budget/10 {
			t.Errorf("%s: %d instructions verified, the budget is %d; if that is right, run the test with -update", p.name, n, budget)
		}
	}
	if *update {
		if err := os.WriteFile(budgetFile, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// tellsDropReasons reports whether the kernel has what copyloss needs: the
// tracepoint that tells why a packet was freed, since 5.17.
func tellsDropReasons(t *testing.T) bool {
	t.Helper()
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	var typ *btf.Typedef
	if err := kernel.TypeByName("btf_trace_kfree_skb", &typ); err != nil {
		return false
	}
	pointer, ok := typ.Type.(*btf.Pointer)
	if !ok {
		return false
	}
	call, ok := pointer.Target.(*btf.FuncProto)
	return ok && len(call.Params) >= 4 // context, skb, location, reason
}

func budgetOf(t *testing.T, name string) uint32 {
	t.Helper()
	data, err := os.ReadFile(budgetFile)
	if err != nil && !*update {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var prog string
		var n uint32
		if _, err := fmt.Sscanf(line, "%s\t%d", &prog, &n); err == nil && prog == name {
			return n
		}
	}
	if !*update {
		t.Errorf("%s has no budget", name)
	}
	return 0
}

// BenchmarkLoad says what an agent's start and end cost.
func BenchmarkLoad(b *testing.B) {
	bpftest.Require(b)
	bpftest.NewNamespace(b)
	for b.Loop() {
		d, err := Load(Options{Settings: smallSettings(), Dir: bpftest.PinDir(b)})
		if err != nil {
			b.Fatal(err)
		}
		if err := d.Unload(); err != nil {
			b.Fatal(err)
		}
	}
}
