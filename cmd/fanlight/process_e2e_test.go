package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// asAgent makes the test binary be the command: what a process of its own does
// can be killed.
const asAgent = "FANLIGHT_TEST_AS_AGENT"

func init() {
	if os.Getenv(asAgent) != "" {
		main()
		os.Exit(0)
	}
}

// process is an agent in a process of its own.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	url  string
	done chan struct{} // closed when it ended; err is its end
	err  error

	mu  sync.Mutex
	log strings.Builder
}

// startProcess runs the configuration in a process of its own and waits until
// it forwards.
func startProcess(t testing.TB, cfg string) *process {
	t.Helper()
	p := launch(t, cfg)
	deadline := time.After(30 * time.Second)
	for p.url == "" {
		select {
		case <-p.done:
			t.Fatalf("agent ended: %v\n%s", p.err, p.output())
		case <-deadline:
			t.Fatalf("agent does not forward after 30 s\n%s", p.output())
		case <-time.After(2 * time.Millisecond):
		}
		for line := range strings.Lines(p.output()) {
			if _, addr, ok := strings.Cut(strings.TrimSpace(line), "msg=forwarding metrics="); ok {
				p.url = "http://" + addr + "/metrics"
			}
		}
	}
	return p
}

func launch(t testing.TB, cfg string) *process {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fanlight.yaml")
	if err := os.WriteFile(path, []byte(cfg+"metrics: {listen: 127.0.0.1:0}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, done: make(chan struct{})}
	p.cmd = exec.Command("/proc/self/exe", "run", "--config", path)
	p.cmd.Env = append(os.Environ(), asAgent+"=1")
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.follow(stderr)
	t.Cleanup(func() {
		p.signal(os.Kill)
		if t.Failed() {
			t.Logf("agent %d:\n%s", p.cmd.Process.Pid, p.output())
		}
	})
	return p
}

func (p *process) follow(stderr io.Reader) {
	for s := bufio.NewScanner(stderr); s.Scan(); {
		p.mu.Lock()
		fmt.Fprintln(&p.log, s.Text())
		p.mu.Unlock()
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// signal sends the signal and waits for the process's end.
func (p *process) signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Error(err)
	}
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		p.t.Fatalf("agent does not end after %v", sig)
	}
}

func (p *process) scrape() series {
	p.t.Helper()
	r, err := http.Get(p.url)
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		p.t.Fatalf("metrics page: status %d, %v", r.StatusCode, err)
	}
	return parseSeries(p.t, string(body))
}

func (p *process) wait(what string, ok func(series) bool) series {
	p.t.Helper()
	return waitFor(p.t, p.scrape, what, ok)
}

// waitFor looks at metrics until they are as wanted.
func waitFor(t testing.TB, scrape func() series, what string, ok func(series) bool) series {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		s := scrape()
		if ok(s) {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("after 20 s still not: %s; members: %v", what, s.family("fanlight_group_members"))
		}
		time.Sleep(5 * time.Millisecond) // between two looks at the condition
	}
}

// family returns the series of a family.
func (s series) family(name string) series {
	f := series{}
	for text, v := range s {
		if n, _, _ := strings.Cut(text, "{"); n == name {
			f[text] = v
		}
	}
	return f
}

// members reports whether the group has n members in all.
func members(group string, n int) func(series) bool {
	return func(s series) bool { return s.sum("fanlight_group_members", `group="`+group+`"`) == float64(n) }
}

func hangUp(t testing.TB, p *process) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}
