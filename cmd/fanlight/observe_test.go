package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// TestEventOutputs shows an event of each kind and action in each format.
func TestEventOutputs(t *testing.T) {
	t.Setenv("TZ", "UTC")
	time.Local = time.UTC
	for _, profile := range []redact.Profile{redact.RevealProfile, redact.DefaultProfile} {
		p := redacttest.Policy(t, profile)
		for _, output := range []string{"compact", "table", "dict"} {
			var out bytes.Buffer
			w := bufio.NewWriter(&out)
			show := eventPrinters[output](w, false)
			for _, r := range p.Apply(nil, redacttest.Events()) {
				if err := show(r.AppendJSON(nil)); err != nil {
					t.Fatal(err)
				}
			}
			w.Flush()
			golden(t, filepath.Join("testdata", "observe", string(profile)+"-"+output+".golden"), out.String())
		}
	}
}

// Colours stand around the kind alone, so that columns stay.
func TestColorsChangeNothingElse(t *testing.T) {
	escape := regexp.MustCompile("\x1b\\[[0-9;]*m")
	for _, r := range redacttest.Records(t) {
		var e shownEvent
		if err := e.parse(r.AppendJSON(nil)); err != nil {
			t.Fatal(err)
		}
		plain, colored := e.compact(time.Now(), false), e.compact(time.Now(), true)
		if escape.ReplaceAllString(colored, "") != plain || len(escape.FindAllString(colored, -1)) != 2 {
			t.Errorf("%q and %q", plain, colored)
		}
	}
}

// What compact writes for a pseudonym fits it as a filter.
func TestShortPseudonymsAreFilters(t *testing.T) {
	for _, r := range redacttest.Records(t) {
		source := r.Text(inSource)
		if source == "" {
			continue
		}
		if shortName(source) == source {
			t.Fatalf("%s is not shortened", source)
		}
		var f eventFilter
		if err := f.add("source", shortName(source), false); err != nil || !f.passes(&r) {
			t.Errorf("%s does not fit %s: %v", shortName(source), source, err)
		}
	}
}

