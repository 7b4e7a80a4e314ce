package bpf

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

// watchRig is an observed veth pair in a namespace of its own.
type watchRig struct {
	ns   *bpftest.Namespace
	w    *Watch
	pair bpftest.Veth
}

func newWatchRig(t testing.TB, o WatchOptions) *watchRig {
	t.Helper()
	bpftest.Require(t)
	r := &watchRig{ns: bpftest.NewNamespace(t)}
	var err error
	if r.w, err = LoadWatch(o); err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() {
		if err := r.w.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	r.pair = bpftest.AddVeth(t, "p1")
	if err := r.w.Attach(r.pair.Index(), true); err != nil {
		t.Fatal(err)
	}
	return r
}

// run gives the packet to a program as if the interface had it; it must go on,
// unchanged.
func (r *watchRig) run(t testing.TB, program string, packet []byte, change func(*skbContext)) {
	t.Helper()
	in := skbContext{Ifindex: r.pair.Index()}
	if change != nil {
		change(&in)
	}
	opts := ebpf.RunOptions{Data: packet, DataOut: make([]byte, len(packet)+64), Context: in}
	ret, err := r.w.coll.Programs[program].Run(&opts)
	if err != nil {
		t.Fatalf("run %s on %d bytes: %v", program, len(packet), err)
	}
	if int32(ret) != -1 {
		t.Errorf("%s says %d, want to go on", program, int32(ret))
	}
	if string(opts.DataOut) != string(packet) {
		t.Errorf("%s changed the packet:\n%x\n%x", program, packet, opts.DataOut)
	}
}

// counted returns the streams with packets, as "direction vlan S>G" or
// "direction other", and starts a new epoch.
func (r *watchRig) counted(t testing.TB) map[string]Watched {
	t.Helper()
	got := map[string]Watched{}
	err := r.w.Read(func(k WatchKey, w *Watched) {
		way := [...]string{In: "in", Out: "out"}[k.Direction]
		name := fmt.Sprintf("%s %s%s>%s", way, prefixed(k.VLAN), k.Source, k.Group)
		if !k.Group.IsValid() {
			name = way + " other"
		}
		if w.Packets > 0 {
			got[name] = *w
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func prefixed(v VLAN) string {
	if v == 0 {
		return ""
	}
	return v.String() + " "
}

// amounts are the exact counts, without times.
func amounts(all map[string]Watched) map[string]count {
	got := map[string]count{}
	for name, w := range all {
		got[name] = count{w.Packets, w.Bytes}
	}
	return got
}

func TestWatchCountsEveryPacketOnce(t *testing.T) {
	const payload = 100
	udp := bpftest.UDP("10.0.0.1", "239.1.1.1", strings.Repeat("x", payload))
	udp6 := bpftest.UDP("2001:db8::1", "ff15::1", strings.Repeat("x", payload))
	plain := uint64(14 + 20 + 8 + payload)
	plain6 := plain + 20
	gso := func(size, segs uint32) func(*skbContext) {
		return func(c *skbContext) { c.GSOSize, c.GSOSegs = size, segs }
	}
	for _, row := range []struct {
		name    string
		program string
		packet  []byte
		change  func(*skbContext)
		want    map[string]count
	}{
		{"IPv4 in", "watch_in", udp.Bytes(), nil, map[string]count{"in 10.0.0.1>239.1.1.1": {1, plain}}},
		{"IPv4 out", "watch_out", udp.Bytes(), nil, map[string]count{"out 10.0.0.1>239.1.1.1": {1, plain}}},
		{"IPv6 in", "watch_in", udp6.Bytes(), nil, map[string]count{"in 2001:db8::1>ff15::1": {1, plain6}}},
		{"IPv6 out", "watch_out", udp6.Bytes(), nil, map[string]count{"out 2001:db8::1>ff15::1": {1, plain6}}},
		{"VLAN", "watch_in", with(udp, func(f *bpftest.Frame) { f.Tags = []bpftest.Tag{{Protocol: 0x8100, ID: 5}} }).Bytes(), nil,
			map[string]count{"in 5 10.0.0.1>239.1.1.1": {1, plain + 4}}},
		{"QinQ", "watch_in", with(udp, func(f *bpftest.Frame) {
			f.Tags = []bpftest.Tag{{Protocol: 0x88a8, ID: 100}, {Protocol: 0x8100, ID: 7}}
		}).Bytes(), nil, map[string]count{"in 100.7 10.0.0.1>239.1.1.1": {1, plain + 8}}},
		{"three tags are not ours", "watch_in", with(udp, func(f *bpftest.Frame) {
			f.Tags = []bpftest.Tag{{Protocol: 0x88a8, ID: 1}, {Protocol: 0x8100, ID: 2}, {Protocol: 0x8100, ID: 3}}
		}).Bytes(), nil, map[string]count{}},
		{"first fragment", "watch_in", with(udp, func(f *bpftest.Frame) { f.MoreFragments = true }).Bytes(), nil,
			map[string]count{"in 10.0.0.1>239.1.1.1": {1, plain}}},
		{"later fragment", "watch_in", with(udp, func(f *bpftest.Frame) { f.FragmentOffset = 1480 }).Bytes(), nil,
			map[string]count{"in 10.0.0.1>239.1.1.1": {1, plain}}},
		{"IPv6 fragment", "watch_in", with(udp6, func(f *bpftest.Frame) { f.FragmentOffset = 1480 }).Bytes(), nil,
			map[string]count{"in 2001:db8::1>ff15::1": {1, plain6 + 8}}},
		{"IPv4 options", "watch_in", with(udp, func(f *bpftest.Frame) { f.Options = make([]byte, 40) }).Bytes(), nil,
			map[string]count{"in 10.0.0.1>239.1.1.1": {1, plain + 40}}},
		{"IPv6 extension headers", "watch_in", with(udp6, func(f *bpftest.Frame) {
			f.Extensions = []bpftest.Extension{{Type: 0, Body: []byte{0, 1, 4, 0, 0, 0, 0}}, {Type: 60, Body: []byte{0, 1, 4, 0, 0, 0, 0}}}
		}).Bytes(), nil, map[string]count{"in 2001:db8::1>ff15::1": {1, plain6 + 16}}},
		{"padding counts as a part of the frame", "watch_in", with(udp, func(f *bpftest.Frame) { f.Pad = 6 }).Bytes(), nil,
			map[string]count{"in 10.0.0.1>239.1.1.1": {1, plain + 6}}},
		{"super-packet", "watch_in", udp.Bytes(), gso(10, 10), map[string]count{"in 10.0.0.1>239.1.1.1": {10, 10 * (plain - 90)}}},
		{"super-packet of unknown number", "watch_out", udp.Bytes(), gso(10, 0), map[string]count{"out 10.0.0.1>239.1.1.1": {10, 10 * (plain - 90)}}},
		{"malformed is counted as such", "watch_in", with(udp, func(f *bpftest.Frame) {
			f.Break = func(ip []byte) []byte { ip[0] = 0x41; return ip }
		}).Bytes(), nil, map[string]count{}},
		{"unicast", "watch_in", with(udp, func(f *bpftest.Frame) { f.Group = f.Source; f.DstMAC = [6]byte{2} }).Bytes(), nil, map[string]count{}},
		{"not IP", "watch_in", append(udp.Bytes()[:12:12], 0x88, 0xb5, 0, 0), nil, map[string]count{}},
		{"multicast by IP alone", "watch_in", with(udp, func(f *bpftest.Frame) { f.DstMAC = [6]byte{2} }).Bytes(), nil,
			map[string]count{"in 10.0.0.1>239.1.1.1": {1, plain}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newWatchRig(t, WatchOptions{})
			r.run(t, row.program, row.packet, row.change)
			if diff := cmp.Diff(row.want, amounts(r.counted(t))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			outcomes, err := r.w.Outcomes()
			if err != nil {
				t.Fatal(err)
			}
			malformed := uint64(0)
			if strings.HasPrefix(row.name, "malformed") {
				malformed = 1
			}
			if diff := cmp.Diff(map[WatchOutcome]uint64{0: malformed, 1: 0, 2: 0, 3: 0}, outcomes); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWatchTruncatedHeaders: a packet cut anywhere is no trouble.
func TestWatchTruncatedHeaders(t *testing.T) {
	r := newWatchRig(t, WatchOptions{})
	for _, f := range []bpftest.Frame{bpftest.UDP(sender, "239.1.1.1", ""), bpftest.UDP(sender6, "ff15::1", "")} {
		f.Tags = []bpftest.Tag{{Protocol: 0x8100, ID: 5}} // the kernel itself wants whole headers of untagged ones
		whole := f.Bytes()
		for n := 18; n < len(whole); n++ {
			r.run(t, "watch_in", whole[:n], nil)
		}
	}
}

// TestWatchFullTable: what has no room is counted in the interface's entry for
// all, so the sums stay exact; and nothing that is there goes.
func TestWatchFullTable(t *testing.T) {
	const room, streams = 8, 20
	r := newWatchRig(t, WatchOptions{Streams: room})
	for range 3 {
		for i := range streams {
			r.run(t, "watch_in", bpftest.UDP("10.0.0.1", fmt.Sprintf("239.1.1.%d", i), "hello").Bytes(), nil)
		}
	}
	got := amounts(r.counted(t))
	var sum uint64
	for _, c := range got {
		sum += c.Packets
	}
	if sum != 3*streams {
		t.Errorf("all entries hold %d packets, want %d", sum, 3*streams)
	}
	own := uint64(room - 2) // two are the interface's own
	if n := got["in other"].Packets; n != 3*(streams-own) || uint64(len(got)) != own+1 {
		t.Errorf("%d packets in the common entry, %d entries: %v", n, len(got), got)
	}
	outcomes, err := r.w.Outcomes()
	if err != nil {
		t.Fatal(err)
	}
	if n := outcomes[WatchOutcome(wireWatchOutcomeWATCH_TABLE_FULL)]; n != 3*(streams-own) {
		t.Errorf("full table counted %d times, want %d", n, 3*(streams-own))
	}
	if err := r.w.Attach(r.pair.Index()+1, true); err == nil || !strings.Contains(err.Error(), ErrTableFull.Error()) {
		t.Errorf("an interface without room: %v", err)
	}
}

func TestWatchChanges(t *testing.T) {
	r := newWatchRig(t, WatchOptions{})
	frame := func(ttl, tos byte) []byte {
		f := bpftest.UDP("10.0.0.1", "239.1.1.1", "")
		f.TTL = ttl
		f.Break = func(ip []byte) []byte {
			ip[1] = tos
			binary.BigEndian.PutUint16(ip[10:], 0)
			binary.BigEndian.PutUint16(ip[10:], ^bpftest.Sum(ip[:20]))
			return ip
		}
		return f.Bytes()
	}
	for _, row := range []struct {
		ttl, tos byte
		want     [6]uint32 // TTL now, before, changes; DSCP now, before, changes
	}{
		{16, 0x88, [6]uint32{16, 0, 0, 34, 0, 0}},
		{16, 0x8b, [6]uint32{16, 0, 0, 34, 0, 0}}, // ECN is not DSCP
		{15, 0x88, [6]uint32{15, 16, 1, 34, 0, 0}},
		{15, 0, [6]uint32{15, 16, 1, 0, 34, 1}},
		{16, 0xb8, [6]uint32{16, 15, 2, 46, 0, 2}},
	} {
		r.run(t, "watch_in", frame(row.ttl, row.tos), nil)
		w := r.counted(t)["in 10.0.0.1>239.1.1.1"]
		got := [6]uint32{uint32(w.TTL), uint32(w.OldTTL), w.TTLChanges, uint32(w.DSCP), uint32(w.OldDSCP), w.DSCPChanges}
		if got != row.want {
			t.Errorf("TTL %d TOS %#x: got %v, want %v", row.ttl, row.tos, got, row.want)
		}
	}
	f6 := bpftest.UDP("2001:db8::1", "ff15::1", "")
	f6.Break = func(ip []byte) []byte { ip[0], ip[1] = 0x6b, 0x80; return ip }
	r.run(t, "watch_in", f6.Bytes(), nil)
	if w := r.counted(t)["in 2001:db8::1>ff15::1"]; w.DSCP != 46 || w.TTL != 16 {
		t.Errorf("IPv6: DSCP %d, hop limit %d, want 46, 16", w.DSCP, w.TTL)
	}
}

// TestWatchPeaks: a burst shorter than a window is seen whole, once, and by the
// reading after it alone.
func TestWatchPeaks(t *testing.T) {
	r := newWatchRig(t, WatchOptions{})
	const burst, tries = 20, 100
	for i := range tries {
		frame := bpftest.UDP("10.0.0.1", fmt.Sprintf("239.1.1.%d", i), "").Bytes()
		// Repeats follow each other within microseconds, if the machine is not
		// busy with something else.
		run := ebpf.RunOptions{Data: frame, Repeat: burst, Context: skbContext{Ifindex: r.pair.Index()}}
		if _, err := r.w.coll.Programs["watch_in"].Run(&run); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("in 10.0.0.1>239.1.1.%d", i)
		w := r.counted(t)[name]
		if w.Last-w.First >= time.Millisecond {
			continue
		}
		want := Peaks{Packets: [2]uint64{burst, burst}, Bytes: [2]uint64{burst * uint64(len(frame)), burst * uint64(len(frame))}, Gap: w.Peaks.Gap}
		if w.Peaks != want {
			t.Errorf("peaks %+v, want %+v", w.Peaks, want)
		}
		if w := r.counted(t)[name]; w.Peaks != (Peaks{}) || w.Packets != burst {
			t.Errorf("the next reading holds peaks %+v and %d packets, want none and %d", w.Peaks, w.Packets, burst)
		}
		r.run(t, "watch_in", frame, nil)
		if w := r.counted(t)[name]; w.Peaks.Packets[0] > burst+1 || w.Peaks.Packets[0] == 0 || w.Peaks.Gap == 0 {
			t.Errorf("after one more packet: %+v", w.Peaks)
		}
		return
	}
	t.Errorf("this machine never handled %d packets within a millisecond", burst)
}

// TestWatchGaps: every packet but the first has one gap, and the sum of gaps is
// the time between first and last.
func TestWatchGaps(t *testing.T) {
	r := newWatchRig(t, WatchOptions{})
	frame := bpftest.UDP("10.0.0.1", "239.1.1.1", "").Bytes()
	const n = 30
	for i := range n {
		r.run(t, "watch_in", frame, nil)
		if i%10 == 9 {
			deadline := Now() + 2*time.Millisecond
			for Now() < deadline {
			}
		}
	}
	w := r.counted(t)["in 10.0.0.1>239.1.1.1"]
	var gaps, long uint64
	for i, g := range w.Gaps {
		gaps += g
		if bound := GapBound(i); bound == 0 || bound > 2*time.Millisecond {
			long += g
		}
	}
	if gaps != n-1 || w.GapSum != w.Last-w.First {
		t.Errorf("%d gaps of %v, want %d of %v", gaps, w.GapSum, n-1, w.Last-w.First)
	}
	if long < 2 || w.Peaks.Gap < 2*time.Millisecond {
		t.Errorf("%d gaps above 1 ms, the longest %v; want at least 2", long, w.Peaks.Gap)
	}
}

// TestGapBuckets: the program's buckets have the bounds that Go tells.
func TestGapBuckets(t *testing.T) {
	if GapBound(0) != 1024 || GapBound(GapBuckets-2) != 1<<32 || GapBound(GapBuckets-1) != 0 {
		t.Errorf("bounds %d, %d, %d", GapBound(0), GapBound(GapBuckets-2), GapBound(GapBuckets-1))
	}
}

// TestWatchForget: what a silent stream had counted is handed over exactly.
func TestWatchForget(t *testing.T) {
	r := newWatchRig(t, WatchOptions{})
	frame := bpftest.UDP("10.0.0.1", "239.1.1.1", "").Bytes()
	for range 3 {
		r.run(t, "watch_in", frame, nil)
	}
	k := WatchKey{Ifindex: r.pair.Index(), Source: netip.MustParseAddr("10.0.0.1"), Group: netip.MustParseAddr("239.1.1.1")}
	w, ok, err := r.w.Forget(k)
	if err != nil || !ok || w.Packets != 3 || w.Bytes != 3*uint64(len(frame)) {
		t.Errorf("forgot %+v, %v, %v", w, ok, err)
	}
	if _, ok, err = r.w.Forget(k); ok || err != nil {
		t.Errorf("again: %v, %v", ok, err)
	}
	if got := r.counted(t); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}
