// Command guest runs in a bare Debian that has booted with systemd: it installs,
// upgrades and removes the package as an administrator would, while packets flow
// that no one may lose. It says in one last line what came of it, and powers off.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// step is one thing to be seen to hold.
type step struct {
	name string
	do   func(*machine) error
}

var steps = []step{
	{"the package installs, and starts nothing before ports are named", installs},
	{"the service starts with the capabilities that its unit names", starts},
	{"forwarding outlives kill -9", outlivesKill},
	{"forwarding outlives an upgrade", outlivesUpgrade},
	{"the watchdog restarts a stopped agent", outlivesStandstill},
	{"a reload and a rotation of the log", reloads},
	{"no packet was lost meanwhile", lostNothing},
	{"a removed package goes on forwarding, and one that comes back takes over", comesBack},
	{"after detach and purge nothing is left", leavesNothing},
}

func main() {
	passed, err := run()
	result := "ok"
	if err != nil {
		result = "failed: " + strings.ReplaceAll(err.Error(), "\n", "; ")
		diagnose()
	}
	fmt.Printf("\nguest: %d of %d steps passed, %s\n", passed, len(steps), result)
	// The last line must be out before the power is.
	os.Stdout.Sync()
	_ = exec.Command("systemctl", "poweroff", "--force", "--force").Run()
}

func run() (passed int, err error) {
	m, err := newMachine()
	if err != nil {
		return 0, err
	}
	for _, s := range steps {
		begin := time.Now()
		if err := s.do(m); err != nil {
			return passed, fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Printf("--- PASS: %s (%.1fs, missing %v)\n", s.name, time.Since(begin).Seconds(), m.missing())
		passed++
	}
	return passed, nil
}

// diagnose shows what an administrator would look at.
func diagnose() {
	for _, args := range [][]string{
		{"systemctl", "status", "--no-pager", "--full", service},
		{"journalctl", "--no-pager", "-n", "60"},
	} {
		out, _ := exec.Command(args[0], args[1:]...).CombinedOutput()
		fmt.Printf("\n$ %s\n%s", strings.Join(args, " "), out)
	}
}
