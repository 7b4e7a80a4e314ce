package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// Interfaces that appear are observed, and those that vanish leave nothing on the
// page.
func TestObserveFollowsInterfaces(t *testing.T) {
	n := newNet(t, "pub")
	a := startObserver(t, n.Switch().Name(), `"p-*"`, "")
	late, err := n.AddHost(lab.HostConfig{Name: "late"})
	if err != nil {
		t.Fatal(err)
	}
	a.wait("two interfaces", func(s series) bool { return s["fanlight_observed_interfaces"] == 2 })
	sent := send(t, late, lab.SendConfig{Group: addr("239.10.0.1"), Count: 100})
	counted := observed("packets_total", "p-late", "receive", "239.10.0.1", late.Addr4.String())
	if got := a.scrape()[counted]; got != float64(sent) {
		t.Errorf("%v packets counted, want %d", got, sent)
	}
	if err := n.RemoveHost("late"); err != nil {
		t.Fatal(err)
	}
	page := a.wait("one interface", func(s series) bool { return s["fanlight_observed_interfaces"] == 1 })
	for name := range page {
		if strings.Contains(name, "p-late") {
			t.Errorf("still on the page: %s", name)
		}
	}
}

// A new configuration takes effect without losing a count; what it must not
// change is refused as a whole.
func TestObserveReloads(t *testing.T) {
	n := newNet(t, "pub", "other")
	a := startObserver(t, n.Switch().Name(), "p-pub", "default: 1h")
	pub := n.Host("pub")
	sent := send(t, pub, lab.SendConfig{Group: addr("239.11.0.1"), Count: 100})
	counted := observed("packets_total", "p-pub", "receive", "239.11.0.1", pub.Addr4.String())
	for what, cfg := range map[string]string{
		"drops":            strings.Replace(a.cfg, "observe:", "observe:\n  drops: true", 1),
		"another table":    strings.Replace(a.cfg, "observe:", "observe:\n  table: 100", 1),
		"nothing is left":  strings.Replace(a.cfg, "[p-pub]", "[]", 1),
		"the first domain": a.cfg + "domains: [{name: lab, ports: [p-other]}]\n",
	} {
		if err := a.put(cfg); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	if err := a.put(a.cfg + "domains: [{name: lab, ports: [p-other]}]\n"); !errors.Is(err, collector.ErrNeedsRestart) {
		t.Errorf("the first domain: %v", err)
	}
	if err := a.put(strings.NewReplacer("p-pub", `"p-*"`, "1h", "200ms").Replace(a.cfg)); err != nil {
		t.Fatal(err)
	}
	page := a.wait("two interfaces", func(s series) bool { return s["fanlight_observed_interfaces"] == 2 })
	if page[counted] != float64(sent) {
		t.Errorf("%v packets after the reload, want %d", page[counted], sent)
	}
	a.waitEvent(`"action":"silent"`, `"group":"239.11.0.1"`)
}

// What a stream had counted stays in its interface's sum when it is forgotten.
func TestObserveKeepsTotals(t *testing.T) {
	n := newNet(t, "pub")
	path := filepath.Join(t.TempDir(), "events.jsonl")
	a := startConfig(t, fmt.Sprintf(`observe: {interfaces: ["p-*"]}
netns: %s
bpffs: %s
keep_idle: 1s
events: [{type: file, path: %s}]
redact: {profile: reveal}
`, n.Switch().Name(), "/sys/fs/bpf/"+n.Name()+"-watch", path), path)
	sent := send(t, n.Host("pub"), lab.SendConfig{Group: addr("239.12.0.1"), Count: 100})
	own := observed("packets_total", "p-pub", "receive", "239.12.0.1", n.Host("pub").Addr4.String())
	if got := a.scrape()[own]; got != float64(sent) {
		t.Fatalf("%v packets counted, want %d", got, sent)
	}
	a.waitEvent(`"action":"ended"`, `"group":"239.12.0.1"`, `"packets":100`)
	page := a.scrape()
	if _, there := page[own]; there {
		t.Error("the stream is still on the page")
	}
	if rest := page[`fanlight_observed_packets_total{interface="p-pub",direction="receive"}`]; rest < float64(sent) {
		t.Errorf("the interface's common series has %v packets, want %d at least", rest, sent)
	}
}

// The socket answers in what the policy shows.
func TestObservedAnswer(t *testing.T) {
	n := newNet(t, "pub")
	a := startObserver(t, n.Switch().Name(), `"p-*"`, "")
	pub := n.Host("pub")
	sent := send(t, pub, lab.SendConfig{Group: addr("239.13.0.1"), Count: 50})
	var got observedAnswer
	_, body := a.get("/v1/observed")
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, s := range got.Streams {
		if s.Group != "239.13.0.1" {
			continue
		}
		found = true
		if s.Source != pub.Addr4.String() || s.Interface != "p-pub" || s.Direction != "receive" || s.Packets != sent || s.TTL != 16 || len(s.Peaks) != 2 || len(s.Gaps) == 0 {
			t.Errorf("%+v, want %d packets of %s", s, sent, pub.Addr4)
		}
	}
	if !found {
		t.Errorf("no stream in %+v", got)
	}
	strict := redacttest.Policy(t, redact.StrictProfile)
	w := httptest.NewRecorder()
	apiHandler(viewer{agent: &sharedAgent{Agent: a.agent}, policy: strict}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/observed", nil))
	if body := w.Body.String(); w.Code != http.StatusOK || strings.Contains(body, pub.Addr4.String()) || strings.Contains(body, "239.13.0.1") || !strings.Contains(body, "source_") {
		t.Errorf("status %d: under profile strict the answer is %s", w.Code, body)
	}
}

// An agent without domains takes out what an earlier one forwarded.
func TestObserveInsteadOfForwarding(t *testing.T) {
	n := newNet(t, "pub")
	cfg, events := agentConfig(t, n)
	forwarding := startConfig(t, cfg, events)
	forwarding.end() // its datapath stays, and is not configured any more
	_, rest, _ := strings.Cut(cfg, "\nnetns:")
	a := startConfig(t, "observe: {interfaces: [\"p-*\"]}\nnetns:"+rest, events)
	sent := send(t, n.Host("pub"), lab.SendConfig{Group: addr("239.15.0.1"), Count: 100})
	page := a.scrape()
	if got := page[observed("packets_total", "p-pub", "receive", "239.15.0.1", n.Host("pub").Addr4.String())]; got != float64(sent) {
		t.Errorf("%v packets counted, want %d", got, sent)
	}
	if seen := page.sum("fanlight_packets_seen_total"); seen != 0 {
		t.Errorf("the old datapath still sees packets: %v", seen)
	}
}

// A full table is told of, and the sums stay exact.
func TestObserveFullTable(t *testing.T) {
	n := newNet(t, "pub")
	path := filepath.Join(t.TempDir(), "events.jsonl")
	a := startConfig(t, fmt.Sprintf(`observe: {interfaces: ["p-*"], table: 16}
netns: %s
bpffs: %s
events: [{type: file, path: %s}]
redact: {profile: reveal}
`, n.Switch().Name(), "/sys/fs/bpf/"+n.Name()+"-watch", path), path)
	want := 0.0
	for i := range 30 {
		want += float64(send(t, n.Host("pub"), lab.SendConfig{Group: addr(fmt.Sprintf("239.16.0.%d", i)), Count: 10}))
	}
	a.waitEvent(`"kind":"stream"`, `"action":"refused"`, `"reason":"table_full"`)
	page := a.scrape()
	if got := page.sum("fanlight_observed_packets_total", `interface="p-pub",direction="receive"`); got < want {
		t.Errorf("all series together have %v packets, want %v at least", got, want)
	}
	if page[`fanlight_observe_failures_total{reason="table_full"}`] == 0 || page[`fanlight_table_refused_total{table="observed_streams"}`] == 0 {
		t.Error("the full table is not counted")
	}
}
