package bpf

import (
	"testing"

	"github.com/cilium/ebpf"
)

// FuzzProgram gives random frames to the program: each has one fate, and the
// answer is one that the stack knows.
func FuzzProgram(f *testing.F) {
	r := fateRig(f)
	for _, frame := range sampleFrames() {
		f.Add(frame, uint8(1))
	}
	f.Add(sampleFrames()[0], uint8(0)) // GSO without segments
	f.Add(sampleFrames()[2], uint8(200))
	f.Fuzz(func(t *testing.T, frame []byte, segs uint8) {
		r.ns.Enter(t)
		before, err := r.d.PortCount(1)
		if err != nil {
			t.Fatal(err)
		}
		in := skbContext{Ifindex: r.ports[1].Index(), GSOSegs: uint32(segs)}
		ret, err := r.d.replicate.Run(&ebpf.RunOptions{Data: frame, Context: in})
		if err != nil {
			return // too short or too long for a test run
		}
		after, err := r.d.PortCount(1)
		if err != nil {
			t.Fatal(err)
		}
		var fates, kinds uint64
		for v := range after.Verdicts {
			if n := after.Verdicts[v] - before.Verdicts[v]; n > 0 {
				fates, kinds = fates+n, kinds+1
			}
		}
		if seen := after.Seen - before.Seen; seen != max(1, uint64(segs)) || fates != seen || kinds != 1 {
			t.Errorf("%d segments: %d seen, %d counted in %d verdicts", segs, seen, fates, kinds)
		}
		dropped := after.Verdicts[wireVerdictVERDICT_DROPPED] > before.Verdicts[wireVerdictVERDICT_DROPPED]
		if allowed := map[uint32]bool{1<<32 - 1: !dropped, 4: !dropped, 2: dropped}; !allowed[ret] {
			t.Errorf("action %d, dropped %v", int32(ret), dropped)
		}
	})
}
