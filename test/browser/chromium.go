// Package browser drives a headless Chromium for tests, by the DevTools protocol
// over a pipe.
package browser

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Timeout bounds every call, and every wait for a condition.
const Timeout = 20 * time.Second

// Chromium is a browser of one test. Its methods may be called concurrently.
type Chromium struct {
	t    testing.TB
	send io.Writer

	mu       sync.Mutex
	next     int
	waiting  map[int]chan answer
	sessions map[string]*Page
}

type answer struct {
	result json.RawMessage
	err    error
}

// Start starts a browser that is gone when the test ends. Without Chromium the
// test is skipped; with REQUIRE_BPF=1, as in CI, it fails.
func Start(t testing.TB) *Chromium {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("REQUIRE_BPF") == "1" {
			t.Fatal("chromium is not installed, and REQUIRE_BPF=1 is set: 'make deps' installs it")
		}
		t.Skip("chromium is not installed: 'make deps' installs it")
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile, err := os.MkdirTemp("", "fanlight-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
		"--user-data-dir="+profile, "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{theirs, out}              // its descriptors 3 and 4
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that its children end with it
	if err := errors.Join(cmd.Start(), theirs.Close(), out.Close()); err != nil {
		t.Fatal(err)
	}
	c := &Chromium{t: t, send: ours, waiting: map[int]chan answer{}, sessions: map[string]*Page{}}
	read := make(chan struct{})
	go func() {
		defer close(read)
		c.read(in)
	}()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait() // it was killed
		ours.Close()
		<-read
		in.Close()
		if err := os.RemoveAll(profile); err != nil {
			t.Error(err)
		}
	})
	return c
}

// message is what the browser says: an answer or an event.
type message struct {
	ID        int             `json:"id"`
	Result    json.RawMessage `json:"result"`
	Error     *struct{ Message string }
	Method    string          `json:"method"`
	Params    json.RawMessage `json:"params"`
	SessionID string          `json:"sessionId"`
}

// read hands out what the browser says, until it is gone.
func (c *Chromium) read(in io.Reader) {
	r := bufio.NewReader(in)
	for {
		raw, err := r.ReadBytes(0)
		if err != nil {
			c.end(err)
			return
		}
		var m message
		if err := json.Unmarshal(raw[:len(raw)-1], &m); err != nil {
			c.end(err)
			return
		}
		c.mu.Lock()
		reply, page := c.waiting[m.ID], c.sessions[m.SessionID]
		delete(c.waiting, m.ID)
		c.mu.Unlock()
		switch {
		case m.Method != "" && page != nil:
			page.event(m.Method, m.Params)
		case reply != nil && m.Error != nil:
			reply <- answer{err: errors.New(m.Error.Message)}
		case reply != nil:
			reply <- answer{result: m.Result}
		}
	}
}

// end answers what is still waited for.
func (c *Chromium) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, reply := range c.waiting {
		reply <- answer{err: fmt.Errorf("the browser is gone: %w", err)}
		delete(c.waiting, id)
	}
}

// call sends a command and waits for its answer.
func (c *Chromium) call(session, method string, params, result any) error {
	reply := make(chan answer, 1)
	c.mu.Lock()
	c.next++
	id := c.next
	c.waiting[id] = reply
	raw, err := json.Marshal(map[string]any{"id": id, "method": method, "params": params, "sessionId": session})
	if session == "" {
		raw, err = json.Marshal(map[string]any{"id": id, "method": method, "params": params})
	}
	if err == nil {
		_, err = c.send.Write(append(raw, 0))
	}
	c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case a := <-reply:
		if a.err != nil {
			return fmt.Errorf("%s: %w", method, a.err)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(a.result, result)
	case <-time.After(Timeout):
		return fmt.Errorf("%s: no answer in %v", method, Timeout)
	}
}
