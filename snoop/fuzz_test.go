package snoop

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the seed corpora below testdata/fuzz")

// seedPackets are good packets of every kind.
func seedPackets() [][]byte {
	s := letters("abc")
	return [][]byte{
		v1Report(h1, g1), v2Report(h1, g1), v2Leave(h1, g1),
		v3Report(h1, rec(isInclude, g1, s...), rec(isExclude, "239.1.1.1", s[0]), rec(toInclude, g1), rec(toExclude, g1), rec(allow, "232.1.1.1", s[1]), rec(block, g1, s[2])),
		mldv1Report("fe80::1", "ff15::1"), mldv1Done("fe80::1", "ff15::1"),
		mldv2Report("fe80::1", rec(toExclude, "ff15::1", "2001:db8::1"), rec(allow, "ff3e::1", "2001:db8::2")),
		general(IGMPv1, h1), general(IGMPv2, h1), general(IGMPv3, h1), general(MLDv1, "fe80::1"), general(MLDv2, "fe80::1"),
		queryPacket(IGMPv3, h1, specificQuery{group: addr(g1), sources: addrs(s...)}),
		queryPacket(MLDv2, "fe80::1", specificQuery{group: addr("ff15::1"), sources: addrs("2001:db8::1")}),
		pimHello(h1, "224.0.0.13", 105), pimHello("fe80::1", "ff02::d", 0),
		igmp(h1, "224.0.0.106", []byte{igmpMRDAdvertise, 20, 0, 0, 0, 125, 0, 2}),
		mld("fe80::1", "ff02::6a", []byte{mldMRDTerminate, 0, 0, 0}),
	}
}

// script packs packets for FuzzReceive: each with port, VLAN, flags, seconds to
// wait before it, and length.
func script(packets ...[]byte) (b []byte) {
	for i, p := range packets {
		b = append(b, byte(i%3), byte(i%2), 0, byte(i), byte(len(p)>>8), byte(len(p)))
		b = append(b, p...)
	}
	return b
}

func seedScripts() [][]byte {
	all := seedPackets()
	s := letters("abc")
	return [][]byte{
		script(all...),
		script(slices.Concat(all, all)...),
		script(v3Report(h1, rec(toExclude, g1, s...)), v3Report(h2, rec(allow, g1, s[0])), v3Report(h1, rec(toInclude, g1)), v2Leave(h2, g1)),
		script(general(IGMPv3, h1), v2Report(h2, g1), queryPacket(IGMPv3, h1, specificQuery{group: addr(g1)})),
		script(v3Report(h1, rec(allow, g1, manySources(70)...))),
	}
}

// TestSeedCorpora keeps the committed corpora in step with the seeds above.
func TestSeedCorpora(t *testing.T) {
	for name, seeds := range map[string][][]byte{
		"FuzzParseIP": seedPackets(), "FuzzParseMessage": seedPackets(), "FuzzReceive": seedScripts(),
	} {
		for i, seed := range seeds {
			path := filepath.Join("testdata", "fuzz", name, fmt.Sprintf("seed%02d", i))
			want := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", seed)
			if *update {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != want {
				t.Errorf("%s is not the seed, run go test -update: %v", path, err)
			}
		}
	}
}

func FuzzParseIP(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, cut := range []bool{false, true} {
			d, why := parseIP(b, cut)
			if why == truncated && !cut {
				t.Error("a whole packet is called truncated")
			}
			if why != accepted {
				continue
			}
			if len(d.payload) > len(b) || !d.src.IsValid() || d.src.Is6() != d.v6 || d.dst.Is6() != d.v6 {
				t.Errorf("%d bytes gave %+v", len(b), d)
			}
		}
	})
}

// FuzzParseMessage repairs the checksums first, so that it gets past them.
func FuzzParseMessage(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		repaired := repair(b)
		d, why := parseIP(b, false)
		if why != accepted {
			return
		}
		m, why := parse(&d)
		if why == badChecksum && repaired {
			t.Error("the repaired checksum is bad")
		}
		if why != accepted {
			return
		}
		if m.kind >= numMessageTypes || m.protocol >= numProtocols {
			t.Errorf("message %+v", m)
		}
		addrLen := 4
		if d.v6 {
			addrLen = 16
		}
		if m.kind == messageReport && m.protocol.sourceAware() && !checkRecords(m.records, m.count, addrLen) {
			t.Error("records are not whole")
		}
		if len(m.query.sources)%addrLen != 0 || m.query.robustness > 7 || m.holdtime < 0 {
			t.Errorf("message %+v", m)
		}
	})
}

