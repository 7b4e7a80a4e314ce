package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/fanlight-io/fanlight/lab"
)

// The service is moved to the ports' namespace as its documentation says, and
// starves in seconds.
const dropIn = `[Service]
NetworkNamespacePath=/run/netns/pkg-switch
WatchdogSec=5s
LoadCredential=pseudonyms:/etc/fanlight/pseudonyms.key
`

const configuration = `domains:
  - name: lab
    ports: ["p-*"]
metrics: {listen: 127.0.0.1:9464}
events: [{type: file, path: /var/log/fanlight/events.jsonl}]
redact: {key_credential: pseudonyms}
`

func installs(*machine) error {
	out, err := sh("dpkg", "-i", oldPackage)
	if err != nil {
		return err
	}
	if !strings.Contains(out, "name the ports in "+configPath) {
		return fmt.Errorf("dpkg does not say what to do: %s", out)
	}
	enabled, _ := sh("systemctl", "is-enabled", service)
	if enabled != "enabled" {
		return fmt.Errorf("the service is %s", enabled)
	}
	if out, err := sh(binary, "run", "--config", configPath); err == nil || !strings.Contains(out, "name one with its ports") {
		return fmt.Errorf("the agent does not say what to do: %s, %v", out, err)
	}
	return errors.Join(expect("ActiveState", "inactive"), expect("Result", "exec-condition"), expect("MainPID", "0"))
}

func starts(m *machine) error {
	dir := "/etc/systemd/system/" + service + ".d"
	if err := errors.Join(os.MkdirAll(dir, 0o755), writeFile(dir+"/test.conf", dropIn), os.WriteFile(configPath, []byte(configuration), 0o640)); err != nil {
		return err
	}
	if _, err := sh(binary, "redact", "genkey", "/etc/fanlight/pseudonyms.key"); err != nil {
		return err
	}
	if _, err := sh("systemctl", "daemon-reload"); err != nil {
		return err
	}
	if _, err := sh("systemctl", "start", service); err != nil {
		return err
	}
	if err := errors.Join(expect("ActiveState", "active"), expect("NRestarts", "0"), m.probe("/readyz"), m.probe("/livez")); err != nil {
		return err
	}
	pid, err := mainPID()
	if err != nil {
		return err
	}
	return errors.Join(checkPrivileges(pid), checkSight(pid), m.beginFlow())
}

// beginFlow joins, and sends from now on.
func (m *machine) beginFlow() error {
	for _, host := range []string{"sub1", "sub2"} {
		r, err := m.net.Host(host).Listen(lab.ListenConfig{Group: group, Port: 5000})
		if err != nil {
			return err
		}
		m.subs = append(m.subs, r)
	}
	err := poll("two members", func() error {
		out, err := sh(binary, "subscribers", "list", "-o", "json")
		if err == nil && (!strings.Contains(out, "p-sub1") || !strings.Contains(out, "p-sub2")) {
			err = fmt.Errorf("subscribers are %s", out)
		}
		return err
	})
	if err != nil {
		return err
	}
	m.stream, err = m.net.Host("pub").Stream(lab.SendConfig{Group: group, Port: 5000, Rate: 100})
	return errors.Join(err, m.flows(100))
}

func outlivesKill(m *machine) error {
	pid, err := mainPID()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	return errors.Join(m.awaitSuccessor(pid), expect("NRestarts", "1"), m.flows(100))
}

func outlivesUpgrade(m *machine) error {
	pid, err := mainPID()
	if err != nil {
		return err
	}
	if _, err := sh("dpkg", "-i", newPackage); err != nil {
		return err
	}
	if err := m.awaitSuccessor(pid); err != nil {
		return err
	}
	status, err := sh(binary, "status")
	if err != nil || !strings.Contains(status, "fanlight 1.0.1 forwards") {
		return fmt.Errorf("status after the upgrade: %s, %v", status, err)
	}
	raw, err := os.ReadFile(configPath)
	if err != nil || string(raw) != configuration {
		return fmt.Errorf("the configuration is %q, %v", raw, err)
	}
	return m.flows(100)
}

func outlivesStandstill(m *machine) error {
	pid, err := mainPID()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	if err := m.awaitSuccessor(pid); err != nil {
		return err
	}
	log, err := sh("journalctl", "--no-pager", "--unit="+service, "--grep=atchdog")
	if err != nil || !strings.Contains(log, "Watchdog timeout") {
		return fmt.Errorf("the journal does not tell of the watchdog: %s, %v", log, err)
	}
	return m.flows(100)
}

