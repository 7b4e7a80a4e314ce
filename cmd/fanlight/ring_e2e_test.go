package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/exporters"
	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
	"github.com/fanlight-io/fanlight/redact"
)

// closes reports whether each exporter's equation closes: every event that was
// made was delivered, filtered, or is counted as lost at some stage.
func closes(s series, exporters ...string) bool {
	for _, x := range exporters {
		label := fmt.Sprintf("exporter=%q", x)
		if s.sum("fanlight_events_produced_total")+s.sum("fanlight_sink_recovered_total", label) !=
			s.sum("fanlight_sink_events_total", label) || s.sum("fanlight_sink_waiting", label) != 0 {
			return false
		}
	}
	return true
}

// eventLine is what a test reads of an event.
type eventLine struct {
	Kind   string `json:"kind"`
	Action string `json:"action"`
	Lost   uint64 `json:"lost_events"`
}

func readEvents(t *testing.T, path string) (events []eventLine) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e eventLine
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		events = append(events, e)
	}
	return events
}

func TestAFullRingLosesEventsAndNoCounts(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	cfg, events := agentConfig(t, n, quickQuerier, "sample: 1")
	a := startConfig(t, cfg+"tables: {event_ring_bytes: 4096}\n", events)
	r := joinGroup(t, n.Host("sub"), testGroup)
	a.waitMembers("239.1.1.1", 1)
	const sent = 20000
	if _, err := n.Host("pub").Send(soon(t), lab.SendConfig{Group: testGroup, Port: 5000, Count: sent, Rate: 20000}); err != nil {
		t.Fatal(err)
	}
	s := a.wait("the loss is told, and the equation closes", func(s series) bool {
		lost := s.sum("fanlight_events_lost_total", `stage="ring"`)
		return lost > 0 && s.sum("fanlight_events_produced_total", `kind="loss"`) > 0 && closes(s, "file") &&
			s.sum("fanlight_group_packets_total", `group="239.1.1.1"`) == sent
	})
	if err := n.WaitQuiet(soon(t), 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	failed := s.sum("fanlight_copy_failures_total", `group="239.1.1.1"`)
	if copies := s.sum("fanlight_group_copies_total", `group="239.1.1.1"`); copies != sent || float64(r.Received())+failed != sent {
		t.Errorf("sent %d, copies %v, received %d, failed %v", sent, copies, r.Received(), failed)
	}
	if made := s.sum("fanlight_events_produced_total", `kind="replication"`); made < sent {
		t.Errorf("%v events produced of %d packets with sample: 1", made, sent)
	}
	a.end()
	var told, kept uint64
	lines := readEvents(t, events)
	for _, e := range lines {
		switch {
		case e.Kind == "loss" && e.Action == "ring":
			told += e.Lost
		case e.Kind == "replication" || e.Kind == "drop":
			kept++
		}
	}
	lost := s.sum("fanlight_events_lost_total", `stage="ring"`)
	if float64(told) != lost {
		t.Errorf("loss events tell of %d lost events, the counter of %v", told, lost)
	}
	made := s.sum("fanlight_events_produced_total", `kind="replication"`) + s.sum("fanlight_events_produced_total", `kind="drop"`)
	if float64(kept)+lost != made {
		t.Errorf("file has %d events of the kernel, %v were lost, %v produced", kept, lost, made)
	}
	if len(lines) == 0 || told == 0 {
		t.Error("no events, or none of a loss")
	}
	t.Logf("%d events in the file, %d lost in the ring", len(lines), told)
}

// stuck is an exporter that takes nothing until it is released.
type stuck struct {
	release  chan struct{}
	entered  atomic.Bool
	exported atomic.Uint64
}

func (s *stuck) Validate() error                   { return nil }
func (s *stuck) Open() (exporters.Exporter, error) { return s, nil }
func (s *stuck) Close(context.Context) error       { return nil }

func (s *stuck) Export(ctx context.Context, batch []redact.Record) error {
	s.entered.Store(true)
	select {
	case <-s.release:
		s.exported.Add(uint64(len(batch)))
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestASlowSinkHarmsNobody(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	yaml, events := agentConfig(t, n, quickQuerier, "sample: 1")
	c, err := parseConfig(strings.NewReader(yaml))
	if err != nil {
		t.Fatal(err)
	}
	slow := &stuck{release: make(chan struct{})}
	common := collector.DefaultSinkConfig()
	common.QueueRecords = 2000
	c.Events = append(c.Events, eventConfig{typ: "stuck", SinkConfig: common, own: slow})
	a := (&agent{t: t, events: events, path: filepath.Join(t.TempDir(), "none"), done: make(chan error, 1)}).start(c)
	r := joinGroup(t, n.Host("sub"), testGroup)
	a.waitMembers("239.1.1.1", 1)
	before := heap()
	const sent = 100000
	if _, err := n.Host("pub").Send(soon(t), lab.SendConfig{Group: testGroup, Port: 5000, Count: sent, Rate: 30000}); err != nil {
		t.Fatal(err)
	}
	s := a.wait("the other exporter has everything", func(s series) bool {
		return slow.entered.Load() && closes(s, "file") && s.sum("fanlight_group_packets_total", `group="239.1.1.1"`) == sent
	})
	if s.sum("fanlight_sink_lost_total", `exporter="file",stage="queue"`) != 0 {
		t.Errorf("the healthy exporter lost events: %v", s.family("fanlight_sink_lost_total"))
	}
	full := s.sum("fanlight_sink_lost_total", `exporter="stuck_1",stage="queue",reason="full"`)
	if full < sent/2 || slow.exported.Load() != 0 {
		t.Errorf("the stuck exporter: %v events found its queue full, %d were exported", full, slow.exported.Load())
	}
	if grown := int64(heap()) - int64(before); grown > 24<<20 {
		t.Errorf("%d bytes more are in use while an exporter is stuck", grown)
	}
	failed := s.sum("fanlight_copy_failures_total", `group="239.1.1.1"`)
	if err := n.WaitQuiet(soon(t), 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if float64(r.Received())+failed != sent {
		t.Errorf("sent %d, received %d, failed %v", sent, r.Received(), failed)
	}
	close(slow.release)
	a.wait("both equations close", func(s series) bool { return closes(s, "file", "stuck_1") })
	if slow.exported.Load() == 0 {
		t.Error("what waited was not delivered")
	}
}

// heap is the memory in use, after what is garbage is gone.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
