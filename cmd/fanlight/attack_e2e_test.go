package main

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
)

// attack is what one host of the segment does to the others.
type attack struct {
	name   string
	config []string // of the domain, besides a quick querier
	// lasts is how long to look at the streams afterwards, for what acts late.
	lasts time.Duration
	// router: who asks is taken for a router, and gets every group.
	router bool
	run    func(t *testing.T, v *victims)
}

// victims are hosts that got their streams before the attack.
type victims struct {
	n    *lab.Net
	a    *agent
	evil *lab.RawConn
	// The attacker's own addresses.
	mac frame.MAC
	ip  netip.Addr
	out *outcome
}

var (
	ssmGroup = netip.MustParseAddr("232.1.1.1")
	v6Group  = netip.MustParseAddr("ff15::1")
	lowest4  = netip.MustParseAddr("192.0.0.1")
	lowest6  = netip.MustParseAddr("fe80::1")
)

func (v *victims) write(t *testing.T, frames ...[]byte) {
	t.Helper()
	for len(frames) > 0 {
		n, err := v.evil.WriteBatch(frames)
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			t.Fatal(err)
		}
		frames = frames[max(n, 1):]
	}
}

// igmp is the attacker's message, or one in the name of another host.
func (v *victims) igmp(m frame.Message, as ...*lab.Host) []byte {
	g := frame.IGMP{SrcMAC: v.mac, Src: v.ip}
	if len(as) > 0 {
		g.SrcMAC, g.Src = frame.MAC(as[0].MAC), as[0].Addr4
	}
	return g.Wrap(m)
}

func (v *victims) mld(t *testing.T, m frame.Message, as *lab.Host) []byte {
	t.Helper()
	addrs, err := as.Addresses("")
	if err != nil {
		t.Fatal(err)
	}
	return frame.MLD{SrcMAC: frame.MAC(as.MAC), Src: addrs.LinkLocal.Addr()}.Wrap(m)
}

// groupNumber is none of the victims' groups.
func groupNumber(i int) netip.Addr { return netip.AddrFrom4([4]byte{239, 7, byte(i >> 8), byte(i)}) }

