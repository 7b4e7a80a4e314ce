package bpf

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestEveryNumberHasAName reads the enums that cross from the kernel to Go: what
// is added there needs a name here.
func TestEveryNumberHasAName(t *testing.T) {
	generated, err := os.ReadFile("wire_bpfel.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string][]string{
		"Verdict":      verdictNames[:],
		"Direction":    directionNames[:],
		"WatchOutcome": watchOutcomeNames[:],
		"DropReason":   dropReasonNames[:],
		"CopyFailure":  copyFailureNames[:],
		"EventKind":    kindNames[:],
		"EventAction":  actionNames[:],
		"Table":        tableNames[:],
	}
	line := regexp.MustCompile(`(?m)^\twire(\w+?)([A-Z]+_[A-Z_0-9]+)\s+wire\w+ = (\d+)$`)
	found := map[string]int{}
	for _, m := range line.FindAllStringSubmatch(string(generated), -1) {
		enum, value, number := m[1], m[2], m[3]
		list, ok := names[enum]
		if !ok || strings.HasSuffix(value, "_COUNT") {
			continue
		}
		found[enum]++
		n := atoi(t, number)
		if n >= len(list) || list[n] == "" {
			t.Errorf("%s %s has no name", enum, value)
		}
	}
	for enum, list := range names {
		if found[enum] == 0 {
			t.Errorf("found no value of %s", enum)
		}
		seen := map[string]bool{}
		for n, name := range list {
			if name != "" && seen[name] {
				t.Errorf("%s %d: the name %s is given twice", enum, n, name)
			}
			seen[name] = true
		}
	}
}

// TestUnknownNumbersHaveAName: a kernel side of another build is no panic.
func TestUnknownNumbersHaveAName(t *testing.T) {
	for _, got := range []string{
		DropReason(200).String(), CopyFailure(200).String(), Verdict(200).String(), Table(200).String(), Kind(200).String(),
	} {
		if got != "unknown" {
			t.Errorf("got %q, want unknown", got)
		}
	}
}

func atoi(t *testing.T, s string) (n int) {
	t.Helper()
	for _, c := range s {
		n = 10*n + int(c-'0')
	}
	return n
}
