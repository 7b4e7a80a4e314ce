package main

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

// TestRunGivesUpPrivileges looks at every thread of the real binary, then makes
// it do all that may come later: a new port, a query, a member, a reload.
func TestRunGivesUpPrivileges(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	cfg, _ := agentConfig(t, n, "querier: {mode: on}")
	path := filepath.Join(t.TempDir(), "fanlight.yaml")
	if err := os.WriteFile(path, []byte(cfg), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), buildBinary(t), "run", "--config", path)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log := bufio.NewScanner(stderr)
	await := func(words ...string) {
		t.Helper()
		for log.Scan() {
			line := log.Text()
			if strings.Contains(line, "level=ERROR") {
				t.Error(line)
			}
			found := true
			for _, w := range words {
				found = found && strings.Contains(line, w)
			}
			if found {
				return
			}
		}
		t.Fatalf("the agent ended without a line with %q", words)
	}
	await("forwarding")
	checkThreads(t, cmd.Process.Pid)

	late, err := n.AddHost(lab.HostConfig{Name: "late"})
	if err != nil {
		t.Fatal(err)
	}
	await("port attached", "p-late")
	r, err := late.Listen(lab.ListenConfig{Group: netip.MustParseAddr("239.1.1.1"), Port: 5000})
	if err != nil {
		t.Fatal(err)
	}
	s, err := n.Host("pub").Stream(lab.SendConfig{Group: netip.MustParseAddr("239.1.1.1"), Port: 5000, Rate: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(t.Context(), 100); err != nil {
		t.Error(err)
	}
	if _, err := s.Stop(); err != nil {
		t.Error(err)
	}
	if err := n.RemoveHost("late"); err != nil {
		t.Fatal(err)
	}
	await("port removed", "p-late")
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await("configuration reloaded")
	checkThreads(t, cmd.Process.Pid)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for log.Scan() {
		if strings.Contains(log.Text(), "level=ERROR") {
			t.Error(log.Text())
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("agent: %v", err)
	}
}

func checkThreads(t *testing.T, pid int) {
	t.Helper()
	want := map[string]uint64{"CapEff": 1<<capBPF.bit | 1<<capNetAdmin.bit, "CapPrm": 1<<capBPF.bit | 1<<capNetAdmin.bit, "CapInh": 0, "CapAmb": 0, "NoNewPrivs": 1}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("threads of %d: %v, %v", pid, threads, err)
	}
	for _, path := range threads {
		status, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue // ended meanwhile
		}
		if err != nil {
			t.Fatal(err)
		}
		checked := 0
		for line := range strings.Lines(string(status)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			w, ok := want[key]
			if !ok {
				continue
			}
			checked++
			if got, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64); err != nil || got != w {
				t.Errorf("%s: %s is %s, want %#x", path, key, strings.TrimSpace(value), w)
			}
		}
		if checked != len(want) {
			t.Errorf("%s holds %d of %d keys", path, checked, len(want))
		}
	}
}
