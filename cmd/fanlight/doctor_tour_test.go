package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestDoctorTour does what docs/doctor.md says, in a demo of its own: each time
// that it asks the doctor, that must name the cause.
func TestDoctorTour(t *testing.T) {
	demo := startDemo(t, "tour", "--rate", "200")
	defer func() { // no Cleanup: by then the test's context has killed the demo
		if err := demo.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		demo.end() // its books may not balance, after what was done to it
		if rest := left(t, demo.network); len(rest) > 0 {
			t.Errorf("the demo left %v", rest)
		}
	}()
	demo.await("^ask the agent:")
	causes := []string{"rp_filter", "link_down", "not_joined"}
	for _, line := range tourLines(t) {
		line = strings.ReplaceAll(line, "fl-demo", demo.network)
		args, asks := strings.CutPrefix(line, "fanlight ")
		if !asks {
			if out, err := exec.CommandContext(t.Context(), "sh", "-c", line).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", line, err, out)
			}
			continue
		}
		if len(causes) == 0 {
			t.Fatalf("%s: no cause is expected", line)
		}
		out, _, err := call(t.Context(), append(strings.Fields(args), "--for", "300ms")...)
		if want := "1. cause: "; err == nil || exitCode(err) != 1 || !strings.Contains(out, want) || !strings.Contains(out, "("+causes[0]+")") {
			t.Errorf("%s: lacks %q, %s: %v\n%s", line, want, causes[0], err, out)
		}
		causes = causes[1:]
	}
	if len(causes) > 0 {
		t.Errorf("the page does not lead to %v", causes)
	}
}

// tourLines are the commands of the page, without the one that starts the demo.
func tourLines(t *testing.T) (lines []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tour, _ := strings.Cut(string(page), "\n## A tour\n")
	tour, _, _ = strings.Cut(tour, "\n## ")
	for i, block := range strings.Split(tour, "```") {
		if i%2 == 0 {
			continue // prose
		}
		for line := range strings.Lines(block) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "fanlight demo") {
				lines = append(lines, line)
			}
		}
	}
	return lines
}
