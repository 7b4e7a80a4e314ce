package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// verbs are all that there are; TestVerbs compares.
var verbs = []string{"run", "demo", "check", "status", "top", "groups list", "groups show", "groups add", "groups delete", "subscribers list", "subscribers add", "subscribers delete", "streams list", "drops list", "observe", "doctor", "lint", "explain", "probe", "detach", "redact", "version"}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", path, diff)
	}
}

func TestHelp(t *testing.T) {
	for _, verb := range append([]string{""}, verbs...) {
		args := append(strings.Fields(verb), "--help")
		stdout, stderr, err := call(t.Context(), args...)
		if err != nil || stderr != "" {
			t.Errorf("fanlight %v: %v, stderr %q", args, err, stderr)
		}
		name := "fanlight"
		if verb != "" {
			name += "-" + strings.ReplaceAll(verb, " ", "-")
			if !strings.Contains(stdout, "Examples:\n  fanlight "+verb) {
				t.Errorf("fanlight %s --help shows no example", verb)
			}
		}
		golden(t, filepath.Join("testdata", "help", name+".golden"), stdout)
	}
}

// TestVerbs makes sure that a new verb comes with its help and its tests.
func TestVerbs(t *testing.T) {
	stdout, _, err := call(t.Context(), "__complete", "")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(stdout) {
		verb, _, described := strings.Cut(line, "\t")
		if described && verb != "help" && verb != "completion" {
			got = append(got, verb)
		}
	}
	want := []string{"check", "demo", "detach", "doctor", "drops", "explain", "groups", "lint", "observe", "probe", "redact", "run", "status", "streams", "subscribers", "top", "version"}
	tested := map[string]bool{}
	for _, v := range verbs {
		verb, _, _ := strings.Cut(v, " ")
		tested[verb] = true
	}
	if diff := cmp.Diff(want, got); diff != "" || len(tested) != len(want) {
		t.Errorf("verbs (-want +got):\n%s", diff)
	}
}

// TestWithoutPrivileges runs each verb as nobody: it must say what it lacks.
func TestWithoutPrivileges(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become somebody else")
	}
	path := buildBinary(t)
	cfg := filepath.Join(filepath.Dir(path), "fanlight.yaml")
	if err := os.WriteFile(cfg, []byte("domains: [{name: lab, ports: [none-*]}]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		want []string
	}{
		{"run --config " + cfg, []string{"'fanlight run' lacks", "CAP_BPF", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_PERFMON", "as root"}},
		{"run --check --config " + cfg, []string{"'fanlight run' lacks", "CAP_BPF"}},
		{"demo --for 1s", []string{"'fanlight demo' lacks", "CAP_BPF", "CAP_SYS_ADMIN", "as root"}},
		{"check", []string{"missing", "CAP_BPF", "CAP_PERFMON", "can't forward here"}},
		{"detach", []string{"'fanlight detach' lacks", "CAP_NET_ADMIN", "as root"}},
		{"doctor --group 239.1.1.1 --interface lo --for 100ms", []string{"not_joined", "the wire: ", "nftables: ", "run as root"}},
	} {
		cmd := exec.CommandContext(t.Context(), path, strings.Fields(c.args)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("fanlight %s: %v, want exit status 1", c.args, err)
		}
		for _, w := range c.want {
			if !strings.Contains(string(out), w) {
				t.Errorf("fanlight %s lacks %q:\n%s", c.args, w, out)
			}
		}
	}
}
