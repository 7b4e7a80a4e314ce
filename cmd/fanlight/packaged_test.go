package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestPackagedConfiguration: what the packages install says what to do, and what
// stands there as an example works once the hash signs are gone.
func TestPackagedConfiguration(t *testing.T) {
	raw, err := os.ReadFile("../../deploy/etc/fanlight.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseConfig(bytes.NewReader(raw)); err == nil || !strings.Contains(err.Error(), "name one with its ports") {
		t.Errorf("as installed: error %v", err)
	}
	uncommented := regexp.MustCompile(`(?m)^#(domains:|events:|  )`).ReplaceAll(raw, []byte("$1"))
	c, err := parseConfig(bytes.NewReader(uncommented))
	if err != nil {
		t.Fatalf("uncommented: %v\n%s", err, uncommented)
	}
	if len(c.Domains) != 1 || len(c.Events) != 1 || c.Metrics.Listen != "127.0.0.1:9464" {
		t.Errorf("uncommented: %+v", c)
	}
}