// repair makes the checksums of a packet right where its structure permits, and
// reports whether it did.
func repair(b []byte) bool {
	if len(b) < 24 {
		return false
	}
	if b[0]>>4 == 4 {
		header, total := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
		if header < 20 || header+4 > total || total > len(b) {
			return false
		}
		fixIPv4(b)
		fixSum(b[header:total], 0)
		return true
	}
	if len(b) < 40 || b[0]>>4 != 6 {
		return false
	}
	d, why := parseIPv6(b, false)
	if why != accepted || len(d.payload) < 4 {
		return false
	}
	fixSum(d.payload, pseudoSum(d.src, d.dst, d.proto, len(d.payload)))
	return true
}

func fixSum(payload []byte, acc uint32) {
	payload[2], payload[3] = 0, 0
	binary.BigEndian.PutUint16(payload[2:], fold(sum(acc, payload)))
}

func FuzzReceive(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		cfg := DefaultConfig()
		cfg.Querier = QuerierOn
		cfg.Limits = Limits{Groups: 4, GroupsPerPort: 3, PortsPerGroup: 2, SourcesPerGroup: 3, HostsPerPort: 2, HostGroupsPerPort: 3, VLANs: 2}
		cfg.TTLCheck = CheckOff
		if len(b) > 0 && b[0]&0x80 != 0 {
			cfg.Querier = QuerierAuto
		}
		tb := New(cfg, 0)
		for p := range Port(3) {
			tb.AddPort(p, portInfo(p), 0)
		}
		var now time.Duration
		var received uint64
		for len(b) >= 6 {
			port, vlan, flags, wait := Port(b[0]%3), VLAN(b[1]%4)<<16, b[2], time.Duration(b[3])
			n := min(int(binary.BigEndian.Uint16(b[4:])), len(b)-6)
			ip := slices.Clone(b[6 : 6+n])
			b = b[6+n:]
			if flags&1 == 0 {
				repair(ip)
			}
			now += wait * time.Second / 4
			tb.Receive(Packet{Port: port, VLAN: vlan, At: now, IP: ip, Truncated: flags&2 != 0, SrcMAC: MAC{2, flags}}, now)
			received++
			checkTable(t, tb)
			for _, k := range slices.Clone(tb.TakeDirty()) {
				checkForwarding(t, tb, k)
			}
		}
		var counted uint64
		for _, s := range tb.Stats().Ports {
			counted += s.Received()
		}
		if counted != received {
			t.Errorf("%d packets came, %d were counted", received, counted)
		}
		for _, x := range tb.TakeTransmit() {
			d, why := parseIP(x.Frame[ethernetLen:], false)
			if why == accepted {
				_, why = parse(&d)
			}
			if why != accepted {
				t.Errorf("our own frame: %v", why)
			}
		}
		tb.Advance(now + 3*gmi)
		tb.Advance(now + 6*gmi)
		checkTable(t, tb)
		if s := tb.Stats(); s.Members+s.Hosts+s.Sources != 0 {
			t.Errorf("left over: %+v", s)
		}
	})
}

// checkForwarding compares the answer with what each member wants.
func checkForwarding(t *testing.T, tb *Table, k GroupKey) {
	t.Helper()
	f, ok := tb.Forwarding(k)
	g := tb.groups[k]
	if ok != (g != nil) {
		t.Fatalf("%v: known %v, there %v", k, ok, g != nil)
	}
	if g == nil {
		return
	}
	for _, x := range f.Sources {
		for _, m := range g.members {
			if m.wants(x.Source) != slices.Contains(x.Ports, m.port.id) {
				t.Fatalf("%v from %v goes to %v, port %d is wrong", k, x.Source, x.Ports, m.port.id)
			}
		}
	}
	for _, m := range g.members {
		if (m.mode == Exclude) != slices.Contains(f.Any, m.port.id) {
			t.Fatalf("%v goes to %v, port %d is wrong", k, f.Any, m.port.id)
		}
	}
}
