package main

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/doctor"
	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

var doctorGroup = netip.MustParseAddr("239.1.1.1")

// examine calls the doctor in a namespace of the network, with the agent's
// socket.
func (a *agent) examine(ns *lab.Namespace, more ...string) (doctor.Report, error) {
	a.t.Helper()
	args := append([]string{"doctor", "--group", doctorGroup.String(), "--netns", ns.Name(), "--for", "300ms", "--socket", a.service.cfg.API.path(), "-o", "json"}, more...)
	stdout, _, err := call(a.t.Context(), args...)
	var r doctor.Report
	if jsonErr := json.Unmarshal([]byte(stdout), &r); jsonErr != nil {
		a.t.Fatalf("%v: %v, %v:\n%s", args, err, jsonErr, stdout)
	}
	return r, err
}

// firstFinding leaves out what is of the whole machine, where other tests may run.
func firstFinding(r doctor.Report) string {
	for _, f := range r.Findings {
		if f.ID != "softnet_drops" {
			return f.ID
		}
	}
	return ""
}

// waitSubscribers waits until the agent knows so many ports of the group.
func (a *agent) waitSubscribers(want int) {
	a.t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		view, err := agentView(a.t.Context(), a.service.cfg.API.path(), doctorGroup)
		if err == nil && len(view.Subscribers) == want {
			return
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("the agent knows %d subscribers, want %d: %v", len(view.Subscribers), want, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (a *agent) receive(h *lab.Host) {
	a.t.Helper()
	if _, err := h.Listen(lab.ListenConfig{Group: doctorGroup, Port: 5000}); err != nil {
		a.t.Fatal(err)
	}
}

func (a *agent) publish(h *lab.Host) {
	a.t.Helper()
	if _, err := h.Stream(lab.SendConfig{Group: doctorGroup, Port: 5000, Rate: 500}); err != nil {
		a.t.Fatal(err)
	}
}

// TestDoctorWithAgent asks at both ends of an agent's ports.
func TestDoctorWithAgent(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub", "mute")...)
	a := startAgent(t, n, "querier: {mode: on}")
	sub, mute := n.Host("sub"), n.Host("mute")
	if err := mute.Namespace().Do(dropReports); err != nil {
		t.Fatal(err)
	}
	a.receive(sub)
	a.waitSubscribers(1)
	a.receive(mute)
	a.publish(n.Host("pub"))

	for _, c := range []struct {
		name, want string
		ns         *lab.Namespace
		more       []string
	}{
		{"member", "", sub.Namespace(), nil},
		{"member whose reports get lost", "agent_no_member", mute.Namespace(), nil},
		{"sender", "", n.Host("pub").Namespace(), nil},
		{"port of the member", "", n.Switch(), []string{"--interface", sub.Port}},
		{"port of the other", "agent_port_no_member", n.Switch(), []string{"--interface", mute.Port}},
	} {
		r, err := a.examine(c.ns, c.more...)
		if got := firstFinding(r); got != c.want || (err == nil) != (len(r.Findings) == 0) {
			t.Errorf("%s: found %q first, want %q, %v\n%+v", c.name, got, c.want, err, r)
		}
	}
	r, _ := a.examine(mute.Namespace())
	want := "fanlight subscribers list --group 239.1.1.1 --socket " + a.service.cfg.API.path()
	if len(r.Findings) == 0 || len(r.Findings[0].Commands) != 1 || r.Findings[0].Commands[0] != want {
		t.Errorf("commands of %+v, want %q", r.Findings, want)
	}
}

// dropReports keeps IGMP from leaving the host.
func dropReports() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "mute"})
	chain := c.AddChain(&nftables.Chain{Name: "out", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityFilter})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_IGMP}},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	return c.Flush()
}

// TestDoctorAgentDrops: a group that the agent's policy refuses.
func TestDoctorAgentDrops(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	a := startAgent(t, n, "querier: {mode: on}", "allow: [232.0.0.0/8]")
	a.receive(n.Host("sub"))
	a.publish(n.Host("pub"))
	r, err := a.examine(n.Host("sub").Namespace())
	if got := firstFinding(r); got != "agent_drops" || !errors.Is(err, errFindings) {
		t.Errorf("found %q, %v: %+v", got, err, r)
	}
}

// TestDoctorOfAProcess enters the namespace of a process, and looks at its
// sockets only.
func TestDoctorOfAProcess(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	sub := n.Host("sub")
	child := exec.CommandContext(t.Context(), "ip", "netns", "exec", sub.Namespace().Name(), "sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { child.Process.Kill(); child.Wait() })
	if _, err := sub.Listen(lab.ListenConfig{Group: doctorGroup, Port: 5000}); err != nil {
		t.Fatal(err)
	}
	waitNamespace(t, child.Process.Pid, sub.Namespace())
	out, _, err := call(t.Context(), "doctor", "--group", "239.1.1.1", "--pid", itoa(child.Process.Pid), "--port", "5000", "--for", "100ms", "--socket", "")
	for _, want := range []string{"239.1.1.1 port 5000 at eth0", "no UDP socket of process " + itoa(child.Process.Pid), "nsenter --net=/proc/" + itoa(child.Process.Pid) + "/ns/net ss -ulpn"} {
		if !strings.Contains(out, want) {
			t.Errorf("%v: lacks %q:\n%s", err, want, out)
		}
	}
}

func waitNamespace(t *testing.T, pid int, ns *lab.Namespace) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		theirs, err := os.Stat("/proc/" + itoa(pid) + "/ns/net")
		ours, ourErr := os.Stat(ns.Path())
		if err == nil && ourErr == nil && os.SameFile(theirs, ours) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d is not in %s: %v, %v", pid, ns.Name(), err, ourErr)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestDoctorSeesCopiesFail: a member that gets everything is told that another
// port does not.
func TestDoctorSeesCopiesFail(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub", "broken")...)
	a := startAgent(t, n, "querier: {mode: on}")
	a.receive(n.Host("sub"))
	a.receive(n.Host("broken"))
	a.waitSubscribers(2)
	a.publish(n.Host("pub"))
	port, err := n.Switch().Handle().LinkByName(n.Host("broken").Port)
	if err == nil {
		err = n.Switch().Handle().LinkSetDown(port)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.wait("copies fail", func(s series) bool { return s.sum("fanlight_copy_failures_total", "port_down") > 0 })
	r, err := a.examine(n.Host("sub").Namespace())
	if got := firstFinding(r); got != "agent_copies_fail" || !errors.Is(err, errFindings) {
		t.Errorf("found %q first, %v\n%+v", got, err, r)
	}
}
