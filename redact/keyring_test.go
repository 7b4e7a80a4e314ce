package redact_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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

func newRing(t *testing.T) (path string, ring *redact.Keyring) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "keys")
	ring, err := redact.GenerateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, ring
}

func TestGenerateKey(t *testing.T) {
	path, ring := newRing(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode: want 0600, got %04o", info.Mode().Perm())
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := redact.GenerateKey(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a key was overwritten: %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the file changed")
	}
	read, err := redact.OpenKeyring(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(ring.IDs(), read.IDs()); d != "" || read.Active() != ring.Active() {
		t.Errorf("the ring is read as another one: %s", d)
	}
	if _, err := redact.GenerateKey(filepath.Join(path, "below")); err == nil {
		t.Error("a key in a directory that is none")
	}
}

func TestKeyringErrors(t *testing.T) {
	path, ring := newRing(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(good), "\n") // mark, comment, active, key
	secret := strings.Fields(lines[3])[3]
	id := ring.Active()
	weak := base64.StdEncoding.EncodeToString(make([]byte, 32))
	tests := []struct{ name, content, want string }{
		{"good", string(good), ""},
		{"no active", lines[0] + lines[3], `the active key "" is missing`},
		{"active of another ring", lines[0] + "active 00000000\n" + lines[3], `the active key "00000000" is missing`},
		{"two active", lines[0] + lines[2] + lines[2] + lines[3], "line 3: want 'active ID' once"},
		{"nonsense", string(good) + "what\n", "line 5: want"},
		{"key twice", string(good) + lines[3], "line 5: the key is not " + id + ", or is there twice"},
		{"other id", strings.ReplaceAll(string(good), id, "12345678"), "line 4: the key is not 12345678"},
		{"time", strings.Replace(string(good), "T", " T", 1), "line 4: want"},
		{"bad time", lines[0] + lines[2] + "key " + id + " yesterday " + secret + "\n", "line 3: the time"},
		{"base64", strings.Replace(string(good), secret, "!"+secret, 1), "line 4: the key is not base64"},
		{"short", strings.Replace(string(good), secret, secret[:20], 1), "want at least 32"},
		{"weak", strings.Replace(string(good), secret, weak, 1), "repeat too much"},
	}
	for _, tt := range tests {
		file := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(file, []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := redact.OpenKeyring(file)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: want an error with %q, got %v", tt.name, tt.want, err)
		case err != nil && strings.Contains(err.Error(), secret[:12]):
			t.Errorf("%s: the error shows the key: %v", tt.name, err)
		}
	}
}

func TestKeyringDoesNotPrint(t *testing.T) {
	path, ring := newRing(t)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	encoded := strings.Fields(strings.Split(string(raw), "\n")[3])[3]
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, v := range []any{ring, []any{ring}, map[string]any{"ring": ring}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("text", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "v", v)
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	for _, form := range []string{encoded, string(secret), fmt.Sprintf("%x", secret), fmt.Sprint(secret), fmt.Sprintf("%#v", secret)} {
		if strings.Contains(out.String(), form) {
			t.Error("the key was printed")
		}
	}
	if !strings.Contains(out.String(), ring.Active()) {
		t.Error("nothing was printed")
	}
}

func TestCredentials(t *testing.T) {
	path, ring := newRing(t)
	cfg := redact.Config{KeyCredential: filepath.Base(path)}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := redact.NewPolicy(cfg, redacttest.Origin); err == nil || !strings.Contains(err.Error(), "add LoadCredential=keys:FILE") {
		t.Errorf("without systemd: %v", err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(path))
	for mode, ok := range map[fs.FileMode]bool{0o400: true, 0o440: true, 0o444: false, 0o460: false, 0o404: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		p, err := redact.NewPolicy(cfg, redacttest.Origin)
		if (err == nil) != ok {
			t.Errorf("mode %04o: %v", mode, err)
		}
		if err == nil && (p.KeyID() != ring.Active() || p.Ephemeral()) {
			t.Errorf("mode %04o: key %s, want %s", mode, p.KeyID(), ring.Active())
		}
	}
	if _, err := redact.NewPolicy(redact.Config{KeyFile: path, KeyCredential: "keys"}, redacttest.Origin); err == nil {
		t.Error("a key file and a credential at once")
	}
}

// After a rotation everything is made by the new key, whatever was remembered;
// with the ring, what the old key made can still be revealed.
func TestRotation(t *testing.T) {
	path, first := newRing(t)
	base, err := redact.NewPolicy(redact.Config{Profile: redact.StrictProfile, KeyFile: path}, redacttest.Origin)
	if err != nil {
		t.Fatal(err)
	}
	siem, err := base.For("siem", redact.Override{Profile: redact.SIEMProfile})
	if err != nil {
		t.Fatal(err)
	}
	e := redacttest.Events()[6]
	show := func() (strict, typed map[string]string) { return fieldsOf(base, e), fieldsOf(siem, e) }
	strict1, typed1 := show()

	second, err := redact.RotateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{second.Active(), first.Active()}, second.IDs()); d != "" || second.Active() == first.Active() {
		t.Errorf("ids after a rotation: %s", d)
	}
	if strict, _ := show(); !cmp.Equal(strict, strict1) {
		t.Error("the key changed before it was asked for")
	}
	if err := siem.ReloadKeys(); err != nil { // of all that share it
		t.Fatal(err)
	}
	strict2, typed2 := show()
	for _, name := range []string{"node", "boot_id", "host", "host_mac", "group", "domain", "interface", "sources"} {
		if strict1[name] == strict2[name] || !strings.Contains(strict2[name], "_"+second.Active()+"_") {
			t.Errorf("%s after the rotation: %s", name, strict2[name])
		}
	}
	for _, name := range []string{"host", "host_mac"} {
		if typed1[name] == typed2[name] {
			t.Errorf("%s is the same after the rotation: %s", name, typed1[name])
		}
		for _, token := range []string{typed1[name], typed2[name]} {
			if !reveals(t, second, token, map[string]string{"host": "198.51.100.23", "host_mac": "02:00:5e:10:20:30"}[name]) {
				t.Errorf("%s is not revealed", token)
			}
		}
	}
	if reveals(t, first, typed2["host"], "198.51.100.23") {
		t.Error("the old key alone reveals what the new one made")
	}

	again, err := redact.NewPolicy(redact.Config{Profile: redact.StrictProfile, KeyFile: path}, redacttest.Origin)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strict2, fieldsOf(again, e)); d != "" {
		t.Errorf("other after a restart with the same keys:\n%s", d)
	}

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := base.ReloadKeys(); err == nil {
		t.Error("the keys are gone, and nobody says so")
	}
	if d := cmp.Diff(strict2, fieldsOf(base, e)); d != "" {
		t.Errorf("a failed reload changed what leaves:\n%s", d)
	}
}

func reveals(t *testing.T, ring *redact.Keyring, token, want string) bool {
	t.Helper()
	found, err := ring.Reveal(token)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.Value == want {
			return true
		}
	}
	return false
}

// One raw key, as files held it before there were rings, goes on in a ring.
func TestRotateASingleKey(t *testing.T) {
	path := redacttest.KeyFile(t)
	old := redacttest.Policy(t, redact.SIEMProfile).KeyID()
	ring, err := redact.RotateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	read, err := redact.OpenKeyring(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{ring.Active(), old}, read.IDs()); d != "" {
		t.Error(d)
	}
	for n := 2; n < 64; n++ {
		if _, err := redact.RotateKey(path); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := redact.RotateKey(path); err == nil || !strings.Contains(err.Error(), "remove the oldest") {
		t.Errorf("the ring grows without bound: %v", err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("files left behind: %v %v", left, err)
	}
}

func TestLabelsAfterARotation(t *testing.T) {
	path, _ := newRing(t)
	p, err := redact.NewPolicy(redact.Config{KeyFile: path}, redacttest.Origin)
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.NewMetrics(redact.MetricsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	series := func() *redact.Series {
		return m.Series(redact.SourcePackets, redact.Name("lab"), redact.VLAN(0), redact.Addr(netipMust("239.1.1.1")), redact.Addr(netipMust("192.0.2.1")))
	}
	s := series()
	s.Set(5)
	ring, err := redact.RotateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.ReloadKeys(); err != nil {
		t.Fatal(err)
	}
	s.Remove()
	series().Set(6)
	got := samples(t, m, redact.SourcePackets)
	for labels := range got {
		if len(got) != 1 || !strings.Contains(labels, "source_"+ring.Active()+"_") {
			t.Errorf("labels: %v", got)
		}
	}
}

func TestGuess(t *testing.T) {
	p := redacttest.Policy(t, redact.StrictProfile)
	ring, err := redact.OpenKeyring(redacttest.KeyFile(t))
	if err != nil {
		t.Fatal(err)
	}
	got := fieldsOf(p, redacttest.Events()[6])
	tests := []struct{ field, guess, want string }{
		{"host", "198.51.100.23", "198.51.100.23"},
		{"host", "198.51.100.0/24", "198.51.100.23"},
		{"host", "198.51.101.0/24", ""},
		{"group", "233.252.0.0/16", "233.252.0.7"},
		{"host_mac", "02:00:5e:10:20:30", "02:00:5e:10:20:30"},
		{"host_mac", "02:00:5e:10:20:31", ""},
		{"domain", "lab", "lab"},
		{"domain", "laboratory", ""},
	}
	for _, tt := range tests {
		found, ok, err := ring.Guess(got[tt.field], tt.guess)
		if err != nil || ok != (tt.want != "") || ok && found.Value != tt.want {
			t.Errorf("%s guessed as %s: want %q, got %q %t %v", tt.field, tt.guess, tt.want, found.Value, ok, err)
		}
	}
	if _, err := ring.Reveal(got["host"]); !errors.Is(err, redact.ErrPseudonym) {
		t.Errorf("a pseudonym is undone: %v", err)
	}
	for token, want := range map[string]string{
		"host_00000000_89b6e71f05b2ccb462b43532":  "key 00000000 is not in this ring",
		"host_cd27abf0_89b6":                      "no address, no Ethernet address and no pseudonym",
		"guest_cd27abf0_89b6e71f05b2ccb462b43532": "no pseudonym",
		"": "no pseudonym",
	} {
		if _, err := ring.Reveal(token); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: want an error with %q, got %v", token, want, err)
		}
	}
	for _, guess := range []string{"10.0.0.0/4", "2001:db8::/64", "nobody"} {
		if _, _, err := ring.Guess(got["host"], guess); err == nil {
			t.Errorf("guess %s: no error", guess)
		}
	}
}

// What is written can be read, and then redacted as the event was.
func TestParseEvent(t *testing.T) {
	reveal, strict := redacttest.Policy(t, redact.RevealProfile), redacttest.Policy(t, redact.StrictProfile)
	for _, e := range redacttest.Events() {
		r := reveal.Apply(nil, []bpf.Event{e})[0]
		back, err := redact.ParseEvent(r.AppendJSON(nil))
		if err != nil {
			t.Fatal(err)
		}
		want, got := strict.Apply(nil, []bpf.Event{e})[0], strict.Apply(nil, []bpf.Event{back})[0]
		if d := cmp.Diff(string(want.AppendJSON(nil)), string(got.AppendJSON(nil))); d != "" {
			t.Errorf("%s %s (-want +got):\n%s", e.Kind, e.Action, d)
		}
	}
	for in, want := range map[string]string{
		`{"kind":"drop","hots":"192.0.2.1"}`:            `unknown field "hots"`,
		`{"kind":"drop","schema_version":2}`:            "schema_version 2: want 1",
		`{"kind":"drops"}`:                              `kind "drops"`,
		`{"kind":"drop"} {}`:                            "nothing behind it",
		`{"kind":"drop","host_mac":"02:00"}`:            "no Ethernet address",
		`{"kind":"drop","host_mac":"02:0:0:0:0:0:0:0"}`: "no Ethernet address",
		`{"kind":"drop","host":"198.51.100"}`:           "event: ",
		`[]`:                                            "event: ",
		``:                                              "event: ",
	} {
		if _, err := redact.ParseEvent([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want an error with %q, got %v", in, want, err)
		}
	}
}

func TestExplain(t *testing.T) {
	p := policyOf(t, `
profile: siem
rules:
- {name: cameras, classes: [host], groups: [233.252.0.0/24], action: mask}
- {fields: [packets], action: drop}`)
	e := redacttest.Events()[6]
	e.Packets = 3
	list, err := p.Explain(&e)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]redact.Explanation{}
	for _, x := range list {
		got[x.Field] = x
	}
	for _, want := range []redact.Explanation{
		{"host", "host", "mask", "cameras", "198.51.100.0"},
		{"packets", "counter", "drop", "rules[1]", ""},
		{"group", "group", "keep", "profile siem", "233.252.0.7"},
		{"host_mac", "mac", "prefix_preserving", "profile siem", "f2:2e:5e:96:c2:30"},
		{"seq", "sequence", "keep", "profile siem", "6"},
	} {
		if d := cmp.Diff(want, got[want.Field]); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
	// What it says is what Apply does.
	applied := fieldsOf(p, e)
	delete(applied, "time")
	delete(applied, "sources")
	for name, value := range applied {
		if got[name].Value != value {
			t.Errorf("%s: explained as %q, is %q", name, got[name].Value, value)
		}
	}
	e.Group = netipMust("ff02::1:ff12:3456")
	if list, _ = p.Explain(&e); !strings.Contains(fmt.Sprint(list), "{group group prefix_preserving profile siem: solicited_node ff02::1:ff") {
		t.Errorf("solicited-node group: %v", list)
	}
	e.Action = "danced"
	if _, err := p.Explain(&e); err == nil || !strings.Contains(err.Error(), "would be dropped: unknown_action") {
		t.Errorf("an event that is dropped: %v", err)
	}
}
