package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTourHasAllScreens, and no others.
func TestTourHasAllScreens(t *testing.T) {
	raw, err := os.ReadFile("../../docs/tour.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range tour {
		if s.name != "" {
			names = append(names, s.name)
		}
	}
	var blocks []string
	for _, m := range regexp.MustCompile(`<!-- screenshot: (\S+) -->`).FindAllStringSubmatch(string(raw), -1) {
		blocks = append(blocks, m[1])
	}
	if !slices.Equal(names, blocks) {
		t.Errorf("the tour takes %v, the page shows %v", names, blocks)
	}
	for _, name := range names {
		if m := blockOf(name).FindString(string(raw)); len(strings.Split(m, "\n")) < 5 {
			t.Errorf("the screen of %s is empty: make screenshots", name)
		}
	}
}

func TestReplaceBlock(t *testing.T) {
	page := "before\n<!-- screenshot: a -->\n```text\nold\n```\nafter\n"
	got, err := replaceBlock(page, "a", "# x \n  y\n\n# \n\n")
	if want := "before\n<!-- screenshot: a -->\n```text\n# x\n  y\n```\nafter\n"; err != nil || got != want {
		t.Errorf("%v, %q, want %q", err, got, want)
	}
	if _, err := replaceBlock(page, "b", ""); err == nil {
		t.Error("no error without a block")
	}
}
