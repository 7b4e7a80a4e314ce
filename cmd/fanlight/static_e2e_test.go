package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

// control calls verbs of an agent whose socket is beside its file of events.
type control struct {
	t      *testing.T
	socket string
}

func controlOf(t *testing.T, events string) control {
	return control{t, filepath.Join(filepath.Dir(events), "api.sock")}
}

func (c control) call(args string) (string, error) {
	c.t.Helper()
	out, _, err := call(c.t.Context(), append(strings.Fields(args), "--socket", c.socket)...)
	return out, err
}

// must demands that the verb works and says want.
func (c control) must(args, want string) {
	c.t.Helper()
	out, err := c.call(args)
	if err != nil || !strings.Contains(out, want) {
		c.t.Fatalf("fanlight %s: %q, %v; want %q", args, out, err, want)
	}
}

// members returns the subscribers of the group.
func (c control) members(group string) (list []subscription) {
	c.t.Helper()
	out, err := c.call("subscribers list -o json --group " + group)
	if err == nil {
		err = json.Unmarshal([]byte(out), &list)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return list
}

// arrives sends n packets to the group and demands that many frames at each
// counter.
func arrives(t *testing.T, n *lab.Net, group string, want map[*lab.FrameCounter]uint64) {
	t.Helper()
	before := map[*lab.FrameCounter]uint64{}
	for c := range want {
		before[c] = c.Count().Frames
	}
	sent := send(t, n.Host("pub"), lab.SendConfig{Group: addr(group), Count: 50})
	quiet(t, n)
	for c, share := range want {
		if got := c.Count().Frames - before[c]; got != share*sent {
			t.Errorf("%d frames of %s arrived, want %d", got, group, share*sent)
		}
	}
}

// TestStaticSubscribers: a port that the operator subscribed gets the group as
// if a host had asked, whatever hosts say, and until the operator says so.
func TestStaticSubscribers(t *testing.T) {
	for group, protocol := range map[string]string{"239.9.0.1": "igmpv3", "ff15::9:1": "mldv2"} {
		t.Run(protocol, func(t *testing.T) { subscribeStatic(t, group) })
	}
}

func subscribeStatic(t *testing.T, group string) {
	n := newNet(t, "pub", "sub", "other")
	a := startAgent(t, n, quickQuerier, "unregistered: drop")
	c := controlOf(t, a.events)
	sub, other := watchGroup(t, n.Host("sub"), addr(group)), watchGroup(t, n.Host("other"), addr(group))

	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 0, other: 0})
	c.must("subscribers add --group "+group+" --interface p-sub", "subscribed p-sub to "+group)
	c.must("subscribers add --group "+group+" --interface p-sub", "is a static subscriber of "+group+" already")
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 1, other: 0})
	c.must("subscribers list", " static ")
	c.must("subscribers list", " never ")
	a.waitEvent(`"action":"joined"`, `"group":"`+group+`"`, `"protocol":"static"`, `"interface":"p-sub"`, `"reason":"static"`)

	// A host on the port joins and leaves.
	r := listen(t, n.Host("sub"), lab.ListenConfig{Group: addr(group)})
	a.wait("the host is a member besides", func(series) bool { return len(c.members(group)) == 2 })
	a.waitMembers(group, 1) // one port
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 1, other: 0})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	a.wait("the host left", func(series) bool { return len(c.members(group)) == 1 })
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 1, other: 0})

	c.must("subscribers delete --group "+group+" --interface p-sub", "unsubscribed p-sub from "+group)
	c.must("subscribers delete --group "+group+" --interface p-sub", "is no static subscriber")
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 0, other: 0})
	a.waitEvent(`"action":"left"`, `"group":"`+group+`"`, `"protocol":"static"`)
}

// TestStaticSources: sources add up, and one goes without the other.
func TestStaticSources(t *testing.T) {
	const group = "232.9.0.1"
	n := newNet(t, "pub", "sub")
	a := startAgent(t, n, quickQuerier, "unregistered: drop")
	c := controlOf(t, a.events)
	sub := watchGroup(t, n.Host("sub"), addr(group))
	pub := n.Host("pub").Addr4.String()
	add := "subscribers add --group " + group + " --interface p-sub --source "
	c.must(add+"198.51.100.7", "subscribed")
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 0})
	c.must(add+pub, "subscribed")
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 1})
	if m := c.members(group); len(m) != 1 || len(m[0].Sources) != 2 || m[0].FilterMode != "include" {
		t.Errorf("members %+v", m)
	}
	c.must("subscribers delete --group "+group+" --interface p-sub --source "+pub, "unsubscribed")
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 0})
	c.must("groups delete "+group, "deleted")
	if m := c.members(group); len(m) != 0 {
		t.Errorf("members %+v", m)
	}
}

