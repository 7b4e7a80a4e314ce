package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/groupname"
	"github.com/fanlight-io/fanlight/groupplan"
	"github.com/fanlight-io/fanlight/lab"
)

func TestLintAPlan(t *testing.T) {
	path := filepath.Join("testdata", "lint", "plan.yaml")
	out, _, err := call(t.Context(), "lint", path)
	if err == nil || exitCode(err) != 1 || !strings.Contains(err.Error(), "4 errors") {
		t.Errorf("%v (exit status %d)", err, exitCode(err))
	}
	golden(t, filepath.Join("testdata", "lint", "plan.golden"), out)

	out, _, err = call(t.Context(), "lint", path, "-o", "json")
	var list []map[string]any
	if exitCode(err) != 1 || json.Unmarshal([]byte(out), &list) != nil || len(list) < 8 {
		t.Fatalf("%s, %v", out, err)
	}
	for _, f := range list {
		for _, key := range []string{"rule", "severity", "group", "message", "source", "remedy", "line"} {
			if f[key] == nil || f[key] == "" {
				t.Errorf("%v lacks %s", f, key)
			}
		}
	}
}

func TestLintExplains(t *testing.T) {
	out, _, err := call(t.Context(), "lint", "--explain", "all")
	if err != nil || strings.Count(out, "\n") != len(groupplan.Rules()) {
		t.Errorf("%v, %s", err, out)
	}
	for _, r := range groupplan.Rules() {
		out, _, err := call(t.Context(), "lint", "--explain", r.Name)
		if err != nil || !strings.Contains(out, r.Why) || !strings.Contains(out, r.Source) {
			t.Errorf("%s: %v, %s", r.Name, err, out)
		}
		if out, _, err = call(t.Context(), "lint", "--explain", r.Name, "-o", "json"); err != nil || !strings.Contains(out, `"severity":"`+r.Severity.String()+`"`) {
			t.Errorf("%s: %v, %s", r.Name, err, out)
		}
	}
}

// TestLintLive: what the agent forwards is checked, and hidden groups are said
// to be.
func TestLintLive(t *testing.T) {
	for profile, want := range map[string]string{"reveal": "mac-alias", "strict": "hides"} {
		t.Run(profile, func(t *testing.T) {
			n := newNet(t, "sub")
			cfg, events := agentConfig(t, n, quickQuerier)
			a := startConfig(t, strings.Replace(cfg, "profile: reveal", "profile: "+profile, 1), events)
			listen(t, n.Host("sub"), lab.ListenConfig{Group: addr("239.192.1.1")})
			listen(t, n.Host("sub"), lab.ListenConfig{Group: addr("238.64.1.1"), Port: 5001})
			a.waitEvent(`"action":"joined"`)
			c := controlOf(t, events)
			a.wait("both groups are there", func(series) bool {
				out, err := c.call("groups list --limit 100")
				return err == nil && strings.Count(out, "\n") > 2
			})
			out, err := c.call("lint --live")
			if err == nil || !strings.Contains(out+err.Error(), want) {
				t.Errorf("%s, %v; want %s", out, err, want)
			}
		})
	}
}

// FuzzPlan: no file makes lint panic.
func FuzzPlan(f *testing.F) {
	raw, err := os.ReadFile(filepath.Join("testdata", "lint", "plan.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte("domains: [{name: lab, ports: [p0], static: [{group: 239.1.1.1}]}]\n"))
	f.Add([]byte("groups: {group: 239.1.1.1}\n"))
	f.Add([]byte("groups: &a [{group: ff02::1, sources: [\"::\"]}]\nasn: 1\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if p, err := parsePlan(raw); err == nil {
			groupplan.Check(p, groupname.Builtin())
		}
	})
}
