package bpf

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

// BenchmarkWatch says what observing adds to a packet: to one of multicast, and
// to any other. The run itself takes some nanoseconds: see "nothing". It is on the
// loopback interface, because a repeated run has no other.
func BenchmarkWatch(b *testing.B) {
	multicast := bpftest.UDP("10.0.0.1", "239.1.1.1", "x")
	unicast := with(multicast, func(f *bpftest.Frame) { f.Group = f.Source; f.DstMAC = [6]byte{2} })
	r := newWatchRig(b, WatchOptions{})
	if err := r.w.Attach(loopback, true); err != nil {
		b.Fatal(err)
	}
	none, err := loadAlone("consume_copied", loadConsume)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(none.Close)
	watch := r.w.program(In, true)
	for _, row := range []struct {
		name  string
		prog  *ebpf.Program
		frame bpftest.Frame
	}{
		{"nothing", none.Programs["consume_copied"], unicast},
		{"unicast", watch, unicast},
		{"multicast", watch, multicast},
		{"multicast, IPv6", watch, bpftest.UDP("2001:db8::1", "ff15::1", "x")},
	} {
		b.Run(row.name, func(b *testing.B) {
			b.ReportMetric(float64(perPacket(b, row.prog, row.frame.Bytes()).Nanoseconds()), "ns/packet")
		})
	}
}

// BenchmarkWatchRead says what one reading of many streams costs.
func BenchmarkWatchRead(b *testing.B) {
	const streams = 10000
	r := newWatchRig(b, WatchOptions{})
	for i := range streams {
		r.run(b, "watch_in", bpftest.UDP("10.0.0.1", fmt.Sprintf("239.1.%d.%d", i/250, i%250), "").Bytes(), nil)
	}
	for b.Loop() {
		n := 0
		if err := r.w.Read(func(WatchKey, *Watched) { n++ }); err != nil {
			b.Fatal(err)
		}
		if n != streams+2 {
			b.Fatalf("%d entries read, want %d", n, streams+2)
		}
	}
}
