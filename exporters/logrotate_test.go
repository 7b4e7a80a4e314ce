package exporters

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// needTool returns a program's path. It skips the test where the program is
// missing, but not in CI.
func needTool(t *testing.T, name, pkg string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI needs %s, of Debian's package %s", name, pkg)
	}
	t.Skipf("%s, of Debian's package %s, is not here", name, pkg)
	return ""
}

// Debian's logrotate with the usual configuration, while lines are written.
func TestLogrotate(t *testing.T) {
	logrotate := needTool(t, "logrotate", "logrotate")
	for _, create := range []string{"create 0600", "nocreate"} {
		t.Run(create, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "events.jsonl")
			f := openRotating(t, path, RotateConfig{})
			hup := make(chan os.Signal, 1)
			signal.Notify(hup, syscall.SIGHUP)
			defer signal.Stop(hup)
			conf := filepath.Join(dir, "conf")
			writeFile(t, conf, path+` {
	rotate 100
	size 1
	compress
	delaycompress
	`+create+`
	postrotate
		kill -HUP `+strconv.Itoa(os.Getpid())+`
	endscript
}
`, 0o600)
			stop, stopped := make(chan bool), make(chan int)
			go func() {
				n := 0
				defer func() { stopped <- n }()
				policy := redacttest.Policy(t, redact.DefaultProfile)
				for ; ; n += 5 {
					select {
					case <-stop:
						return
					case <-hup:
						if err := f.Reopen(); err != nil {
							t.Error(err)
						}
					default:
					}
					if err := f.Export(t.Context(), policy.Apply(nil, redacttest.Busy(n, 5))); err != nil {
						t.Error(err)
					}
				}
			}()
			const rotations = 6
			for i := range rotations {
				waitFor(t, func() bool { info, err := os.Stat(path); return err == nil && info.Size() > 0 })
				out, err := exec.CommandContext(t.Context(), logrotate, "-f", "-s", filepath.Join(dir, "state"), conf).CombinedOutput()
				if err != nil || len(out) > 0 {
					t.Fatalf("logrotate: %v\n%s", err, out)
				}
				if i == 0 {
					continue
				}
				if _, err := os.Stat(path + ".2.gz"); err != nil {
					t.Error(err)
				}
			}
			close(stop)
			wantAll(t, path, <-stopped)
			if names, _ := filepath.Glob(path + "*"); len(names) < rotations {
				t.Errorf("files: got %v", names)
			}
		})
	}
}
