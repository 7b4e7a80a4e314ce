package snoop

import (
	"net/netip"
	"runtime"
	"testing"
	"time"
)

// TestRefreshAllocatesNothing holds for every version, with and without sources.
func TestRefreshAllocatesNothing(t *testing.T) {
	for name, ip := range map[string][]byte{
		"igmpv1": v1Report(h1, g1), "igmpv2": v2Report(h1, g1),
		"igmpv3":         v3Report(h1, rec(isExclude, g1)),
		"igmpv3 sources": v3Report(h1, rec(isInclude, "232.1.1.1", manySources(32)...), rec(isExclude, g1, manySources(3)...)),
		"mldv1":          mldv1Report("fe80::1", "ff15::1"),
		"mldv2":          mldv2Report("fe80::1", rec(isInclude, "ff3e::1", "2001:db8::1", "2001:db8::2")),
	} {
		tt := newTable(t, nil, 1)
		in := Packet{Port: 1, IP: ip, SrcMAC: MAC{2}}
		tt.Receive(in, 0)
		now := time.Duration(0)
		if got := testing.AllocsPerRun(100, func() { now += time.Millisecond; tt.Receive(in, now) }); got != 0 {
			t.Errorf("%s: %v allocations for a refresh", name, got)
		}
	}
}

func benchmarkRefresh(b *testing.B, ip []byte) {
	cfg := DefaultConfig()
	tb := New(cfg, 0)
	tb.AddPort(1, portInfo(1), 0)
	in := Packet{Port: 1, IP: ip, SrcMAC: MAC{2}}
	tb.Receive(in, 0)
	now := time.Duration(0)
	b.ReportAllocs()
	for b.Loop() {
		now += time.Microsecond
		tb.Receive(in, now)
	}
}

func BenchmarkRefreshIGMPv2(b *testing.B) { benchmarkRefresh(b, v2Report(h1, g1)) }
func BenchmarkRefreshIGMPv3(b *testing.B) {
	benchmarkRefresh(b, v3Report(h1, rec(isExclude, g1)))
}
func BenchmarkRefreshIGMPv3Sources32(b *testing.B) {
	benchmarkRefresh(b, v3Report(h1, rec(isInclude, "232.1.1.1", manySources(32)...)))
}
func BenchmarkRefreshMLDv2(b *testing.B) {
	benchmarkRefresh(b, mldv2Report("fe80::1", rec(isExclude, "ff15::1")))
}

// fullTable has 1,000 groups with 100 ports each.
func fullTable(tb testing.TB) *Table {
	cfg := DefaultConfig()
	cfg.Querier = QuerierOff
	cfg.Limits.Members = 100_000
	t := New(cfg, 0)
	for p := range Port(100) {
		t.AddPort(p, PortInfo{}, 0)
	}
	joinAll(t, 0)
	if got := t.Stats().Members; got != 100_000 {
		tb.Fatalf("%d members", got)
	}
	return t
}

// joinAll sends one report for every group on every port, a millisecond apart
// by group.
func joinAll(t *Table, now time.Duration) {
	ip := v2Report(h1, g1)
	for g := range 1000 {
		a := netip.AddrFrom4([4]byte{239, 1, byte(g / 256), byte(g)})
		copy(ip[16:], a.AsSlice())
		copy(ip[28:], a.AsSlice())
		repair(ip)
		for p := range Port(100) {
			t.Receive(Packet{Port: p, IP: ip, SrcMAC: MAC{2}}, now+time.Duration(g)*time.Millisecond)
		}
		t.TakeEvents()
	}
}

// BenchmarkTick100k passes the time by a second with 100,000 members that all
// were refreshed meanwhile.
func BenchmarkTick100k(b *testing.B) {
	t := fullTable(b)
	now := 2 * time.Second
	b.ReportAllocs()
	for b.Loop() {
		if now += time.Second; now%(100*time.Second) == 0 {
			b.StopTimer()
			joinAll(t, now)
			b.StartTimer()
		}
		t.Advance(now)
	}
}

// BenchmarkAge100k lets 100,000 members end in one call.
func BenchmarkAge100k(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		t := fullTable(b)
		b.StartTimer()
		t.Advance(gmi + time.Second)
		if t.Stats().Members != 0 {
			b.Fatal("members are left")
		}
	}
}

func BenchmarkDeadline100k(b *testing.B) {
	t := fullTable(b)
	for b.Loop() {
		if _, ok := t.Deadline(); !ok {
			b.Fatal("no deadline")
		}
	}
}

// 100,000 members fit, and what they took comes back when they are gone.
func TestMemoryComesBack(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	tb := fullTable(t)
	drain := &testTable{Table: tb, t: t}
	drain.drain()
	drain.drain()
	full := heap()
	tb.Advance(gmi + 2*time.Second)
	drain.drain()
	drain.drain()
	after := heap()
	runtime.KeepAlive(tb)
	t.Logf("%d bytes a member; %d KiB before, %d KiB after", (full-before)/100_000, before>>10, after>>10)
	if full < before || (full-before)/100_000 > 1000 {
		t.Errorf("100,000 members take %d bytes", full-before)
	}
	if after > before+(full-before)/20 {
		t.Errorf("%d bytes before, %d with members, %d after", before, full, after)
	}
}
