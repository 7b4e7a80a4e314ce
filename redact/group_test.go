package redact

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
)

func TestGroupScopeAndClass(t *testing.T) {
	for _, tt := range []struct{ group, scope, class string }{
		{"224.0.0.1", "link_local", "local_control"},
		{"224.0.1.129", "global", "internetwork_control"},
		{"224.2.127.254", "global", "asm"},
		{"232.1.1.1", "global", "ssm"},
		{"233.1.2.3", "global", "glop"},
		{"233.252.0.1", "global", "asm"},
		{"234.1.2.3", "global", "unicast_prefix"},
		{"239.1.1.1", "admin_scoped", "asm"},
		{"239.195.1.1", "organization_local", "asm"},
		{"239.255.255.250", "local", "asm"},
		{"::ffff:239.255.0.1", "local", "asm"},
		{"ff02::1", "link_local", "well_known"},
		{"ff02::1:ff12:3456", "link_local", "solicited_node"},
		{"ff15::7", "site_local", "asm"},
		{"ff3e::8000:1", "global", "ssm"},
		{"ff38:30:2001:db8::1", "organization_local", "unicast_prefix"},
		{"ff7e:140:2001:db8::1", "global", "embedded_rp"},
		{"ff11::1", "interface_local", "asm"},
		{"ff0f::1", "reserved", "well_known"},
		{"192.0.2.1", "", ""},
		{"2001:db8::1", "", ""},
	} {
		g := netip.MustParseAddr(tt.group)
		if scope, class := GroupScope(g), GroupClass(g); scope != tt.scope || class != tt.class {
			t.Errorf("%s: want %s %s, got %s %s", tt.group, tt.scope, tt.class, scope, class)
		}
	}
	if GroupScope(netip.Addr{}) != "" || GroupClass(netip.Addr{}) != "" {
		t.Error("no address has a scope or a class")
	}
}

// kindOfAddress is what must survive redaction to an address.
func kindOfAddress(a netip.Addr) [9]any {
	_, isGroup := GroupMAC(a)
	return [9]any{a.BitLen(), isGroup, GroupScope(a), GroupClass(a), a.IsPrivate(), a.IsLoopback(), a.IsLinkLocalUnicast(),
		a.IsGlobalUnicast(), a.Is4() && a.As4()[0] >= 240}
}

// randomAddress prefers the surroundings of blocks, and there both sides of
// each border.
func randomAddress(random *rand.Rand) netip.Addr {
	blocks := blocks4
	if random.IntN(2) == 0 {
		blocks = blocks6
	}
	b := blocks[random.IntN(len(blocks))]
	value := bytes.Clone(b.bytes)
	if len(value) == 16 && value[0] == 0xff && random.IntN(2) == 0 {
		value[1] = byte(random.Uint32())
		value[3] = byte(random.Uint32()) & byte(-int8(random.IntN(2)))
	}
	for bit := random.IntN(8 * len(value)); bit < 8*len(value); bit++ {
		value[bit/8] ^= byte(random.IntN(2)) << (7 - bit%8)
	}
	a, _ := netip.AddrFromSlice(value)
	return a
}

// What is redacted to an address stays an address of its kind, no two become
// one, common prefixes stay as long, and the key holder can undo it.
func TestAddressesKeepTheirKind(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	c := newSample(t, sampleKey)
	seen := map[netip.Addr]netip.Addr{}
	var last = map[int][2][]byte{}
	changed := 0
	for range 20000 {
		a := randomAddress(random)
		value := a.AsSlice()
		c.hide(value, keepsKind)
		got, _ := netip.AddrFromSlice(value)
		if want, got := kindOfAddress(a), kindOfAddress(got); want != got {
			t.Fatalf("%s: kind was %v, is %v", a, want, got)
		}
		if other, ok := seen[got]; ok && other != a {
			t.Fatalf("%s and %s both become %s", a, other, got)
		}
		seen[got] = a
		if got != a {
			changed++
		}
		if before, ok := last[len(value)]; ok {
			if want, got := commonBits(before[0], a.AsSlice()), commonBits(before[1], value); want != got {
				t.Fatalf("%s shared %d bits with the one before, now %d", a, want, got)
			}
		}
		last[len(value)] = [2][]byte{a.AsSlice(), bytes.Clone(value)}
		c.reveal(value, keepsKind)
		if back, _ := netip.AddrFromSlice(value); back != a {
			t.Fatalf("%s is revealed as %s", a, back)
		}
	}
	if changed < 15000 {
		t.Errorf("only %d of 20000 addresses changed", changed)
	}
}

