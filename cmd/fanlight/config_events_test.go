package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fanlight-io/fanlight/exporters"
)

func TestExporterKeys(t *testing.T) {
	c, err := parseConfig(strings.NewReader(oneDomain + `events:
  - {type: file, path: x, format: ecs, max_size: 64MiB, max_age: 12h, keep: 3, keep_bytes: 4096, compress: zstd, sync: batch}
  - {type: stdout, format: leef}
  - {type: syslog, network: tls, address: "h:6514", format: cef, tls: {server_name: n}}
`))
	if err != nil {
		t.Fatal(err)
	}
	var batch exporters.SyncPolicy
	if err := batch.UnmarshalText([]byte("batch")); err != nil {
		t.Fatal(err)
	}
	syslog, err := exporters.NewConfig("syslog")
	if err != nil {
		t.Fatal(err)
	}
	s := syslog.(*exporters.SyslogConfig)
	s.Network, s.Address, s.Format, s.TLS.ServerName = "tls", "h:6514", exporters.CEF, "n"
	want := []exporters.Config{
		&exporters.FileConfig{Path: "x", Format: exporters.ECS, RotateConfig: exporters.RotateConfig{
			MaxSize: 64 << 20, MaxAge: 12 * time.Hour, Keep: 3, KeepBytes: 4096, Compress: exporters.Zstd, Sync: batch,
		}},
		&exporters.StdoutConfig{Format: exporters.LEEF},
		s,
	}
	for i, e := range c.Events {
		if d := cmp.Diff(want[i], e.own, cmpopts.EquateComparable(exporters.SyncPolicy{})); d != "" {
			t.Errorf("events[%d] (-want +got):\n%s", i, d)
		}
	}
}

func TestExporterErrorsNameTheKey(t *testing.T) {
	for yaml, want := range map[string][]string{
		"{type: file, path: x, formt: ecs}":                      {"line 4", `"formt"`, `"format"`},
		"{type: file, path: x, format: esc}":                     {"events[0]", `format "esc"`, "ecs"},
		"{type: file, path: x, max_size: big}":                   {"line 4", "max_size", `size "big"`, "64MiB"},
		"{type: file, path: x, max_size: 1MB, sync: often}":      {"line 4", "sync", `sync "often"`, "batch"},
		"{type: file, path: x, max_age: 1}":                      {"line 4", "1"},
		"{type: file, path: x, keep: 3}":                         {"events[0]", "max_size"},
		"{type: syslog, address: h:1, tls: {ca: x}}":             {"line 4", `"tls.ca"`, "ca_file"},
		"{type: syslog, address: h:1, network: udp}":             {"events[0]", `network "udp"`},
		"{type: syslog, network: unix}":                          {"events[0]", "address is missing"},
		"{type: syslog, address: h:1, tls: {ca_file: x}}":        {"events[0]", "tls", "network"},
		"{type: stdout, format: ecs, max_size: 1MB}":             {"line 4", `"max_size"`},
		"{type: syslog, address: h:1, connect_timeout: quickly}": {"line 4", "quickly"},
	} {
		_, err := parseConfig(strings.NewReader(oneDomain + "events: [" + yaml + "]\n"))
		if err == nil {
			t.Errorf("accepted: %s", yaml)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: want %q in %q", yaml, w, err)
			}
		}
	}
}
