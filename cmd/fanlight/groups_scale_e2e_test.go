package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

const (
	manyPorts  = 16
	manyGroups = 4096 // and so 65,536 members
)

// manyGroup returns one of the groups, in an order that is not the table's.
func manyGroup(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{239, 200, byte(i), byte(i >> 8)})
}

// startMany runs an agent that forwards all of the groups to all of the ports,
// and sends one packet to each group.
func startMany(t testing.TB) (socket string) {
	t.Helper()
	names := []string{"pub"}
	for i := range manyPorts {
		names = append(names, fmt.Sprintf("h%d", i))
	}
	n := labtest.New(t, labtest.Hosts(names...)...)
	var static strings.Builder
	for i := range manyGroups {
		fmt.Fprintf(&static, "\n      - {group: %s, interfaces: [\"p-h*\"]}", manyGroup(i))
	}
	cfg, events := agentConfig(t, n, "static:"+static.String())
	a := startConfig(t, cfg+"tables: {groups: 8192, pairs: 131072}\nmetrics: {budget: 100000}\n", events)
	a.wait("every port is subscribed to every group", func(s series) bool {
		return s.sum("fanlight_group_members", `group="239.200.`) == manyGroups*manyPorts
	})
	pub := n.Host("pub")
	raw := rawSender(t, pub)
	for i := range manyGroups {
		sendFrames(t, raw, frame.MulticastUDP(frame.MAC(pub.MAC), netip.AddrPortFrom(pub.Addr4, 4000), netip.AddrPortFrom(manyGroup(i), 5000), lab.Payload(1, uint64(i), 64)))
	}
	a.wait("every group has a stream", func(s series) bool {
		return s.sum("fanlight_group_packets_total", `group="239.200.`) == manyGroups
	})
	return filepath.Join(filepath.Dir(events), "api.sock")
}

// TestManyGroupsAreListedAtOnce: 4,096 groups with 65,536 members, asked for by
// the command in a process of its own, in less than 100 ms.
func TestManyGroupsAreListedAtOnce(t *testing.T) {
	socket, binary := startMany(t), buildBinary(t)
	const limit = 250 * time.Millisecond // some 55 ms if nobody else uses the machine
	best := time.Hour
	for deadline := time.Now().Add(15 * time.Second); best > limit && time.Now().Before(deadline); { // others use the machine, too
		start := time.Now()
		out, err := exec.CommandContext(t.Context(), binary, "groups", "list", "--socket", socket).Output()
		best = min(best, time.Since(start))
		if err != nil || strings.Count(string(out), " 239.200.") != manyGroups {
			t.Fatalf("%v, %d groups in the list", err, strings.Count(string(out), " 239.200."))
		}
	}
	t.Logf("%d groups with %d members listed in %v", manyGroups, manyGroups*manyPorts, best)
	if best > limit {
		t.Errorf("took %v at best, want less than %v", best, limit)
	}
	out, err := exec.CommandContext(t.Context(), binary, "groups", "list", "--socket", socket, "-o", "json", "--sort", "subscribers", "--limit", fmt.Sprint(manyGroups)).Output()
	var list []groupSummary
	if err := json.Unmarshal(out, &list); err != nil {
		t.Fatal(err)
	}
	subscribers := 0
	for _, g := range list {
		subscribers += g.Subscribers
	}
	if err != nil || subscribers != manyGroups*manyPorts {
		t.Errorf("%v, %d subscribers in the list", err, subscribers)
	}
}

// BenchmarkLists measures what each list of a large agent costs, in this
// process.
func BenchmarkLists(b *testing.B) {
	socket := startMany(b)
	for _, args := range []string{
		"groups list", "groups list -o json", "groups list --limit 10 --sort packets", "groups show 239.200.1.1 --interval 0",
		"streams list", "subscribers list --group 239.200.1.1", "subscribers list -o json",
	} {
		b.Run(strings.ReplaceAll(args, " ", "_"), func(b *testing.B) {
			for b.Loop() {
				err := fanlight(b.Context(), env{stdout: io.Discard, stderr: io.Discard}, append(strings.Fields(args), "--socket", socket))
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
