package doctor

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

var addrs = cmpopts.EquateComparable(netip.Addr{})

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// Files as Linux 6.18 writes them on a little-endian machine.
const (
	igmpFile = `Idx	Device    : Count Querier	Group    Users Timer	Reporter
1	lo        :     1      V3
				010000E0     1 0:00000000		0
4	eth0      :     2      V2
				010101EF     2 0:00000000		1
				010000E0     1 0:00000000		0
`
	igmp6File = `1    lo              ff020000000000000000000000000001     1 0000000C 0
4    eth0            ff150000000000000000000000010001     2 00000004 0
`
	filterFile = `Idx Device        MCA        SRC    INC    EXC
  4 eth0   0xe8010101 0xc0000201      1      0
  4 eth0   0xe8010101 0xc0000202      0      2
`
	filter6File = `Idx Device                Multicast Address                   Source Address    INC    EXC
  4 eth0   ff350000000000000000000080000001 20010db8000000000000000000000001      1      0
`
	deviceFile = `4    eth0            1     0     01005e010101
5    gre0            1     0     e0000001
`
	snmpFile = `Ip: Forwarding DefaultTTL InReceives
Ip: 2 64 100
Tcp: MaxConn ActiveOpens
Tcp: -1 5
Udp: InDatagrams NoPorts
Udp: 7 3
`
	snmp6File = "Ip6InReceives                   	12\nUdp6NoPorts                     	2\n"
)

func TestParseMemberships(t *testing.T) {
	got, err := parseIGMP(strings.NewReader(igmpFile))
	want := []Membership{{1, addr("224.0.0.1"), 1, 3}, {4, addr("239.1.1.1"), 2, 2}, {4, addr("224.0.0.1"), 1, 2}}
	if diff := cmp.Diff(want, got, addrs); diff != "" || err != nil {
		t.Errorf("igmp: %v\n%s", err, diff)
	}
	got, err = parseIGMP6(strings.NewReader(igmp6File))
	want = []Membership{{1, addr("ff02::1"), 1, 0}, {4, addr("ff15::1:1"), 2, 0}}
	if diff := cmp.Diff(want, got, addrs); diff != "" || err != nil {
		t.Errorf("igmp6: %v\n%s", err, diff)
	}
}

func TestParseFilters(t *testing.T) {
	got, err := parseFilters(strings.NewReader(filterFile))
	want := []SourceFilter{{4, addr("232.1.1.1"), addr("192.0.2.1"), 1, 0}, {4, addr("232.1.1.1"), addr("192.0.2.2"), 0, 2}}
	if diff := cmp.Diff(want, got, addrs); diff != "" || err != nil {
		t.Errorf("mcfilter: %v\n%s", err, diff)
	}
	got, err = parseFilters(strings.NewReader(filter6File))
	want = []SourceFilter{{4, addr("ff35::8000:1"), addr("2001:db8::1"), 1, 0}}
	if diff := cmp.Diff(want, got, addrs); diff != "" || err != nil {
		t.Errorf("mcfilter6: %v\n%s", err, diff)
	}
}

func TestParseDeviceGroups(t *testing.T) {
	got, err := parseDeviceGroups(strings.NewReader(deviceFile))
	want := []DeviceGroup{{4, [6]byte{1, 0, 0x5e, 1, 1, 1}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("dev_mcast: %v\n%s", err, diff)
	}
}

func TestParseCounters(t *testing.T) {
	got, err := parseCounterPairs(strings.NewReader(snmpFile))
	want := map[string]uint64{"Ip.Forwarding": 2, "Ip.DefaultTTL": 64, "Ip.InReceives": 100, "Tcp.ActiveOpens": 5, "Udp.InDatagrams": 7, "Udp.NoPorts": 3}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("snmp: %v\n%s", err, diff)
	}
	got, err = parseCounterLines(strings.NewReader(snmp6File))
	if diff := cmp.Diff(map[string]uint64{"Ip6InReceives": 12, "Udp6NoPorts": 2}, got); diff != "" || err != nil {
		t.Errorf("snmp6: %v\n%s", err, diff)
	}
}

