package redact_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
	"github.com/google/go-cmp/cmp"
)

const goodKey = "0123456789abcdefghijklmnopqrstuvwxyz"

func TestKeyFileErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := []struct{ path, want string }{
		{file("good", goodKey, 0o600), ""},
		{file("stricter", goodKey, 0o400), ""},
		{file("group", goodKey, 0o640), "mode 0640 lets others in: run chmod 0600"},
		{file("world", goodKey, 0o604), "mode 0604 lets others in"},
		{file("short", goodKey[:31], 0o600), "31 bytes: want at least 32"},
		{file("empty", "", 0o600), "0 bytes: want at least 32"},
		{file("long", strings.Repeat(goodKey, 200), 0o600), "more than 4096 bytes"},
		{file("zeros", strings.Repeat("\x00", 64), 0o600), "repeat too much"},
		{filepath.Join(dir, "none"), "no such file"},
		{dir, "not a regular file"},
	}
	for _, tt := range tests {
		_, err := redact.NewPolicy(redact.Config{KeyFile: tt.path}, redacttest.Origin)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.path, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: want an error with %q, got %v", tt.path, tt.want, err)
		case err != nil && strings.Contains(err.Error(), goodKey[:8]):
			t.Errorf("the error shows the key: %v", err)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	tests := []struct {
		cfg  redact.Config
		want string
	}{
		{redact.Config{Profile: "revael"}, `profile "revael": want one of default, strict, siem, reveal`},
		{redact.Config{CacheEntries: -1}, "cache_entries -1"},
		{redact.Config{CacheEntries: 1 << 30}, "cache_entries 1073741824"},
	}
	for _, tt := range tests {
		if err := tt.cfg.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: want an error with %q, got %v", tt.cfg, tt.want, err)
		}
	}
	if _, err := redact.NewPolicy(redact.Config{}, redact.Origin{Node: "n"}); err == nil {
		t.Error("no error without a boot id")
	}
}

// texts returns the text that a policy gives to a source or a host.
func texts(t *testing.T, p *redact.Policy, source, host string) map[string]string {
	t.Helper()
	e := redacttest.CanaryEvents()[5]
	e.Source, e.Host, e.Sources = netip.MustParseAddr(source), netip.MustParseAddr(host), nil
	got := map[string]string{}
	for f, v := range p.Apply(nil, []bpf.Event{e})[0].Fields() {
		got[f.Name] = v.Text()
	}
	return got
}

func TestPseudonyms(t *testing.T) {
	keyFile := redacttest.KeyFile(t)
	withKey := func(file string) *redact.Policy {
		p, err := redact.NewPolicy(redact.Config{KeyFile: file}, redacttest.Origin)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := withKey(keyFile)
	got := texts(t, p, "192.0.2.1", "192.0.2.1")
	for _, name := range []string{"source", "host"} {
		if form := regexp.MustCompile(`^` + name + `_[0-9a-f]{8}_[0-9a-f]{24}$`); !form.MatchString(got[name]) {
			t.Errorf("%s: %q is not of the form %s", name, got[name], form)
		}
		if !strings.Contains(got[name], "_"+p.KeyID()+"_") {
			t.Errorf("%s: %q lacks the key id %s", name, got[name], p.KeyID())
		}
	}
	if got["source"][len("source"):] == got["host"][len("host"):] {
		t.Error("one address has the same pseudonym in two classes")
	}
	if d := cmp.Diff(got, texts(t, withKey(keyFile), "192.0.2.1", "192.0.2.1")); d != "" {
		t.Errorf("the same key gives other pseudonyms after a restart:\n%s", d)
	}
	if d := cmp.Diff(got["host"], texts(t, p, "192.0.2.1", "::ffff:192.0.2.1")["host"]); d != "" {
		t.Errorf("an IPv4 address inside IPv6 is another host:\n%s", d)
	}
	if d := cmp.Diff(texts(t, p, "fe80::1", "fe80::1%p0")["host"], texts(t, p, "fe80::1", "fe80::1")["host"]); d != "" {
		t.Errorf("an address with a zone is another host:\n%s", d)
	}
	seen := map[string]bool{}
	for addr := netip.MustParseAddr("198.51.100.0"); len(seen) < 500; addr = addr.Next() {
		text := texts(t, p, addr.String(), "192.0.2.1")["source"]
		if seen[text] {
			t.Fatalf("two sources have the pseudonym %s", text)
		}
		seen[text] = true
	}
	a, b := withKey(""), withKey("")
	if !a.Ephemeral() || p.Ephemeral() || a.KeyID() == b.KeyID() || a.KeyID() == p.KeyID() {
		t.Error("keys made at start are not told apart")
	}
	if texts(t, a, "192.0.2.1", "192.0.2.1")["host"] == texts(t, b, "192.0.2.1", "192.0.2.1")["host"] {
		t.Error("two keys give the same pseudonym")
	}
}
