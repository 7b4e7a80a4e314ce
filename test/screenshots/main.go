// Command screenshots runs the tour of docs/tour.md in a terminal, and puts what
// the screen shows into the page. It needs root, tmux, and bin/fanlight.
//
// A block of the page that begins with
//
//	<!-- screenshot: NAME -->
//
// and goes on with a fenced text gets the screen of the step of that name.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// step is something that the visitor does, and what the screen shows then.
type step struct {
	name   string // of the block; empty: nothing to show
	window string // of the terminal
	keys   []string
	await  string // what the screen shows when it is done
}

const (
	demoWindow = "demo"
	lookWindow = "look"
	enter      = "Enter"
	rows       = 24
	columns    = 100
)

// The tour. A step that leaves a program on the screen is followed by one that
// ends it.
var tour = []step{
	{"demo", demoWindow, []string{"bin/fanlight demo", enter}, `(?s)9\d\d|10\d\d .*ask the agent:`},
	{"", lookWindow, []string{"export FANLIGHT_SOCKET=/run/fanlight/fl-demo.sock", enter}, `FANLIGHT`},
	{"groups", lookWindow, []string{"bin/fanlight groups list", enter}, `ff15::1:1 .*`},
	{"subscribers", lookWindow, []string{"bin/fanlight subscribers list --group 239.1.1.1", enter}, `p-igmpv3`},
	{"top", lookWindow, []string{"bin/fanlight top --interval 1s", enter}, `239\.1\.1\.1 .*[▁-█]{8}`},
	{"", lookWindow, []string{"q"}, `# ?$`},
	{"break", lookWindow, []string{"ip -n fl-demo-igmpv2 link set eth0 down", enter}, `# ?$`},
	{"drops", lookWindow, []string{"bin/fanlight top --view drops --interval 1s", enter}, `port_down +\d{3,} .*[▁-█]{5}`},
	{"group", lookWindow, []string{enter}, `(?s)192\.0\.2\.1 +\d{3,} .*What helps:`},
	{"", lookWindow, []string{"q"}, `# ?$`},
	{"explain", lookWindow, []string{"bin/fanlight explain port_down", enter}, `What helps`},
	{"", lookWindow, []string{"ip -n fl-demo-igmpv2 link set eth0 up", enter}, `# ?$`},
	{"books", demoWindow, []string{"C-c"}, `(?s)Summary after.*events: .*# ?$`},
}

// patience is how long a step may take.
const patience = 30 * time.Second

func main() {
	page := flag.String("page", "docs/tour.md", "the `file` to write into")
	flag.Parse()
	if err := run(*page); err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func run(path string) (err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "fanlight-screenshots-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	term := terminal{filepath.Join(dir, "tmux")}
	defer func() { err = errors.Join(err, term.end()) }()
	if err := term.begin(); err != nil {
		return err
	}
	text := string(raw)
	for _, s := range tour {
		screen, err := term.play(s)
		if err != nil {
			return err
		}
		if text, err = replaceBlock(text, s.name, screen); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// blockOf matches the block of a step.
func blockOf(name string) *regexp.Regexp {
	return regexp.MustCompile("(?s)(<!-- screenshot: " + regexp.QuoteMeta(name) + " -->\n```text\n).*?(```\n)")
}

// replaceBlock puts a screen into its block, and leaves out what the screen has
// blank.
func replaceBlock(page, name, screen string) (string, error) {
	if name == "" {
		return page, nil
	}
	at := blockOf(name).FindStringSubmatchIndex(page)
	if at == nil {
		return "", fmt.Errorf("there is no block for screenshot %q", name)
	}
	var lines []string
	for line := range strings.Lines(screen) {
		line = strings.TrimRight(line, " \n")
		if blank := line == "" && len(lines) > 0 && lines[len(lines)-1] == ""; !blank {
			lines = append(lines, line)
		}
	}
	text := strings.TrimRight(strings.Join(lines, "\n"), "\n#")
	return page[:at[3]] + text + "\n" + page[at[4]:], nil
}

// terminal is a tmux of its own, by its socket.
type terminal struct{ socket string }

func (t terminal) tmux(args ...string) (string, error) {
	out, err := exec.Command("tmux", append([]string{"-S", t.socket, "-f", "/dev/null", "-u"}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("tmux %s: %w: %s", args[0], err, out)
	}
	return string(out), nil
}

// begin opens the windows, each with a shell of root's.
func (t terminal) begin() error {
	for i, window := range []string{demoWindow, lookWindow} {
		args := []string{"new-window", "-d", "-n", window}
		if i == 0 {
			args = []string{"new-session", "-d", "-n", window, "-x", strconv.Itoa(columns), "-y", strconv.Itoa(rows)}
		}
		if _, err := t.tmux(append(args, "env PS1='# ' LANG=C.UTF-8 sh")...); err != nil {
			return err
		}
	}
	return nil
}

// end stops the demo, which removes what it made, and the terminal.
func (t terminal) end() error {
	_, stop := t.tmux("send-keys", "-t", demoWindow, "C-c", enter)
	if stop == nil {
		_, stop = t.await(demoWindow, `# ?$`)
	}
	_, kill := t.tmux("kill-server")
	return errors.Join(stop, kill)
}

func (t terminal) play(s step) (screen string, err error) {
	if len(s.keys) > 1 { // a command: what was there before is of no interest
		if _, err := t.tmux("send-keys", "-t", s.window, "clear", enter); err != nil {
			return "", err
		}
		if _, err := t.await(s.window, `^# ?$`); err != nil {
			return "", err
		}
	}
	if _, err := t.tmux(append([]string{"send-keys", "-t", s.window}, s.keys...)...); err != nil {
		return "", err
	}
	return t.await(s.window, s.await)
}

// await looks at the screen until it matches.
func (t terminal) await(window, pattern string) (screen string, err error) {
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		screen, err := t.tmux("capture-pane", "-p", "-t", window)
		if err != nil {
			return "", err
		}
		if re.MatchString(strings.TrimRight(screen, "\n")) {
			return screen, nil
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("the screen does not match %s:\n%s", pattern, screen)
		}
	}
}