// TestParseBadFiles: what makes no sense is an error that names the line.
func TestParseBadFiles(t *testing.T) {
	for name, parse := range map[string]func(string) error{
		"igmp":      func(s string) error { _, err := parseIGMP(strings.NewReader("head\n" + s)); return err },
		"igmp6":     func(s string) error { _, err := parseIGMP6(strings.NewReader("1 lo ff02 1\n" + s)); return err },
		"mcfilter":  func(s string) error { _, err := parseFilters(strings.NewReader("head\n" + s)); return err },
		"dev_mcast": func(s string) error { _, err := parseDeviceGroups(strings.NewReader(s)); return err },
		"snmp":      func(s string) error { _, err := parseCounterPairs(strings.NewReader("Ip: a\n" + s)); return err },
		"snmp6":     func(s string) error { _, err := parseCounterLines(strings.NewReader(s)); return err },
	} {
		if err := parse("x\n"); err == nil || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseFiles(f *testing.F) {
	for _, seed := range []string{igmpFile, igmp6File, filterFile, filter6File, deviceFile, snmpFile, snmp6File} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		members, _ := parseIGMP(strings.NewReader(text))
		for _, m := range members {
			if !m.Group.Is4() {
				t.Errorf("%q: group %v", text, m.Group)
			}
		}
		parseIGMP6(strings.NewReader(text))
		parseFilters(strings.NewReader(text))
		parseDeviceGroups(strings.NewReader(text))
		parseCounterPairs(strings.NewReader(text))
		parseCounterLines(strings.NewReader(text))
	})
}

// FuzzFrame: whatever comes in a frame, a watch counts or leaves it, and keeps
// within its bounds.
func FuzzFrame(f *testing.F) {
	f.Add([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 16, 17, 0, 0, 192, 0, 2, 1, 239, 1, 1, 1, 0x0f, 0xa0, 0x13, 0x88, 0, 8, 0, 0}, false)
	f.Add([]byte{0x46, 0xc0, 0, 40, 0, 0, 0, 0, 1, 2, 0, 0, 192, 0, 2, 1, 224, 0, 0, 22, 0x94, 4, 0, 0, 0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 1, 1}, false)
	f.Add(append([]byte{0x60, 0, 0, 0, 0, 32, 0, 1, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
		0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 58, 0, 5, 2, 0, 0, 1, 0, 130, 0, 0, 0}, make([]byte, 20)...), true)
	f.Fuzz(func(t *testing.T, ip []byte, v6 bool) {
		group := addr("239.1.1.1")
		if v6 {
			group = addr("ff15::1:1")
		}
		w := newWatch(group, 1)
		for range 3 {
			w.add(frame{index: 1, ip: ip, mac: groupMAC(group)}, epoch)
		}
		got := w.result(epoch.Add(lateFragment*2), window)
		if n := packets(got.Streams); n > 3 || len(got.Queries) > 3 || len(got.Reports) > 3 || got.Incomplete > got.Fragmented {
			t.Errorf("%x: %+v", ip, got)
		}
		rawPacket(ip, &unix.SockaddrInet4{}, group)
		arrivalIndex(ip)
		frameOf(ip, ip, &unix.SockaddrLinklayer{Hatype: unix.ARPHRD_ETHER})
	})
}

// FuzzNetlink: answers of a kernel that is not as expected.
func FuzzNetlink(f *testing.F) {
	f.Add(make([]byte, sizeofDiagMessage))
	f.Add(make([]byte, sizeofPortMsg+sizeofMDBEntry+12))
	f.Fuzz(func(t *testing.T, m []byte) {
		if k, err := parseSocket(m); err == nil && !k.Local.IsValid() {
			t.Errorf("%x: %+v", m, k)
		}
		b := &Bridge{}
		b.addTable(m, 1, addr("239.1.1.1"), func(int) string { return "p0" })
		b.setSettings(m, true)
	})
}

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
