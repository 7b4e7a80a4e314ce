package dashboards

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const runbooks = "../docs/runbooks"

var shBlock = regexp.MustCompile("(?s)## First three commands\n\n```sh\n(.*?)```")

// runbook returns the page of an alert, and the commands that it begins with.
func runbook(t *testing.T, alert string) (text string, commands []string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(runbooks, alert+".md"))
	if err != nil {
		t.Fatal(err)
	}
	m := shBlock.FindStringSubmatch(string(raw))
	if m == nil {
		t.Fatalf("%s: no block of commands", alert)
	}
	return string(raw), strings.Split(strings.TrimSpace(m[1]), "\n")
}

func TestEachAlertHasARunbook(t *testing.T) {
	pages := map[string]bool{"README.md": true}
	index, err := os.ReadFile(runbooks + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alerts(t) {
		if row := fmt.Sprintf("| [%[1]s](%[1]s.md) | %[2]s |", a.Alert, a.Labels["severity"]); !strings.Contains(string(index), row) {
			t.Errorf("the index has no row that begins with %s", row)
		}
		pages[a.Alert+".md"] = true
		text, commands := runbook(t, a.Alert)
		for _, heading := range []string{"# " + a.Alert + "\n", "\n## First three commands\n", "\n## Likely causes\n", "\n## Remedy\n", "\n## Silence honestly\n"} {
			if strings.Count(text, heading) != 1 {
				t.Errorf("%s: heading %q is missing", a.Alert, strings.TrimSpace(heading))
			}
		}
		if len(commands) != 3 {
			t.Errorf("%s: %d commands, want 3", a.Alert, len(commands))
		}
		for _, c := range commands {
			checkCommand(t, a.Alert, c)
		}
	}
	found, err := filepath.Glob(runbooks + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		if !pages[filepath.Base(path)] {
			t.Errorf("%s is of no alert", path)
		}
	}
}

// debian are programs that Debian's packages bring.
var debian = []string{"curl", "grep", "tc", "ip", "tcpdump", "systemctl", "journalctl", "df"}

// checkCommand: a verb of fanlight exists with these flags, as its help says;
// anything else comes with Debian.
func checkCommand(t *testing.T, alert, command string) {
	t.Helper()
	for _, part := range strings.Split(command, " | ") {
		words := strings.Fields(part)
		if words[0] != "fanlight" {
			if !slices.Contains(debian, words[0]) {
				t.Errorf("%s: %s is no program that is known here", alert, words[0])
			}
			continue
		}
		verb := words[1]
		if verb == "groups" || verb == "subscribers" {
			verb += "-" + words[2]
		}
		help, err := os.ReadFile("../cmd/fanlight/testdata/help/fanlight-" + verb + ".golden")
		if err != nil {
			t.Errorf("%s: %s: there is no such verb: %v", alert, command, err)
			continue
		}
		for _, w := range words {
			if strings.HasPrefix(w, "--") && !strings.Contains(string(help), " "+w+" ") {
				t.Errorf("%s: %s: there is no flag %s", alert, command, w)
			}
		}
	}
}

// backticked are commands in the text.
var backticked = regexp.MustCompile("`(fanlight [a-z][^`]*)`")

func TestCommandsInTheTextExist(t *testing.T) {
	for _, a := range alerts(t) {
		text, _ := runbook(t, a.Alert)
		for _, m := range backticked.FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(m[1], "fanlight redact ") { // its help is that of its verbs
				checkCommand(t, a.Alert, m[1])
			}
		}
	}
}
