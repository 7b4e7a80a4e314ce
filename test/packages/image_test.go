package packages_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

// buildImage builds the image by its container file, and returns the directory
// of its files and how to ask for its configuration.
func buildImage(t *testing.T) (dir string, inspect func(format string) string) {
	t.Helper()
	storage := t.TempDir()
	buildah := func(args ...string) string {
		return strings.TrimSpace(command(t, "buildah", append([]string{"--root", storage + "/root", "--runroot", storage + "/run", "--storage-driver", "vfs"}, args...)...))
	}
	command(t, "make", "--no-print-directory", "image-root", "VERSION=v1.2.3")
	buildah("build", "--isolation", "chroot", "-f", "deploy/Containerfile", "-t", "fanlight:test", ".cache/image")
	id := buildah("from", "fanlight:test")
	t.Cleanup(func() { buildah("rm", id) })
	dir = buildah("mount", id)
	t.Cleanup(func() { buildah("umount", id) })
	return dir, func(format string) string {
		return buildah("inspect", "--type", "image", "--format", format, "fanlight:test")
	}
}

// TestImageForwards runs what is in the image as a container runtime does: its
// files alone, read-only, the mounts of docs/install.md, and root without rights
// but the four.
func TestImageForwards(t *testing.T) {
	bpftest.Require(t)
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	dir, inspect := buildImage(t)
	if got, want := inspect("{{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}} {{.OCIv1.Config.Cmd}} {{.OCIv1.Config.StopSignal}}"),
		"0:0 [/usr/bin/fanlight] [run --config /etc/fanlight/fanlight.yaml] SIGTERM"; got != want {
		t.Errorf("the image runs %q, want %q", got, want)
	}
	if found := files(t, dir); len(found) > 4 {
		t.Errorf("more than the agent and the authorities: %v", found)
	}

	pins := "/sys/fs/bpf/" + n.Name()
	t.Cleanup(func() {
		if err := collector.Detach(collector.Config{BPFFS: pins, Netns: n.Switch().Name()}); err != nil {
			t.Error(err)
		}
	})
	etc := t.TempDir()
	cfg := fmt.Sprintf("domains: [{name: lab, ports: [\"p-*\"]}]\nmetrics: {listen: 127.0.0.1:9464}\nbpffs: %s\n", pins)
	if err := os.WriteFile(filepath.Join(etc, "fanlight.yaml"), []byte(cfg), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/bin/fanlight", "run", "--config", "/etc/fanlight/fanlight.yaml")
	var log strings.Builder
	cmd.Stderr = &log
	if err := (container{root: dir, etc: etc, netns: n.Switch().Path()}).start(cmd); err != nil {
		t.Fatal(err)
	}
	ended := false
	end := func() {
		if ended {
			return
		}
		ended = true
		if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, log.String())
		}
	}
	t.Cleanup(end)
	awaitReady(t, n.Switch())
	checkCapabilities(t, cmd.Process.Pid)

	group := netip.MustParseAddr("239.1.1.1")
	r, err := n.Host("sub").Listen(lab.ListenConfig{Group: group, Port: 5000})
	if err != nil {
		t.Fatal(err)
	}
	s, err := n.Host("pub").Stream(lab.SendConfig{Group: group, Port: 5000, Rate: 1000})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := r.Wait(ctx, 100); err != nil {
		t.Error(err)
	}
	if _, err := s.Stop(); err != nil {
		t.Error(err)
	}
	end()
}

func awaitReady(t *testing.T, in *lab.Namespace) {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(_ context.Context, network, addr string) (c net.Conn, err error) {
			err = in.Do(func() error {
				c, err = net.Dial(network, addr)
				return err
			})
			return c, err
		},
	}}
	deadline := time.Now().Add(30 * time.Second)
	for {
		r, err := client.Get("http://127.0.0.1:9464/readyz")
		if err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("not ready after 30 s: %v, %v", r, err)
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}
}

// checkCapabilities wants the rights of an agent that forwards, within those of
// its container.
func checkCapabilities(t *testing.T, pid int) {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	const held = 1<<unix.CAP_BPF | 1<<unix.CAP_NET_ADMIN
	for key, set := range map[string]uint64{"CapEff": held, "CapPrm": held, "CapBnd": given(), "CapAmb": 0} {
		if line := fmt.Sprintf("%s:\t%016x\n", key, set); !strings.Contains(string(raw), line) {
			t.Errorf("want %q in\n%s", line, raw)
		}
	}
}
