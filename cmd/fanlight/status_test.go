package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

// callStatus runs `fanlight status` and returns what it prints.
func callStatus(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := fanlight(t.Context(), env{stdout: &out, stderr: &out}, append([]string{"status"}, args...))
	return out.String(), err
}

func TestStatusOfARunningAgent(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	a := startAgent(t, n, quickQuerier)
	joinGroup(t, n.Host("sub"), testGroup)
	a.waitMembers("239.1.1.1", 1)
	socket := filepath.Join(filepath.Dir(a.events), "api.sock")
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: mode %v, error %v; want 0600", info.Mode(), err)
	}
	a.wait("the equation closes", func(s series) bool { return closes(s, "file") })
	out, err := callStatus(t, "--socket", socket)
	if err != nil {
		t.Errorf("status of a healthy agent: %v\n%s", err, out)
	}
	for _, want := range []string{
		`(?m)^fanlight devel forwards by tcx$`, `(?m)^lab +2 +[1-9]`, `(?m)^groups +[1-9]\d* +\d+ +0$`,
		`(?m)^file +[1-9]\d* +0 +[1-9]\d* +0 +0 +0 +0s +- +ok$`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("output lacks %s:\n%s", want, out)
		}
	}
	out, err = callStatus(t, "--socket", socket, "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var s agentStatus
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		t.Fatal(err)
	}
	if len(s.Sinks) != 2 || s.Sinks[0].Name != "file" || s.Sinks[1].Name != historySink {
		t.Errorf("sinks: %+v", s.Sinks)
	}
	for _, x := range s.Sinks {
		if x.Produced == 0 || x.Produced != x.Delivered+x.Waiting {
			t.Errorf("sink: %+v", x)
		}
	}
}

func TestStatusWithoutAnAgent(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "none.sock")
	_, err := callStatus(t, "--socket", socket)
	if !errors.Is(err, errNoAgent) || exitCode(err) != 1 || !strings.Contains(err.Error(), socket) {
		t.Errorf("error %v, exit status %d", err, exitCode(err))
	}
}

// TestSocketOfADeadAgent is taken over; one of a living agent is not.
func TestSocketOfADeadAgent(t *testing.T) {
	cfg := apiConfig{Socket: filepath.Join(t.TempDir(), "run", "api.sock")}
	dead, err := cfg.listenSocket()
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false) // as SIGKILL leaves it
	dead.Close()
	alive, err := cfg.listenSocket()
	if err != nil {
		t.Fatalf("socket of a dead agent: %v", err)
	}
	defer alive.Close()
	if _, err := cfg.listenSocket(); err == nil || !strings.Contains(err.Error(), "another agent answers") {
		t.Errorf("socket of a living agent: %v", err)
	}
	file := apiConfig{Socket: filepath.Join(t.TempDir(), "file")}
	if err := os.WriteFile(file.Socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := file.listenSocket(); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file in the place of the socket: %v", err)
	}
}

func TestStatusNamesTrouble(t *testing.T) {
	s := agentStatus{Status: collector.Status{
		Hook:   "tcx",
		Tables: []collector.TableStatus{{Name: "groups", Entries: 4096, Capacity: 4096, Refused: 7}},
		Sinks: []collector.SinkStatus{{
			Name: "kafka", Produced: 100, Recovered: 5, Delivered: 80, Filtered: 10, Waiting: 5, LagSeconds: 61.5,
			Lost:    map[collector.LossPoint]uint64{{Stage: "ring", Reason: "full"}: 4, {Stage: "export", Reason: "oversize"}: 6},
			Failing: true, SpoolBytes: 30, SpoolMax: 120,
		}},
	}}
	err := s.trouble()
	if !errors.Is(err, errUnhealthy) || exitCode(err) != 1 {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"table groups is full", "exporter kafka fails", "exporter kafka lost 10 events"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	var out bytes.Buffer
	if err := writeStatus(&out, s); err != nil {
		t.Fatal(err)
	}
	want := `(?m)^kafka +100 +5 +80 +10 +10 \(export/oversize 6, ring/full 4\) +5 +1m1.5s +25% +failing$`
	if !regexp.MustCompile(want).MatchString(out.String()) {
		t.Errorf("output lacks %s:\n%s", want, out.String())
	}
}

// TestAnswersAndLogsOfAStrictAgent: what the policy hides of the network is in
// no answer, no log line and on no page.
func TestAnswersAndLogsOfAStrictAgent(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	text, events := agentConfig(t, n, quickQuerier)
	text = strings.NewReplacer("- name: lab", "- name: canary-domain", "profile: reveal", "profile: strict").Replace(text)
	p := launch(t, text)
	socket := filepath.Join(filepath.Dir(events), "api.sock")
	var out string
	poll := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("not in time: %s", what)
			}
		}
	}
	poll("the agent answers", func() bool {
		var err error
		out, err = callStatus(t, "--socket", socket)
		return err == nil && strings.Contains(p.output(), "forwarding")
	})
	for what, text := range map[string]string{"status": out, "log": p.output()} {
		if !strings.Contains(text, "domain_") {
			t.Errorf("%s holds no pseudonym of the domain: this test is blind\n%s", what, text)
		}
		for _, name := range []string{"canary-domain", "p-pub", "p-sub"} {
			if strings.Contains(text, name) {
				t.Errorf("%s holds %s:\n%s", what, name, text)
			}
		}
	}
}
