package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/lab/labtest"
)

// bashCompletion is of the Debian package bash-completion, on which what we write
// for bash builds.
const bashCompletion = "/usr/share/bash-completion/bash_completion"

// TestCompletionInBash: a Tab in a real bash completes verbs, flags, reasons, and
// what only the agent knows.
func TestCompletionInBash(t *testing.T) {
	if _, err := os.Stat(bashCompletion); err != nil {
		t.Fatalf("%v: 'make packages' gets it", err)
	}
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	a := startAgent(t, n, quickQuerier)
	joinGroup(t, n.Host("sub"), testGroup)
	a.waitMembers("239.1.1.1", 1)
	socket := filepath.Join(filepath.Dir(a.events), "api.sock")
	term := newTerminal(t, 120, 24, "FANLIGHT_SOCKET="+socket)
	term.keys("PATH=$PATH:"+filepath.Dir(buildBinary(t))+" exec bash --norc", "Enter")
	term.keys("PS1='bash: '; . "+bashCompletion+"; . <(fanlight completion bash); clear", "Enter")
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
