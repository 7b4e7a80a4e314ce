package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// call runs the command line.
func callIn(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	err = fanlight(t.Context(), env{stdout: &out, stderr: &errs}, args)
	return out.String(), errs.String(), err
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// eventFile holds a membership event in clear.
func eventFile(t *testing.T) string {
	t.Helper()
	r := redacttest.Policy(t, redact.RevealProfile).Apply(nil, redacttest.Events())[6]
	return writeFile(t, "event.json", string(r.AppendJSON(nil)))
}

func explainConfig(t *testing.T, policy string) string {
	return writeFile(t, "fanlight.yaml", `
domains: [{name: lab, ports: ["p-*"]}]
events: [{type: stdout}, {type: file, path: /var/log/fanlight/events.jsonl}]
redact:
  key_file: `+redacttest.KeyFile(t)+"\n"+policy)
}

// words splits each line into what stands in its columns.
func words(table string) map[string]string {
	rows := map[string]string{}
	for line := range strings.Lines(table) {
		columns := strings.Fields(line)
		if len(columns) > 1 {
			rows[columns[0]] = strings.Join(columns[1:], " ")
		}
	}
	return rows
}

func TestRedactExplain(t *testing.T) {
	event := eventFile(t)
	cfg := explainConfig(t, `
  profile: siem
  rules:
  - {name: cameras, classes: [host], groups: [233.252.0.0/24], action: mask}
  - {fields: [filter_mode], action: drop}
`)
	out, errs, err := callIn(t, "redact", "explain", event, "--config", cfg)
	if err != nil || errs != "" {
		t.Fatal(err, errs)
	}
	if want := "metrics, history, stdout, file_1:\n"; !strings.HasPrefix(out, want) {
		t.Errorf("want %q at first, got:\n%s", want, out)
	}
	rows := words(out)
	for field, want := range map[string]string{
		"FIELD":       "CLASS ACTION RULE VALUE",
		"host":        "host mask cameras 198.51.100.0",
		"host_mac":    "mac prefix_preserving profile siem f2:2e:5e:96:c2:30",
		"filter_mode": "public drop rules[1] -",
		"group":       "group keep profile siem 233.252.0.7",
	} {
		if rows[field] != want {
			t.Errorf("%s: want %q, got %q", field, want, rows[field])
		}
	}

	out, _, err = callIn(t, "redact", "explain", event, "-c", cfg, "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var got []explained
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if len(got) != 1 || len(got[0].Exporters) != 4 || len(got[0].Fields) < 10 {
		t.Errorf("as JSON: %s", out)
	}

	out, errs, err = callIn(t, "redact", "explain", event)
	if err != nil || !strings.Contains(errs, "no key is configured") {
		t.Error(err, errs)
	}
	if host := words(out)["host"]; !strings.HasPrefix(host, "host pseudonym profile default host_") {
		t.Errorf("without a configuration: host %q", host)
	}
}

func TestRedactReveal(t *testing.T) {
	key := redacttest.KeyFile(t)
	out, _, err := callIn(t, "redact", "reveal", "--key", key, "--guess", "nobody", "--guess", "198.51.100.0/24",
		"198.123.155.246", "f2:2e:5e:96:c2:30", "host_cd27abf0_89b6e71f05b2ccb462b43532", "nonsense")
	if err == nil || !strings.Contains(err.Error(), `"nonsense" is no address`) {
		t.Errorf("nonsense: %v", err)
	}
	rows := words(out)
	for token, want := range map[string]string{"TOKEN": "KEY CLASS VALUE", "198.123.155.246": "cd27abf0 - 198.51.100.23"} {
		if rows[token] != want {
			t.Errorf("%s: want %q, got %q", token, want, rows[token])
		}
	}
	if !strings.Contains(out, "cd27abf0  mac         02:00:5e:10:20:30") {
		t.Errorf("the Ethernet address is not revealed:\n%s", out)
	}

	out, _, err = callIn(t, "redact", "reveal", "--key", key, "-o", "json", "--guess", "198.51.100.0/24", "host_cd27abf0_89b6e71f05b2ccb462b43532")
	var got []redact.Revealed
	if err := errors.Join(err, json.Unmarshal([]byte(out), &got)); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Value != "198.51.100.23" || got[0].Class != "host" {
		t.Errorf("guessed: %s", out)
	}
}

func TestRedactGenkey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	out, _, err := callIn(t, "redact", "genkey", path)
	if err != nil {
		t.Fatal(err)
	}
	first := strings.Fields(out)[1]
	if want := "key " + first + " written to " + path + "\n"; out != want {
		t.Errorf("want %q, got %q", want, out)
	}
	out, _, err = callIn(t, "redact", "genkey", "--rotate", path)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := redact.OpenKeyring(path)
	if err != nil {
		t.Fatal(err)
	}
	if second := strings.Fields(out)[1]; ring.Active() != second || len(ring.IDs()) != 2 || ring.IDs()[1] != first {
		t.Errorf("%q, then %v", out, ring)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode after a rotation: %v %v", info, err)
	}
}

// TestExplainShowsEachExporterItsOwn: an exporter with a profile, rules or
// fields of its own is shown apart.
func TestExplainShowsEachExporterItsOwn(t *testing.T) {
	cfg := writeFile(t, "fanlight.yaml", `
domains: [{name: lab, ports: ["p-*"]}]
events:
  - {type: stdout}
  - {type: file, name: siem, path: x, redact: {profile: strict}, fields: [group, host]}
redact:
  key_file: `+redacttest.KeyFile(t)+"\n")
	out, _, err := callIn(t, "redact", "explain", eventFile(t), "--config", cfg)
	if err != nil {
		t.Fatal(err)
	}
	common, own, found := strings.Cut(out, "\nsiem:\n")
	if !found || !strings.HasPrefix(common, "metrics, history, stdout:\n") {
		t.Fatalf("exporters are not told apart:\n%s", out)
	}
	for _, c := range []struct{ table, field, want string }{
		{common, "group", "group keep profile default 233.252.0.7"}, {common, "interface", "interface keep profile default p1"},
		{own, "group", "group pseudonym profile strict group_"}, {own, "interface", "interface drop fields -"},
	} {
		row := words(c.table)[c.field]
		if !strings.HasPrefix(row, c.want) {
			t.Errorf("%s: %q, want %q", c.field, row, c.want)
		}
	}
}