var attacks = []attack{
	{name: "full table", config: []string{"limits: {groups: 16}"}, run: func(t *testing.T, v *victims) {
		for i := range 100 {
			v.write(t, v.igmp(frame.IGMPv3(frame.Record{Type: frame.ChangeToExclude, Group: groupNumber(i)})))
		}
		v.a.wait("groups are refused", func(s series) bool {
			refused := s.sum("fanlight_igmp_errors_total", `reason="port_group_limit"`) + s.sum("fanlight_igmp_errors_total", `reason="group_limit"`)
			return refused >= 100-12 && refused < 100
		})
	}},
	{name: "flood of reports", run: func(t *testing.T, v *victims) {
		batch := make([][]byte, 500)
		start := time.Now()
		total := 0
		for time.Since(start) < 2*time.Second {
			for i := range batch {
				batch[i] = v.igmp(frame.IGMPv3(frame.Record{Type: frame.ChangeToExclude, Group: groupNumber(total + i)}))
			}
			v.write(t, batch...)
			total += len(batch)
			time.Sleep(time.Until(start.Add(time.Duration(total) * 10 * time.Microsecond))) // 100,000 a second
		}
		took := time.Since(start)
		page := v.a.wait("the port's limit holds", func(s series) bool {
			return s.sum("fanlight_drops_total", `reason="rate_limited"`) > 0.8*float64(total)
		})
		heard := page.sum("fanlight_igmp_messages_total", `interface="p-evil"`)
		t.Logf("%d reports in %v, %v of them heard", total, took, heard)
		// The limit is 1,000 a second, and a second's worth at once.
		if most := 1000 * (time.Since(start).Seconds() + 1); heard > most {
			v.out.wrong("%v messages of a flooding port were heard, want %v at most", heard, most)
		}
		if rate := float64(total) / took.Seconds(); rate < 90000 {
			v.out.wrong("the flood was of %.0f reports/s", rate)
			v.out.noise = append(v.out.noise, "no time for a flood")
		}
	}},
	{name: "forged leaves", lasts: time.Second, run: func(t *testing.T, v *victims) {
		sub, ssm, pub := v.n.Host("sub"), v.n.Host("ssm"), v.n.Host("pub")
		for range 5 {
			for _, as := range []*lab.Host{sub, v.n.Host("evil")} {
				v.write(t,
					v.igmp(frame.IGMPv1Or2(frame.IGMPv2Leave, 0, testGroup), as),
					v.igmp(frame.IGMPv3(frame.Record{Type: frame.ChangeToInclude, Group: testGroup}), as),
					v.igmp(frame.IGMPv3(frame.Record{Type: frame.BlockOldSources, Group: ssmGroup, Sources: []netip.Addr{pub.Addr4}}), ssm),
					v.igmp(frame.IGMPv3(frame.Record{Type: frame.ChangeToInclude, Group: ssmGroup}), ssm),
					v.mld(t, frame.MLDv1(frame.MLDv1Done, 0, v6Group), as),
					v.mld(t, frame.MLDv2(frame.Record{Type: frame.ChangeToInclude, Group: v6Group}), as),
				)
			}
		}
	}},
	{name: "querier that wants late answers", router: true, lasts: 6 * time.Second, run: func(t *testing.T, v *victims) {
		v.write(t,
			frame.IGMP{SrcMAC: v.mac, Src: lowest4}.Wrap(frame.IGMPv3Query(frame.Query{MaxResp: 0xff, QRV: 7, QQIC: 0xff})),
			frame.MLD{SrcMAC: v.mac, Src: lowest6}.Wrap(frame.MLDv2Query(frame.Query{MaxResp: 0xffff, QRV: 7, QQIC: 0xff})))
	}},
	{name: "querier that asks about the group", router: true, lasts: 3 * time.Second, run: func(t *testing.T, v *victims) {
		for _, code := range []uint16{0xff, 0, 1} {
			v.write(t,
				frame.IGMP{SrcMAC: v.mac, Src: lowest4}.Wrap(frame.IGMPv3Query(frame.Query{MaxResp: 1, QRV: 2, QQIC: 2})),
				frame.IGMP{SrcMAC: v.mac, Src: lowest4}.Wrap(frame.IGMPv3Query(frame.Query{Group: testGroup, MaxResp: code, QRV: 1})),
				frame.MLD{SrcMAC: v.mac, Src: lowest6}.Wrap(frame.MLDv2Query(frame.Query{MaxResp: 100, QRV: 2, QQIC: 2})),
				frame.MLD{SrcMAC: v.mac, Src: lowest6}.Wrap(frame.MLDv2Query(frame.Query{Group: v6Group, MaxResp: code, QRV: 1})))
		}
	}},
	{name: "querier of version 2 that falls silent", router: true, lasts: 10 * time.Second, run: func(t *testing.T, v *victims) {
		v.write(t,
			frame.IGMP{SrcMAC: v.mac, Src: lowest4}.Wrap(frame.IGMPv1Or2(frame.IGMPQuery, 2, netip.Addr{})),
			frame.MLD{SrcMAC: v.mac, Src: lowest6}.Wrap(frame.MLDv1(frame.MLDQuery, 200, netip.Addr{})))
	}},
	{name: "querier of version 1 that falls silent", router: true, lasts: 10 * time.Second, run: func(t *testing.T, v *victims) {
		v.write(t, frame.IGMP{SrcMAC: v.mac, Src: lowest4, NoRouterAlert: true}.Wrap(frame.IGMPv1Or2(frame.IGMPQuery, 0, netip.Addr{})))
	}},
	{name: "querier on a guarded port", config: []string{"querier_guard: [p-evil]"}, lasts: 6 * time.Second, run: func(t *testing.T, v *victims) {
		v.write(t,
			frame.IGMP{SrcMAC: v.mac, Src: lowest4}.Wrap(frame.IGMPv3Query(frame.Query{MaxResp: 10, QRV: 7, QQIC: 0xff})),
			frame.MLD{SrcMAC: v.mac, Src: lowest6}.Wrap(frame.MLDv2Query(frame.Query{MaxResp: 1000, QRV: 7, QQIC: 0xff})))
	}},
	{name: "reports of many sources", lasts: time.Second, run: func(t *testing.T, v *victims) {
		var sources []netip.Addr
		for i := range 360 {
			sources = append(sources, netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}))
		}
		for i := range 500 {
			v.write(t,
				v.igmp(frame.IGMPv3(frame.Record{Type: frame.AllowNewSources, Group: ssmGroup, Sources: sources})),
				v.igmp(frame.IGMPv3(frame.Record{Type: frame.AllowNewSources, Group: netip.AddrFrom4([4]byte{232, 9, byte(i >> 8), byte(i)}), Sources: sources[:60]})),
				v.igmp(frame.IGMPv3(frame.Record{Type: frame.ChangeToExclude, Group: groupNumber(i), Sources: sources[:60]})))
		}
	}},
	{name: "forged PIM hello", config: []string{"router_guard: [p-evil]"}, lasts: time.Second, run: func(t *testing.T, v *victims) {
		hello := []byte{0x20, 0, 0, 0, 0, 1, 0, 2, 0xff, 0xff} // type 0, holdtime for ever
		sum := frame.Checksum(hello)
		hello[2], hello[3] = byte(sum>>8), byte(sum)
		all := netip.MustParseAddr("224.0.0.13")
		packet := frame.IPv4{Src: v.ip, Dst: all, TTL: 1, Protocol: 103}.Wrap(hello)
		v.write(t, frame.Ethernet{Dst: frame.GroupMAC(all), Src: v.mac}.Wrap(packet))
		v.a.wait("the guard counts it", func(s series) bool { return s.sum("fanlight_igmp_errors_total", `reason="router_guard"`) > 0 })
	}},
}

