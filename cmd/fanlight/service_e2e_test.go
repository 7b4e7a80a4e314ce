package main

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/lab/labtest"
)

// manager is the end of sd_notify's socket that a service manager has.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

func newManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return &manager{t, conn}
}

// await reads messages until one has all of the words, and returns it.
func (m *manager) await(words ...string) string {
	m.t.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		m.t.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := m.conn.Read(buf)
		if err != nil {
			m.t.Fatalf("no message with %q: %v", words, err)
		}
		found := true
		for _, w := range words {
			found = found && strings.Contains(string(buf[:n]), w)
		}
		if found {
			return string(buf[:n])
		}
	}
}

// TestTheServiceManagerIsTold follows a life from start to end.
func TestTheServiceManagerIsTold(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	m := newManager(t)
	t.Setenv("WATCHDOG_USEC", "300000")
	t.Setenv("WATCHDOG_PID", "")
	cfg, _ := agentConfig(t, n)
	p := startProcess(t, cfg)
	m.await("READY=1", "STATUS=Forwarding: 1 domains, 2 ports, 0 groups")
	for range 3 {
		m.await("WATCHDOG=1")
	}

	hangUp(t, p)
	m.await("RELOADING=1", "MONOTONIC_USEC=")
	m.await("READY=1", "STATUS=Forwarding")
	p.signal(syscall.SIGTERM)
	m.await("STOPPING=1")
}

// TestTheWatchdogStarves: a process that stands still says nothing.
func TestTheWatchdogStarves(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("sub")...)
	m := newManager(t)
	t.Setenv("WATCHDOG_USEC", "90000")
	t.Setenv("WATCHDOG_PID", "")
	cfg, _ := agentConfig(t, n)
	p := startProcess(t, cfg)
	m.await("WATCHDOG=1")
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	quiet := time.Now().Add(300 * time.Millisecond)
	buf := make([]byte, 64<<10)
	for late := 0; ; {
		if err := m.conn.SetReadDeadline(quiet); err != nil {
			t.Fatal(err)
		}
		if _, err := m.conn.Read(buf); err != nil {
			break // nothing came until then
		}
		if late++; late > 10 { // what was under way
			t.Fatal("a stopped process feeds the watchdog")
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	m.await("WATCHDOG=1")
}

// TestProbes asks the pages for probes through a life.
func TestProbes(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("sub")...)
	cfg, _ := agentConfig(t, n)
	p := startProcess(t, cfg)
	for _, c := range []struct {
		method, path string
		code         int
		body         string
	}{
		{http.MethodGet, "/livez", 200, "ok\n"},
		{http.MethodGet, "/readyz", 200, "ok\n"},
		{http.MethodHead, "/readyz", 200, ""},
		{http.MethodPost, "/livez", 405, "Method Not Allowed\n"},
		{http.MethodGet, "/healthz", 404, "404 page not found\n"},
	} {
		code, body := fetch(t, c.method, strings.Replace(p.url, "/metrics", c.path, 1))
		if code != c.code || body != c.body {
			t.Errorf("%s %s: status %d, %q; want %d, %q", c.method, c.path, code, body, c.code, c.body)
		}
	}
}

func fetch(t *testing.T, method, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}
