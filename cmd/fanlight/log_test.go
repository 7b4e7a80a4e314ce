package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// TestLogLinesObeyThePolicy: names are in clear, or what the policy makes of
// them, in attributes and in errors.
func TestLogLinesObeyThePolicy(t *testing.T) {
	for _, profile := range redact.Profiles() {
		t.Run(string(profile), func(t *testing.T) {
			var out bytes.Buffer
			log := withPolicy(slog.New(slog.NewTextHandler(&out, nil)), redacttest.Policy(t, profile))
			log.With("exporter", "file").Error("port can't be attached", "domain", redacttest.DomainCanary, "interface", redacttest.InterfaceCanary,
				"error", errors.New("attach to "+redacttest.InterfaceCanary+": device or resource busy"))
			log.Info("port renamed", "interface", redacttest.InterfaceCanary, "to", redacttest.InterfaceCanary+"b")
			text := out.String()
			for _, want := range []string{"exporter=file", "device or resource busy", "port renamed"} {
				if !strings.Contains(text, want) {
					t.Errorf("lacks %q: %s", want, text)
				}
			}
			leaks := redacttest.StrictLeaks(out.Bytes())
			if hides := profile == redact.StrictProfile; hides == (len(leaks) > 0) {
				t.Errorf("leaked: %v in %s", leaks, text)
			}
		})
	}
}