// Standing members of other ports lose nothing, and nobody gets what it did not
// ask for.
func TestAttacksHarmNobodyElse(t *testing.T) {
	for _, at := range attacks {
		t.Run(at.name, func(t *testing.T) {
			// The flood fills the backlog that all networks of a CPU share: alone.
			if at.name != "flood of reports" {
				t.Parallel()
			}
			untilClean(t, func(t *testing.T, n *lab.Net) outcome { return suffer(t, n, at) }, "pub", "sub", "ssm", "idle", "evil")
		})
	}
}

func suffer(t *testing.T, n *lab.Net, at attack) (out outcome) {
	a := startAgent(t, n, append([]string{quickQuerier}, at.config...)...)
	v := &victims{n: n, a: a, mac: frame.MAC(n.Host("evil").MAC), ip: n.Host("evil").Addr4, out: &out}
	var err error
	if v.evil, err = n.Host("evil").Raw(""); err != nil {
		t.Fatal(err)
	}
	groups := []netip.Addr{testGroup, ssmGroup, v6Group}
	receivers := []*lab.Receiver{joinGroup(t, n.Host("sub"), testGroup), nil, joinGroup(t, n.Host("sub"), v6Group)}
	receivers[1], err = n.Host("ssm").Listen(lab.ListenConfig{Group: ssmGroup, Port: 5000, Sources: []netip.Addr{n.Host("pub").Addr4}})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		a.waitMembers(g.String(), 1)
	}
	// From here on what nobody joined goes nowhere.
	nobody := groupNumber(9999)
	a.wait("the querier is ready", func(s series) bool {
		probe(t, n, "pub", nobody, 1)
		return s.sum("fanlight_drops_total", fmt.Sprintf("group=%q", nobody)) > 0
	})
	var overheard []*lab.FrameCounter
	hosts := []string{"idle", "evil"}
	if at.router {
		hosts = hosts[:1]
	}
	for _, h := range hosts {
		c, err := n.Host(h).CountFrames("", isData)
		if err != nil {
			t.Fatal(err)
		}
		overheard = append(overheard, c)
	}
	var streams []*lab.Stream
	for _, g := range groups {
		s, err := n.Host("pub").Stream(lab.SendConfig{Group: g, Port: 5000, Rate: 500})
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	for _, r := range receivers {
		if err := r.Wait(soon(t), 10); err != nil {
			t.Fatal(err)
		}
	}
	at.run(t, v)
	until := time.Now().Add(at.lasts)
	for time.Now().Before(until) {
		time.Sleep(min(time.Until(until), 100*time.Millisecond)) // the attack acts by itself
	}
	probe0(t, n, nobody)
	for _, s := range streams {
		s.Stop()
	}
	for i, s := range streams {
		out.demandAll(t, a.scrape, n, s, receivers[i])
	}
	for _, c := range overheard {
		if got := c.Count(); got.Frames > 0 {
			out.wrong("%d datagrams reached hosts that did not ask for them", got.Frames)
		}
	}
	return out
}

// probe0 sends what nobody joined.
func probe0(t *testing.T, n *lab.Net, group netip.Addr) {
	t.Helper()
	if _, err := n.Host("pub").Send(soon(t), lab.SendConfig{Group: group, Port: 5000, Count: 10}); err != nil {
		t.Fatal(err)
	}
}

// isData keeps UDP datagrams to groups.
func isData(b []byte) bool {
	switch {
	case len(b) < 34 || b[0]&1 == 0:
		return false
	case b[12] == 0x08 && b[13] == 0:
		return b[23] == frame.ProtocolUDP
	default:
		return b[12] == 0x86 && b[20] == frame.ProtocolUDP
	}
}