// What tells the length of an embedded prefix, and the zeros of source-specific
// groups, stays as it is; what tells groups apart does not.
func TestBitsThatGroupsKeep(t *testing.T) {
	c := newSample(t, sampleKey)
	for group, kept := range map[string]int{
		"ff3e::8000:1": 96, "ff38:30:2001:db8::1": 32, "ff7e:140:2001:db8::1": 32, "ff15::7": 16, "ff02::1:ff12:3456": 104,
		"232.129.1.1": 8, "239.192.7.7": 14, "239.255.7.7": 16, "224.0.0.22": 24,
	} {
		original := netip.MustParseAddr(group).AsSlice()
		for bit := range 8 * len(original) {
			if got := keepsKind(original, bit); got != (bit < kept) {
				t.Errorf("%s: bit %d is kept: %t", group, bit, got)
			}
		}
		value := bytes.Clone(original)
		if c.hide(value, keepsKind); commonBits(original, value) < kept {
			t.Errorf("%s becomes %x", group, value)
		}
	}
}

// Every address of one /16 with a block inside becomes another one of its kind.
func TestMappingIsOneToOneWithinABlock(t *testing.T) {
	c := newSample(t, sampleKey)
	for _, base := range []string{"224.0.0.0", "239.255.0.0", "192.168.0.0", "203.0.0.0"} {
		taken := make([]bool, 1<<16)
		first := netip.MustParseAddr(base).As4()
		var prefix []byte
		for n := range 1 << 16 {
			value := first
			binary.BigEndian.PutUint16(value[2:], uint16(n))
			c.hide(value[:], keepsKind)
			if prefix == nil {
				prefix = bytes.Clone(value[:2])
			}
			if !bytes.Equal(prefix, value[:2]) {
				t.Fatalf("%s/16 is torn apart", base)
			}
			if at := binary.BigEndian.Uint16(value[2:]); taken[at] {
				t.Fatalf("two of %s/16 become %v", base, value)
			} else {
				taken[at] = true
			}
		}
	}
}

func TestEthernetAddressesKeepTheirKind(t *testing.T) {
	c := newSample(t, sampleKey)
	random := rand.NewChaCha8([32]byte{5})
	for range 2000 {
		var m [6]byte
		random.Read(m[:])
		hidden := m
		c.hide(hidden[:], keepsCast)
		if hidden[0]&3 != m[0]&3 {
			t.Fatalf("%x becomes %x", m, hidden)
		}
		c.reveal(hidden[:], keepsCast)
		if hidden != m {
			t.Fatalf("%x is revealed as %x", m, hidden)
		}
	}
}

func TestGroupMAC(t *testing.T) {
	for group, want := range map[string]string{
		"239.129.2.3": "01:00:5e:01:02:03", "ff15::1:203": "33:33:00:01:02:03", "::ffff:224.0.0.251": "01:00:5e:00:00:fb",
	} {
		m, ok := GroupMAC(netip.MustParseAddr(group))
		if got := macText(m); !ok || got != want {
			t.Errorf("%s: want %s, got %s", group, want, got)
		}
	}
	if _, ok := GroupMAC(netip.MustParseAddr("192.0.2.1")); ok {
		t.Error("a host has the Ethernet address of a group")
	}
}

// The values are those of the specification's baseline.
func TestCommunityID(t *testing.T) {
	for _, tt := range []struct {
		protocol uint8
		a, b     string
		want     string
	}{
		{6, "128.232.110.120:34855", "66.35.250.204:80", "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{17, "192.168.1.52:54585", "8.8.8.8:53", "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
		{132, "192.168.170.8:7", "192.168.170.56:7", "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="},
		{6, "[2001:470:e5bf:dead:4957:2174:e82c:4887]:63943", "[2607:f8b0:400c:c03::1a]:25", "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="},
		{17, "192.0.2.1:1", "[2001:db8::1]:1", ""},
	} {
		a, b := netip.MustParseAddrPort(tt.a), netip.MustParseAddrPort(tt.b)
		for _, got := range []string{CommunityID(0, tt.protocol, a, b), CommunityID(0, tt.protocol, b, a)} {
			if got != tt.want {
				t.Errorf("%s and %s: want %q, got %q", tt.a, tt.b, tt.want, got)
			}
		}
	}
	if got := CommunityID(0, 17, netip.AddrPort{}, netip.AddrPort{}); got != "" {
		t.Errorf("no addresses: got %q", got)
	}
}
