// Package packages_test looks at the service, and at what is installed and
// packaged. What must boot to be seen is in run.sh.
package packages_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// command runs a command in the root of the checkout.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// TestTheUnitIsValidAndHardened asks systemd itself. The exposure is 2.5 at most,
// on a scale to 10.
func TestTheUnitIsValidAndHardened(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(root, "deploy/systemd/fanlight.service"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "fanlight.service")
	text := strings.ReplaceAll(string(raw), "/usr/bin/fanlight", "/bin/true") // not installed here
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out := command(t, "systemd-analyze", "verify", "--man=no", path); strings.TrimSpace(out) != "" {
		t.Errorf("systemd-analyze verify: %s", out)
	}
	t.Log(lastLine(command(t, "systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold=25", path)))
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// TestUninstallRemovesWhatInstallMade, but the configuration.
func TestUninstallRemovesWhatInstallMade(t *testing.T) {
	dir := t.TempDir()
	command(t, "make", "--no-print-directory", "install", "DESTDIR="+dir)
	installed := files(t, dir)
	for _, want := range []string{
		"/usr/local/bin/fanlight", "/usr/local/lib/systemd/system/fanlight.service", "/usr/local/lib/sysusers.d/fanlight.conf",
		"/usr/local/lib/tmpfiles.d/fanlight.conf", "/etc/fanlight/fanlight.yaml", "/etc/logrotate.d/fanlight",
		"/usr/local/share/bash-completion/completions/fanlight",
	} {
		if !slices.Contains(installed, want) {
			t.Errorf("%s is not installed", want)
		}
	}
	unit, err := os.ReadFile(filepath.Join(dir, "usr/local/lib/systemd/system/fanlight.service"))
	if err != nil || !strings.Contains(string(unit), "\nExecStart=/usr/local/bin/fanlight run --config /etc/fanlight/fanlight.yaml\n") {
		t.Errorf("the unit starts something else: %v\n%s", err, unit)
	}
	own := filepath.Join(dir, "etc/fanlight/fanlight.yaml")
	if err := os.WriteFile(own, []byte("domains: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, "make", "--no-print-directory", "install", "DESTDIR="+dir)
	if raw, err := os.ReadFile(own); err != nil || string(raw) != "domains: []\n" {
		t.Errorf("the configuration was overwritten: %q, %v", raw, err)
	}
	command(t, "make", "--no-print-directory", "uninstall", "DESTDIR="+dir)
	if left := files(t, dir); !slices.Equal(left, []string{"/etc/fanlight/fanlight.yaml"}) {
		t.Errorf("left behind: %v", left)
	}
}

func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, strings.TrimPrefix(path, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestPackages: deb and rpm hold the same files, and those that an administrator
// edits survive an upgrade.
func TestPackages(t *testing.T) {
	command(t, "make", "--no-print-directory", "package", "VERSION=v1.2.3-4-gabcdef0")
	deb, rpm := "dist/fanlight_1.2.3+4.gabcdef0_amd64.deb", "dist/fanlight-1.2.3+4.gabcdef0-1.x86_64.rpm"
	t.Cleanup(func() { os.Remove(filepath.Join(root, deb)); os.Remove(filepath.Join(root, rpm)) })

	inDeb := map[string]bool{}
	for line := range strings.Lines(command(t, "dpkg-deb", "--contents", deb)) {
		fields := strings.Fields(line) // mode, owner, size, day, time, path
		if fields[1] != "root/root" {
			t.Errorf("%s belongs to %s", fields[5], fields[1])
		}
		if !strings.HasSuffix(fields[5], "/") {
			inDeb[strings.TrimPrefix(fields[5], ".")] = true
		}
	}
	delete(inDeb, "/usr/share/zsh/vendor-completions/_fanlight") // where zsh of Debian looks
	for path := range strings.Lines(command(t, "rpm", "-qpl", rpm)) {
		path = strings.TrimSpace(path)
		if !inDeb[path] && path != "/usr/share/doc/fanlight" {
			t.Errorf("%s is in the rpm only", path)
		}
		delete(inDeb, path)
	}
	if len(inDeb) > 0 {
		t.Errorf("in the deb only: %v", inDeb)
	}
	const conffiles = "/etc/fanlight/fanlight.yaml\n/etc/logrotate.d/fanlight\n"
	if got := command(t, "dpkg-deb", "--info", deb, "conffiles"); got != conffiles {
		t.Errorf("conffiles of the deb: %q", got)
	}
	if got := command(t, "rpm", "-qp", "--configfiles", rpm); got != conffiles {
		t.Errorf("config files of the rpm: %q", got)
	}
	for script := range strings.SplitSeq("deb/postinst deb/prerm deb/postrm rpm/post rpm/preun rpm/postun", " ") {
		command(t, "sh", "-n", "deploy/packages/"+script)
	}
}
