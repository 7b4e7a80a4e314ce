package main

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/lab"
)

const reloadOK = "fanlight_config_last_reload_successful"

// put writes a configuration and reloads it, as SIGHUP does.
func (a *agent) put(cfg string) error {
	a.t.Helper()
	if err := os.WriteFile(a.path, []byte(cfg), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return a.reload(a.path)
}

func TestABadReloadChangesNothing(t *testing.T) {
	untilClean(t, func(t *testing.T, n *lab.Net) (out outcome) {
		a := startAgent(t, n, quickQuerier, "unregistered: flood")
		// Each bad one would change a policy too, and none of it may take effect.
		nobody := addr("239.9.9.7")
		flooded := watchGroup(t, n.Host("sub"), nobody)
		stricter := strings.Replace(a.cfg, "unregistered: flood", "unregistered: drop", 1)
		r := joinGroup(t, n.Host("sub"), testGroup)
		a.waitMembers("239.1.1.1", 1)
		stream, err := n.Host("pub").Stream(lab.SendConfig{Group: testGroup, Port: 5000, Rate: 5000})
		if err != nil {
			t.Fatal(err)
		}
		for name, cfg := range map[string]string{
			"syntax":             "domains: [",
			"unknown key":        strings.Replace(stricter, "ports:", "prots:", 1),
			"one domain is bad":  strings.Replace(stricter, "domains:", "domains:\n  - {name: x, ports: [none], unregistered: perhaps}", 1),
			"limits do not fit":  strings.Replace(stricter, quickQuerier, "limits: {groups: 100000}", 1),
			"live changed":       stricter + "live: {listen: 127.0.0.1:0}\n",
			"needs a restart":    stricter + "tables: {groups: 100}\n",
			"exporter changed":   strings.Replace(stricter, "type: file", "type: file, mode: \"0640\"", 1),
			"other redaction":    strings.Replace(stricter, "profile: reveal", "profile: default", 1),
			"too many of a kind": strings.Replace(stricter, "domains:", "tables: {domains: 2}\ndomains:\n  - {name: x, ports: [none]}", 1),
		} {
			if err := a.put(cfg); err == nil {
				t.Errorf("%s: accepted", name)
			}
			if s := a.scrape(); s[reloadOK] != 0 {
				t.Errorf("%s: %s is %v", name, reloadOK, s[reloadOK])
			}
			was := flooded.Count().Frames
			a.wait(name+": what nobody joined is flooded as before", func(s series) bool {
				send(t, n.Host("pub"), lab.SendConfig{Group: nobody, Count: 1})
				return flooded.Count().Frames > was || s.sum("fanlight_drops_total", `group="239.9.9.7"`) > 0
			})
			if s := a.scrape(); s.sum("fanlight_drops_total", `group="239.9.9.7"`) != 0 {
				t.Fatalf("%s: its policy is in force", name)
			}
		}
		if err := a.put(a.cfg); err != nil {
			t.Error(err)
		}
		if s := a.scrape(); s[reloadOK] != 1 {
			t.Errorf("%s is %v after a good one", reloadOK, s[reloadOK])
		}
		out.demandAll(t, a.scrape, n, stream, r)
		return out
	}, "pub", "sub")
}

// demandAll ends the stream and demands all of it at the receivers.
func (o *outcome) demandAll(t *testing.T, scrape func() series, n *lab.Net, stream *lab.Stream, receivers ...*lab.Receiver) {
	t.Helper()
	sent, err := stream.Stop()
	if err != nil {
		t.Fatal(err)
	}
	if sent == 0 {
		t.Error("nothing was sent")
	}
	if err := n.WaitQuiet(soon(t), 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for i, r := range receivers {
		if got := r.Report().Streams[stream.ID]; got.Distinct != sent || got.Duplicated != 0 {
			o.wrong("receiver %d: sent %d, got %+v", i, sent, got)
		}
	}
	o.lost(t, scrape(), n)
}

func TestAReloadThatNeedsARestartSaysSo(t *testing.T) {
	was, err := parseConfig(strings.NewReader("domains: [{name: a, ports: [p0]}]\nevents: [{type: stdout}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, extra := range []string{"events: [{type: stdout}, {type: stdout}]", "metrics: {listen: 127.0.0.1:1}", "redact: {profile: reveal}"} {
		cfg := "domains: [{name: a, ports: [p0]}]\n" + extra
		now, err := parseConfig(strings.NewReader(cfg))
		if err != nil {
			t.Fatal(err)
		}
		if err := was.fixed(now); !errors.Is(err, collector.ErrNeedsRestart) {
			t.Errorf("%s: got %v", extra, err)
		}
	}
	if err := was.fixed(was); err != nil {
		t.Errorf("unchanged: got %v", err)
	}
}

// A file that can't be opened again is told as what it is: the configuration is
// in force all the same.
func TestAFileThatIsNotReopenedRefusesNothing(t *testing.T) {
	n := newNet(t, "pub", "sub")
	a := startAgent(t, n, "unregistered: flood")
	if err := os.RemoveAll(filepath.Dir(a.events)); err != nil {
		t.Fatal(err)
	}
	err := a.put(strings.Replace(a.cfg, "unregistered: flood", "unregistered: drop", 1))
	if !errors.Is(err, errReopen) || !strings.Contains(err.Error(), a.events) {
		t.Errorf("got %v, want %v with the file's name", err, errReopen)
	}
	nobody := addr("239.9.9.8")
	probe(t, n, "pub", nobody, 10)
	a.wait("the new policy drops what nobody joined", func(s series) bool {
		return s[reloadOK] == 1 && s.sum("fanlight_drops_total", `group="239.9.9.8"`) == 10
	})
}

func TestAReloadLosesNothingOfWhatStays(t *testing.T) {
	untilClean(t, func(t *testing.T, n *lab.Net) (out outcome) {
		cfg, events := agentConfig(t, n, quickQuerier)
		narrow := strings.Replace(cfg, `ports: ["p-*"]`, `ports: ["p-a*"]`, 1)
		a := startConfig(t, narrow, events)
		r := joinGroup(t, n.Host("a2"), testGroup)
		a.waitMembers("239.1.1.1", 1)
		stream, err := n.Host("a1").Stream(lab.SendConfig{Group: testGroup, Port: 5000, Rate: 5000})
		if err != nil {
			t.Fatal(err)
		}
		late := joinGroup(t, n.Host("b1"), testGroup)
		wide := strings.Replace(cfg, "domains:", "domains:\n  - {name: other, ports: [p-b2], "+quickQuerier+"}", 1)
		wide = strings.Replace(wide, quickQuerier+"\nnetns", quickQuerier+"\n    limits: {groups: 10, streams_per_group: 3}\n    router_ports: [p-a3]\n    sample: 1000\nnetns", 1)
		if err := a.put(wide); err != nil {
			t.Fatal(err)
		}
		a.waitMembers("239.1.1.1", 2)
		if err := late.Wait(soon(t), 100); err != nil {
			t.Error(err)
		}
		router, err := n.Host("a3").CountFrames("", func(b []byte) bool { return len(b) > 23 && b[23] == 17 })
		if err != nil {
			t.Fatal(err)
		}
		a.wait("the new router port gets the group", func(series) bool { return router.Count().Frames > 0 })
		a.wait("ports of the new domain", func(s series) bool {
			return s.sum("fanlight_packets_seen_total", `interface="p-b2"`) > 0
		})
		if err := a.put(narrow); err != nil {
			t.Fatal(err)
		}
		a.waitMembers("239.1.1.1", 1)
		if s := a.scrape(); s.sum("fanlight_igmp_messages_total", `domain="other"`) != 0 {
			t.Errorf("the other domain is still there: %v", s.family("fanlight_igmp_messages_total"))
		}
		out.demandAll(t, a.scrape, n, stream, r)
		return out
	}, "a1", "a2", "a3", "b1", "b2")
}

func TestSIGHUPReloads(t *testing.T) {
	untilClean(t, func(t *testing.T, n *lab.Net) (out outcome) {
		cfg, _ := agentConfig(t, n, quickQuerier)
		p := startProcess(t, cfg)
		path := p.cmd.Args[len(p.cmd.Args)-1]
		if err := os.WriteFile(path, []byte("domain: []\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		hangUp(t, p)
		p.wait("the refusal shows", func(s series) bool { return s[reloadOK] == 0 })
		if !strings.Contains(p.output(), `did you mean \"domains\"`) {
			t.Errorf("log says nothing about the key:\n%s", p.output())
		}
		good := strings.Replace(cfg, quickQuerier, quickQuerier+"\n    unregistered: drop", 1) + "metrics: {listen: 127.0.0.1:0}\n"
		if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
			t.Fatal(err)
		}
		hangUp(t, p)
		p.wait("the good one shows", func(s series) bool { return s[reloadOK] == 1 })
		nobody := netip.MustParseAddr("239.9.9.9")
		probe(t, n, "pub", nobody, 10)
		p.wait("policy drops what nobody joined", func(s series) bool {
			return s.sum("fanlight_drops_total", `group="239.9.9.9"`, `reason="unregistered"`) == 10
		})
		return out
	}, "pub", "sub")
}
