package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/tabwriter"

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

var codeBlock = regexp.MustCompile("(?sm)^```[a-z]*\n(.*?)^```")

// TestCommandsInTheDocs: each is one that there is, with flags that there are.
func TestCommandsInTheDocs(t *testing.T) {
	found := 0
	for page, text := range pages(t) {
		for _, m := range codeBlock.FindAllStringSubmatch(text, -1) {
			for line := range strings.Lines(m[1]) {
				line = strings.TrimPrefix(line, "# ") // root's prompt
				if !commandLine.MatchString(line) {
					continue
				}
				found++
				if err := parseCommandLine(line); err != nil {
					t.Errorf("%s: %q: %v", page, line, err)
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("%d commands found: this test is blind", found)
	}
}

// commandLine tells a command from a line of output that begins with our name.
var commandLine = regexp.MustCompile(`^(bin/fanlight|fanlight (run|demo|check|probe|redact|status|groups|subscribers|explain|detach|completion)( |$))`)

// TestScreensInTheTourAreCurrent: they have the columns that verbs have today.
func TestScreensInTheTourAreCurrent(t *testing.T) {
	tour := strings.Join(strings.Fields(pages(t)["tour.md"]), " ")
	heads := map[string]func(*tabwriter.Writer) error{
		"groups list":      func(w *tabwriter.Writer) error { return groupTable(w, []byte("[]")) },
		"subscribers list": func(w *tabwriter.Writer) error { return subscriberTable(w, []byte("[]")) },
	}
	for verb, write := range heads {
		var head strings.Builder
		w := tabwriter.NewWriter(&head, 0, 0, 2, ' ', 0)
		if err := errors.Join(write(w), w.Flush()); err != nil {
			t.Fatal(err)
		}
		if want := strings.Join(strings.Fields(head.String()), " "); !strings.Contains(tour, want) {
			t.Errorf("docs/tour.md shows no columns %s of %s: make screenshots", want, verb)
		}
	}
	for v, columns := range columnsOf {
		for _, c := range columns {
			if !strings.Contains(tour, c.title) {
				t.Errorf("docs/tour.md shows no column %s of top's %s: make screenshots", c.title, topViews[v])
			}
		}
	}
}
