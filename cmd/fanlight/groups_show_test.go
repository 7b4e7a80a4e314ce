package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/lab"
)

// TestShowAGroup: everything about one group, with rates, for people and in JSON.
func TestShowAGroup(t *testing.T) {
	const group = "233.252.0.7" // MCAST-TEST-NET
	n := newNet(t, "pub", "sub")
	a := startAgent(t, n, quickQuerier, "unregistered: drop")
	c := controlOf(t, a.events)
	send(t, n.Host("pub"), lab.SendConfig{Group: addr(group), Count: 3}) // for nobody
	quiet(t, n)
	listen(t, n.Host("sub"), lab.ListenConfig{Group: addr(group)})
	a.joined(addr(group), 1)
	stream, err := n.Host("pub").Stream(lab.SendConfig{Group: addr(group), Port: 5000, Rate: 2000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stream.Close() })
	a.wait("the stream flows", func(series) bool { return stream.Sent() > 200 })

	text, err := c.call("groups show MCAST-test-NET --interval 300ms")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`(?m)^group: +233\.252\.0\.7$`, `(?m)^name: +MCAST-TEST-NET$`, `(?m)^kind: +asm, scope global$`, `(?m)^last packet: +\d+(ms|s) ago$|0s ago`,
		`(?m)^SOURCES \(1\)$`, `(?m)^ +SOURCE +PACKETS +BYTES +COPIES +FAN-OUT +PACKETS/S +MBIT/S +COPIES/S +SEEN$`, `(?m)^ +192\.0\.2\.1 +\d+ +\d+ +\d+ +1 +1\d\d\d|2\d\d\d `,
		`(?m)^SUBSCRIBERS \(1\)$`, `(?m)^ +p-sub +igmpv3 +exclude +192\.0\.2\.2 `,
		`(?m)^DROPPED PACKETS \(3\)$`, `(?m)^ +3 unregistered$`, `'fanlight explain REASON'`, `(?m)^FAILED COPIES \(\d+\)$`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("no %s in:\n%s", want, text)
		}
	}

	out, err := c.call("groups show " + group + " --interval 200ms -o json")
	var list []groupDetail
	if err == nil {
		err = json.Unmarshal([]byte(out), &list)
	}
	if err != nil || len(list) != 1 || len(list[0].Streams) != 1 || len(list[0].Subscribers) != 1 || len(list[0].Drops) != 1 || list[0].Drops[0].Meaning == "" {
		t.Fatalf("%s, %v", out, err)
	}
	s := list[0].Streams[0]
	if s.Rates == nil || s.Rates.Packets < 200 || s.Rates.Packets > 20000 || s.Rates.Copies == 0 || s.FanOut != 1 || s.LastSeen.IsZero() {
		t.Errorf("stream %+v, rates %+v", s, s.Rates)
	}
	if out, err = c.call("groups show " + group + " --interval 0 -o json"); err != nil || strings.Contains(out, "per_second") {
		t.Errorf("without an interval: %s, %v", out, err)
	}
}