// TestStaticVLAN: a VLAN is a part of what is ordered.
func TestStaticVLAN(t *testing.T) {
	const group = "239.9.0.6"
	vlans := func(name string) lab.HostConfig { return lab.HostConfig{Name: name, VLANs: []uint16{100, 200}} }
	n := labtest.New(t, vlans("pub"), vlans("sub"))
	a := startAgent(t, n, quickQuerier, "unregistered: drop")
	c := controlOf(t, a.events)
	counters := map[string]*lab.FrameCounter{}
	to := frame.GroupMAC(addr(group))
	for _, iface := range []string{"eth0.100", "eth0.200"} {
		f, err := n.Host("sub").CountFrames(iface, func(b []byte) bool { return len(b) >= 6 && [6]byte(b[:6]) == to })
		if err != nil {
			t.Fatal(err)
		}
		counters[iface] = f
	}
	c.must("subscribers add --group "+group+" --interface p-sub --vlan 100", "subscribed")
	for iface := range counters {
		send(t, n.Host("pub"), lab.SendConfig{Group: addr(group), Count: 20, Interface: iface})
	}
	quiet(t, n)
	if one, other := counters["eth0.100"].Count().Frames, counters["eth0.200"].Count().Frames; one != 20 || other != 0 {
		t.Errorf("%d frames in VLAN 100, %d in VLAN 200; want 20 and 0", one, other)
	}
	c.must("groups show "+group+" --vlan 100 --interval 0", "never")
	c.must("subscribers delete --group "+group+" --interface p-sub", "is no static subscriber") // untagged
	c.must("groups delete "+group+" --vlan 100", "deleted")
}

// TestStaticGroup: a known group is not flooded, and forgetting it floods again.
func TestStaticGroup(t *testing.T) {
	const group = "239.9.0.2"
	n := newNet(t, "pub", "sub")
	a := startAgent(t, n, "querier: {mode: off}")
	c := controlOf(t, a.events)
	sub := watchGroup(t, n.Host("sub"), addr(group))
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 1}) // nobody asks who wants it
	c.must("groups add "+group, "added")
	c.must("groups add "+group, "already")
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 0})
	c.must("groups list --group "+group, " yes ")
	if got := a.scrape().sum("fanlight_drops_total", `group="`+group+`"`, `reason="unregistered"`); got == 0 {
		t.Error("what was for nobody is not counted as unregistered")
	}
	c.must("groups delete "+group, "deleted")
	c.must("groups delete "+group, "is not static")
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 1})
}

// TestStaticOutlivesTheAgent: killed, and after a boot that left nothing in the
// kernel; and ports get what was ordered before they were there.
func TestStaticOutlivesTheAgent(t *testing.T) {
	const group = "239.9.0.3"
	n := newNet(t, "pub", "sub")
	cfg, events := agentConfig(t, n, quickQuerier, "unregistered: drop")
	first := startProcess(t, cfg)
	c := controlOf(t, events)
	sub := watchGroup(t, n.Host("sub"), addr(group))
	c.must("subscribers add --group "+group+" --interface p-sub", "subscribed")
	c.must("subscribers add --group "+group+" --interface p-l*", "it takes effect when one appears")
	c.must("subscribers list", "waiting")
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 1})
	first.signal(syscall.SIGKILL)
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 1}) // by the kernel alone

	second := startProcess(t, cfg)
	second.wait("an event tells of the subscriber at the start", func(series) bool {
		lines, err := os.ReadFile(events)
		return err == nil && strings.Contains(string(lines), `"reason":"start"`)
	})
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 1})
	second.signal(syscall.SIGKILL)
	if err := collector.Detach(collector.Config{BPFFS: "/sys/fs/bpf/" + n.Name(), Netns: n.Switch().Name()}); err != nil {
		t.Fatal(err)
	}
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 0}) // nothing forwards

	third := startProcess(t, cfg)
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 1})
	late, err := n.AddHost(lab.HostConfig{Name: "late"})
	if err != nil {
		t.Fatal(err)
	}
	third.wait("the late port is subscribed", members(group, 2))
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 1, watchGroup(t, late, addr(group)): 1})
	c.must("groups delete "+group, "deleted")
	third.signal(syscall.SIGTERM)
	fourth := startProcess(t, cfg)
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 0})
	fourth.signal(syscall.SIGTERM)
}

// TestStaticConfiguration: the file orders too, SIGHUP follows it, and requests
// can't take back what it says.
func TestStaticConfiguration(t *testing.T) {
	const group, fresh = "239.9.0.4", "239.9.0.5"
	n := newNet(t, "pub", "sub", "other")
	a := startAgent(t, n, quickQuerier, "unregistered: drop", `static: [{group: `+group+`, interfaces: ["p-s*"]}]`)
	c := controlOf(t, a.events)
	sub, other := watchGroup(t, n.Host("sub"), addr(group)), watchGroup(t, n.Host("other"), addr(group))
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 1, other: 0})
	if out, err := c.call("subscribers delete --group " + group + " --interface p-s*"); err == nil || !strings.Contains(err.Error(), "it is in the configuration") {
		t.Errorf("delete: %q, %v", out, err)
	}
	c.must("subscribers add --group "+group+" --interface p-other", "subscribed")
	c.must("groups delete "+group, "what 'static' in the configuration says stays")
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 1, other: 0})

	next := strings.Replace(a.cfg, "group: "+group, "group: "+fresh, 1)
	if err := os.WriteFile(a.path, []byte(next), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.reload(a.path); err != nil {
		t.Fatal(err)
	}
	arrives(t, n, group, map[*lab.FrameCounter]uint64{sub: 0, other: 0})
	arrives(t, n, fresh, map[*lab.FrameCounter]uint64{watchGroup(t, n.Host("sub"), addr(fresh)): 1})
}

