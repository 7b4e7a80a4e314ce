package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/fanlight-io/fanlight/lab"
)

const (
	service    = "fanlight.service"
	configPath = "/etc/fanlight/fanlight.yaml"
	eventsPath = "/var/log/fanlight/events.jsonl"
	binary     = "/usr/bin/fanlight"
	oldPackage = "/opt/fanlight_1.0.0_amd64.deb"
	newPackage = "/opt/fanlight_1.0.1_amd64.deb"
)

var group = netip.MustParseAddr("239.1.1.1")

// machine is this guest with a network of hosts, and what flows there.
type machine struct {
	before map[string]bool // files before the package came
	net    *lab.Net
	subs   []*lab.Receiver
	stream *lab.Stream
}

func newMachine() (*machine, error) {
	files, err := listFiles()
	if err != nil {
		return nil, err
	}
	// An emulated processor stands still for seconds, and the sender catches up in
	// one burst: without room for that the kernel drops, as the agent then counts.
	if err := os.WriteFile("/proc/sys/net/core/netdev_max_backlog", []byte("100000"), 0o644); err != nil {
		return nil, err
	}
	n, err := lab.New(context.Background(), lab.Config{Name: "pkg", Hosts: []lab.HostConfig{{Name: "pub"}, {Name: "sub1"}, {Name: "sub2"}}})
	if err != nil {
		return nil, err
	}
	return &machine{before: files, net: n}, nil
}

// sh runs a command, and returns what it wrote.
func sh(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return strings.TrimSpace(string(out)), err
}

// inSwitch runs a command in the namespace of the ports.
func (m *machine) inSwitch(name string, args ...string) (out string, err error) {
	err = m.net.Switch().Do(func() error {
		out, err = sh(name, args...)
		return err
	})
	return out, err
}

// property of the service, as systemctl show prints it.
func property(name string) (string, error) {
	return sh("systemctl", "show", "--value", "--property="+name, service)
}

func expect(name, want string) error {
	got, err := property(name)
	if err == nil && got != want {
		err = fmt.Errorf("%s is %q, want %q", name, got, want)
	}
	return err
}

func mainPID() (int, error) {
	text, err := property("MainPID")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// poll waits until fn returns nil, or for two minutes; the emulated processor is
// slow.
func poll(what string, fn func() error) error {
	deadline := time.Now().Add(2 * time.Minute)
	for {
		err := fn()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after two minutes still not: %s: %w", what, err)
		}
		time.Sleep(100 * time.Millisecond) // between two looks
	}
}

// awaitSuccessor waits until another process than pid forwards.
func (m *machine) awaitSuccessor(pid int) error {
	return poll("another process forwards", func() error {
		now, err := mainPID()
		if err != nil {
			return err
		}
		if now == pid || now == 0 {
			return fmt.Errorf("main process is %d", now)
		}
		if err := expect("ActiveState", "active"); err != nil {
			return err
		}
		return m.probe("/readyz")
	})
}

// probe asks a page that answers "ok".
func (m *machine) probe(path string) error {
	body, err := m.get(path)
	if err == nil && body != "ok\n" {
		err = fmt.Errorf("%s: %s", path, body)
	}
	return err
}

// get asks a page of the agent, in its namespace.
func (m *machine) get(path string) (string, error) {
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(_ context.Context, network, addr string) (c net.Conn, err error) {
			err = m.net.Switch().Do(func() error {
				c, err = net.DialTimeout(network, addr, 5*time.Second)
				return err
			})
			return c, err
		},
	}}
	r, err := client.Get("http://127.0.0.1:9464" + path)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d: %s", path, r.StatusCode, body)
	}
	return string(body), err
}

// missing is how many datagrams each subscriber lacks of those before its last.
func (m *machine) missing() (all []uint64) {
	for _, r := range m.subs {
		all = append(all, r.Report().Total().Missing)
	}
	return all
}

// flows waits until each subscriber has so many datagrams more.
func (m *machine) flows(more uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for i, r := range m.subs {
		if err := r.Wait(ctx, r.Received()+more); err != nil {
			return fmt.Errorf("subscriber %d: %w", i+1, err)
		}
	}
	return nil
}

func writeFile(path, text string) error {
	return os.WriteFile(path, []byte(text), 0o644)
}
