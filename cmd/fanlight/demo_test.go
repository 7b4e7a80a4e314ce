package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/lab/labtest"
)

// demoProcess is the real binary's demo, in a network of a name of its own.
type demoProcess struct {
	*exec.Cmd
	t       *testing.T
	network string
	events  string
	stdout  *bufio.Reader
	stderr  bytes.Buffer
	seen    bytes.Buffer // of stdout
}

func startDemo(t *testing.T, name string, args ...string) *demoProcess {
	t.Helper()
	return startDemoIn(t, buildBinary(t), name, args...)
}

func startDemoIn(t *testing.T, path, name string, args ...string) *demoProcess {
	t.Helper()
	labtest.Require(t)
	name = ownDemo(name)
	p := &demoProcess{t: t, network: demoPrefix + "-" + name, events: filepath.Join(t.TempDir(), "events.jsonl")}
	args = append([]string{"demo", "--name", name, "--metrics", "127.0.0.1:0", "--events", p.events, "--interval", "200ms"}, args...)
	p.Cmd = exec.CommandContext(t.Context(), path, args...)
	p.Cmd.Env = append(os.Environ(), "DISPLAY=", "WAYLAND_DISPLAY=")
	p.Cmd.Stderr = &p.stderr
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewReader(out)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// ownDemo makes the name of a demo one of this process alone: tests of another
// checkout may run at the same time.
func ownDemo(name string) string { return fmt.Sprint(name, os.Getpid()) }

// complaints is what stderr holds besides the removal of what demos of other
// tests left when they were killed.
func (p *demoProcess) complaints() string {
	var rest strings.Builder
	for line := range strings.Lines(p.stderr.String()) {
		if !strings.HasPrefix(line, "removed what a killed demo left:") {
			rest.WriteString(line)
		}
	}
	return rest.String()
}

// await reads the output up to the first match.
func (p *demoProcess) await(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	for {
		line, err := p.stdout.ReadString('\n')
		p.seen.WriteString(line)
		if m := re.FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil {
			return m
		}
		if err != nil {
			_ = p.Wait() // completes stderr
			p.t.Fatalf("no line matches %s before %v:\n%s%s", pattern, err, p.seen.String(), p.stderr.String())
		}
	}
}

// end reads the rest of the output and returns all of it and the exit status.
func (p *demoProcess) end() (stdout string, code int) {
	p.t.Helper()
	if _, err := io.Copy(&p.seen, p.stdout); err != nil {
		p.t.Error(err)
	}
	_ = p.Wait() // the exit status says it
	return p.seen.String(), p.ProcessState.ExitCode()
}

// left lists what a demo's network has left in the kernel.
func left(t *testing.T, network string) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"/run/netns/" + network + "-*", "/sys/fs/bpf/" + network, "/run/fanlight/lab/" + network, "/run/fanlight/" + network + ".sock"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, network+"-") {
			all = append(all, line)
		}
	}
	return all
}

func TestDemo(t *testing.T) {
	p := startDemo(t, "whole", "--for", "3s")
	url := p.await(`^metrics: +(http://\S+)$`)[1]
	checkPage(t, url)
	out, code := p.end()
	if code != 0 || p.complaints() != "" {
		t.Errorf("exit status %d, stderr %q", code, p.stderr.String())
	}
	for _, pattern := range []string{
		`(?m)^GROUP +SOURCE +PACKETS/S +MBIT/S +COPIES/S +SUBSCRIBERS$`,
		`(?m)^239\.1\.1\.1 +192\.0\.2\.1 +\d+ +\d+\.\d+ +\d+ +p-igmpv2 igmpv2$`,
		`(?m)^ +p-igmpv3 igmpv3$`,
		`(?m)^232\.1\.1\.1 +192\.0\.2\.1 .* p-igmpv3 igmpv3$`,
		`(?m)^ff15::1:1 +2001:db8::1 .* p-mldv2 mldv2$`,
		`(?m)^dropped packets: +none$`,
		`(?m)^events: +` + regexp.QuoteMeta(p.events) + `$`,
		`(?m)^Summary after 3s$`,
		`(?m)^igmpv2 +239\.1\.1\.1 +[1-9]\d+ +0 +0 +0 +0$`,
		`(?m)^idle +none: it never joined +0`,
		`(?m)^ok +copies = received by the hosts \+ counted losses +([1-9]\d+) +`,
		`(?m)^ok +events produced = delivered \+ lost, exporter file +[1-9]`,
	} {
		if !regexp.MustCompile(pattern).MatchString(out) {
			t.Errorf("output lacks %s", pattern)
		}
	}
	if strings.Contains(out, "\x1b") || strings.Contains(out, "WRONG") {
		t.Error("output holds control sequences, or books that do not balance")
	}
	if t.Failed() {
		t.Log(out)
	}
	checkEvents(t, p.events)
	if l := left(t, p.network); len(l) > 0 {
		t.Errorf("left: %q", l)
	}
}

// checkPage lints the live page and looks at its figures.
func checkPage(t *testing.T, url string) {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, %v", url, answer.StatusCode, err)
	}
	s := parseSeries(t, string(page))
	if s.sum("fanlight_group_copies_total", `domain="demo"`, `group="239.1.1.1"`) == 0 || s.sum("fanlight_group_members", `group="239.1.1.1"`) != 2 {
		t.Errorf("the page shows no demo:\n%s", page)
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("REQUIRE_BPF") == "1" {
			t.Fatal("promtool is not installed, and REQUIRE_BPF=1 is set")
		}
		t.Log("promtool is not installed")
		return
	}
	lint := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	lint.Stdin = bytes.NewReader(page)
	if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

