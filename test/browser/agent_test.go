package browser

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/lab"
)

// binary is the real program.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "fanlight-browser-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "fanlight")
	build := exec.Command("go", "build", "-o", path, "../../cmd/fanlight")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is shipped
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

var liveURL = regexp.MustCompile(`msg="live page" url=(http://\S+/)`)

// agent is the running program.
type agent struct {
	*exec.Cmd
	page string // where its live page is
	stop func() // returns when it is gone, and its datapath goes on
}

// startAgent runs the program on the switch of the network until the test ends,
// with the extra lines of configuration.
func startAgent(t *testing.T, n *lab.Net, extra ...string) *agent {
	t.Helper()
	return startAgentAt(t, n, "127.0.0.1:0", extra...)
}

// startAgentAt is startAgent with the live page at an address.
func startAgentAt(t *testing.T, n *lab.Net, listen string, extra ...string) *agent {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "fanlight.yaml")
	text := fmt.Sprintf(`domains:
  - name: studio
    ports: ["p-*"]
    allow: ["239.0.0.0/8", "232.0.0.0/8", "ff00::/8"]
netns: %s
bpffs: /sys/fs/bpf/%s
api: {socket: %s/api.sock}
live: {listen: "%s"}
%s
`, n.Switch().Name(), n.Name(), dir, listen, strings.Join(extra, "\n"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "run", "--config", config)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	url := ""
	for url == "" && lines.Scan() {
		if m := liveURL.FindStringSubmatch(lines.Text()); m != nil {
			url = m[1]
		}
		t.Log(lines.Text())
	}
	rest := make(chan struct{})
	go func() {
		defer close(rest)
		for lines.Scan() { // or it would block
		}
	}()
	stop := sync.OnceFunc(func() {
		kill := time.AfterFunc(Timeout, func() { cmd.Process.Kill() })
		defer kill.Stop()
		cmd.Process.Signal(syscall.SIGTERM)
		<-rest
		if err := cmd.Wait(); err != nil {
			t.Errorf("agent: %v", err)
		}
	})
	t.Cleanup(func() {
		stop()
		if out, err := exec.Command(path, "detach", "--config", config).CombinedOutput(); err != nil {
			t.Errorf("detach: %v\n%s", err, out)
		}
	})
	if url == "" {
		t.Fatal("the agent tells no live page")
	}
	return &agent{cmd, url, stop}
}

// cpu is the processor time that the agent has used.
func (a *agent) cpu(t *testing.T) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", a.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')'):]))
	var ticks time.Duration
	for _, f := range fields[12:14] { // utime and stime, counted from the state
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ticks += time.Duration(n)
	}
	return ticks * time.Second / 100 // USER_HZ
}
