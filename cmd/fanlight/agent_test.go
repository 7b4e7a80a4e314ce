package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/lab"
)

// agent is a running service on the switch of a lab network.
type agent struct {
	*service
	t      testing.TB
	path   string // of the configuration
	cfg    string
	events string // file of event lines
	stop   context.CancelFunc
	done   chan error
}

// agentConfig is a configuration for the switch of n: one domain "lab" with all
// its ports, every address in clear, and the extra lines given.
func agentConfig(t testing.TB, n *lab.Net, extra ...string) (cfg, events string) {
	t.Helper()
	events = filepath.Join(t.TempDir(), "events.jsonl")
	bpffs := "/sys/fs/bpf/" + n.Name()
	t.Cleanup(func() {
		if err := collector.Detach(collector.Config{BPFFS: bpffs, Netns: n.Switch().Name()}); err != nil {
			t.Error(err)
		}
	})
	return fmt.Sprintf(`domains:
  - name: lab
    ports: ["p-*"]
    %s
netns: %s
bpffs: %s
events: [{type: file, path: %s}]
redact: {profile: reveal}
state: %s
api: {socket: %s}
`, strings.Join(extra, "\n    "), n.Switch().Name(), bpffs, events, filepath.Dir(events), filepath.Join(filepath.Dir(events), "api.sock")), events
}

// startAgent runs a service with agentConfig until the test ends.
func startAgent(t testing.TB, n *lab.Net, extra ...string) *agent {
	t.Helper()
	cfg, events := agentConfig(t, n, extra...)
	return startConfig(t, cfg, events)
}

func startConfig(t testing.TB, cfg, events string) *agent {
	t.Helper()
	a := &agent{t: t, cfg: cfg, events: events, path: filepath.Join(t.TempDir(), "fanlight.yaml"), done: make(chan error, 1)}
	if err := os.WriteFile(a.path, []byte(cfg), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(a.path)
	if err != nil {
		t.Fatal(err)
	}
	return a.start(c)
}

// start runs the agent with a configuration that may be none of a file's.
func (a *agent) start(c config) *agent {
	t := a.t
	t.Helper()
	var err error
	if a.service, err = newService(c, slog.New(slog.NewTextHandler(testLog{t}, nil))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.stop = cancel
	go func() { a.done <- a.run(ctx) }()
	t.Cleanup(a.end)
	select {
	case <-a.agent.Ready():
	case err := <-a.done:
		t.Fatalf("agent: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("agent is not ready after 20 s")
	}
	return a
}

// end stops the agent; the datapath stays.
func (a *agent) end() {
	if a.stop == nil {
		return
	}
	a.stop()
	a.stop = nil
	if err := <-a.done; err != nil {
		a.t.Errorf("agent: %v", err)
	}
}

type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// scrape returns the metrics page as series and their values.
func (a *agent) scrape() series {
	a.t.Helper()
	w := httptest.NewRecorder()
	a.page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		a.t.Fatalf("metrics page: status %d", w.Code)
	}
	body, err := io.ReadAll(w.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return parseSeries(a.t, string(body))
}

// series maps a series' text, as on the page, to its value.
type series map[string]float64

func parseSeries(t testing.TB, page string) series {
	t.Helper()
	s := series{}
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			t.Fatalf("metrics line %q: %v", line, err)
		}
		s[line[:i]] = v
	}
	return s
}

// sum adds up the series of a family whose labels contain all of the words.
func (s series) sum(family string, words ...string) (total float64) {
	for text, v := range s {
		name, labels, _ := strings.Cut(text, "{")
		if name != family {
			continue
		}
		fits := true
		for _, w := range words {
			fits = fits && strings.Contains(labels, w)
		}
		if fits {
			total += v
		}
	}
	return total
}

// wait polls until ok, and fails the test after a while.
func (a *agent) wait(what string, ok func(series) bool) series {
	a.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		s := a.scrape()
		if ok(s) {
			return s
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("after 10 s still not: %s", what)
		}
		time.Sleep(5 * time.Millisecond) // between two looks at the condition
	}
}

// waitMembers waits until the group has n members.
func (a *agent) waitMembers(group string, n int) {
	a.t.Helper()
	a.wait(fmt.Sprintf("%d members of %s", n, group), func(s series) bool {
		return s.sum("fanlight_group_members", `group="`+group+`"`) == float64(n)
	})
}
