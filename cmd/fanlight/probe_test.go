package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// probeFile writes a configuration whose exporters write below the returned
// directory.
func probeFile(t *testing.T, events string) (config, dir string) {
	t.Helper()
	dir = t.TempDir()
	config = filepath.Join(dir, "fanlight.yaml")
	text := fmt.Sprintf("domains: [{name: lab, ports: [p0]}]\nredact: {key_file: %s}\nevents:\n%s",
		redacttest.KeyFile(t), strings.ReplaceAll(events, "DIR", dir))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config, dir
}

func linesOf(t *testing.T, path string) []string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
}

// TestEachExporterHasItsOwnFilterPolicyAndFields sends made-up events through
// three exporters, which get what their configuration lets through.
func TestEachExporterHasItsOwnFilterPolicyAndFields(t *testing.T) {
	config, dir := probeFile(t, `
  - {type: file, path: DIR/all.jsonl}
  - {type: file, name: few, path: DIR/few.jsonl, filter: {allow: [{groups: [233.252.0.0/31]}], deny: [{groups: [233.252.0.1/32]}]}}
  - {type: file, name: strict, path: DIR/strict.jsonl, redact: {profile: strict}}
  - {type: file, name: brief, path: DIR/brief.jsonl, fields: [group, packets], redact: {rules: [{classes: [group], action: pseudonym}]}}
`)
	stdout, stderr, err := call(t.Context(), "probe", "--config", config, "--count", "512", "-o", "json")
	if err != nil || stderr != "" {
		t.Fatalf("probe: %v, stderr %s", err, stderr)
	}
	var sinks []collector.SinkStatus
	if err := json.Unmarshal([]byte(stdout), &sinks); err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ delivered, filtered uint64 }{{512, 0}, {2, 510}, {512, 0}, {512, 0}} {
		if s := sinks[i]; s.Delivered != want.delivered || s.Filtered != want.filtered || !s.Balanced() {
			t.Errorf("%s: %+v, want %+v", s.Name, s, want)
		}
	}
	for file, want := range map[string]struct {
		lines     int
		has, lack []string
	}{
		"all":    {512, []string{`"group":"233.252.0.0"`, `"source":"source_`, `"interface":"probe0"`}, []string{"192.0.2.1"}},
		"few":    {2, []string{`"group":"233.252.0.0"`}, []string{`"233.252.0.1"`, "192.0.2.1"}},
		"strict": {512, []string{`"group":"group_`, `"domain":"domain_`}, []string{"233.252.0", "probe0", "192.0.2.1"}},
		"brief":  {512, []string{`"action":"sample","group":"group_`, `","packets":1,"ring"`}, []string{"source", "domain", "probe0", "copies"}},
	} {
		lines := linesOf(t, filepath.Join(dir, file+".jsonl"))
		if len(lines) != want.lines {
			t.Errorf("%s: %d lines, want %d", file, len(lines), want.lines)
		}
		for _, text := range want.has {
			if !strings.Contains(lines[0], text) {
				t.Errorf("%s: the first line lacks %s: %s", file, text, lines[0])
			}
		}
		for _, text := range want.lack {
			if all := strings.Join(lines, "\n"); strings.Contains(all, text) {
				t.Errorf("%s holds %s", file, text)
			}
		}
	}
}

func TestProbeSaysWhatDidNotArrive(t *testing.T) {
	config, dir := probeFile(t, "  - {type: syslog, network: unix, address: DIR/nobody.sock, retry: {first: 1ms, most: 5ms}}\n")
	stdout, stderr, err := call(t.Context(), "probe", "--config", config, "--count", "3", "--wait", "50ms")
	if !errors.Is(err, errProbe) || exitCode(err) != 1 {
		t.Errorf("error %v", err)
	}
	if !strings.Contains(stdout, "failing") || !strings.Contains(stdout, "export/shutdown 3") {
		t.Errorf("output:\n%s", stdout)
	}
	if strings.Count(stderr, "export failed") != 1 || !strings.Contains(stderr, dir+"/nobody.sock") {
		t.Errorf("the trouble is told once, with the peer's address; stderr:\n%s", stderr)
	}
}

// TestProbeGivesUpOnADeadExporter though there is more to send than waits.
func TestProbeGivesUpOnADeadExporter(t *testing.T) {
	config, _ := probeFile(t, "  - {type: syslog, network: unix, address: DIR/nobody.sock, queue_records: 2000, retry: {first: 1ms, most: 5ms}}\n")
	stdout, _, err := call(t.Context(), "probe", "--config", config, "--count", "1000000", "--wait", "100ms")
	if !errors.Is(err, errProbe) || !strings.Contains(stdout, "failing") {
		t.Errorf("error %v, output:\n%s", err, stdout)
	}
}

func TestProbeErrors(t *testing.T) {
	config, _ := probeFile(t, "  - {type: file, path: DIR/x}\n")
	none, _ := probeFile(t, "  []\n")
	for args, want := range map[string]string{
		"":                                       "--config FILE is needed",
		"--config " + config + " --count 0":      "--count",
		"--config " + config + " --rate -1":      "--rate",
		"--config " + config + " --exporter fil": `there is no "fil"; there are file`,
		"--config " + none:                       "has no exporters",
		"--config " + config + " -o xml":         "xml",
	} {
		_, _, err := call(t.Context(), append([]string{"probe"}, strings.Fields(args)...)...)
		if err == nil || !strings.Contains(err.Error(), want) || exitCode(err) != 2 {
			t.Errorf("probe %s: %v, want %s", args, err, want)
		}
	}
}