// TestStaticRefused: each refusal says why, has its exit status, and changes
// nothing.
func TestStaticRefused(t *testing.T) {
	n := newNet(t, "sub")
	a := startAgent(t, n, "allow: [239.0.0.0/8, 232.0.0.0/8]", "limits: {groups: 1, sources_per_group: 1}")
	c := controlOf(t, a.events)
	c.must("groups add 239.1.1.1", "added")
	const at = " --interface p-sub"
	for _, x := range []struct {
		args, want string
		code       int
	}{
		{"groups add", "want one group", 2},
		{"groups add 10.1.1.1", "is no group", 2},
		{"groups add 224.0.0.5", "go to every port anyway", 1},
		{"groups add nobody", "nor the name of one", 1},
		{"groups add VRRP", "2 groups are called", 1},
		{"groups add 238.1.1.1", "'allow'", 1},
		{"groups add 239.1.1.2", "limits.groups", 1},
		{"groups add 239.1.1.1 --domain nowhere", "\"nowhere\" is none of lab", 1},
		{"groups add 239.1.1.1 --vlan 5000", "is no VLAN", 1},
		{"subscribers add --group 239.1.1.1", "--interface NAME is needed", 2},
		{"subscribers add" + at, "--group GROUP is needed", 2},
		{"subscribers add --group 10.1.1.1" + at, "is no group", 2},
		{"subscribers add --group 239.1.1.1 --source here" + at, "is no address", 2},
		{"subscribers add --group 239.1.1.1 --source 2001:db8::1" + at, "IPv4 or IPv6 as the group is", 1},
		{"subscribers add --group 232.1.1.1" + at, "needs a source", 1},
		{"subscribers add --group 239.1.1.1 --interface [", "no name or glob", 1},
		{"subscribers delete --group 239.1.1.1", "--interface NAME is needed", 2},
	} {
		out, err := c.call(x.args)
		if err == nil || !strings.Contains(err.Error(), x.want) || exitCode(err) != x.code || out != "" {
			t.Errorf("fanlight %s: %q, %v (exit status %d); want %q and %d", x.args, out, err, exitCode(err), x.want, x.code)
		}
	}
	c.must("subscribers add --group 239.1.1.1 --source 192.0.2.1"+at, "subscribed")
	if _, err := c.call("subscribers add --group 239.1.1.1 --source 192.0.2.2" + at); err == nil || !strings.Contains(err.Error(), "sources_per_group") {
		t.Errorf("a source too many: %v", err)
	}
	if m := c.members("239.1.1.1"); len(m) != 1 || len(m[0].Sources) != 1 {
		t.Errorf("members %+v", m)
	}
}

// TestStaticNotKept: what can't be kept is not in force, and the agent that
// finds a broken file overwrites nothing.
func TestStaticNotKept(t *testing.T) {
	for name, x := range map[string]struct {
		change func(cfg, dir string) string
		want   string
	}{
		"no state":     {func(cfg, dir string) string { return strings.Replace(cfg, "state: "+dir, "state: none", 1) }, "'state' is none"},
		"no directory": {func(cfg, dir string) string { return strings.Replace(cfg, "state: "+dir, "state: /proc/nowhere", 1) }, "/proc/nowhere"},
		"no control":   {func(cfg, _ string) string { return strings.Replace(cfg, "api: {", "api: {control: false, ", 1) }, "api.control is false"},
		"broken file": {func(cfg, dir string) string {
			if err := os.WriteFile(filepath.Join(dir, "static.json"), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
			return cfg
		}, "mend or remove the file"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNet(t, "sub")
			cfg, events := agentConfig(t, n)
			startConfig(t, x.change(cfg, filepath.Dir(events)), events)
			c := controlOf(t, events)
			if _, err := c.call("subscribers add --group 239.1.1.1 --interface p-sub"); err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%v, want %q", err, x.want)
			}
			if m := c.members("239.1.1.1"); len(m) != 0 {
				t.Errorf("members %+v", m)
			}
			if raw, err := os.ReadFile(filepath.Join(filepath.Dir(events), "static.json")); name == "broken file" && string(raw) != "{" {
				t.Errorf("the file is %q now, %v", raw, err)
			}
		})
	}
}
