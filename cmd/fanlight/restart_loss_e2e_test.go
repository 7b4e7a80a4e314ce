package main

import (
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/lab/labtest"
)

// TestTheEquationClosesAfterARestart: what an agent before this one took out of
// the rings is no business of this one's exporters; what waited there is.
func TestTheEquationClosesAfterARestart(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	cfg, events := agentConfig(t, n, quickQuerier, "sample: 1")
	first := startConfig(t, cfg, events)
	joinGroup(t, n.Host("sub"), testGroup)
	first.waitMembers("239.1.1.1", 1)
	probe(t, n, "pub", testGroup, 100)
	first.end()
	probe(t, n, "pub", testGroup, 50) // nobody reads these events now
	second := startConfig(t, cfg, events)
	probe(t, n, "pub", testGroup, 70)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		view, err := second.agent.View()
		if err != nil {
			t.Fatal(err)
		}
		file := view.Sinks[0]
		if file.Delivered >= 120 && file.Balanced() {
			if file.Produced > 150 {
				t.Errorf("%d events, with those of the agent before", file.Produced)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after 20 s the equation does not close: %+v", file)
		}
	}
}
