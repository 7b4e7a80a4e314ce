package collector

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fanlight-io/fanlight/bpf"
)

func order(domain, group, iface, source string) Static {
	s := Static{Domain: domain, Group: netip.MustParseAddr(group), Interface: iface}
	if source != "" {
		s.Source = netip.MustParseAddr(source)
	}
	return s
}

var sameAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// TestStaticBook: what several orders say of a port adds up, and an order stays
// as long as one of its origins wants it.
func TestStaticBook(t *testing.T) {
	ports := map[uint32]*port{3: {name: "p3"}, 4: {name: "p4"}, 9: {name: "q9"}}
	one, two := "192.0.2.1", "192.0.2.2"
	var b staticBook
	group := order("lab", "239.1.1.1", "", "").group()
	wants := func(want map[uint32]int) { // sources per port, 0: all
		t.Helper()
		got := map[uint32]int{}
		for _, p := range b.ports(group, ports) {
			got[uint32(p.Port)] = len(p.Sources)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ports (-want +got):\n%s", diff)
		}
	}
	b.add(order("lab", "239.1.1.1", "", ""), byRequest)
	wants(map[uint32]int{})
	b.add(order("lab", "239.1.1.1", "p*", one), byRequest)
	b.add(order("lab", "239.1.1.1", "p3", two), byConfig)
	wants(map[uint32]int{3: 2, 4: 1})
	b.add(order("lab", "239.1.1.1", "p3", ""), byRequest)
	wants(map[uint32]int{3: 0, 4: 1})
	b.add(order("lab", "239.1.1.1", "p3", ""), byConfig)
	b.remove(order("lab", "239.1.1.1", "p3", ""), byRequest)
	wants(map[uint32]int{3: 0, 4: 1})
	b.configure(nil)
	wants(map[uint32]int{3: 1, 4: 1})
	b.add(order("lab", "239.1.1.1", "later", ""), byRequest)
	if w := b.waiting("lab", ports, func(netip.Addr) bool { return false }); len(w) != 1 || w[0].Interface != "later" {
		t.Errorf("%d wait", len(w))
	}
	for _, s := range b.all(byRequest) {
		b.remove(s, byRequest)
	}
	if len(b.groups) != 0 {
		t.Errorf("%d groups are left", len(b.groups))
	}
}

func TestStaticConfigIsChecked(t *testing.T) {
	group := netip.MustParseAddr("239.1.1.1")
	for _, c := range []struct {
		config StaticConfig
		want   string // "": it is fine
	}{
		{StaticConfig{Group: group}, ""},
		{StaticConfig{Group: group, VLAN: "100.7", Interfaces: []string{"p*"}}, ""},
		{StaticConfig{Group: netip.MustParseAddr("232.1.1.1"), Interfaces: []string{"p0"}, Sources: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}, ""},
		{StaticConfig{}, "want a group"},
		{StaticConfig{Group: group, VLAN: "x"}, "vlan"},
		{StaticConfig{Group: group, Interfaces: []string{""}}, "one is empty"},
		{StaticConfig{Group: group, Interfaces: []string{"["}}, "no name or glob"},
		{StaticConfig{Group: group, Sources: []netip.Addr{group}}, "without interfaces"},
		{StaticConfig{Group: group, Interfaces: []string{"p0"}, Sources: []netip.Addr{group}}, "address of a host"},
		{StaticConfig{Group: netip.MustParseAddr("232.1.1.1"), Interfaces: []string{"p0"}}, "needs a source"},
		{StaticConfig{Group: netip.MustParseAddr("224.0.0.9")}, "every port anyway"},
		{StaticConfig{Group: netip.MustParseAddr("ff01::9")}, "never leave their host"},
		{StaticConfig{Group: netip.MustParseAddr("238.1.1.1")}, "none of those that allow lists"},
	} {
		d := DomainConfig{Name: "lab", Static: []StaticConfig{c.config}, Allow: []netip.Prefix{
			netip.MustParsePrefix("239.0.0.0/8"), netip.MustParsePrefix("232.0.0.0/8"),
		}}
		err := errors.Join(d.validateStatic()...)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "static[0]")) {
			t.Errorf("%+v: %v, want %q", c.config, err, c.want)
		}
	}
}

func TestStaticFile(t *testing.T) {
	f := newStaticFile(filepath.Join(t.TempDir(), "made", "by save"))
	if list, err := f.load(); err != nil || list != nil {
		t.Errorf("no file: %v, %v", list, err)
	}
	full := order("lab", "232.1.1.1", "p*", "192.0.2.1")
	full.VLAN = bpf.MakeVLAN(100, 7)
	want := []Static{order("lab", "239.1.1.1", "", ""), full, order("studio", "ff15::1", "p0", "")}
	for _, list := range [][]Static{want, nil, want} {
		if err := f.save(list); err != nil {
			t.Fatal(err)
		}
		got, err := newStaticFile(f.dir).load()
		if diff := cmp.Diff(list, got, sameAddr); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	info, err := os.Stat(f.path())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(f.dir, "*")); err != nil || len(left) != 1 {
		t.Errorf("files %v, %v", left, err)
	}
}

// TestBrokenStaticFile: it is told, and not overwritten.
func TestBrokenStaticFile(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "no valid JSON",
		`{"version":2}`:               "version 2",
		`{"version":1,"static":[{}]}`: "entry 0",
		`{"version":1,"static":[{"domain":"lab","group":"10.0.0.1"}]}`: "want a group",
	} {
		f := newStaticFile(t.TempDir())
		if err := os.WriteFile(f.path(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := f.load(); !errors.Is(err, ErrNotKept) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "10.0.0.1") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
		if err := f.save(nil); !errors.Is(err, ErrNotKept) {
			t.Errorf("%q: saved, %v", text, err)
		}
		if raw, err := os.ReadFile(f.path()); string(raw) != text {
			t.Errorf("%q became %q, %v", text, raw, err)
		}
	}
}

func FuzzParseStatics(f *testing.F) {
	good, err := formatStatics([]Static{order("lab", "239.1.1.1", "p*", "192.0.2.1"), order("lab", "ff15::1", "", "")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"version":1,"static":[{"group":"239.1.1.1","vlan":"4095"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		list, err := parseStatics(raw)
		if err != nil {
			return
		}
		again, err := formatStatics(list)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseStatics(again); err != nil || !cmp.Equal(list, got, sameAddr) {
			t.Errorf("%q: %v, became %v: %v", raw, list, got, err)
		}
	})
}
