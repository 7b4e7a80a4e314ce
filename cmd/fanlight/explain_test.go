package main

import (
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/bpf"
)

// TestEveryReasonIsExplained, once, with a remedy.
func TestEveryReasonIsExplained(t *testing.T) {
	want := map[string]string{}
	for _, r := range bpf.DropReasons() {
		want[r.String()] = lostPacket
	}
	for _, f := range bpf.CopyFailures() {
		want[f.String()] = lostCopy
	}
	for _, r := range reasons {
		if want[r.Reason] != r.Lost {
			t.Errorf("%s: explained as a lost %s, is a lost %q", r.Reason, r.Lost, want[r.Reason])
		}
		delete(want, r.Reason)
		if !strings.HasSuffix(r.Meaning, ".") || r.Remedy == "" {
			t.Errorf("%s: meaning %q, remedy %q", r.Reason, r.Meaning, r.Remedy)
		}
	}
	for name := range want {
		t.Errorf("%s is not explained", name)
	}
}
