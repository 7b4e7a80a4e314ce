package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"github.com/fanlight-io/fanlight/lab"
)

// run --check loads everything for real, and leaves neither programs on ports
// nor pins; an agent that runs meanwhile does not notice.
func TestRunCheckAttachesNothing(t *testing.T) {
	n := newNet(t, "pub", "sub")
	cfg, events := agentConfig(t, n)
	path := filepath.Join(t.TempDir(), "fanlight.yaml")
	if err := os.WriteFile(path, []byte(cfg), 0o600); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		stdout, _, err := call(t.Context(), "run", "--check", "--config", path)
		if err != nil || !strings.Contains(stdout, path+" is valid, and its programs load") || !strings.Contains(stdout, "programs attach by ") {
			t.Errorf("run --check: %v\n%s", err, stdout)
		}
	}
	check()
	if got := attachedTo(t, n); got != 0 {
		t.Errorf("%d programs are attached after run --check", got)
	}
	if pins, err := filepath.Glob(bpffsRoot + "/" + n.Name() + "*"); err != nil || len(pins) > 0 {
		t.Errorf("left in the BPF file system: %q, %v", pins, err)
	}
	if _, err := os.Stat(events); !os.IsNotExist(err) {
		t.Errorf("the file of events was made: %v", err)
	}

	a := startConfig(t, cfg, events)
	sub := listen(t, n.Host("sub"), lab.ListenConfig{Group: testGroup})
	a.joined(testGroup, 1)
	before := attachedTo(t, n)
	check()
	if after := attachedTo(t, n); before < 2 || after != before {
		t.Errorf("%d programs are attached after run --check, %d before", after, before)
	}
	wantAll(t, "sub", sub, send(t, n.Host("pub"), lab.SendConfig{Group: testGroup, Count: 100}))
	if pins, err := filepath.Glob(bpffsRoot + "/" + n.Name() + "*"); err != nil || len(pins) != 1 {
		t.Errorf("in the BPF file system: %q, %v, want the agent's alone", pins, err)
	}
}

// attachedTo counts the programs at the ingress of the switch's ports.
func attachedTo(t *testing.T, n *lab.Net) (programs int) {
	t.Helper()
	for _, h := range n.Hosts() {
		port := portLink(t, n, h)
		filters, err := n.Switch().Handle().FilterList(port, netlink.HANDLE_MIN_INGRESS)
		if err != nil {
			t.Fatal(err)
		}
		programs += len(filters)
		err = n.Switch().Do(func() error {
			found, err := link.QueryPrograms(link.QueryOptions{Target: port.Attrs().Index, Attach: ebpf.AttachTCXIngress})
			if err == nil {
				programs += len(found.Programs)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return programs
}