// TestListStreams: chosen, sorted, cut, and with rates if asked.
func TestListStreams(t *testing.T) {
	n := newNet(t, "pub", "sub")
	a := startAgent(t, n, quickQuerier, "unregistered: flood")
	c := controlOf(t, a.events)
	few, many := "233.252.0.1", "239.4.4.4"
	send(t, n.Host("pub"), lab.SendConfig{Group: addr(few), Count: 5})
	send(t, n.Host("sub"), lab.SendConfig{Group: addr(many), Count: 50})
	quiet(t, n)
	streams := func(args string) (list []streamSummary) {
		t.Helper()
		out, err := c.call("streams list -o json " + args)
		if err == nil {
			err = json.Unmarshal([]byte(out), &list)
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range list { // hosts of IPv6 have streams of their own
			if !strings.HasPrefix(list[i].Group, "2") {
				list = list[:i]
				break
			}
		}
		return list
	}
	if l := streams("--group " + few); len(l) != 1 || l[0].Packets != 5 || l[0].Source != "192.0.2.1" || l[0].Bytes == 0 || l[0].Name != "MCAST-TEST-NET" {
		t.Errorf("one group: %+v", l)
	}
	if l := streams("--group mcast-test-net"); len(l) != 1 || l[0].Group != few {
		t.Errorf("by name: %+v", l)
	}
	if l := streams("--sort packets --limit 1"); len(l) != 1 || l[0].Group != many {
		t.Errorf("the most packets: %+v", l)
	}
	if l := streams("--domain lab --group " + many + " --interval 60ms"); len(l) != 1 || l[0].Rates == nil || l[0].Rates.Packets != 0 {
		t.Errorf("rates of silence: %+v", l)
	}
	if l := streams("--domain studio"); len(l) != 0 {
		t.Errorf("another domain: %+v", l)
	}
	c.must("streams list", "FAN-OUT")
	c.must("streams list --interval 60ms", "MBIT/S")
	for args, want := range map[string]string{
		"streams list --sort colour":         "none of bytes, copies, fan-out",
		"streams list --limit -1":            "negative",
		"streams list --interval 1ms":        "50ms",
		"streams list --vlan x":              "is no VLAN",
		"streams list --group Nobody":        `called "nobody"`,
		"groups list --sort colour":          "none of bytes",
		"groups show":                        "want one group",
		"groups show 10.1.1.1":               "is no group",
		"groups show 239.77.77.77":           "nobody subscribes to it",
		"groups show 239.1.1.1 --interval x": "invalid argument",
	} {
		if out, err := c.call(args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("fanlight %s: %q, %v; want %q", args, out, err, want)
		}
	}
}

// TestNamesOfGroups: the operator's file names groups in lists, events and
// metrics, SIGHUP reads it again, and a bad one is refused.
func TestNamesOfGroups(t *testing.T) {
	const group = "239.5.5.5"
	n := newNet(t, "sub")
	cfg, events := agentConfig(t, n, quickQuerier)
	names := filepath.Join(filepath.Dir(events), "names.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(names, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("239.5.0.0/16: studio\n239.5.5.5: camera & street\n")
	a := startConfig(t, cfg+"names: "+names+"\n", events)
	c := controlOf(t, events)
	listen(t, n.Host("sub"), lab.ListenConfig{Group: addr(group)})
	a.joined(addr(group), 1)
	c.must("groups list --group "+group, "camera & street")
	a.waitEvent(`"action":"joined"`, `"group":"239.5.5.5"`, `"group_name":"camera \u0026 street"`)
	info := func(name string) func(series) bool {
		return func(s series) bool {
			all := s.family("fanlight_group_info")
			return s[`fanlight_group_info{domain="lab",group="239.5.5.5",name="`+name+`"}`] == 1 && all.sum("fanlight_group_info", `group="239.5.5.5"`) == 1
		}
	}
	a.wait("the name is on the page", info("camera & street"))

	write("239.5.5.5: [\n")
	if err := a.reload(a.path); err == nil || !strings.Contains(err.Error(), names) {
		t.Errorf("a bad file: %v", err)
	}
	c.must("groups list --group "+group, "camera & street")
	write("239.5.0.0/16: studio\n")
	if err := a.reload(a.path); err != nil {
		t.Fatal(err)
	}
	c.must("subscribers list --group studio", group)
	a.wait("the new name is on the page, alone", info("studio"))
}

// TestNamesAreHiddenWithTheirGroups: a policy that hides groups hides what they
// are called, everywhere.
func TestNamesAreHiddenWithTheirGroups(t *testing.T) {
	n := newNet(t, "pub", "sub")
	cfg, events := agentConfig(t, n, quickQuerier)
	a := startConfig(t, strings.Replace(cfg, "profile: reveal", "profile: strict", 1), events)
	c := controlOf(t, events)
	listen(t, n.Host("sub"), lab.ListenConfig{Group: addr("233.252.0.7")})
	send(t, n.Host("pub"), lab.SendConfig{Group: addr("233.252.0.7"), Count: 5})
	a.waitEvent(`"action":"joined"`)
	var shown []string
	for _, args := range []string{"groups list", "groups list -o json", "subscribers list", "streams list", "groups show 233.252.0.7 --interval 0"} {
		out, err := c.call(args)
		if err != nil {
			t.Errorf("fanlight %s: %v", args, err)
		}
		shown = append(shown, out)
	}
	for text := range a.scrape() {
		shown = append(shown, text)
	}
	lines, err := os.ReadFile(events)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append(shown, string(lines)) {
		if strings.Contains(text, "MCAST-TEST-NET") || strings.Contains(text, "233.252.0.7") {
			t.Errorf("shown: %s", text)
		}
	}
	if _, err := c.call("groups list --group MCAST-TEST-NET"); err == nil || !strings.Contains(err.Error(), "no group that is there") {
		t.Errorf("found by its hidden name: %v", err)
	}
}
