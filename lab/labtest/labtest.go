// Package labtest gives tests a lab network that is gone when they end.
package labtest

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/lab"
)

// Require skips the test if it can't make network namespaces. With REQUIRE_BPF=1
// in the environment, as in CI, it fails instead: there a skip would hide a loss.
func Require(t testing.TB) {
	t.Helper()
	why := missing()
	if why == "" {
		return
	}
	if os.Getenv("REQUIRE_BPF") == "1" {
		t.Fatalf("lab network: %s, and REQUIRE_BPF=1 is set", why)
	}
	t.Skipf("lab network: %s", why)
}

// missing says what the process lacks, or nothing.
func missing() string {
	if os.Geteuid() != 0 {
		return "needs root"
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return "can't read capabilities: " + err.Error()
	}
	for name, bit := range map[string]uint{"CAP_NET_ADMIN": unix.CAP_NET_ADMIN, "CAP_SYS_ADMIN": unix.CAP_SYS_ADMIN} {
		if sets[0].Effective&(1<<bit) == 0 {
			return "needs " + name
		}
	}
	return ""
}

var networks atomic.Uint32

// UniqueName returns a network name that no other test or process uses.
func UniqueName() string {
	return fmt.Sprintf("fl-test-%d-%d", os.Getpid(), networks.Add(1))
}

// New makes a network with a unique name and these hosts, and closes it when the
// test ends. It calls Require.
func New(t testing.TB, hosts ...lab.HostConfig) *lab.Net {
	t.Helper()
	return NewConfig(t, lab.Config{Hosts: hosts})
}

// NewConfig is New with all settings; an empty name becomes a unique one.
func NewConfig(t testing.TB, cfg lab.Config) *lab.Net {
	t.Helper()
	Require(t)
	if cfg.Name == "" {
		cfg.Name = UniqueName()
	}
	n, err := lab.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// Hosts returns plain host configurations with these names.
func Hosts(names ...string) []lab.HostConfig {
	hosts := make([]lab.HostConfig, len(names))
	for i, name := range names {
		hosts[i].Name = name
	}
	return hosts
}