func reloads(m *machine) error {
	pid, err := mainPID()
	if err != nil {
		return err
	}
	if _, err := sh("logrotate", "--force", "/etc/logrotate.d/fanlight"); err != nil {
		return err
	}
	err = poll("the file of events is opened again", func() error {
		info, err := os.Stat(eventsPath)
		if err == nil && info.Mode().Perm() != 0o600 {
			err = fmt.Errorf("mode %v", info.Mode())
		}
		return err
	})
	if err != nil {
		return err
	}
	if _, err := os.Stat(eventsPath + ".1"); err != nil {
		return err
	}
	log, err := sh("journalctl", "--no-pager", "--unit="+service, fmt.Sprintf("_PID=%d", pid))
	if err != nil || !strings.Contains(log, "configuration reloaded") || strings.Contains(log, "level=ERROR") {
		return fmt.Errorf("the journal does not tell of the reload: %s, %v", log, err)
	}
	return errors.Join(expect("ActiveState", "active"), expect("MainPID", fmt.Sprint(pid)))
}

func lostNothing(m *machine) error {
	sent, err := m.stream.Stop()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := m.net.WaitQuiet(ctx, time.Second); err != nil {
		return err
	}
	for i, r := range m.subs {
		got := r.Report().Total()
		got.Reordered = 0 // between the CPUs of the sender
		want := lab.StreamReport{Received: sent, Distinct: sent, First: got.First, Last: got.Last}
		if got != want {
			return fmt.Errorf("subscriber %d: sent %d, got %+v; its socket dropped %d; %s", i+1, sent, got, r.Report().Dropped, m.whyLost())
		}
	}
	fmt.Printf("    %d datagrams sent, as many at each of %d subscribers\n", sent, len(m.subs))
	return nil
}

// whyLost is what the agent says became of the packets.
func (m *machine) whyLost() string {
	page, err := m.get("/metrics")
	if err != nil {
		return err.Error()
	}
	var lines []string
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "#") && (strings.Contains(line, "reason=") || strings.HasPrefix(line, "fanlight_packets") || strings.HasPrefix(line, "fanlight_hook")) && !strings.HasSuffix(line, " 0\n") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return strings.Join(lines, ", ")
}

func comesBack(m *machine) error {
	out, err := sh("dpkg", "-r", "fanlight")
	if err != nil {
		return err
	}
	if !strings.Contains(out, "goes on forwarding") {
		return fmt.Errorf("dpkg -r does not say that forwarding goes on: %s", out)
	}
	if err := m.send(100); err != nil {
		return fmt.Errorf("with the package removed: %w", err)
	}
	for _, path := range []string{configPath, eventsPath, "/sys/fs/bpf/fanlight/maps"} {
		if _, err := os.Stat(path); err != nil {
			return err
		}
	}
	if _, err := sh("dpkg", "-i", newPackage); err != nil {
		return err
	}
	return errors.Join(m.awaitSuccessor(0), m.send(100))
}

// send sends a few datagrams, each of which must arrive at each subscriber.
func (m *machine) send(n uint64) error {
	had := []uint64{}
	for _, r := range m.subs {
		had = append(had, r.Received())
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := m.net.Host("pub").Send(ctx, lab.SendConfig{Group: group, Port: 5000, Count: n, Rate: 300}); err != nil {
		return err
	}
	for i, r := range m.subs {
		if err := r.Wait(ctx, had[i]+n); err != nil {
			return fmt.Errorf("subscriber %d got %d of %d: %w", i+1, r.Received()-had[i], n, err)
		}
	}
	return nil
}

func leavesNothing(m *machine) error {
	if _, err := sh("systemctl", "stop", service); err != nil {
		return err
	}
	if out, err := m.inSwitch(binary, "detach", "--config", configPath); err != nil || !strings.HasPrefix(out, "detached: ") {
		return fmt.Errorf("detach: %s, %v", out, err)
	}
	if err := os.RemoveAll("/etc/systemd/system/" + service + ".d"); err != nil { // the test's own
		return err
	}
	if out, err := sh("dpkg", "--purge", "fanlight"); err != nil || strings.Contains(out, "warning") {
		return fmt.Errorf("purge: %s, %v", out, err)
	}
	if filters, err := m.inSwitch("tc", "filter", "show", "dev", "p-pub", "ingress"); err != nil || filters != "" {
		return fmt.Errorf("filters are left: %s, %v", filters, err)
	}
	after, err := listFiles()
	if err != nil {
		return err
	}
	var left []string
	for path := range after {
		if !m.before[path] {
			left = append(left, path)
		}
	}
	pins, err := filepath.Glob("/sys/fs/bpf/fanlight*")
	if left = append(left, pins...); err != nil || len(left) > 0 {
		return fmt.Errorf("left behind: %v, %v", left, err)
	}
	return nil
}
