package lab_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

// victim names, in the environment of a child process, the network that it makes.
const victim = "LAB_TEST_VICTIM"

func TestMain(m *testing.M) {
	if name := os.Getenv(victim); name != "" {
		os.Exit(runVictim(name))
	}
	os.Exit(m.Run())
}

// runVictim makes a network, says so, and waits to be killed.
func runVictim(name string) int {
	n, err := lab.New(context.Background(), lab.Config{Name: name, Hosts: labtest.Hosts("a", "b")})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("ready")
	_, _ = os.Stdin.Read(make([]byte, 1)) // the parent never writes
	if err := n.Close(); err != nil {
		return 1
	}
	return 0
}

// startVictim runs this test binary as runVictim and returns when its network
// exists.
func startVictim(t *testing.T, name string) *os.Process {
	t.Helper()
	inR, inW, err1 := os.Pipe()
	outR, outW, err2 := os.Pipe()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { inR.Close(); inW.Close(); outR.Close() })
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.StartProcess(exe, []string{exe}, &os.ProcAttr{
		Env: append(os.Environ(), victim+"="+name), Files: []*os.File{inR, outW, outW},
	})
	if err != nil {
		t.Fatal(err)
	}
	outW.Close()
	t.Cleanup(func() { _ = p.Kill() }) // it may be dead already
	if err := outR.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 256)
	k, err := outR.Read(b)
	if got := strings.TrimSpace(string(b[:k])); got != "ready" {
		t.Fatalf("child said %q, %v; want ready", got, err)
	}
	return p
}

// namespaces lists the namespaces of a network that exist.
func namespaces(t *testing.T, network string) []string {
	t.Helper()
	paths, err := filepath.Glob("/run/netns/" + network + "-*")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range paths {
		names = append(names, filepath.Base(p))
	}
	return names
}

// What a killed process left goes, what a living one holds stays.
func TestCleanStale(t *testing.T) {
	labtest.Require(t)
	name := labtest.UniqueName()
	want := []string{name + "-switch", name + "-a", name + "-b"}
	child := startVictim(t, name)

	removed, err := lab.CleanStale(name)
	if err != nil || len(removed) > 0 {
		t.Fatalf("CleanStale took %v from a living owner, error %v", removed, err)
	}
	if _, err := lab.New(t.Context(), lab.Config{Name: name}); !errors.Is(err, lab.ErrInUse) {
		t.Fatalf("New of a living owner's name: %v, want ErrInUse", err)
	}

	kill(t, child)
	if got := namespaces(t, name); len(got) != len(want) {
		t.Fatalf("namespaces after the kill = %v, want %v", got, want)
	}
	removed, err = lab.CleanStale(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, removed); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}
	assertGone(t, name)
	if removed, err := lab.CleanStale(name); err != nil || len(removed) > 0 {
		t.Errorf("second CleanStale = %v, %v; want nothing", removed, err)
	}
}

// New takes over the name of a dead owner, with what it left.
func TestNewReplacesStale(t *testing.T) {
	labtest.Require(t)
	name := labtest.UniqueName()
	kill(t, startVictim(t, name))
	n, err := lab.New(t.Context(), lab.Config{Name: name, Hosts: labtest.Hosts("c")})
	if err != nil {
		t.Fatal(err)
	}
	got := namespaces(t, name)
	slices.Sort(got)
	if diff := cmp.Diff([]string{name + "-c", name + "-switch"}, got); diff != "" {
		t.Errorf("namespaces (-want +got):\n%s", diff)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	assertGone(t, name)
}

func kill(t *testing.T, p *os.Process) {
	t.Helper()
	if err := p.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
}

// assertGone checks that nothing of a network is left in the file system.
func assertGone(t *testing.T, network string) {
	t.Helper()
	if got := namespaces(t, network); len(got) > 0 {
		t.Errorf("namespaces left: %v", got)
	}
	if _, err := os.Stat("/run/fanlight/lab/" + network); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("journal of %s is left: %v", network, err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), "/"+network+"-") {
		t.Errorf("mounts of %s are left", network)
	}
}

// Close leaves nothing: no namespace, no mount, no descriptor, though sockets of
// all kinds were open.
func TestCloseLeavesNothing(t *testing.T) {
	labtest.Require(t)
	warm := labtest.New(t) // the poller's own descriptors
	if err := warm.Close(); err != nil {
		t.Fatal(err)
	}
	before := descriptors(t)
	name := labtest.UniqueName()
	n := labtest.NewConfig(t, lab.Config{Name: name, Hosts: labtest.Hosts("a", "b")})
	a, b := n.Host("a"), n.Host("b")
	bridge(t, n, snooping)
	r := listen(t, b, lab.ListenConfig{Group: group4})
	m, err1 := b.Memberships("")
	stream, err2 := a.Stream(lab.SendConfig{Group: group4, Port: port, Rate: 1000})
	counter, err3 := b.CountFrames("", nil)
	raw, err4 := b.Raw("")
	if err := errors.Join(err1, err2, err3, err4, m.Join(group4), m.Join(group6)); err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(deadline(t), 20); err != nil {
		t.Fatal(err)
	}
	if got, err := stream.Stop(); err != nil || got < r.Received() {
		t.Errorf("stream sent %d, %v; received %d", got, err, r.Received())
	}
	if err := n.RemoveHost("a"); err != nil {
		t.Error(err)
	}
	if err := errors.Join(n.Close(), n.Close()); err != nil {
		t.Error(err)
	}
	assertGone(t, name)
	if after := descriptors(t); !slices.Equal(before, after) {
		t.Errorf("descriptors after: %v\nbefore: %v", after, before)
	}
	if err := errors.Join(r.Close(), m.Close(), counter.Close(), raw.Close()); err != nil {
		t.Errorf("close again: %v", err)
	}
	if _, err := a.Listen(lab.ListenConfig{Group: group4, Port: port}); !errors.Is(err, lab.ErrClosed) {
		t.Errorf("listen on a removed host: %v, want ErrClosed", err)
	}
	if _, err := n.AddHost(lab.HostConfig{Name: "late"}); !errors.Is(err, lab.ErrClosed) {
		t.Errorf("add to a closed network: %v, want ErrClosed", err)
	}
}

