package main

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/lab"
)

// quickQuerier makes the agent the querier at once, and members age in seconds.
const quickQuerier = "querier: {mode: on, query_interval: 2s, query_response_interval: 200ms, last_member_query_interval: 100ms}"

// flow is one of the streams that an agent's end must not touch.
type flow struct {
	name, group string
	ssm         bool
	hosts       []string
}

// Together with the flows in two VLANs 20,000 packets/s.
var standingFlows = []flow{
	{name: "v4", group: "239.1.1.1", hosts: []string{"sub1", "sub2"}},
	{name: "v6", group: "ff15::1", hosts: []string{"sub1", "sub2"}},
	{name: "ssm", group: "232.1.1.1", ssm: true, hosts: []string{"sub2"}},
}

const flowRate = 4000

// running is a flow under way.
type running struct {
	flow
	stream    *lab.Stream
	receivers []*lab.Receiver
}

func startFlows(t *testing.T, n *lab.Net) (all []*running) {
	t.Helper()
	for _, f := range standingFlows {
		r := &running{flow: f}
		cfg := lab.ListenConfig{Group: netip.MustParseAddr(f.group), Port: 5000}
		if f.ssm {
			cfg.Sources = []netip.Addr{n.Host("pub").Addr4}
		}
		for _, h := range f.hosts {
			recv, err := n.Host(h).Listen(cfg)
			if err != nil {
				t.Fatal(err)
			}
			r.receivers = append(r.receivers, recv)
		}
		all = append(all, r)
	}
	return all
}

func (r *running) send(t *testing.T, n *lab.Net) {
	t.Helper()
	var err error
	r.stream, err = n.Host("pub").Stream(lab.SendConfig{Group: netip.MustParseAddr(r.group), Port: 5000, Rate: flowRate})
	if err != nil {
		t.Fatal(err)
	}
}

// soon bounds what a test waits for.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// verify demands every datagram of the stopped stream, in order and once.
func (r *running) verify(t *testing.T, out *outcome) {
	t.Helper()
	sent, err := r.stream.Stop()
	if err != nil {
		t.Fatal(err)
	}
	for i, recv := range r.receivers {
		got := recv.Report().Total()
		got.Reordered = 0 // between the CPUs of the sender
		want := lab.StreamReport{Received: sent, Distinct: sent}
		if got != want {
			out.wrong("flow %s at %s: sent %d, got %+v (socket dropped %d)", r.name, r.hosts[i], sent, got, recv.Report().Dropped)
		}
	}
	t.Logf("flow %s: %d datagrams to each of %v", r.name, sent, r.hosts)
}

func TestForwardingOutlivesTheAgent(t *testing.T) {
	for _, c := range []struct {
		name       string
		hook, then string
		end        os.Signal
	}{
		{"killed", "auto", "auto", syscall.SIGKILL},
		{"stopped", "auto", "auto", syscall.SIGTERM},
		{"killed with clsact", "clsact", "clsact", syscall.SIGKILL},
	} {
		t.Run(c.name, func(t *testing.T) {
			untilClean(t, func(t *testing.T, n *lab.Net) outcome { return outlive(t, n, c.hook, c.then, c.end) },
				"pub", "sub1", "sub2", "late", "leaver")
		})
	}
}

// outlive ends the agent in the middle of all flows and starts another one.
func outlive(t *testing.T, n *lab.Net, hook, then string, end os.Signal) outcome {
	cfg, _ := agentConfig(t, n, quickQuerier)
	first := startProcess(t, cfg+"hook: "+hook+"\n")
	flows := startFlows(t, n)
	vlanGroup := netip.MustParseAddr("239.1.1.1")
	tagged := []*taggedFlow{
		joinTagged(t, 100, vlanGroup, n.Host("sub1"), n.Host("sub2")),
		joinTagged(t, 200, vlanGroup, n.Host("sub2"), n.Host("sub1")),
	}
	leaving, err := n.Host("leaver").Listen(lab.ListenConfig{Group: netip.MustParseAddr("239.1.1.3"), Port: 5000})
	if err != nil {
		t.Fatal(err)
	}
	for group, want := range map[string]int{"239.1.1.1": 4, "ff15::1": 2, "232.1.1.1": 1, "239.1.1.3": 1} {
		first.wait("members of "+group, members(group, want))
	}
	for _, f := range flows {
		f.send(t, n)
	}
	for _, f := range tagged {
		f.send(t, n.Host("pub"), flowRate)
	}
	waitReceived(t, flows, flowRate/8)
	before := first.scrape()
	first.signal(end)

	if _, err := n.Host("late").Listen(lab.ListenConfig{Group: netip.MustParseAddr("239.1.1.2"), Port: 5000}); err != nil {
		t.Fatal(err)
	}
	if err := leaving.Close(); err != nil {
		t.Fatal(err)
	}
	waitReceived(t, flows, flowRate/4)

	second := startProcess(t, cfg+"hook: "+then+"\n")
	after := second.scrape()
	noneGoesBack(t, before, after)
	keptMembers(t, before, after)
	second.wait("the join in between is learnt", members("239.1.1.2", 1))
	second.wait("the leave in between is noticed", members("239.1.1.3", 0))
	for _, f := range flows {
		f.stream.Stop()
	}
	for _, f := range tagged {
		f.finish(t)
	}
	if err := n.WaitQuiet(soon(t), 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	var out outcome
	for _, f := range flows {
		f.verify(t, &out)
	}
	for _, f := range tagged {
		f.verify(t, &out)
	}
	out.lost(t, second.scrape(), n)
	second.signal(syscall.SIGTERM)
	return out
}

// waitReceived waits until every receiver has more datagrams than n.
func waitReceived(t *testing.T, flows []*running, n uint64) {
	t.Helper()
	for _, f := range flows {
		for _, r := range f.receivers {
			if err := r.Wait(soon(t), n); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// countsItself are families that count what one process did.
var countsItself = []string{"fanlight_events_", "fanlight_sink_", "fanlight_igmp_", "fanlight_scrape", "fanlight_redaction_"}

// noneGoesBack demands that every counter of the datapath is there and not less.
func noneGoesBack(t *testing.T, before, after series) {
	t.Helper()
	compared := 0
	for text, was := range before {
		name, _, _ := strings.Cut(text, "{")
		if !strings.HasPrefix(name, "fanlight_") || !strings.HasSuffix(name, "_total") || hasAnyPrefix(name, countsItself) {
			continue
		}
		now, ok := after[text]
		if !ok || now < was {
			t.Errorf("%s was %v, is %v (there: %t)", text, was, now, ok)
		}
		compared++
	}
	if compared < 20 {
		t.Errorf("only %d counters to compare", compared)
	}
}

func hasAnyPrefix(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// keptMembers demands that every member of before is there.
func keptMembers(t *testing.T, before, after series) {
	t.Helper()
	for text, was := range before.family("fanlight_group_members") {
		if now := after[text]; now < was {
			t.Errorf("%s was %v, is %v", text, was, now)
		}
	}
}
