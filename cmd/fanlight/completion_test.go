package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/lab/labtest"
)

// bashCompletion stands in for the package bash-completion, on which what we
// write for bash builds.
const bashCompletion = "testdata/bash_completion.bash"

// TestCompletionInBash: a Tab in a real bash completes verbs, flags, reasons, and
// what only the agent knows.
func TestCompletionInBash(t *testing.T) {
	functions, err := filepath.Abs(bashCompletion)
	if err != nil {
		t.Fatal(err)
	}
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	a := startAgent(t, n, quickQuerier)
	joinGroup(t, n.Host("sub"), testGroup)
	a.waitMembers("239.1.1.1", 1)
	socket := filepath.Join(filepath.Dir(a.events), "api.sock")
	term := newTerminal(t, 120, 24, "FANLIGHT_SOCKET="+socket)
	term.keys("PATH=$PATH:"+filepath.Dir(buildBinary(t))+" exec bash --norc", "Enter")
	term.keys("PS1='bash: '; . "+functions+"; . <(fanlight completion bash); clear", "Enter")
	term.await("bash: ")
	for _, c := range []struct{ typed, want string }{
		{"fanlight stat", "fanlight status"},
		{"fanlight top --vi", "fanlight top --view"},
		{"fanlight top --view dr", "fanlight top --view drops"},
		{"fanlight explain backl", "fanlight explain backlog_full"},
		{"fanlight groups list --group 239", "fanlight groups list --group 239.1.1.1"},
		{"fanlight explain port", "fanlight explain port_down"},
	} {
		term.keys("-l", c.typed)
		term.keys("Tab")
		term.await("bash: " + c.want)
		term.keys("C-u", "C-l")
	}
}

// TestCompletionOfGroups: by address and by name, in flags and as an argument; what
// can be deleted is what was added.
func TestCompletionOfGroups(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("sub")...)
	cfg, events := agentConfig(t, n, quickQuerier)
	startConfig(t, cfg+"names: "+writeFile(t, "names.tsv", "239.8.8.8 camera-7\n239.8.8.9 camera & street\n")+"\n", events)
	c := controlOf(t, events)
	c.must("groups add 239.8.8.8", "added")
	c.must("subscribers add --group 239.8.8.9 --interface p-sub", "subscribed")
	static := []string{"239.8.8.8\tcamera-7", "239.8.8.9\tcamera & street"}
	for _, x := range []struct {
		before string
		want   []string
	}{
		{"groups show --socket " + c.socket, append([]string{"camera-7"}, static...)},
		{"groups show --socket " + c.socket + " 239.8.8.8", nil}, // there is one argument
		{"groups delete --socket " + c.socket, static},
		{"groups delete --socket " + c.socket + " 239.8.8.8", nil},
		{"streams list --socket " + c.socket + " --group", append([]string{"camera-7"}, static...)},
		{"groups add --socket " + c.socket + " 239.9.9.9 --domain", []string{"lab"}},
		{"subscribers add --socket " + c.socket + " --interface", []string{"p-sub"}},
	} {
		out, _, err := call(t.Context(), append([]string{"__complete"}, append(strings.Fields(x.before), "")...)...)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		got := slices.DeleteFunc(lines[:len(lines)-1], func(l string) bool { return strings.HasPrefix(l, "ff02::") }) // of the hosts' own
		if err != nil || lines[len(lines)-1] != ":4" || strings.Join(got, "|") != strings.Join(slices.Sorted(slices.Values(x.want)), "|") {
			t.Errorf("fanlight %s Tab: %q, %v; want %q", x.before, got, err, x.want)
		}
	}
}

// TestCompletionWithoutAnAgent says nothing, and does not keep the shell waiting.
func TestCompletionWithoutAnAgent(t *testing.T) {
	silent, err := apiConfig{Socket: filepath.Join(t.TempDir(), "api.sock")}.listenSocket() // and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	began := time.Now()
	stdout, _, err := call(t.Context(), "__complete", "groups", "list", "--socket", silent.Addr().String(), "--group", "")
	if took := time.Since(began); err != nil || stdout != ":4\n" || took > 10*askTimeout {
		t.Errorf("%q, %v, after %v", stdout, err, took)
	}
}
