package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// verbs are all that there are; TestVerbs compares.
var verbs = []string{"run", "demo", "check", "status", "groups list", "subscribers list", "explain", "probe", "detach", "redact", "version"}

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
	want := []string{"check", "demo", "detach", "explain", "groups", "probe", "redact", "run", "status", "subscribers", "version"}
	if diff := cmp.Diff(want, got); diff != "" || len(verbs) != len(want) {
		t.Errorf("verbs (-want +got):\n%s", diff)
	}
}

// TestErrors calls every verb wrongly: the error names the object and says what
// to do, and the exit status tells wrong calls from failures.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	typo := write("typo.yaml", "domains:\n  - name: lab\n    prots: [p0]\n")
	empty := write("empty.yaml", "")
	broken := write("broken.yaml", "domains: [\n")
	bad := write("bad.yaml", "domains: [{name: lab, ports: [p0], unregistered: maybe}]\n")
	for _, c := range []struct {
		args string
		code int
		want []string
	}{
		{"fly", 2, []string{"unknown command", `"fly"`, "--help"}},
		{"ru", 2, []string{"unknown command", `did you mean "run"?`}},
		{"--color", 2, []string{"unknown flag: --color", "fanlight --help"}},
		{"run", 2, []string{"--config FILE is needed"}},
		{"run --config", 2, []string{"flag needs an argument", "fanlight run --help"}},
		{"run --config /nowhere.yaml", 2, []string{"/nowhere.yaml", "no such file"}},
		{"run --config " + typo, 2, []string{typo, "line 3", "prots", `did you mean "ports"?`}},
		{"run --config " + empty, 2, []string{empty, "empty"}},
		{"run --config " + broken, 2, []string{broken, "line"}},
		{"run --config " + bad, 2, []string{bad, "domains[lab].unregistered", "maybe", "flood_without_querier, drop, flood"}},
		{"run --config " + bad + " extra", 2, []string{"extra"}},
		{"run --log-level loud --config testdata/minimal.yaml", 2, []string{"--log-level", "loud"}},
		{"demo --for yesterday", 2, []string{"--for", "yesterday", "fanlight demo --help"}},
		{"demo --for -1s", 2, []string{"--for", "negative"}},
		{"demo --interval 1ms", 2, []string{"--interval", "50ms"}},
		{"demo --hosts 0", 2, []string{"--hosts", "1 to 200"}},
		{"demo --hosts 201", 2, []string{"--hosts", "1 to 200"}},
		{"demo --rate 0", 2, []string{"--rate", "50000"}},
		{"demo --rate NaN", 2, []string{"--rate", "50000"}},
		{"demo --live 192.0.2.1:80", 2, []string{"--live", "127.0.0.1:80", "other hosts"}},
		{"demo --name ../x", 2, []string{"--name", "letters"}},
		{"demo extra", 2, []string{"extra"}},
		{"check --output yaml", 2, []string{"--output", "yaml", "table, json"}},
		{"check --config " + typo, 2, []string{typo, "ports"}},
		{"check extra", 2, []string{"extra"}},
		{"detach --config " + empty, 2, []string{empty, "empty"}},
		{"detach --bpffs " + dir, 1, []string{dir, "mount -t bpf"}},
		{"detach extra", 2, []string{"extra"}},
		{"version -o xml", 2, []string{"--output", "xml"}},
		{"version extra", 2, []string{"extra"}},
	} {
		stdout, _, err := call(t.Context(), strings.Fields(c.args)...)
		if err == nil {
			t.Errorf("fanlight %s: no error", c.args)
			continue
		}
		if got := exitCode(err); got != c.code {
			t.Errorf("fanlight %s: exit status %d, want %d: %v", c.args, got, c.code, err)
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("fanlight %s: error %q lacks %q", c.args, err, w)
			}
		}
		if stdout != "" {
			t.Errorf("fanlight %s: wrote %q", c.args, stdout)
		}
	}
}

func TestVersion(t *testing.T) {
	stdout, _, err := call(t.Context(), "version")
	if err != nil || !strings.HasPrefix(stdout, "fanlight devel (revision ") {
		t.Errorf("version: %q, %v", stdout, err)
	}
	stdout, _, err = call(t.Context(), "version", "-o", "json")
	var v map[string]string
	if err := errors.Join(err, json.Unmarshal([]byte(stdout), &v)); err != nil || v["version"] != "devel" || v["go"] == "" {
		t.Errorf("version -o json: %q, %v", stdout, err)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		stdout, _, err := call(t.Context(), "completion", shell)
		if err != nil || !strings.Contains(stdout, "fanlight") {
			t.Errorf("completion %s: %d bytes, %v", shell, len(stdout), err)
		}
	}
	for _, verb := range []string{"check", "version"} {
		stdout, _, err := call(t.Context(), "__complete", verb, "--output", "")
		if want := "table\njson\n:4\n"; err != nil || stdout != want {
			t.Errorf("complete %s --output: %q, %v; want %q", verb, stdout, err, want)
		}
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
