package main

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

// TestListsOfARunningAgent: groups and subscribers, as tables and as JSON, in
// what the policy shows of them.
func TestListsOfARunningAgent(t *testing.T) {
	for _, c := range []struct {
		profile, group, source, host, port string
	}{
		{"reveal", `239\.1\.1\.1`, `192\.0\.2\.1`, `192\.0\.2\.2`, "p-sub"},
		{"strict", `group_\w+`, `source_\w+`, `host_\w+`, `interface_\w+`},
	} {
		t.Run(c.profile, func(t *testing.T) {
			n := labtest.New(t, labtest.Hosts("pub", "sub")...)
			text, events := agentConfig(t, n, quickQuerier)
			a := startConfig(t, strings.Replace(text, "profile: reveal", "profile: "+c.profile, 1), events)
			joinGroup(t, n.Host("sub"), testGroup)
			socket := filepath.Join(filepath.Dir(events), "api.sock")
			list := func(args ...string) string {
				t.Helper()
				out, stderr, err := call(t.Context(), append(args, "--socket", socket, "--group", "239.1.1.1")...)
				if err != nil || stderr != "" {
					t.Fatalf("%v: %v, %s", args, err, stderr)
				}
				return out
			}
			var members []subscription
			sent := uint64(0)
			a.wait("the subscriber gets copies", func(series) bool { // and no flood before its report was heard
				sent += send(t, n.Host("pub"), lab.SendConfig{Group: testGroup, Count: 10})
				if err := json.Unmarshal([]byte(list("subscribers", "list", "-o", "json")), &members); err != nil {
					t.Fatal(err)
				}
				return len(members) == 1 && members[0].Copies > 0
			})
			quiet(t, n)
			groups := list("groups", "list")
			if !regexp.MustCompile(`(?m)^\w+ +- +` + c.group + ` +1 +1 +[1-9]\d* +[1-9]\d* +`).MatchString(groups) {
				t.Errorf("groups:\n%s", groups)
			}
			subscribers := list("subscribers", "list")
			if !regexp.MustCompile(`(?m)^\w+ +- +` + c.group + ` +` + c.port + ` +igmpv3 +exclude +` + c.host + ` +[1-9]\d* +\d+s +-$`).MatchString(subscribers) {
				t.Errorf("subscribers:\n%s", subscribers)
			}
			var summaries []groupSummary
			if err := json.Unmarshal([]byte(list("groups", "list", "-o", "json")), &summaries); err != nil {
				t.Fatal(err)
			}
			if len(summaries) != 1 || summaries[0].Packets+summaries[0].Dropped != sent || summaries[0].Bytes == 0 {
				t.Errorf("%+v, want %d packets", summaries, sent)
			}
			if len(members) != 1 || len(members[0].Hosts) != 1 || members[0].Joined.IsZero() {
				t.Errorf("%+v", members)
			}
		})
	}
}