// descriptors lists what the open descriptors of this process are.
func descriptors(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.HasSuffix(target, "/fd") { // the one that reads this list
			open = append(open, target)
		}
	}
	slices.Sort(open)
	return open
}

// A quiet network carries no packet at all unless asked to.
func TestQuiet(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("a", "b")...)
	if err := n.WaitQuiet(deadline(t), 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	counter, err := n.Host("a").CountFrames("", nil)
	if err != nil {
		t.Fatal(err)
	}
	before, err1 := n.Host("a").PortStats()
	if err := n.WaitQuiet(deadline(t), 2*time.Second); err != nil {
		t.Fatal(err)
	}
	after, err2 := n.Host("a").PortStats()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if before != after || counter.Count() != (lab.FrameCount{}) {
		t.Errorf("packets on a quiet port: before %+v, after %+v, counted %+v", before, after, counter.Count())
	}
}

// Host numbers and with them addresses are those of the order; a removed host
// gets its own back.
func TestAddresses(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("a", "b")...)
	if err := n.RemoveHost("a"); err != nil {
		t.Fatal(err)
	}
	if err := n.RemoveHost("a"); !errors.Is(err, lab.ErrUnknownHost) {
		t.Errorf("second removal: %v, want ErrUnknownHost", err)
	}
	a, err := n.AddHost(lab.HostConfig{Name: "a", VLANs: []uint16{100}})
	if err != nil {
		t.Fatal(err)
	}
	vlan, err := a.Addresses("eth0.100")
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(a.Number, a.Addr4, a.Addr6, a.MAC, vlan, n.Host("b").Addr4)
	want := "1 192.0.2.1 2001:db8::1 02:00:5e:00:00:01 {10.6.64.1/20 2001:db8:0:64::1/64 fe80::1/64} 192.0.2.2"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

// Bad settings are refused with an error that names them.
func TestRefusals(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("a")...)
	a := n.Host("a")
	add := func(c lab.HostConfig) error { _, err := n.AddHost(c); return err }
	send := func(c lab.SendConfig) error { _, err := a.Send(t.Context(), c); return err }
	recv := func(c lab.ListenConfig) error { _, err := a.Listen(c); return err }
	tests := []struct {
		err  error
		want string
	}{
		{add(lab.HostConfig{Name: "a"}), "exists already"},
		{add(lab.HostConfig{Name: "switch"}), "taken"},
		{add(lab.HostConfig{Name: "a-name-too-long"}), "at most 13"},
		{add(lab.HostConfig{Name: "../x"}), "at most 13"},
		{add(lab.HostConfig{Name: "b", IGMPVersion: 4}), "IGMP version 4"},
		{add(lab.HostConfig{Name: "b", MLDVersion: 3}), "MLD version 3"},
		{add(lab.HostConfig{Name: "b", VLANs: []uint16{4095}}), "VLAN 4095"},
		{add(lab.HostConfig{Name: "b", VLANs: []uint16{5}, QinQ: []lab.QinQ{{Outer: 5, Inner: 6}}}), "VLAN 5 is both"},
		{add(lab.HostConfig{Name: "b", Features: map[string]bool{"no-such": true}}), "no-such"},
		{send(lab.SendConfig{Group: a.Addr4, Port: port}), "multicast"},
		{send(lab.SendConfig{Group: group4}), "port 0"},
		{send(lab.SendConfig{Group: group4, Port: port, Size: 4}), "size 4"},
		{send(lab.SendConfig{Group: group4, Port: port, Size: 2000, Segments: 40}), "40 segments"},
		{send(lab.SendConfig{Group: group4, Port: port, Interface: "eth9"}), `no interface "eth9"`},
		{recv(lab.ListenConfig{Group: a.Addr6, Port: port}), "multicast"},
		{recv(lab.ListenConfig{Group: group4}), "port 0"},
	}
	for _, tt := range tests {
		if tt.err == nil || !strings.Contains(tt.err.Error(), tt.want) {
			t.Errorf("error = %v, want one with %q", tt.err, tt.want)
		}
	}
	if got := len(namespaces(t, n.Name())); got != 2 {
		t.Errorf("%d namespaces after refusals, want 2", got)
	}
}

// 256 hosts come and go in a few seconds.
func TestManyHosts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	hosts := make([]lab.HostConfig, 256)
	for i := range hosts {
		hosts[i].Name = fmt.Sprintf("h%d", i)
	}
	start := time.Now()
	n := labtest.New(t, hosts...)
	created := time.Since(start)
	bridge(t, n, lab.BridgeConfig{})
	if got := n.Host("h253").Addr4.String(); got != "198.18.0.254" { // the first past 192.0.2.0/24
		t.Errorf("address of host 254 = %s, want 198.18.0.254", got)
	}
	r := listen(t, n.Host("h0"), lab.ListenConfig{Group: group4})
	sendFrom(t, group4, n.Host("h255"), 3)
	if err := r.Wait(deadline(t), 3); err != nil {
		t.Error(err)
	}
	start = time.Now()
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("created in %v, closed in %v", created, time.Since(start))
}
