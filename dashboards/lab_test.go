package dashboards

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/lab/frame"
)

// fault is something that goes wrong, and the alert that tells.
type fault struct {
	alert  string
	labels map[string]string
	// shows is what the first commands of the runbook print while it is there;
	// empty where they only look at the host's services.
	shows   string
	provoke func() (mend func())
}

// faults come in rounds: those of one round are there at the same time.
func (s *scene) faults(unredacted func()) [][]fault {
	evil := s.net.Host("evil")
	byItself := func() {}
	return [][]fault{
		{
			{"FanlightSinkLag", map[string]string{"exporter": "siem"}, `(?m)^siem .*failing`, func() func() { return s.siem.listen }},
			{"FanlightSpoolNearFull", map[string]string{"exporter": "archive"}, `(?m)^archive .*\d\d%`, func() func() { return byItself }},
			{"FanlightEventsLost", map[string]string{"stage": "spool"}, `(?m)^archive .*spool.*full_oldest`, func() func() { return s.archive.listen }}, // for both
			{"FanlightGroupSilent", map[string]string{"group": other.String()}, `p-sub1`, func() func() {
				s.silence(other)
				return func() { s.send(other) }
			}},
			{"FanlightFanOutChanged", map[string]string{"group": feed.String()}, `p-sub1`, func() func() {
				s.leave("sub2", feed)
				return func() { s.join("sub2", feed) }
			}},
			{"FanlightCopyFailures", map[string]string{"group": film.String(), "interface": "p-slow", "reason": "qdisc_full"}, `queueing discipline`, func() func() {
				s.shape("slow", true)
				return func() { s.shape("slow", false) }
			}},
			{"FanlightDropRatio", map[string]string{"reason": "not_allowed"}, `drops_total.*225\.1\.1\.1`, func() func() {
				return s.stream("pub", netip.MustParseAddr("225.1.1.1"))
			}},
			{"FanlightUnexpectedSource", map[string]string{"source": evil.Addr4.String(), "group": feed.String()}, `source="192\.0\.2\.8"`, func() func() {
				return s.stream("evil", feed)
			}},
			{"FanlightReportFlood", map[string]string{"interface": "p-evil"}, `"p-evil",type="report"`, func() func() {
				report := frame.IGMPv3(frame.Record{Type: frame.ChangeToExclude, Group: netip.MustParseAddr("239.9.9.9")})
				return s.repeat("evil", 4*time.Millisecond, frame.IGMP{SrcMAC: frame.MAC(evil.MAC), Src: evil.Addr4}.Wrap(report))
			}},
			{"FanlightQuerierChanged", map[string]string{"address": "192.0.0.1"}, `querier_info.*192\.0\.0\.1`, func() func() {
				return s.query("evil", netip.MustParseAddr("192.0.0.1"))
			}},
			{"FanlightJoinsRefused", map[string]string{"reason": "group_limit"}, `record_errors_total.*group_limit`, func() func() { return byItself }},
			{"FanlightTableNearFull", map[string]string{"table": "groups"}, `(?m)^groups +(5[5-9]|6\d) +68`, s.crowd}, // for both
			{"FanlightRedactionFailures", map[string]string{"reason": "unknown_action"}, "", func() func() {
				unredacted()
				return byItself
			}},
		}, {
			{"FanlightQuerierAbsent", map[string]string{"protocol": "igmp"}, `querier_known.*"igmp"} 0`, func() func() {
				s.stopAsking()
				return s.ask
			}},
			{"FanlightConfigReloadFailed", map[string]string{"instance": "switch"}, `yaml: line 1`, func() func() {
				s.reload("domains: [")
				return func() { s.reload(s.text) }
			}},
		}, {
			{"FanlightAgentDown", map[string]string{"instance": "switch"}, `no agent answers`, func() func() {
				s.agent.kill()
				return s.run
			}},
		},
	}
}