// TestFilters chooses among an event of each kind and action.
func TestFilters(t *testing.T) {
	b := newBareAPI(t, nil)
	all := len(redacttest.Events())
	records := redacttest.Records(t)
	source := records[slices.IndexFunc(records, func(r redact.Record) bool { return r.Kind() == "replication" })].Text(inSource)
	count := func(args ...string) int {
		t.Helper()
		out, _, err := b.observe(t, append([]string{"--last", "100", "-o", "json"}, args...)...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return strings.Count(out, "\n")
	}
	replications, drops, members, streams := 4, 2, 5, 9
	for _, c := range []struct {
		args string
		want int
	}{
		{"", all},
		{"--type drop", drops},
		{"--type stream", streams},
		{"--type drop --type membership", drops + members},
		{"--type membership/joined", 1},
		{"--not --type drop", all - drops},
		{"--not --type drop --not --type membership", all - drops - members},
		{"--type membership --not --type membership/joined", members - 1},
		{"--group 233.252.0.7", replications + members + streams},
		{"--group 233.252.0.0/24", replications + members + streams},
		{"--group ff15::/16", drops},
		{"--not --group 224.0.0.0/4", all - replications - members - streams},
		{"--source 192.0.2.0/24", 0},                             // a pseudonym stands there
		{"--source " + source, replications + members + streams}, // who list it, too
		{"--source source_*", replications + drops + members + streams},
		{"--interface p1", members},
		{"--interface p*", all - drops - streams - 6},
		{"--subscriber p1", members},
		{"--subscriber host_*", members},
		{"--reason no_member", drops},
		{"--reason ring*", 6},
		{"--type replication --interface p1", 0},
		{"--last 3", 3},
	} {
		if got := count(strings.Fields(c.args)...); got != c.want {
			t.Errorf("%q: %d events, want %d", c.args, got, c.want)
		}
	}
}

// output is what a verb that runs has written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

// wait waits until each pattern fits.
func (o *output) wait(t *testing.T, patterns ...string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for _, p := range patterns {
		for re := regexp.MustCompile(p); ; {
			o.mu.Lock()
			found, text := re.MatchString(o.text.String()), o.text.String()
			o.mu.Unlock()
			if found {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("no %s in:\n%s", p, text)
			}
			time.Sleep(5 * time.Millisecond) // between two looks at the condition
		}
	}
}

// TestObserveARunningAgent: live, the last ones, and both, until the agent ends.
func TestObserveARunningAgent(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	a := startAgent(t, n, quickQuerier)
	socket := filepath.Join(filepath.Dir(a.events), "api.sock")
	live := &output{}
	done := make(chan error, 1)
	go func() {
		done <- fanlight(t.Context(), env{stdout: live, stderr: live}, []string{"observe", "--socket", socket, "--group", "239.1.1.1"})
	}()
	a.wait("somebody observes", func(s series) bool { return s.sum("fanlight_api_streams") == 1 })
	joinGroup(t, n.Host("sub"), testGroup)
	a.joined(testGroup, 1)
	send(t, n.Host("pub"), lab.SendConfig{Group: testGroup, Count: 3})
	live.wait(t, `membership/joined +239\.1\.1\.1 +→ 192\.0\.2\.2@p-sub +\w+ +igmp`, `replication/first +239\.1\.1\.1 +192\.0\.2\.1@p-pub → 1 port +1 packet, 1 copy`)

	a.wait("the history has it all", func(s series) bool { return closes(s, historySink) })
	out, stderr, err := call(t.Context(), "observe", "--socket", socket, "--last", "1", "--type", "replication", "-o", "json")
	var e shownEvent
	if err := json.Unmarshal([]byte(out), &e); err != nil || e.Action != "first" {
		t.Errorf("the last replication: %v\n%s", err, out)
	}
	if err != nil || stderr != "" {
		t.Errorf("--last 1: %v, %s", err, stderr)
	}
	if _, stderr, err := call(t.Context(), "observe", "--socket", socket, "--last", "99", "--type", "drop"); err != nil || !strings.Contains(stderr, "only 0 such events are kept, since 20") {
		t.Errorf("fewer than asked for: %v, %q", err, stderr)
	}
	if _, _, err := call(t.Context(), "observe", "--socket", socket, "--since", "1h"); err == nil || !strings.Contains(err.Error(), "events are kept since 20") {
		t.Errorf("before the agent began: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	both := &output{}
	go func() {
		stopped <- fanlight(ctx, env{stdout: both, stderr: both}, []string{"observe", "--socket", socket, "--last", "100", "--follow"})
	}()
	both.wait(t, "replication/first")
	send(t, n.Host("pub"), lab.SendConfig{Group: addr("233.252.0.7"), Count: 1})
	both.wait(t, `233\.252\.0\.7`)
	cancel()
	if err := <-stopped; err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}

	a.end()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("the agent's end: %v", err)
	}
}

// What is kept on disk is there for the next agent, too.
func TestHistoryOutlivesTheAgent(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	text, events := agentConfig(t, n, quickQuerier)
	text += "history: {dir: " + filepath.Join(filepath.Dir(events), "history") + "}\n"
	a := startConfig(t, text, events)
	joinGroup(t, n.Host("sub"), testGroup)
	a.waitEvent(`"action":"joined"`, `"group":"239.1.1.1"`)
	a.wait("the history has it all", func(s series) bool { return closes(s, historySink) })
	a.end()
	startConfig(t, text, events)
	out, _, err := call(t.Context(), "observe", "--socket", filepath.Join(filepath.Dir(events), "api.sock"), "--last", "100", "--group", "239.1.1.1", "--type", "membership/joined")
	if err != nil || !strings.Contains(out, "192.0.2.2@p-sub") {
		t.Errorf("what the earlier agent kept: %v\n%s", err, out)
	}
}

// TestObserveLosesNothingThatItDoesNotReport: an event for each of 50,000
// packets a second, into a file.
func TestObserveLosesNothingThatItDoesNotReport(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	a := startAgent(t, n, quickQuerier, "sample: 1")
	joinGroup(t, n.Host("sub"), testGroup)
	a.joined(testGroup, 1)
	send(t, n.Host("pub"), lab.SendConfig{Group: testGroup, Count: 100}) // so that each ring's numbers are known
	a.wait("all is quiet", func(s series) bool { return closes(s, historySink) })
	f, err := os.Create(filepath.Join(t.TempDir(), "seen.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- fanlight(ctx, env{stdout: f, stderr: testLog{t}}, []string{
			"observe", "--socket", filepath.Join(filepath.Dir(a.events), "api.sock"), "-o", "json",
		})
	}()
	before := a.wait("somebody observes", func(s series) bool { return s.sum("fanlight_api_streams") == 1 && closes(s, historySink) })
	began := time.Now()
	sent := send(t, n.Host("pub"), lab.SendConfig{Group: testGroup, Count: 100_000, Rate: 50_000})
	took := time.Since(began)
	var made, seen, lost uint64
	a.wait("each event that was made is seen or reported", func(s series) bool {
		made = uint64(s.sum("fanlight_events_produced_total") - before.sum("fanlight_events_produced_total"))
		seen, lost = countSeen(t, f.Name())
		return made >= sent && seen+lost == made
	})
	cancel()
	if err := <-done; lost == 0 && err != nil || lost > 0 && err == nil {
		t.Errorf("%d events lost, and observe ends with %v", lost, err)
	}
	t.Logf("%d packets in %v: %d events made, %d seen, %d reported lost", sent, took, made, seen, lost)
}

// countSeen counts the events in a file of lines, and those reported as lost.
func countSeen(t *testing.T, path string) (seen, lost uint64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		if !bytes.HasPrefix(line, []byte(lossStart)) {
			seen++
			continue
		}
		var loss struct {
			Lost uint64 `json:"lost_events"`
		}
		if json.Unmarshal(line, &loss) == nil { // or it is not whole yet
			lost += loss.Lost
		}
	}
	return seen, lost
}

func BenchmarkCompact(b *testing.B) {
	line := []byte(nil)
	for _, r := range redacttest.Policy(b, redact.RevealProfile).Apply(nil, redacttest.Busy(0, 1)) {
		line = r.AppendJSON(line)
	}
	show := compactPrinter(bufio.NewWriter(&bytes.Buffer{}), false)
	for b.Loop() {
		if err := show(line); err != nil {
			b.Fatal(err)
		}
	}
}
