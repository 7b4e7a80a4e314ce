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

// TestLintStatus: errors always count, warnings with --strict, and a configuration
// is a plan, too.
func TestLintStatus(t *testing.T) {
	write := func(name, text string) string { return writeFile(t, name, text) }
	good := write("good.yaml", "groups: [{group: 239.192.1.1, ttl: 16}]\n")
	warning := write("warning.yaml", "groups: [{group: 239.192.1.1, ttl: 1}]\n")
	config := write("config.yaml", "domains: [{name: lab, ports: [p0], static: [{group: 239.128.0.1}]}]\n")
	none := write("none.yaml", "domains: [{name: lab, ports: [p0]}]\n")
	own := write("names.tsv", "224.0.26.1 our feed\n")
	cme := write("cme.yaml", "groups: [{group: 224.0.26.1}]\n")
	for _, c := range []struct {
		args, out, err string
		code           int
	}{
		{"lint " + good, "1 group: 0 errors, 0 warnings, 0 notes", "", 0},
		{"lint --strict " + good, "0 warnings", "", 0},
		{"lint " + warning, "1 warning", "", 0},
		{"lint --strict " + warning, "ttl-one", "1 warning, and --strict", 1},
		{"lint " + config, "224.0.0.1 have the Ethernet address 01:00:5e:00:00:01, in lab (line 1)", "1 error", 1},
		{"lint " + cme, "CME Market Data", "", 0},
		{"lint --names " + own + " " + cme, "0 notes", "", 0},
		{"lint", "", "want a PLAN, or --live", 2},
		{"lint --live " + good, "", "not both", 2},
		{"lint " + none, "", "no domain has 'static' groups", 2},
		{"lint /nowhere.yaml", "", "/nowhere.yaml", 2},
		{"lint --names /nowhere.tsv " + good, "", "/nowhere.tsv", 2},
		{"lint " + write("empty.yaml", ""), "", "empty", 2},
		{"lint " + write("nothing.yaml", "groups: []\n"), "", "none given", 2},
		{"lint " + write("typo.yaml", "groups:\n  - {grup: 239.1.1.1}\n"), "", `line 2: unknown key "groups[0].grup"; did you mean "group"?`, 2},
		{"lint " + write("ttl.yaml", "groups:\n  - group: 239.1.1.1\n    ttl: 300\n"), "", "line 3: groups[0].ttl: 300 is not between", 2},
		{"lint " + write("word.yaml", "groups:\n  - group: camera\n"), "", "camera", 2},
		{"lint --explain nothing", "", `no rule "nothing"`, 2},
		{"lint --explain mac-aliass", "", `did you mean "mac-alias"?`, 2},
		{"lint -o xml " + good, "", "xml", 2},
		{"lint --live --socket /nowhere.sock", "", "no agent answers", 1},
	} {
		out, _, err := call(t.Context(), strings.Fields(c.args)...)
		if code := status(err); code != c.code || !strings.Contains(out, c.out) || err != nil && (c.err == "" || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("fanlight %s: %q, %v (exit status %d); want %q, %q and %d", c.args, out, err, code, c.out, c.err, c.code)
		}
	}
}

// status is the exit status of the command.
func status(err error) int {
	if err == nil {
		return 0
	}
	return exitCode(err)
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
