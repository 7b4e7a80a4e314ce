package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

const manDir = "../../docs/man"

// allVerbs returns the command and everything below it, helpers of the shell
// left out.
func allVerbs(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			all = append(all, allVerbs(sub)...)
		}
	}
	return all
}

// TestManPagesAreFresh: the pages in docs/man are those of the verbs.
func TestManPagesAreFresh(t *testing.T) {
	root := newRoot(env{})
	pages := map[string]bool{}
	for _, c := range allVerbs(root) {
		c.Long, c.DisableAutoGenTag = manText(c.Long), true
	}
	for _, c := range allVerbs(root) {
		var page bytes.Buffer
		header := &doc.GenManHeader{Section: "1", Source: "fanlight", Manual: "fanlight", Date: new(time.Time)}
		if err := doc.GenMan(c, header, &page); err != nil {
			t.Fatal(err)
		}
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
		pages[name] = true
		golden(t, filepath.Join(manDir, name), strings.Replace(page.String(), `"Jan 0001"`, `""`, 1)) // a page is as old as its release
	}
	found, err := os.ReadDir(manDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if !pages[f.Name()] {
			t.Errorf("%s is of no verb: remove it", filepath.Join(manDir, f.Name()))
		}
	}
}

// manText makes Markdown of a help text: what is set in stays as it is, and exit
// statuses and variables get sections of their own.
func manText(help string) string {
	var sections, rest []string
	for paragraph := range strings.SplitSeq(help, "\n\n") {
		switch {
		case strings.HasPrefix(paragraph, "Exit status of every verb:"):
			rest = append(rest, "# EXIT STATUS")
		case strings.HasPrefix(paragraph, "Environment:"):
			rest = append(rest, "# ENVIRONMENT")
		case strings.HasPrefix(paragraph, "Exit status"):
			rest = append(rest, "# EXIT STATUS", escapeMarkdown(paragraph))
		case strings.HasPrefix(paragraph, "  ") && len(rest) > 0:
			rest = append(rest, "  "+strings.ReplaceAll(paragraph, "\n", "\n  "))
		case strings.HasPrefix(paragraph, "  "):
			sections = append(sections, "  "+strings.ReplaceAll(paragraph, "\n", "\n  "))
		default:
			sections = append(sections, escapeMarkdown(paragraph))
		}
	}
	return strings.Join(append(sections, rest...), "\n\n")
}

func escapeMarkdown(s string) string {
	return strings.NewReplacer(`*`, `\*`, `<`, `\<`, `_`, `\_`, "`", "\\`").Replace(s)
}

// TestEveryVerbSaysHowItIsUsed, in the same words as the others.
func TestEveryVerbSaysHowItIsUsed(t *testing.T) {
	for _, c := range allVerbs(newRoot(env{})) {
		path := c.CommandPath()
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: Short is %q: want a phrase without a full stop", path, c.Short)
		}
		if !c.HasSubCommands() && len(c.Long) < 80 {
			t.Errorf("%s: Long is %q: want what it does, in sentences", path, c.Long)
		}
		for line := range strings.Lines(c.Long) {
			if len([]rune(strings.TrimSuffix(line, "\n"))) > 90 {
				t.Errorf("%s: a line of Long is longer than 90: %q", path, line)
			}
		}
		if !strings.HasPrefix(c.Example, "  "+path) && c.HasParent() {
			t.Errorf("%s: Example begins with %.40q, not with the verb", path, c.Example)
		}
		if c.HasParent() && c.Parent() == c.Root() && c.GroupID == "" {
			t.Errorf("%s is in no group of the help: see newRoot", path)
		}
		if strings.Contains(strings.ToLower(c.Long), "exit status") && !strings.Contains(c.Long, "\n\nExit status") {
			t.Errorf("%s: exit statuses want a paragraph of their own that begins with 'Exit status'", path)
		}
	}
}

// TestExamplesRun as far as the command line goes: every verb and flag in an
// example is one that there is.
func TestExamplesRun(t *testing.T) {
	for _, c := range allVerbs(newRoot(env{})) {
		for line := range strings.Lines(c.Example) {
			if err := parseCommandLine(line); err != nil {
				t.Errorf("%s: %q: %v", c.CommandPath(), line, err)
			}
		}
	}
}

// parseCommandLine parses the first command of a shell's line if it is ours.
func parseCommandLine(line string) error {
	args := strings.Fields(line)
	if len(args) == 0 || args[0] != "fanlight" && args[0] != "bin/fanlight" {
		return nil
	}
	args = args[1:]
	for i, a := range args {
		if strings.ContainsAny(a, "|&>;#") {
			args = args[:i]
			break
		}
	}
	c, rest, err := newRoot(env{}).Find(args)
	if err != nil {
		return err
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	return c.ValidateArgs(c.Flags().Args())
}
