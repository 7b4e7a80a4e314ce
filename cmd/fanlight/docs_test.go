package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/redact"
)

var (
	yamlBlock  = regexp.MustCompile("(?s)```yaml\n(.*?)```")
	metricName = regexp.MustCompile("fanlight_[a-z0-9_]+")
)

// pages are what users read.
func pages(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, path := range append(paths, "../../README.md") {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(path)] = string(raw)
	}
	return texts
}

// TestExamplesInTheDocs: every piece of configuration is one that the agent
// takes.
func TestExamplesInTheDocs(t *testing.T) {
	found := 0
	for page, text := range pages(t) {
		for _, m := range yamlBlock.FindAllStringSubmatch(text, -1) {
			found++
			example := m[1]
			if !strings.Contains(example, "domains:") {
				example = "domains: [{name: lab, ports: [p0]}]\n" + example
			}
			if _, err := parseConfig(strings.NewReader(example)); err != nil {
				t.Errorf("%s: %v in\n%s", page, err, example)
			}
		}
	}
	if found < 3 {
		t.Errorf("%d examples found: this test is blind", found)
	}
}

// TestMetricsInTheDocsExist: no page names a metric that there is not.
func TestMetricsInTheDocsExist(t *testing.T) {
	for page, text := range pages(t) {
		for _, name := range metricName.FindAllString(text, -1) {
			if _, ok := redact.FamilyNamed(name); !ok {
				t.Errorf("%s names %s, which does not exist", page, name)
			}
		}
	}
}
