package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/pflag"
)

const scriptDir = "testdata/script"

// scriptPrefix is what may stand before a command.
var scriptPrefix = regexp.MustCompile(`^(\[!?root\] )?(! )?`)

// lastStatus is the key of the exit status of a script's last call.
type lastStatus struct{}

// TestScripts runs the command in processes of its own, as its users do. In a
// script, 'fanlight ARGS' must succeed, '! fanlight ARGS' must fail, and 'status N'
// says how.
func TestScripts(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: scriptDir,
		Setup: func(e *testscript.Env) error {
			e.Setenv(asAgent, "1")
			e.Values[lastStatus{}] = new(int)
			return nil
		},
		Condition: func(c string) (bool, error) {
			if c != "root" {
				return false, fmt.Errorf("there is no condition %q", c)
			}
			return os.Geteuid() == 0, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fanlight": func(ts *testscript.TestScript, neg bool, args []string) {
				code := 0
				var failed *exec.ExitError
				switch err := ts.Exec(self, args...); {
				case errors.As(err, &failed):
					code = failed.ExitCode()
				case err != nil:
					ts.Fatalf("%v", err)
				}
				*ts.Value(lastStatus{}).(*int) = code
				if neg != (code != 0) {
					ts.Fatalf("exit status %d", code)
				}
			},
			"status": func(ts *testscript.TestScript, _ bool, args []string) {
				if got := fmt.Sprint(*ts.Value(lastStatus{}).(*int)); len(args) != 1 || got != args[0] {
					ts.Fatalf("exit status %s, want %v", got, args)
				}
			},
		},
	})
}

// TestScriptsUseEverything: no verb and no flag without a script that uses it.
func TestScriptsUseEverything(t *testing.T) {
	used := map[string]bool{}
	for _, line := range scriptLines(t) {
		args := strings.Fields(scriptPrefix.ReplaceAllString(line, ""))
		if len(args) == 0 || args[0] != "fanlight" {
			continue
		}
		c, rest, err := newRoot(env{}).Find(args[1:])
		if err != nil {
			continue // a verb that there is not, to see what is said
		}
		used[c.CommandPath()] = true
		for _, a := range rest {
			name, _, _ := strings.Cut(strings.TrimLeft(a, "-"), "=")
			f := c.Flags().Lookup(name)
			if f == nil && len(name) == 1 {
				f = c.Flags().ShorthandLookup(name)
			}
			if f != nil && strings.HasPrefix(a, "-") {
				used[c.CommandPath()+" --"+f.Name] = true
			}
		}
	}
	for _, c := range allVerbs(newRoot(env{})) {
		if !used[c.CommandPath()] {
			t.Errorf("no script in %s calls '%s'", scriptDir, c.CommandPath())
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if !used[c.CommandPath()+" --"+f.Name] {
				t.Errorf("no script in %s calls '%s --%s'", scriptDir, c.CommandPath(), f.Name)
			}
		})
	}
}

func scriptLines(t *testing.T) (lines []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(scriptDir, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		script, _, _ := strings.Cut(string(raw), "\n-- ")
		for line := range strings.Lines(script) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}
