package redact_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files and generated documents")

// golden compares got with a committed file.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run go generate ./redact", err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s is stale: run go generate ./redact\n%s", path, d)
	}
}

func TestRecordLinePerKindAndAction(t *testing.T) {
	for _, profile := range redact.Profiles() {
		t.Run(string(profile), func(t *testing.T) {
			records := redacttest.Policy(t, profile).Apply(nil, redacttest.Events())
			var page []byte
			for i := range records {
				page = append(records[i].AppendJSON(page), '\n')
			}
			golden(t, filepath.Join("testdata", string(profile)+".jsonl"), page)
		})
	}
}

func failures(p *redact.Policy) map[string]uint64 {
	counts := map[string]uint64{}
	for reason, n := range p.Failures() {
		if n > 0 {
			counts[reason] = n
		}
	}
	return counts
}

func TestApplyFailsClosed(t *testing.T) {
	tests := []struct {
		name   string
		change func(*bpf.Event)
		want   map[string]uint64
	}{
		{"nothing wrong", func(*bpf.Event) {}, map[string]uint64{}},
		{"kind 0", func(e *bpf.Event) { e.Kind = 0 }, map[string]uint64{"unknown_kind": 1}},
		{"kind of the future", func(e *bpf.Event) { e.Kind = 200 }, map[string]uint64{"unknown_kind": 1}},
		{"no action", func(e *bpf.Event) { e.Action = "" }, map[string]uint64{"unknown_action": 1}},
		{"action of another kind", func(e *bpf.Event) { e.Action = "elected" }, map[string]uint64{"unknown_action": 1}},
		{"reason with an address", func(e *bpf.Event) { e.Reason = "from 192.0.2.10" }, map[string]uint64{"bad_reason": 1}},
		{"reason too long", func(e *bpf.Event) { e.Reason = strings.Repeat("a", 65) }, map[string]uint64{"bad_reason": 1}},
		{"protocol", func(e *bpf.Event) { e.Protocol = "192.0.2.10" }, map[string]uint64{"unknown_protocol": 1}},
		{"filter mode", func(e *bpf.Event) { e.FilterMode = "192.0.2.10" }, map[string]uint64{"unknown_filter_mode": 1}},
		{"no time", func(e *bpf.Event) { *e = bpf.Event{Kind: e.Kind, Action: e.Action} }, map[string]uint64{"bad_time": 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := redacttest.Policy(t, redact.RevealProfile)
			e := redacttest.Replication(1)
			tt.change(&e)
			got := p.Apply(nil, []bpf.Event{redacttest.Replication(0), e, redacttest.Replication(2)})
			if d := cmp.Diff(tt.want, failures(p)); d != "" {
				t.Errorf("failures (-want +got):\n%s", d)
			}
			if want := 3 - len(tt.want); len(got) != want {
				t.Errorf("records: want %d, got %d", want, len(got))
			}
		})
	}
}

// Each way to print a policy, an event's record or a label, alone or inside of
// something, must hide the key and what the record came from.
func TestNothingPrints(t *testing.T) {
	p := redacttest.Policy(t, redact.DefaultProfile)
	records := p.Apply(nil, redacttest.CanaryEvents())
	label := redact.Addr(redacttest.HostCanary4)
	key, err := os.ReadFile(redacttest.KeyFile(t))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, v := range []any{p, records[0], records, label, []redact.Label{label}, map[string]any{"p": p, "l": label}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("text", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "v", v)
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	if leaks := redacttest.Leaks(out.Bytes()); len(leaks) > 0 {
		t.Errorf("leaked: %v", leaks)
	}
	for _, form := range []string{string(key), fmt.Sprintf("%x", key), fmt.Sprint(key), fmt.Sprintf("%#v", key)} {
		if strings.Contains(out.String(), form) {
			t.Error("the key was printed")
		}
	}
}