// TestInTheLab provokes every alert for real, with a real agent, Prometheus and
// Alertmanager: it arrives, and resolves once the fault is mended. Then every
// panel of every dashboard has data.
func TestInTheLab(t *testing.T) {
	s := newScene(t)
	redactionPage, unredacted := faultyPage(t)
	s.live()
	m := monitor(t, map[string]string{"switch": s.page, "unredacted": redactionPage})
	covered := map[string]bool{}
	settled := fmt.Sprintf("fanlight:group_members:settled{group=%q} == 2", feed)
	until(t, "the group has its usual number of subscribers", func() bool { return len(m.now(settled)) == 1 }, s.agent.output)
	// The receivers are away from the start, and half a second is not much time to
	// answer a scrape on a busy machine.
	early := []string{"FanlightSinkLag", "FanlightSpoolNearFull", "FanlightEventsLost", "FanlightAgentDown"}
	s.leave("studio2", studio) // for its latency
	for _, a := range m.last() {
		if !slices.Contains(early, a.Labels["alertname"]) {
			t.Errorf("before there is a fault: %v", a.Labels)
		}
	}
	for _, round := range s.faults(unredacted) {
		for _, f := range round {
			covered[f.alert] = true
		}
		s.seeThrough(m, round)
	}
	for _, a := range alerts(t) {
		if !covered[a.Alert] {
			t.Errorf("%s is provoked by no fault", a.Alert)
		}
	}
	flows := fmt.Sprintf("rate(fanlight_group_packets_total{group=%q}[3s]) > 150", feed)
	until(t, "everything flows again", func() bool { return len(m.now(flows)) == 1 }, s.agent.output)
	checkEveryQuery(t, m)
	takePictures(t, m)
}

// seeThrough provokes the faults, mends each one when its alert arrives, and
// waits until all are resolved.
func (s *scene) seeThrough(m *monitoring, round []fault) {
	m.t.Helper()
	began, before := time.Now(), m.count()
	mends := map[string]func(){}
	for _, f := range round {
		mends[f.alert] = f.provoke()
	}
	until(m.t, "every alert arrives", func() bool {
		for _, f := range round {
			mend := mends[f.alert]
			if a, ok := m.arrived(before, f.alert, f.labels); ok && mend != nil {
				m.t.Logf("%s arrived after %v", f.alert, time.Since(began).Round(time.Millisecond))
				checkTexts(m.t, a)
				s.followRunbook(f, a)
				mend()
				delete(mends, f.alert)
			}
		}
		return len(mends) == 0
	}, func() string { return fmt.Sprintf("missing: %v", slices.Sorted(maps.Keys(mends))) })
	until(m.t, "every alert resolves", func() bool {
		return !slices.ContainsFunc(round, func(f fault) bool { return m.fires(f.alert, f.labels) })
	}, func() string { return "firing:\n" + strings.Join(m.firing(), "\n") })
	m.t.Logf("all of the round is resolved after %v", time.Since(began).Round(time.Millisecond))
}

// followRunbook does as the alert's runbook says: its commands show the cause.
// Those that look at services, queues and captures are for people.
func (s *scene) followRunbook(f fault, a arrival) {
	s.t.Helper()
	if f.shows == "" {
		return
	}
	_, commands := runbook(s.t, f.alert)
	fill := strings.NewReplacer(
		"/etc/fanlight/fanlight.yaml", s.config, "localhost:9464", s.page, "fanlight status", "fanlight status --socket "+s.socket,
		"groups list", "groups list --socket "+s.socket, "subscribers list", "subscribers list --socket "+s.socket,
		"GROUP", a.Labels["group"], "INTERFACE", a.Labels["interface"], "REASON", a.Labels["reason"], "EXPORTER", a.Labels["exporter"],
	)
	var printed strings.Builder
	for _, c := range commands {
		if !strings.HasPrefix(c, "fanlight") && !strings.HasPrefix(c, "curl") || strings.HasPrefix(c, "fanlight probe") {
			continue
		}
		cmd := exec.CommandContext(s.t.Context(), "bash", "-c", fill.Replace(c))
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(s.binary)+":"+os.Getenv("PATH"))
		out, _ := cmd.CombinedOutput() // status says by its exit status that not all is well
		fmt.Fprintf(&printed, "$ %s\n%s\n", c, out)
	}
	if !regexp.MustCompile(f.shows).MatchString(printed.String()) {
		s.t.Errorf("%s: the runbook's commands don't show %s:\n%s", f.alert, f.shows, &printed)
	}
}

// checkTexts: the templates of the annotations found what they name.
func checkTexts(t *testing.T, a arrival) {
	t.Helper()
	for _, name := range []string{"summary", "description", "runbook_url"} {
		text := a.Annotations[name]
		if text == "" || strings.Contains(text, "<no value>") || strings.Contains(text, "error") || strings.Contains(text, "  ") {
			t.Errorf("%s: %s: %q", a.Labels["alertname"], name, text)
		}
	}
}