func checkEvents(t *testing.T, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for line := range strings.Lines(string(raw)) {
		var e struct {
			Kind, Action, Group string
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		kinds[e.Kind+" "+e.Action]++
	}
	for _, k := range []string{"replication first", "membership joined", "querier elected"} {
		if kinds[k] == 0 {
			t.Errorf("no event of kind %s among %v", k, kinds)
		}
	}
}

// TestDemoCtrlC ends a demo early: it still sums up and cleans up.
func TestDemoCtrlC(t *testing.T) {
	p := startDemo(t, "ctrlc", "--hosts", "7", "--rate", "200")
	p.await(`^events: `)
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	out, code := p.end()
	if code != 0 || !strings.Contains(out, "Summary after") || !strings.Contains(out, "igmpv3-3") {
		t.Errorf("exit status %d:\n%s%s", code, out, p.stderr.String())
	}
	if l := left(t, p.network); len(l) > 0 {
		t.Errorf("left: %q", l)
	}
}

// TestDemoAfterSIGKILL: the next demo removes what a killed one left, and leaves
// a living one alone.
func TestDemoAfterSIGKILL(t *testing.T) {
	path := buildBinary(t)
	killed := startDemoIn(t, path, "killed")
	killed.await(`^events: `)
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed.end()
	if len(left(t, killed.network)) < 5 {
		t.Fatalf("a killed demo left only %q", left(t, killed.network))
	}
	next := startDemoIn(t, path, "next", "--for", "1s")
	if _, code := next.end(); code != 0 {
		t.Errorf("exit status %d: %s", code, next.stderr.String())
	}
	for _, what := range []string{"removed what a killed demo left", killed.network + "-switch", bpffsRoot + "/" + killed.network, killed.network + ".sock"} {
		if !strings.Contains(next.stderr.String(), what) {
			t.Errorf("stderr lacks %q: %s", what, next.stderr.String())
		}
	}
	if l := append(left(t, killed.network), left(t, next.network)...); len(l) > 0 {
		t.Errorf("left: %q", l)
	}
}

// TestTwoDemos: one name is one demo, and two names are two.
func TestTwoDemos(t *testing.T) {
	path := buildBinary(t)
	first := startDemoIn(t, path, "first")
	first.await(`^events: `)
	same := startDemoIn(t, path, "first", "--for", "1s")
	if _, code := same.end(); code != 1 || !strings.Contains(same.stderr.String(), "another demo is running: stop it, or give this one a --name") {
		t.Errorf("same name: exit status %d, stderr %q", code, same.stderr.String())
	}
	other := startDemoIn(t, path, "other", "--for", "1s")
	if _, code := other.end(); code != 0 || other.complaints() != "" {
		t.Errorf("other name: exit status %d, stderr %q", code, other.stderr.String())
	}
	if err := first.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if out, code := first.end(); code != 0 {
		t.Errorf("first: exit status %d\n%s%s", code, out, first.stderr.String())
	}
}

func TestDemoPortInUse(t *testing.T) {
	labtest.Require(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, _, err = call(t.Context(), "demo", "--name", ownDemo("port"), "--metrics", l.Addr().String(), "--events", filepath.Join(t.TempDir(), "events"), "--for", "1s")
	want := fmt.Sprintf("listen tcp %s: bind: address already in use; choose another address with --metrics", l.Addr())
	if err == nil || !strings.Contains(err.Error(), want) || exitCode(err) != 1 {
		t.Errorf("error %v, want %q", err, want)
	}
	if l := left(t, demoPrefix+"-"+ownDemo("port")); len(l) > 0 {
		t.Errorf("left: %q", l)
	}
}

// TestDemoMountsBPFFS runs the demo where no BPF file system is mounted, in a
// mount namespace of its own.
func TestDemoMountsBPFFS(t *testing.T) {
	labtest.Require(t)
	script := `mount --make-rprivate / && { umount ` + bpffsRoot + ` 2>/dev/null; true; } && "$0" "$@"; code=$?
grep -q ' ` + bpffsRoot + ` ' /proc/self/mountinfo && echo STILL MOUNTED
exit $code`
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script, buildBinary(t), "demo", "--name", ownDemo("mount"), "--metrics", "",
		"--events", filepath.Join(t.TempDir(), "events"), "--for", "1s")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "mounted a BPF file system on "+bpffsRoot) || strings.Contains(string(out), "STILL MOUNTED") {
		t.Errorf("%v:\n%s", err, out)
	}
	if l := left(t, demoPrefix+"-"+ownDemo("mount")); len(l) > 0 {
		t.Errorf("left: %q", l)
	}
}

// TestDemoLivePage: the demo tells where its live page is, and the page's own
// exporter is in the books.
func TestDemoLivePage(t *testing.T) {
	p := startDemo(t, "live", "--for", "3s", "--live", "127.0.0.1:0", "--open")
	url := p.await(`^live page: +(http://127\.0\.0\.1:\d+/)$`)[1]
	answer, err := http.Get(url + "stream")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	frames := bufio.NewReader(answer.Body)
	for _, want := range []string{"retry: ", "", "event: snapshot\n", `"group":"239.1.1.1"`, "", "event: tick\n"} {
		if line, err := frames.ReadString('\n'); err != nil || !strings.Contains(line, want) {
			t.Errorf("line %q (%v), want %q", line, err, want)
		}
	}
	out, code := p.end()
	if code != 0 || !strings.Contains(p.stderr.String(), "no browser was opened: there is no display; the live page is at "+url) {
		t.Errorf("exit status %d, stderr %q", code, p.stderr.String())
	}
	if !regexp.MustCompile(`(?m)^ok +events produced = delivered( \+ filtered)? \+ lost, exporter live +[1-9]`).MatchString(out) {
		t.Errorf("the books lack the live page:\n%s", out)
	}
}
