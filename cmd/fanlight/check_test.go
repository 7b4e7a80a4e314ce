package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

func TestCheckThisHost(t *testing.T) {
	labtest.Require(t)
	stdout, _, err := call(t.Context(), "check", "-o", "json")
	if err != nil {
		t.Fatalf("%v:\n%s", err, stdout)
	}
	var r report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	if !r.Forwarding || len(r.Findings) < 15 {
		t.Errorf("report: %+v", r)
	}
	table, _, err := call(t.Context(), "check")
	if err != nil {
		t.Error(err)
	}
	if got := strings.Count(table, "\n"); got != len(r.Findings) {
		t.Errorf("%d lines for %d findings:\n%s", got, len(r.Findings), table)
	}
}

func TestCheckRights(t *testing.T) {
	four := uint64(1<<unix.CAP_BPF | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_PERFMON)
	for _, c := range []struct {
		name  string
		set   uint64
		netns string
		want  map[string]string
	}{
		{"nothing", 0, "", map[string]string{
			"CAP_BPF": "missing", "CAP_NET_ADMIN": "missing", "CAP_NET_RAW": "missing", "CAP_PERFMON": "missing", "CAP_SYS_ADMIN": "optional",
		}},
		{"exactly what is needed", four, "", map[string]string{
			"CAP_BPF": "ok", "CAP_NET_ADMIN": "ok", "CAP_NET_RAW": "ok", "CAP_PERFMON": "ok", "CAP_SYS_ADMIN": "optional",
		}},
		{"another namespace", four, "blue", map[string]string{
			"CAP_BPF": "ok", "CAP_NET_ADMIN": "ok", "CAP_NET_RAW": "ok", "CAP_PERFMON": "ok", "CAP_SYS_ADMIN": "missing",
		}},
		{"SYS_ADMIN stands for two", 1 << unix.CAP_SYS_ADMIN, "blue", map[string]string{
			"CAP_BPF": "ok", "CAP_NET_ADMIN": "missing", "CAP_NET_RAW": "missing", "CAP_PERFMON": "ok", "CAP_SYS_ADMIN": "ok",
		}},
	} {
		got := map[string]string{}
		for _, f := range checkRights(c.set, c.netns) {
			got[f.Subject] = f.Status
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestCheckFacilities(t *testing.T) {
	broken := errors.New("load program x: not permitted\nverifier log")
	got := checkFacilities([]bpf.Facility{
		{Name: "a", Without: "lost", Fatal: true},
		{Name: "b", Err: broken, Without: "nothing is forwarded", Fatal: true},
		{Name: "c", Err: broken, Without: "less is known"},
	})
	want := []finding{
		{Status: "ok", Subject: "a"},
		{Status: "missing", Subject: "b", Detail: "nothing is forwarded: load program x: not permitted"},
		{Status: "optional", Subject: "c", Detail: "less is known: load program x: not permitted"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCheckBPFFS(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there")
	if f := checkBPFFS(dir); f.Status != statusMissing || !strings.Contains(f.Detail, "mount -t bpf bpf /sys/fs/bpf") {
		t.Errorf("%+v", f)
	}
}

func TestCheckBacklog(t *testing.T) {
	for _, c := range []struct {
		limit, ports int
		err          error
		want         finding
	}{
		{1000, 15, nil, finding{Status: "ok", Subject: "netdev_max_backlog", Detail: "1000"}},
		{1000, 16, nil, finding{"advice", "netdev_max_backlog",
			"1000: a burst of 64 packets to 16 ports overflows it, and copies are lost (backlog_full)", "sysctl -w net.core.netdev_max_backlog=1024"}},
		{0, 16, os.ErrNotExist, finding{"advice", "netdev_max_backlog", "unknown: file does not exist", ""}},
	} {
		if diff := cmp.Diff(c.want, checkBacklog(c.limit, c.ports, c.err)); diff != "" {
			t.Errorf("%d, %d ports (-want +got):\n%s", c.limit, c.ports, diff)
		}
	}
}

// TestCheckPorts makes each condition real that check tells of.
func TestCheckPorts(t *testing.T) {
	gro := map[string]bool{"rx-gro": true, udpGRO: true}
	n := labtest.New(t,
		lab.HostConfig{Name: "good", PortFeatures: gro},
		lab.HostConfig{Name: "slow"},
		lab.HostConfig{Name: "bridged", PortFeatures: gro},
		lab.HostConfig{Name: "crowded", PortFeatures: gro},
	)
	sw := n.Switch()
	br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br7"}}
	if err := sw.Handle().LinkAdd(br); err != nil {
		t.Fatal(err)
	}
	bridged, err := sw.Handle().LinkByName("p-bridged")
	if err == nil {
		err = sw.Handle().LinkSetMaster(bridged, br)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := sw.Do(func() error { return attachForeign(t, "p-crowded") }); err != nil {
		t.Fatal(err)
	}
	got, err := checkPorts(collector.Config{Netns: sw.Name(), Domains: []collector.DomainConfig{
		{Name: "lab", Ports: []string{"p-*"}}, {Name: "later", Ports: []string{"q-*"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	enter := "nsenter --net=/run/netns/" + sw.Name() + " "
	want := []finding{
		{"ok", "port p-good", "", ""},
		{"advice", "port p-slow: UDP GRO", "off: bursts are forwarded packet by packet instead of as one",
			enter + "ethtool -K p-slow gro on rx-udp-gro-forwarding on"},
		{"advice", "port p-bridged: in bridge br7", bridgeConflict, ""},
		{"advice", "port p-crowded: other programs", "intruder (tcx), their-filter (clsact)" + otherPrograms, ""},
		{"advice", "domain later", "no interface matches q-* now; those that appear later are attached", ""},
	}
	if diff := cmp.Diff(want, got[:len(got)-1]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// attachForeign attaches two foreign programs; the thread is in the port's namespace.
func attachForeign(t *testing.T, iface string) error {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "intruder", Type: ebpf.SchedCLS, Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, -1), asm.Return()},
	})
	if err != nil {
		return err
	}
	t.Cleanup(func() { prog.Close() })
	at, err := netlink.LinkByName(iface)
	if err != nil {
		return err
	}
	l, err := link.AttachTCX(link.TCXOptions{Interface: at.Attrs().Index, Program: prog, Attach: ebpf.AttachTCXIngress})
	if err != nil {
		return err
	}
	t.Cleanup(func() { l.Close() })
	qdisc := netlink.QdiscAttrs{LinkIndex: at.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}
	if err := netlink.QdiscAdd(&netlink.Clsact{QdiscAttrs: qdisc}); err != nil {
		return err
	}
	return netlink.FilterAdd(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: at.Attrs().Index, Parent: netlink.HANDLE_MIN_INGRESS, Priority: 1, Protocol: unix.ETH_P_ALL,
		},
		Fd: prog.FD(), Name: "their-filter", DirectAction: true,
	})
}

// TestCheckKnowsItsOwn: the programs of a running agent are not foreign.
func TestCheckKnowsItsOwn(t *testing.T) {
	n := labtest.New(t, lab.HostConfig{Name: "one"})
	a := startAgent(t, n)
	got, err := checkPorts(a.service.cfg.Config)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range got {
		if strings.Contains(f.Subject, "other programs") {
			t.Errorf("%+v", f)
		}
	}
}
