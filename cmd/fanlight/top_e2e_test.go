package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

// terminal is a tmux of its own with a shell in it.
type terminal struct {
	t   *testing.T
	dir string // the shell's, with tmux's socket
}

func newTerminal(t *testing.T, columns, rows int, environ ...string) *terminal {
	t.Helper()
	labtest.Require(t)
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Fatalf("%v: 'make packages' gets it", err)
	}
	term := &terminal{t: t, dir: t.TempDir()}
	cmd := exec.Command("tmux", "-S", term.socket(), "-f", "/dev/null", "-u", "new-session", "-d", "-c", term.dir,
		"-x", strconv.Itoa(columns), "-y", strconv.Itoa(rows), "env -i PATH=/usr/bin:/bin TERM=$TERM LANG=C.UTF-8 PS1=ready: "+strings.Join(environ, " ")+" sh")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v\n%s", err, out)
	}
	t.Cleanup(func() { term.tmux("kill-server") })
	term.await("ready:")
	return term
}

func (term *terminal) socket() string { return filepath.Join(term.dir, "tmux") }

func (term *terminal) tmux(args ...string) string {
	term.t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(term.t.Context()), "tmux", append([]string{"-S", term.socket()}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		term.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (term *terminal) keys(keys ...string) { term.tmux(append([]string{"send-keys"}, keys...)...) }

func (term *terminal) screen() string { return term.tmux("capture-pane", "-p") }

// await polls the screen until it shows all of the texts.
func (term *terminal) await(texts ...string) string {
	term.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		screen, found := term.screen(), true
		for _, text := range texts {
			found = found && strings.Contains(screen, text)
		}
		if found {
			return screen
		}
		if time.Now().After(deadline) {
			term.t.Fatalf("the screen does not show all of %q:\n%s", texts, screen)
		}
	}
}

// modes are those of the terminal: alternate screen, cursor, and what stty knows.
func (term *terminal) modes() string {
	term.t.Helper()
	path := filepath.Join(term.dir, "stty")
	os.Remove(path)
	term.keys("clear; stty -g > stty.new && mv stty.new stty", "Enter")
	var modes []byte
	for deadline := time.Now().Add(patience); len(modes) == 0; time.Sleep(20 * time.Millisecond) {
		modes, _ = os.ReadFile(path) // not there yet
		if time.Now().After(deadline) {
			term.t.Fatalf("the shell does not answer:\n%s", term.screen())
		}
	}
	return string(modes) + term.tmux("display-message", "-p", "alternate #{alternate_on} cursor #{cursor_flag} keypad #{keypad_flag} mouse #{mouse_any_flag}")
}

// TestTopOnATerminal: the built binary, keys, a screen that changes its size, and
// a terminal that is as before, however top ends.
func TestTopOnATerminal(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	a := startAgent(t, n, quickQuerier)
	joinGroup(t, n.Host("sub"), testGroup)
	a.waitMembers("239.1.1.1", 1)
	socket := filepath.Join(filepath.Dir(a.events), "api.sock")
	stream, err := n.Host("pub").Stream(lab.SendConfig{Group: testGroup, Port: 5000, Rate: 200, Size: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Stop()
	term := newTerminal(t, 80, 24)
	before := term.modes()
	top := buildBinary(t) + " top --interval 200ms --socket " + socket + "; echo ended $?"

	term.keys(top, "Enter")
	screen := term.await("fanlight top", "239.1.1.1", "PKT/S", "q quit")
	if got := strings.Count(screen, "\n"); got != 24 {
		t.Errorf("%d lines:\n%s", got, screen)
	}
	term.keys("Enter")
	term.await("239.1.1.1  domain lab", "192.0.2.1", "p-sub", "igmpv3", "nothing was lost")
	term.keys("Escape")
	term.await("[groups]")
	term.keys("d")
	term.await("[drops]", "nothing was lost")
	term.tmux("resize-window", "-x", "120", "-y", "40")
	term.keys("g")
	if screen := term.await("[groups]", "DOMAIN", "q quit"); strings.Count(screen, "\n") != 40 {
		t.Errorf("after a change of size:\n%s", screen)
	}
	term.tmux("resize-window", "-x", "80", "-y", "24")
	for _, end := range []func(){
		func() { term.keys("q") },
		func() { term.keys("C-c") },
		func() { term.signal("TERM") },
		func() { term.signal("HUP") },
	} {
		term.await("q quit")
		end()
		term.await("ended 0")
		if after := term.modes(); after != before {
			t.Errorf("the terminal is\n%s\nand was\n%s", after, before)
		}
		term.keys("clear; "+top, "Enter")
	}
	term.await("q quit")
	a.end()
	term.await("AGENT GONE, trying again: no agent answers", "239.1.1.1")
	cfg, err := loadConfig(a.path)
	if err != nil {
		t.Fatal(err)
	}
	a.start(cfg)
	term.await("every 200ms", "239.1.1.1")
	term.keys("q")
	term.await("ended 0")
}

// signal sends one to what runs in the terminal.
func (term *terminal) signal(name string) {
	term.t.Helper()
	shell := strings.TrimSpace(term.tmux("display-message", "-p", "#{pane_pid}"))
	if out, err := exec.Command("pkill", "-"+name, "-P", shell).CombinedOutput(); err != nil {
		term.t.Fatalf("pkill: %v %s", err, out)
	}
}

// TestTopWithoutColour: with NO_COLOR or --no-color no colour reaches the
// terminal; without them some does.
func TestTopWithoutColour(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	a := startAgent(t, n, "unregistered: drop")
	send(t, n.Host("pub"), lab.SendConfig{Group: testGroup, Count: 5})
	a.wait("packets are dropped", func(s series) bool { return s.sum("fanlight_drops_total", "unregistered") > 0 })
	path, socket := buildBinary(t), filepath.Join(filepath.Dir(a.events), "api.sock")
	for _, c := range []struct {
		environ, flag string
		coloured      bool
	}{{"", "", true}, {"NO_COLOR=1", "", false}, {"", " --no-color", false}} {
		term := newTerminal(t, 80, 24, c.environ)
		term.keys(path+" top --view drops --interval 200ms --socket "+socket+c.flag, "Enter")
		term.await("unregistered", "q quit")
		term.keys("Enter")
		term.await("unregistered: 0 a second, 5 in all")
		screen := term.tmux("capture-pane", "-p", "-e")
		if got := strings.Contains(screen, "\x1b[31m"); got != c.coloured {
			t.Errorf("%s%s: coloured %v:\n%q", c.environ, c.flag, got, screen)
		}
	}
}

func TestTopInBatches(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	a := startAgent(t, n, "unregistered: drop")
	send(t, n.Host("pub"), lab.SendConfig{Group: testGroup, Count: 5})
	a.wait("packets are dropped", func(s series) bool { return s.sum("fanlight_drops_total", "unregistered") > 0 })
	socket := filepath.Join(filepath.Dir(a.events), "api.sock")
	out, stderr, err := call(t.Context(), "top", "-b", "-n", "2", "--interval", "100ms", "--view", "drops", "--socket", socket)
	if err != nil || stderr != "" || strings.Count(out, "GROUP") != 2 {
		t.Errorf("%v, %s:\n%s", err, stderr, out)
	}
	if got := words(out)["239.1.1.1"]; got != "lab - unregistered 0 5" {
		t.Errorf("%q in\n%s", got, out)
	}
	_, _, err = call(t.Context(), "top", "--socket", socket)
	if err == nil || !strings.Contains(err.Error(), "'fanlight top --batch' prints a table") {
		t.Errorf("without a terminal: %v", err)
	}
}

// TestTopCosts measures what top takes of a CPU with 1,000 groups, in both
// processes, at its usual interval.
func TestTopCosts(t *testing.T) {
	const groups, limit = 1000, 0.05 // some 1.3 % if nobody else uses the machine
	names := []string{"pub", "h0", "h1", "h2", "h3", "h4"}
	n := labtest.New(t, labtest.Hosts(names...)...)
	cfg, events := agentConfig(t, n)
	p := startProcess(t, cfg)
	for _, name := range names[1:] {
		m, err := n.Host(name).Memberships("")
		if err != nil {
			t.Fatal(err)
		}
		for i := range groups {
			if err := m.Join(crowdGroup(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	socket := filepath.Join(filepath.Dir(events), "api.sock")
	var answer topAnswer
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		answer = topAnswer{}
		if err := (&client{socket: socket}).ask(t.Context(), "/v1/top", nil, &answer); err != nil {
			t.Fatal(err)
		}
		members := 0
		for _, g := range answer.Groups {
			members += g.Subscribers
		}
		if members >= groups*(len(names)-1) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d members", members)
		}
	}
	sendToEach(t, n, groups)
	const span = 4 * time.Second
	idle := cpuOf(t, p.cmd.Process.Pid)
	time.Sleep(span) // this is measuring, not waiting
	idle = cpuOf(t, p.cmd.Process.Pid) - idle

	term := newTerminal(t, 80, 24)
	term.keys(buildBinary(t)+" top --socket "+socket, "Enter")
	term.await("239.100.0.", "q quit")
	shell := strings.TrimSpace(term.tmux("display-message", "-p", "#{pane_pid}"))
	child, err := exec.Command("pgrep", "-P", shell).Output()
	if err != nil {
		t.Fatal(err)
	}
	top, err := strconv.Atoi(strings.TrimSpace(string(child)))
	if err != nil {
		t.Fatal(err)
	}
	agentThen, topThen := cpuOf(t, p.cmd.Process.Pid), cpuOf(t, top)
	time.Sleep(span) // this too
	agentTook, topTook := cpuOf(t, p.cmd.Process.Pid)-agentThen-idle, cpuOf(t, top)-topThen
	share := (agentTook + topTook).Seconds() / span.Seconds()
	t.Logf("%d groups, %d members: top %v, agent %v (and %v without top) in %v: %.2f %% of a CPU", len(answer.Groups), groups*(len(names)-1), topTook, agentTook, idle, span, 100*share)
	if share > limit {
		t.Errorf("top costs %.2f %% of a CPU, more than %.0f %%", 100*share, 100*limit)
	}
}

// cpuOf is the time that a process has had of a CPU.
func cpuOf(t *testing.T, pid int) time.Duration {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		t.Fatal(err)
	}
	var sum time.Duration
	for _, path := range tasks {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		ns, err := strconv.ParseInt(strings.Fields(string(raw))[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(ns)
	}
	return sum
}

// TestTopShowsWhatPolicyShows, and finds a group by what it shows of it.
func TestTopShowsWhatPolicyShows(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	text, events := agentConfig(t, n, quickQuerier)
	a := startConfig(t, strings.Replace(text, "profile: reveal", "profile: strict", 1), events)
	joinGroup(t, n.Host("sub"), testGroup)
	a.wait("a member", func(s series) bool { return s.sum("fanlight_group_members") > 0 })
	send(t, n.Host("pub"), lab.SendConfig{Group: testGroup, Count: 5})
	o := topOptions{client: client{socket: filepath.Join(filepath.Dir(events), "api.sock")}}
	first := o.ask(t.Context(), nil)
	if first.err != nil {
		t.Fatal(first.err)
	}
	found := 0
	for _, g := range first.answer.Groups {
		detail := o.ask(t.Context(), &topKey{domain: g.Domain, vlan: g.VLAN, group: g.Group})
		if detail.err != nil {
			t.Fatal(detail.err)
		}
		raw, err := json.Marshal([]any{g, detail.detail})
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"239.1.1.1", "192.0.2.", "fe80:", "ff02:", "p-sub", `"lab"`} {
			if strings.Contains(string(raw), secret) {
				t.Errorf("%s is in %s", secret, raw)
			}
		}
		if g.Sources > 0 && g.Subscribers > 0 {
			found++
			d := detail.detail
			if len(d.Sources) != 1 || !strings.HasPrefix(d.Sources[0].Source, "source_") || d.Sources[0].Packets != 5 || len(d.Subscribers) != 1 {
				t.Errorf("detail %+v", d)
			}
		}
	}
	if found != 1 {
		t.Errorf("%d groups have a source and a subscriber, want 1: %+v", found, first.answer.Groups)
	}
}
