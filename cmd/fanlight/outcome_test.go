package main

import (
	"fmt"
	"testing"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

// outcome is what a run of streams showed. A machine that is short of CPU time
// loses packets before the datapath sees them, and copies behind it; only a run
// without those says something about the agent.
type outcome struct {
	faults []string
	noise  []string
}

func (o *outcome) wrong(format string, args ...any) {
	o.faults = append(o.faults, fmt.Sprintf(format, args...))
}

// lost notes what was lost outside of the datapath, or counted by it.
func (o *outcome) lost(t *testing.T, s series, n *lab.Net) {
	t.Helper()
	for text, v := range s.family("fanlight_copy_failures_total") {
		o.noise = append(o.noise, fmt.Sprintf("%s %v", text, v))
	}
	for _, h := range n.Hosts() {
		stats, err := h.Stats()
		if err != nil {
			t.Fatal(err)
		}
		if stats.TxDropped > 0 {
			o.noise = append(o.noise, fmt.Sprintf("%s sent %d packets in vain", h.Name, stats.TxDropped))
		}
	}
}

// untilClean runs what it is given in networks of its own until the machine
// lost nothing, and demands that such a run has no fault.
func untilClean(t *testing.T, run func(*testing.T, *lab.Net) outcome, hosts ...string) {
	t.Helper()
	const tries = 6
	for try := 1; ; try++ {
		out := run(t, labtest.New(t, labtest.Hosts(hosts...)...))
		if len(out.faults) == 0 {
			return
		}
		if len(out.noise) == 0 || try == tries {
			for _, f := range out.faults {
				t.Error(f)
			}
			t.Logf("lost by the machine: %v", out.noise)
			return
		}
		t.Logf("try %d again: lost by the machine: %v; faults: %v", try, out.noise, out.faults)
	}
}
