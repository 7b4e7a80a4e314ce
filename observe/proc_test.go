package observe

import (
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var compareUnexported = cmp.AllowUnexported(membership{}, sourceFilter{}, bridgeEntry{}, route{})

// compareAddrs compares addresses by what they are.
var compareAddrs = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// The files as Linux 6.18 writes them, on a little-endian machine.
const (
	igmpFile = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n" +
		"1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n" +
		"27\tenp0s31f6.100:     2      V2\n\t\t\t\t010109EF     3 0:00000000\t\t1\n\t\t\t\t010000E0     1 0:00000000\t\t0\n"
	igmp6File = "1    lo              ff020000000000000000000000000001     1 0000000C 0\n" +
		"27   enp0s31f6.100   ff150000000000000000000000000001     2 00000004 12\n"
	filterFile = "Idx Device        MCA        SRC    INC    EXC\n" +
		" 27 enp0s3 0xef090101 0x0a000001      1      0\n 27 enp0s3 0xef090101 0x0a000002      0      2\n"
	filter6File = "Idx Device                Multicast Address                   Source Address    INC    EXC\n" +
		" 27 enp0s3 ff150000000000000000000000000001 20010db8000000000000000000000001      1      0\n"
)

func TestParseMemberships(t *testing.T) {
	all, err := parseIGMP([]byte(igmpFile))
	if err != nil {
		t.Fatal(err)
	}
	six, err := parseIGMP6([]byte(igmp6File))
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, six...)
	for _, f := range []struct {
		file  string
		parse func(string) (netip.Addr, error)
	}{{filterFile, parseHex4}, {filter6File, parseAddr6}} {
		filters, err := parseFilter([]byte(f.file), f.parse)
		if err != nil {
			t.Fatal(err)
		}
		addFilters(all, filters)
	}
	want := []membership{
		{ifindex: 1, group: addr("224.0.0.1"), users: 1},
		{ifindex: 27, group: addr("239.9.1.1"), users: 3, include: []netip.Addr{addr("10.0.0.1")}, exclude: []netip.Addr{addr("10.0.0.2")}},
		{ifindex: 27, group: addr("224.0.0.1"), users: 1},
		{ifindex: 1, group: addr("ff02::1"), users: 1},
		{ifindex: 27, group: addr("ff15::1"), users: 2, include: []netip.Addr{addr("2001:db8::1")}},
	}
	if diff := cmp.Diff(want, all, compareUnexported, compareAddrs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestParseMembershipsOfThisHost: the running kernel writes what is read.
func TestParseMembershipsOfThisHost(t *testing.T) {
	all, err := readMemberships()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/net/igmp"); err == nil && len(all) == 0 {
		t.Error("no membership: every host has 224.0.0.1 on lo")
	}
	for _, m := range all {
		if !m.group.IsMulticast() || m.ifindex == 0 || m.users == 0 {
			t.Errorf("%v on %d with %d users", m.group, m.ifindex, m.users)
		}
	}
}

func TestParseMembershipsRefuses(t *testing.T) {
	for name, parse := range map[string]func() error{
		"igmp without an interface": func() error { _, err := parseIGMP([]byte("\t\t\t\t010000E0     1 0:0\t\t0\n")); return err },
		"igmp with a bad group":     func() error { _, err := parseIGMP([]byte("1\tlo:\n\t\t\t\txyz 1\n")); return err },
		"igmp with bad users":       func() error { _, err := parseIGMP([]byte("1\tlo:\n\t\t\t\t010000E0 -1\n")); return err },
		"igmp6 cut":                 func() error { _, err := parseIGMP6([]byte("1 lo ff02\n")); return err },
		"igmp6 with a bad group":    func() error { _, err := parseIGMP6([]byte("1 lo ff02 1 0 0\n")); return err },
		"mcfilter cut":              func() error { _, err := parseFilter([]byte(" 1 lo 0xe0000001\n"), parseHex4); return err },
		"mcfilter of IPv6 as IPv4":  func() error { _, err := parseFilter([]byte(filter6File), parseHex4); return err },
	} {
		if parse() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzParseMemberships(f *testing.F) {
	for _, seed := range []string{igmpFile, igmp6File, filterFile, filter6File, "", "\n", "1\t\n\t\t\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		four, _ := parseIGMP(b)
		six, _ := parseIGMP6(b)
		for _, m := range four {
			if !m.group.Is4() {
				t.Errorf("igmp gave %v", m.group)
			}
		}
		for _, m := range six {
			if !m.group.IsValid() {
				t.Error("igmp6 gave no address")
			}
		}
		filters, _ := parseFilter(b, parseHex4)
		addFilters(four, filters)
		filters, _ = parseFilter(b, parseAddr6)
		addFilters(six, filters)
	})
}
