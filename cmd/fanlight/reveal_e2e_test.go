package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

// TestReveal: under a strict policy nobody sees an address, a port or a name, by
// no path and no filter; root at the socket does, who asks for it.
func TestReveal(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	text, events := agentConfig(t, n, quickQuerier, `allow: ["239.0.0.0/8", "ff00::/8"]`)
	socket := filepath.Join(os.TempDir(), n.Name()+".sock") // where others get to
	text = strings.Replace(text, "profile: reveal", "profile: strict", 1)
	text = strings.Replace(text, "socket: "+filepath.Join(filepath.Dir(events), "api.sock"), "socket: "+socket, 1)
	a := startConfig(t, text, events)
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	refused := addr("233.252.0.7")
	live := &output{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- fanlight(ctx, env{stdout: live, stderr: live}, []string{"observe", "--socket", socket, "--reveal"})
	}()
	a.wait("somebody reveals", func(s series) bool { return s.sum("fanlight_api_streams") == 1 })
	joinGroup(t, n.Host("sub"), testGroup)
	send(t, n.Host("pub"), lab.SendConfig{Group: refused, Count: 5})
	live.wait(t, `membership/joined +239\.1\.1\.1 +→ 192\.0\.2\.2@p-sub`, `drop/packet +233\.252\.0\.7 +192\.0\.2\.1@p-pub`)
	cancel()
	if err := <-done; err != nil {
		t.Errorf("observe --reveal: %v", err)
	}
	a.wait("both equations close", func(s series) bool { return closes(s, historySink, revealSink) })

	list := func(args ...string) string {
		t.Helper()
		out, stderr, err := call(t.Context(), append(args, "--socket", socket)...)
		if err != nil {
			t.Fatalf("%v: %v, %s", args, err, stderr)
		}
		return out
	}
	nouns := [][]string{{"groups", "list"}, {"subscribers", "list"}, {"drops", "list"}}
	for _, noun := range nouns {
		shown := list(append(noun, "--reveal")...)
		if !strings.Contains(shown, "lab") || !strings.Contains(shown, "239.1.1.1") && !strings.Contains(shown, "233.252.0.7") {
			t.Errorf("%v --reveal:\n%s", noun, shown)
		}
	}
	for _, args := range append(nouns, []string{"status"}, []string{"observe", "--last", "1000"}) {
		hidden := list(append(args, "-o", "json")...)
		for _, secret := range []string{"192.0.2", "239.1.1.1", "233.252", "p-sub", "p-pub", `"lab"`, "02:00:5e"} {
			if strings.Contains(hidden, secret) {
				t.Errorf("%v shows %s under a strict policy:\n%s", args, secret, hidden)
			}
		}
	}
	for _, guess := range [][]string{{"--source", "192.0.2.0/24"}, {"--group", "239.1.1.1"}, {"--subscriber", "192.0.2.2"}, {"--interface", "p-*"}} {
		if found := list(append([]string{"observe", "--last", "1000"}, guess...)...); found != "" {
			t.Errorf("a filter tells what policy hides: %v\n%s", guess, found)
		}
	}
	var drops []loss
	if err := json.Unmarshal([]byte(list("drops", "list", "--reveal", "--group", "233.252.0.7", "-o", "json")), &drops); err != nil {
		t.Fatal(err)
	}
	if len(drops) != 1 || drops[0].Reason != "not_allowed" || drops[0].Packets != 5 || drops[0].Lost != lostPacket || drops[0].LastSeen == nil || drops[0].Remedy == "" {
		t.Errorf("drops: %+v", drops)
	}

	binary := buildBinary(t)
	for _, c := range []struct {
		args []string
		want string // in what it writes
	}{
		{[]string{"groups", "list"}, "group_"},
		{[]string{"groups", "list", "--reveal"}, "only root may see what policy hides"},
		{[]string{"observe", "--reveal"}, "only root may see what policy hides"},
	} {
		cmd := exec.CommandContext(t.Context(), binary, append(c.args, "--socket", socket)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, _ := cmd.CombinedOutput(); !strings.Contains(string(out), c.want) || strings.Contains(string(out), "239.1.1.1") {
			t.Errorf("%v as nobody: %s", c.args, out)
		}
	}
}
