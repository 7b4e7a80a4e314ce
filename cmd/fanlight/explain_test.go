package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/doctor"
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

func TestExplainFinding(t *testing.T) {
	out, _, err := call(t.Context(), "explain", "rp_filter")
	if err != nil || !strings.HasPrefix(out, "rp_filter: a finding of 'fanlight doctor'") || !strings.Contains(out, "  sysctl -w net.ipv4.conf.all.rp_filter={mode}") {
		t.Errorf("%v:\n%s", err, out)
	}
	out, _, err = call(t.Context(), "explain", "rp_filter", "-o", "json")
	var list []doctor.Kind
	if err != nil || json.Unmarshal([]byte(out), &list) != nil || len(list) != 1 || list[0].ID != "rp_filter" {
		t.Errorf("%v:\n%s", err, out)
	}
	_, _, err = call(t.Context(), "explain", "rp_fliter")
	if err == nil || exitCode(err) != 2 || !strings.Contains(err.Error(), `did you mean "rp_filter"?`) {
		t.Errorf("misspelt: %v", err)
	}
	for _, k := range doctor.Kinds() {
		if _, err := reasonNamed(k.ID); err == nil {
			t.Errorf("%s is both a reason and a finding", k.ID)
		}
	}
}
