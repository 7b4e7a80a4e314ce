package redact_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// everythingOut is what a policy lets out of events in every way that there is.
func everythingOut(t *testing.T, p *redact.Policy, events []bpf.Event, series func(*redact.Metrics)) []byte {
	t.Helper()
	var out bytes.Buffer
	logs := slog.New(slog.NewTextHandler(&out, nil))
	jsonLogs := slog.New(slog.NewJSONHandler(&out, nil))
	records := p.Apply(nil, events)
	if len(records) != len(events) {
		t.Fatalf("records: want %d, got %d", len(events), len(records))
	}
	for i := range records {
		r := &records[i]
		out.Write(append(r.AppendJSON(nil), '\n'))
		for f, v := range r.Fields() {
			fmt.Fprintln(&out, f.Name, v.Text(), v.Number(), slices.Collect(v.List()), f, v)
		}
		fmt.Fprintln(&out, r.Key(), r.Kind(), r.GroupMAC(), r)
		for _, v := range []any{events[i], &events[i], events[i : i+1], map[string]any{"e": events[i]}, *r, p} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
				fmt.Fprintf(&out, verb+"\n", v)
			}
			logs.Info("text", "v", v)
			jsonLogs.Info("json", "v", v)
			if err := json.NewEncoder(&out).Encode(v); err != nil {
				t.Fatal(err)
			}
		}
		explained, err := p.Explain(&events[i])
		fmt.Fprintln(&out, explained, err)
	}
	bad := slices.Clone(events)
	for i := range bad {
		bad[i].Reason = "from " + redacttest.HostCanary4.String()
		_, err := p.Explain(&bad[i])
		logs.Error("refused", "error", err)
	}
	if got := p.Apply(nil, bad); len(got) > 0 {
		t.Errorf("%d records with free text in them", len(got))
	}
	m, err := p.NewMetrics(redact.MetricsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	series(m)
	out.Write(m.AppendPage(nil))
	fmt.Fprintf(&out, "%v %+v %d", m, m, m)
	return out.Bytes()
}

func TestNoCanaryLeaves(t *testing.T) {
	policy := func(profile redact.Profile) *redact.Policy {
		p, err := redact.NewPolicy(redact.Config{Profile: profile, KeyFile: redacttest.KeyFile(t)}, redacttest.OriginCanary)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, profile := range []redact.Profile{redact.DefaultProfile, redact.SIEMProfile} {
		out := everythingOut(t, policy(profile), redacttest.CanaryEvents(), redacttest.CanarySeries)
		if leaks := redacttest.Leaks(out); len(leaks) > 0 {
			t.Errorf("profile %s leaks %v", profile, leaks)
		}
	}
	strict := everythingOut(t, policy(redact.StrictProfile), redacttest.StrictCanaryEvents(), redacttest.StrictCanarySeries)
	if leaks := redacttest.StrictLeaks(strict); len(leaks) > 0 {
		t.Errorf("profile strict leaks %v", leaks)
	}

	// The search is not blind: in clear it finds each of them.
	clear := everythingOut(t, policy(redact.RevealProfile), redacttest.StrictCanaryEvents(), redacttest.StrictCanarySeries)
	found := strings.Join(redacttest.StrictLeaks(clear), "; ")
	for _, name := range []string{
		"source v4", "source v6", "host v4", "host v6", "MAC as", "group v4 as", "group v6 as", "SSM group as",
		"MAC of group v4", "MAC of group v6", "querier", "domain", "interface", "node", "boot id", "VLAN",
	} {
		if !strings.Contains(found, name) {
			t.Errorf("profile reveal: %s is not found", name)
		}
	}
}

// A host's address is not only in the fields that are named after it.
func TestSolicitedNodeGroupsHideTheHost(t *testing.T) {
	e := redacttest.CanaryEvents()[6]
	e.Group = netipMust("ff02::1:ff65:4321")
	for _, profile := range []redact.Profile{redact.DefaultProfile, redact.StrictProfile, redact.SIEMProfile} {
		p := redacttest.Policy(t, profile)
		got := fieldsOf(p, e)
		if strings.Contains(got["group"], "ff65:4321") || got["group"] == "" || got["group_class"] != "solicited_node" {
			t.Errorf("profile %s: group %s, class %s", profile, got["group"], got["group_class"])
		}
		if profile != redact.StrictProfile && !strings.HasPrefix(got["group"], "ff02::1:ff") {
			t.Errorf("profile %s: group %s is of another kind", profile, got["group"])
		}
		m, err := p.NewMetrics(redact.MetricsConfig{})
		if err != nil {
			t.Fatal(err)
		}
		m.Series(redact.GroupPackets, redact.Name("lab"), redact.VLAN(0), redact.Addr(e.Group)).Set(1)
		if page := string(m.AppendPage(nil)); strings.Contains(page, "ff65:4321") || !strings.Contains(page, got["group"]) {
			t.Errorf("profile %s: the page does not show the group as %s", profile, got["group"])
		}
	}
}

// Policies that share a batch, and sinks that share records, change nothing of
// what they share: make test-race proves it.
func TestEventsAreNotMutatedWhileShared(t *testing.T) {
	base := redacttest.Policy(t, redact.DefaultProfile)
	policies := []*redact.Policy{base}
	for _, profile := range []redact.Profile{redact.StrictProfile, redact.SIEMProfile} {
		p, err := base.For("sink_"+string(profile), redact.Override{Profile: profile})
		if err != nil {
			t.Fatal(err)
		}
		policies = append(policies, p)
	}
	batch := redacttest.StrictCanaryEvents()
	before := fmt.Sprintf("%v", rawForms(batch))
	done := make(chan struct{})
	for _, p := range policies {
		go func() {
			defer func() { done <- struct{}{} }()
			var records []redact.Record
			for range 50 {
				records = p.Apply(records[:0], batch)
				readers := make(chan int)
				for range 3 {
					go func() {
						n := 0
						for i := range records {
							n += len(records[i].AppendJSON(nil))
						}
						readers <- n
					}()
				}
				for range 3 {
					<-readers
				}
			}
		}()
	}
	for range 20 {
		if err := base.ReloadKeys(); err != nil {
			t.Error(err)
		}
	}
	for range policies {
		<-done
	}
	if after := fmt.Sprintf("%v", rawForms(batch)); after != before {
		t.Error("the events were changed")
	}
}

// rawForms shows events, which don't print themselves.
func rawForms(events []bpf.Event) (all []any) {
	type plain bpf.Event // has no methods
	for _, e := range events {
		all = append(all, plain(e))
	}
	return all
}
