package main

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
	"github.com/fanlight-io/fanlight/redact"
)

// A running agent takes a new key at SIGHUP: no label or record is made by the
// old one any more, no count is lost, and a key that is gone changes nothing.
func TestKeysAreReadAgainOnReload(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	cfg, events := agentConfig(t, n)
	key := t.TempDir() + "/keys"
	first, err := redact.GenerateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	a := startConfig(t, strings.Replace(cfg, "redact: {profile: reveal}", "redact: {key_file: "+key+"}", 1), events)
	group := netip.MustParseAddr("239.1.1.1")
	r, err := n.Host("sub").Listen(lab.ListenConfig{Group: group, Port: 5000})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a.waitMembers("239.1.1.1", 1)
	send := func() {
		if _, err := n.Host("pub").Send(t.Context(), lab.SendConfig{Group: group, Port: 5000, Count: 100, Rate: 10000}); err != nil {
			t.Fatal(err)
		}
	}
	const family = "fanlight_source_packets_total"
	send()
	a.wait("the source by its first pseudonym", func(s series) bool {
		return s.sum(family, `source="source_`+first.Active()+"_") == 100
	})

	second, err := redact.RotateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.reload(a.path); err != nil {
		t.Fatal(err)
	}
	send()
	s := a.wait("the source by its second pseudonym", func(s series) bool {
		return s.sum(family, `source="source_`+second.Active()+"_") == 200
	})
	if old := s.sum(family, first.Active()); old != 0 {
		t.Errorf("%v packets by the old pseudonym", old)
	}
	if s.sum("fanlight_redactions_total", `field="source"`, `action="pseudonym"`) == 0 {
		t.Error("no redaction was counted")
	}

	stricter := strings.Replace(a.cfg, "redact: {", "redact: {profile: strict, ", 1)
	if err := os.WriteFile(a.path, []byte(stricter), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.reload(a.path); err == nil || !strings.Contains(err.Error(), "redact changed: needs a restart") {
		t.Errorf("a stricter profile is passed over: %v", err)
	}
	// What is refused for another reason takes no new key either.
	if _, err := redact.RotateKey(key); err != nil {
		t.Fatal(err)
	}
	if err := a.put(a.cfg + "tables: {groups: 100}\n"); !errors.Is(err, collector.ErrNeedsRestart) {
		t.Errorf("other tables are passed over: %v", err)
	}
	if s := a.scrape(); s.sum(family, second.Active()) != 200 {
		t.Error("a refused reload put a new key in force")
	}
	if err := os.WriteFile(a.path, []byte(a.cfg), 0o600); err != nil {
		t.Fatal(err)
	}

	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if err := a.reload(a.path); err == nil || !strings.Contains(err.Error(), "key file") {
		t.Errorf("a reload without its key: %v", err)
	}
	if s := a.scrape(); s.sum("fanlight_config_last_reload_successful") != 0 || s.sum(family, second.Active()) != 200 {
		t.Error("a refused reload is not told, or changed what is shown")
	}
}
